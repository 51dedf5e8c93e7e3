"""docs/reference/environment.md: the variables that each program reads.

The words stand here; that each variable is read, that none is missing, and that the defaults are
these, a test holds against the programs' own settings.
"""

from dataclasses import dataclass

from scripts.docs.markdown import cell

REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the environment."""

    name: str
    told: str
    default: str = ""
    """As one would write it; `required`, or "" where there is none."""
    value: str = ""
    """Of the chart: the Helm value that sets it."""


LEVELS = "`DEBUG`, `INFO`, `WARNING` or `ERROR`"
OPERATOR = (
    Variable("INFERENCE_IMAGE", "image of the model servers", REQUIRED, "inferenceImage"),
    Variable(
        "PROMETHEUS_URL",
        "the Prometheus that scrapes the model servers",
        REQUIRED,
        "prometheus.url",
    ),
    Variable(
        "PROMETHEUS_USERNAME",
        "user of basic authentication; see [Prometheus](../guides/prometheus.md)",
    ),
    Variable("PROMETHEUS_USERNAME_FILE", "a file that holds the user, instead"),
    Variable("PROMETHEUS_PASSWORD", "the user's password"),
    Variable(
        "PROMETHEUS_PASSWORD_FILE",
        "a file that holds the password, instead; read at each query",
        "",
        "prometheus.auth",
    ),
    Variable(
        "PROMETHEUS_TOKEN_FILE",
        "a file that holds a bearer token; read at each query",
        "",
        "prometheus.auth",
    ),
    Variable(
        "PROMETHEUS_CA_FILE",
        "the CA, in PEM, that Prometheus' certificate is trusted by, instead of the system's",
        "",
        "prometheus.ca",
    ),
    Variable(
        "PROMETHEUS_CERT_FILE",
        "a client certificate, in PEM",
        "",
        "prometheus.clientCertificate",
    ),
    Variable("PROMETHEUS_KEY_FILE", "its key, in PEM", "", "prometheus.clientCertificate"),
    Variable(
        "PROMETHEUS_HEADERS",
        'more headers of each query, as a JSON object: `{"X-Scope-OrgID": "team-a"}`',
        "",
        "prometheus.headers",
    ),
    Variable(
        "MLFLOW_TRACKING_URI",
        "the registry; model servers load from it too",
        REQUIRED,
        "mlflow.trackingUri",
    ),
    Variable(
        "REGISTRY_CA_FILE",
        "the CA, in PEM, that MLflow's certificate is trusted by, instead of the system's",
        "",
        "mlflow.ca",
    ),
    Variable(
        "REGISTRY_CERT_FILE",
        "a client certificate for MLflow, in PEM",
        "",
        "mlflow.clientCertificate",
    ),
    Variable("REGISTRY_KEY_FILE", "its key, in PEM", "", "mlflow.clientCertificate"),
    Variable(
        "WATCH_NAMESPACES",
        "namespaces that are looked after, with commas between; empty for all",
        "",
        "watchNamespaces",
    ),
    Variable(
        "MESSAGES",
        "where messages about rollouts go: a JSON list, as"
        " [the chart has it](../guides/messages.md), with a `folder` instead of a Secret",
        "",
        "messages.destinations",
    ),
    Variable(
        "MESSAGES_GIVE_UP_SECONDS",
        "age in seconds after which a message is not tried any more",
        "86400",
        "messages.giveUpAfterSeconds",
    ),
    Variable(
        "MESSAGES_HOLD_SECONDS",
        "for how long at least a message is one process's to send, whatever becomes of it; half of"
        " it is for one try",
        "60",
    ),
    Variable(
        "DASHBOARD_URL",
        "the dashboard that messages link to; empty for none",
        "",
        "dashboard.publicUrl",
    ),
    Variable(
        "SHARD",
        "only ModelRollouts whose label `rollouts.mlops.dev/shard` has this value; empty for all",
        "",
        "shard",
    ),
    Variable(
        "GATEWAY_NAMESPACE",
        "where the Gateways of `traffic.parentRefs` are; empty for each rollout's own namespace",
        "",
        "gateway.namespace",
    ),
    Variable("GATEWAY_MIRRORS", "whether Gateways can mirror requests", "false", "gateway.mirrors"),
    Variable(
        "ROUTES_ASK",
        "whether routers are asked if a route leads to its rollout",
        "true",
        "routes.ask",
    ),
    Variable(
        "ROUTE_ANNOTATIONS",
        "which annotations routes may have, and which all have: a JSON object, as"
        " [the chart has it](../guides/ingress-tls-paths.md#annotations)",
        "",
        "routes.annotations",
    ),
    Variable(
        "ROUTER_DRAIN_SECONDS",
        "how long a router may still send requests by an older weight, where it cannot be asked;"
        " at most 600",
        "10",
        "routerDrainSeconds",
    ),
    Variable(
        "RESYNC_SECONDS",
        "how often names and versions of all objects are compared with the API server;"
        " at most 86400",
        "600",
        "resyncSeconds",
    ),
    Variable(
        "REGISTRY_ALIAS",
        "alias that a promotion moves in the registry; empty for none",
        "{namespace}-{name}",
        "mlflow.alias",
    ),
    Variable(
        "FEEDBACK_KEY",
        "secret that the keys of prediction ids are derived from, beside each rollout's uid",
        "",
        "feedbackKey",
    ),
    Variable(
        "FEEDBACK_STORES",
        "what remembers predictions and labels, by namespace: a JSON list, as"
        " [the chart has it](../guides/feedback-store.md)",
        "",
        "feedbackStore",
    ),
    Variable(
        "SHADOW_FIELDS",
        "which fields of requests are shown where answers to [copies](../guides/shadow.md) differ,"
        " by namespace: a JSON list",
        "",
        "shadowFields",
    ),
    Variable(
        "MODEL_EGRESS",
        "whom model servers may connect to besides DNS, MLflow and the collector of traces: a JSON"
        " list of NetworkPolicyEgressRules, or `any`",
        "",
        "modelEgress",
    ),
    Variable(
        "MODEL_DIGESTS",
        "what is done with a version that has no digest: `Pin` looks at its files and pins what it"
        " finds, `Require` rolls out none without; `Signed` is `Pin` for models that one of"
        " `MODEL_SIGNERS` signed",
        "Pin",
        "models.digests",
    ),
    Variable(
        "MODEL_SIGNERS",
        "who may sign, a JSON list of objects with a public `key` in PEM;"
        " [signed models](../guides/signed-models.md)",
        "",
        "models.signers",
    ),
    Variable(
        "MODEL_CREDENTIALS",
        "what model pods fetch with, by namespace: a JSON list, as"
        " [the chart has it](../guides/credentials.md)",
        "",
        "models.credentials",
    ),
    Variable(
        "MODEL_PROFILES",
        "where and how model pods run, by name: a JSON object, as"
        " [the chart has it](../guides/profiles.md)",
        "",
        "profiles",
    ),
    Variable(
        "ROLLOUT_WINDOWS",
        "when rollouts are frozen: a JSON list, as [the chart has it](../guides/decide.md#windows)",
        "",
        "windows",
    ),
    Variable(
        "PROMOTION_PROOF",
        "which namespaces take only what was promoted elsewhere before: a JSON list, as"
        " [the chart has it](../guides/promote-to.md#the-operators-own-demand)",
        "",
        "promotionProof.required",
    ),
    Variable(
        "PROOF_KEY",
        "a private key of Ed25519, in PEM without a password, by which promotions are signed for;"
        " see [promote on](../guides/promote-to.md#signed)",
        "",
        "promotionProof.signingKey",
    ),
    Variable(
        "PROOF_ENVIRONMENT",
        "what this cluster is called there, such as `staging`; set with `PROOF_KEY`",
        "",
        "promotionProof.environment",
    ),
    Variable(
        "ROLLOUT_METRICS",
        "metrics of your own that gates may be on: a JSON object by name, as"
        " [the chart has it](../guides/your-metrics.md)",
        "",
        "metrics",
    ),
    Variable(
        "REQUESTER_POLICY",
        "an admission policy writes who gives commands, so that names in history are verified:"
        " [decide](../guides/decide.md#who-it-was)",
        "false",
        "admission.requesterPolicy",
    ),
    Variable(
        "MODEL_LOG_LEVEL", f"the model servers' `LOG_LEVEL`: {LEVELS}", "INFO", "modelLogLevel"
    ),
    Variable("LOG_LEVEL", LEVELS, "INFO", "logLevel"),
    Variable("METRICS_PORT", "port of the operator's own metrics", "8081"),
    Variable("HEALTH_PORT", "port of `/healthz`", "8080"),
    Variable("MLFLOW_TRACKING_INSECURE_TLS", "model servers do not verify MLflow's certificate"),
    Variable(
        "MODEL_ALLOW_CODE",
        "namespaces (patterns such as `ml-*`, separated by commas) in which a model may be code",
        "",
        "models.allowCode",
    ),
    Variable("MODEL_PYTHON", "for [the model servers](#model-server)", "", "models.python"),
    Variable("MODEL_TRUSTED_TYPES", "for the model servers", "", "models.trustedTypes"),
    Variable(
        "MODEL_VALUES",
        "what values feedback gives predictions: a JSON object, as"
        " [the chart has it](../guides/your-metrics.md#values-of-feedback)",
        "",
        "models.values",
    ),
    Variable("MODEL_ALLOW_PICKLE", "for the model servers"),
    Variable("MODEL_COMPARE_PERCENT", "for the model servers"),
    Variable("MODEL_COMPARE_SECONDS", "for the model servers"),
    Variable("MODEL_SHADOW_TOLERANCE", "for the model servers"),
    Variable("MODEL_MAX_BYTES", "for the model servers"),
    Variable("OTEL_EXPORTER_OTLP_ENDPOINT", "for the model servers"),
)
SERVER = (
    Variable("MODEL_URI", "`models:/<name>/<version>`, fetched from `MLFLOW_TRACKING_URI`"),
    Variable("MODEL_PATH", "a folder with an MLmodel file, instead of `MODEL_URI`"),
    Variable("MODEL_FOLDER", "where the files of `MODEL_URI` are already; else they are fetched"),
    Variable(
        "MODEL_DIGEST",
        "`sha256:<hex>` that the model's files must have; else the server refuses to start",
    ),
    Variable("MODEL_REVISION", "label of every series, and the value of `X-Model-Revision`"),
    Variable("LOG_LEVEL", f"{LEVELS}; `DEBUG` has a line for every request", "INFO"),
    Variable("PORT", "the port that it listens on", "8080"),
    Variable(
        "FEEDBACK_KEY",
        "secret that prediction ids are signed with, the same in all pods; made up where it is not"
        " set",
    ),
    Variable(
        "FEEDBACK_SECONDS", "how long after its prediction a label is taken, a week", "604800"
    ),
    Variable(
        "FEEDBACK_STORE",
        "where [predictions and labels are remembered](../guides/feedback-store.md):"
        " `sqlite:/FOLDER`, or `postgresql://HOST/DATABASE` with libpq's variables; nowhere where"
        " it is not set",
    ),
    Variable(
        "FEEDBACK_SCOPE",
        "whose they are, the same in all pods of a rollout and in no other's; the model's name"
        " where it is not set",
    ),
    Variable(
        "FEEDBACK_STORE_ENTRIES",
        "predictions that are remembered; the eldest make room",
        "1000000",
    ),
    Variable("FEEDBACK_STORE_BYTES", "bytes of them", "536870912"),
    Variable("ACCURACY_FROM", "labels from which on `ml_model_accuracy` is live", "100"),
    Variable("ACCURACY_WINDOW", "newest labels that it rests on", "1000"),
    Variable(
        "LATENCY_BUCKETS",
        "bounds in seconds, such as `0.25,1.5`, that `ml_request_latency_seconds` has beside the"
        " usual ones",
    ),
    Variable("MODEL_ALLOW_PICKLE", "`1` to load pickled models, which can run any code"),
    Variable(
        "MODEL_ALLOW_CODE",
        "`1` to serve models that are code (pyfunc, pickles) by a process of their own",
    ),
    Variable("MODEL_PYTHON", "the interpreter of that process; else the server's own"),
    Variable(
        "MODEL_TRUSTED_TYPES",
        "full names of types and functions, separated by commas, that skops files may hold beside"
        " our own list",
    ),
    Variable(
        "MODEL_COMPARE_PERCENT",
        "of live requests that are compared with scikit-learn, 1 to 100; none where it is not set",
    ),
    Variable("MODEL_COMPARE_SECONDS", "time between two comparisons", "300"),
    Variable(
        "MODEL_SHADOW_TOLERANCE",
        "what numbers may differ by in answers to [copies](../guides/shadow.md) that count as"
        " alike: predictions by this share, probabilities by this much",
        "0.01",
    ),
    Variable(
        "MODEL_SHADOW_URL", "where copies go outside of a cluster, such as `http://127.0.0.1:8081`"
    ),
    Variable(
        "MODEL_SIGNERS",
        "who may sign models, a JSON list of objects with a public `key` in PEM; empty where no"
        " signature is needed",
    ),
    Variable(
        "MODEL_CACHE",
        "a folder that the step which fetches keeps models in for later; empty for none",
    ),
    Variable("MODEL_CACHE_BYTES", "bytes of all models in it, 10 GiB", "10737418240"),
    Variable(
        "MODEL_VALUE_MAX",
        "the greatest value that feedback may give a prediction; empty: none is taken",
    ),
    Variable("MODEL_MAX_BYTES", "largest model, packed and unpacked, 2 GiB", "2147483648"),
    Variable("MAX_BODY_BYTES", "largest body of a request, 8 MiB", "8388608"),
    Variable("MAX_ROWS", "most rows of a request", "100000"),
    Variable("HEADER_SECONDS", "time that a client has to send a request's headers", "10"),
    Variable("BODY_SECONDS", "time that a client has to send its body", "30"),
    Variable("LOAD_SECONDS", "time that loading may take", "600"),
    Variable(
        "TERMINATION_LOG",
        "where the reason is written when it cannot start, or the model not be loaded",
        "/dev/termination-log",
    ),
)
BRIDGE = (
    Variable(
        "MAPPINGS_FILE",
        "which alias leads to what; `python -m rollout_bridge check FILE` reads it",
        REQUIRED,
        "bridge.mappings",
    ),
    Variable(
        "WEBHOOK_SECRET",
        "the secret that the webhook has in MLflow, at least 16 characters; needed for mappings",
        "",
        "bridge.webhookSecret",
    ),
    Variable(
        "WEBHOOK_SECRET_PREVIOUS",
        "also taken, while the secret changes",
        "",
        "bridge.webhookSecret.previousKey",
    ),
    Variable(
        "EVENT_KEY",
        "what the Secret of the operator's destination has as `signingKey`; needed for"
        " [reverts](../guides/mlflow-webhooks.md#after-a-rollback-take-the-commit-back)",
        "",
        "bridge.reverts",
    ),
    Variable(
        "GITHUB_TOKEN",
        "needed where a mapping dispatches a workflow, and for reverts",
        "",
        "bridge.githubToken",
    ),
    Variable("GITHUB_API_URL", "GitHub's API", "https://api.github.com", "bridge.githubApiUrl"),
    Variable("PORT", "port of `/webhooks/mlflow` and `/events/rollouts`", "8080"),
    Variable("METRICS_PORT", "port of `/healthz` and `/metrics`", "8081"),
    Variable(
        "MAX_AGE_SECONDS",
        "how old or early a webhook may be; at most 3600",
        "300",
        "bridge.maxAgeSeconds",
    ),
    Variable("MAX_BODY_BYTES", "largest body of a webhook", "65536"),
    Variable(
        "RETRY_AFTER_SECONDS",
        "when MLflow sends again what could not be carried out; at most 600",
        "30",
        "bridge.retryAfterSeconds",
    ),
    Variable("LOG_LEVEL", LEVELS, "INFO", "logLevel"),
)
DASHBOARD = (
    Variable("PUBLIC_URL", "where browsers reach it: scheme and host", "", "dashboard.publicUrl"),
    Variable(
        "TOKEN_HEADER",
        "header in which a proxy hands the viewer's token on, besides `Authorization`",
        "",
        "dashboard.tokenHeader",
    ),
    Variable("READ_ONLY", "whether commands are refused", "false", "dashboard.readOnly"),
    Variable(
        "NAMESPACES",
        "where to look for viewers who may not list in all namespaces, with commas in between",
        "",
        "dashboard.namespaces",
    ),
    Variable("MLFLOW_URL", "where people open MLflow", "", "dashboard.mlflowUrl"),
    Variable(
        "ROLLOUT_WINDOWS", "as the operator's, to say when a rollout is frozen", "", "windows"
    ),
    Variable(
        "MLFLOW_TRACKING_URI",
        "the MLflow that metrics and parameters of runs are read from, without credentials",
        "",
        "dashboard.runs",
    ),
    Variable(
        "PROMETHEUS_URL",
        "the Prometheus that plots are drawn from; its other variables as the operator's",
        "",
        "dashboard.plots",
    ),
    Variable("KUBERNETES_URL", "the API server; in a pod, that of its cluster"),
    Variable("KUBERNETES_CA_FILE", "the CA that its certificate is trusted by"),
    Variable("TLS_CERT_FILE", "own certificate; plain HTTP without", "", "dashboard.tls"),
    Variable("TLS_KEY_FILE", "its key", "", "dashboard.tls"),
    Variable("HOST", "address that it listens on", "0.0.0.0"),
    Variable("PORT", "port of its pages and of `/healthz`", "8080"),
    Variable("LOG_LEVEL", LEVELS, "INFO", "logLevel"),
)

HEAD = """# Environment variables

For those who run a program without its chart, or set what the chart has no value for.

Generated by `make docs`; a test holds it against the programs. Do not edit.
A setting that is wrong ends the program at start, with a sentence that says what to write:

```
$ PORT=http MODEL_PATH=model python -m rollout_inference
error: PORT='http' is out of range: write a whole number from 1 to 65535
```
"""
TAIL = """## kubectl modelrollout

| variable | what it is |
| --- | --- |
| `KUBECONFIG` | the cluster, as for kubectl |
| `MODELROLLOUT_PROMETHEUS` | [how to reach Prometheus](cli.md#how-it-reaches-prometheus) |
| `MODELROLLOUT_PROMETHEUS_TOKEN` | is sent to it as a bearer token |
| `PROMETHEUS_TOKEN_FILE` … | as [the operator's](#operator), but for `PROMETHEUS_URL` |
| `NO_COLOR` | no colours |

## Trainer

MLflow's own variables, such as `MLFLOW_TRACKING_URI`. `python -m rollout_trainer train` takes
`MLFLOW_MODEL_NAME` as `--name` too.

Next: [kubectl modelrollout](cli.md).
"""
ABOUT_SERVER = """`python -m rollout_inference`. The operator sets `MODEL_…`, `FEEDBACK_…` and
`LATENCY_BUCKETS` itself, in the pods that it makes. OpenTelemetry's own variables count too."""
ABOUT_OPERATOR = """`python -m rollout_operator run`.
In the chart, `extraEnv` sets what has no value of its own."""
PARTS = (
    ("Operator", ABOUT_OPERATOR, OPERATOR),
    ("Model server", ABOUT_SERVER, SERVER),
    ("Bridge", "`python -m rollout_bridge run`.", BRIDGE),
    ("Dashboard", "`python -m rollout_dashboard`.", DASHBOARD),
)


def reference() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, told, variables in PARTS:
        charted = any(v.value for v in variables)
        parts += [f"## {title}", "", told, ""]
        parts += [
            f"| variable | default | {'Helm value | ' if charted else ''}what it is |",
            f"| --- | --- | {'--- | ' if charted else ''}--- |",
        ]
        parts += [_row(v, charted) for v in variables]
        parts.append("")
    return "\n".join(parts) + TAIL


def _row(variable: Variable, charted: bool) -> str:
    default = variable.default
    default = default if default in {"", REQUIRED} else f"`{default}`"
    value = f" {f'`{variable.value}`' if variable.value else ''} |" if charted else ""
    return f"| `{variable.name}` | {default} |{value} {cell(variable.told)} |"
