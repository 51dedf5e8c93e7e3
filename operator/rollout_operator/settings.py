"""The operator's configuration: read from the environment once, at start."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ParamSpec, Self, TypeVar

from rollout_operator.domain.credentials import Credentials, credentials
from rollout_operator.domain.egress import DNS, Egress, egress
from rollout_operator.domain.feedback_stores import FeedbackStore, feedback_stores
from rollout_operator.domain.observed import DRAIN
from rollout_operator.domain.outbox import Destination, destinations
from rollout_operator.domain.own_metrics import (
    NO_METRICS,
    OwnMetrics,
    configured_metrics,
    values_of,
)
from rollout_operator.domain.profiles import NO_PROFILES, Profiles, profiles
from rollout_operator.domain.prometheus_access import (
    PrometheusAccess,
    access,
    encrypted_for,
    of_url,
)
from rollout_operator.domain.promotion_proof import (
    ProofRule,
    ProofSigner,
    proof_rules,
    proof_signer,
)
from rollout_operator.domain.route_annotations import (
    NO_ANNOTATIONS,
    RouteAnnotations,
    route_annotations,
)
from rollout_operator.domain.shadow_fields import ShadowFields, shadow_fields
from rollout_operator.domain.signers import EXAMPLE, signers
from rollout_operator.domain.windows import ConfiguredWindow, windows

PASSED_ON = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MODEL_ALLOW_CODE",
    "MODEL_ALLOW_PICKLE",
    "MODEL_COMPARE_PERCENT",
    "MODEL_COMPARE_SECONDS",
    "MODEL_MAX_BYTES",
    "MODEL_PYTHON",
    "MODEL_SHADOW_TOLERANCE",
    "MODEL_TRUSTED_TYPES",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
)
"""Variables that model servers get as the operator has them (MODEL_ALLOW_CODE by namespace)."""
DIGESTS = ("Pin", "Require", "Signed")
"""What may be done with a version that has no digest."""

P = ParamSpec("P")
T = TypeVar("T")


class SettingsError(ValueError):
    """A setting is missing or wrong; the message says which and what to write."""


@dataclass(frozen=True, slots=True)
class RegistryFiles:
    """Paths of files in PEM; "" for none."""

    ca: str = ""
    """Certificates that MLflow's own is trusted by, instead of the system's."""
    cert: str = ""
    """The operator's own certificate."""
    key: str = ""
    """Its key."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Frozen; handed down as an argument, read at import by nobody."""

    inference_image: str
    """The model server's image, for new revisions."""
    prometheus_url: str
    """Base URL, without credentials or a trailing slash."""
    registry_url: str
    """MLflow's tracking server."""
    namespaces: tuple[str, ...] = ()
    """Namespaces that are watched; empty for all."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    metrics_port: int = 8081
    """TCP port of /metrics."""
    health_port: int = 8080
    """TCP port of /healthz."""
    write_limit: int = 32
    """Writes to the API server that may be under way at once."""
    router_drain: timedelta = DRAIN
    """How long routers may lag behind a weight."""
    gateway_namespace: str = ""
    """Namespace of the Gateways; "" for each rollout's own."""
    gateway_mirrors: bool = False
    """Whether the Gateways can mirror requests."""
    routes_ask: bool = True
    """Whether routers are asked if a route leads to its rollout."""
    resync: timedelta = timedelta(minutes=10)
    """How often names and versions are compared with the API server."""
    prometheus_access: PrometheusAccess = field(default_factory=PrometheusAccess)
    """What Prometheus wants to have from whoever asks."""
    registry_files: RegistryFiles = field(default_factory=RegistryFiles)
    """TLS to MLflow."""
    registry_alias: str = "{namespace}-{name}"
    """The alias that a promotion moves, with {namespace} and {name}; "" for none."""
    feedback_key: str = ""
    """Secret that the keys of prediction ids are derived from beside the uid; "" for none."""
    shard: str = ""
    """Only ModelRollouts whose label rollouts.mlops.dev/shard has this value; "" for all."""
    model_environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of all model servers."""
    model_egress: Egress | None = (DNS,)
    """Whom model servers may connect to; None for everybody."""
    model_credentials: tuple[Credentials, ...] = ()
    """What model servers fetch models with, by namespace."""
    feedback_stores: tuple[FeedbackStore, ...] = ()
    """What remembers predictions and their labels, by namespace."""
    shadow_fields: tuple[ShadowFields, ...] = ()
    """Which fields of requests may be seen where answers to copies differ, by namespace."""
    route_annotations: RouteAnnotations = NO_ANNOTATIONS
    """Which annotations routes may have, and which all have."""
    model_profiles: Profiles = NO_PROFILES
    """Where and how model servers run, by the name that a spec chooses."""
    windows: tuple[ConfiguredWindow, ...] = ()
    """When rollouts are frozen, by namespace."""
    proof_rules: tuple[ProofRule, ...] = ()
    """Which namespaces take only what was promoted elsewhere before, and whose word counts."""
    proof_signer: ProofSigner | None = None
    """By which key promotions are signed for; None for none."""
    metrics: OwnMetrics = NO_METRICS
    """What gates may be on beside what is built in, and how Prometheus is asked for it."""
    names_verified: bool = False
    """Whether an admission policy writes the names of those who give commands."""
    messages: tuple[Destination, ...] = ()
    """Where messages about rollouts go."""
    messages_hold: timedelta = timedelta(seconds=60)
    """For how long at least a message is one process's to send."""
    messages_give_up: timedelta = timedelta(hours=24)
    """Age after which a message is not tried any more."""
    dashboard_url: str = ""
    """What messages link to, without a trailing slash; "" for nothing."""
    pin_digests: bool = True
    """Whether a version without a recorded digest is looked at and pinned; else it is refused."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the environment variables; raises SettingsError for what is missing or wrong."""

        def required(name: str, example: str) -> str:
            if not (value := env.get(name, "").strip()):
                raise SettingsError(
                    f"set the environment variable {name}, for example {name}={example}"
                )
            return value

        def whole(name: str, default: int, most: int) -> int:
            text = env.get(name, str(default))
            if not text.isdigit() or not 0 < int(text) <= most:
                raise SettingsError(
                    f"{name}={text!r} is out of range: write a whole number from 1 to {most}"
                )
            return int(text)

        def truth(name: str, default: str = "false") -> bool:
            if (text := env.get(name, default).strip().lower()) not in {"true", "false"}:
                raise SettingsError(f"{name}={text!r} is neither: write true or false")
            return text == "true"

        level = env.get("LOG_LEVEL", "INFO").upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise SettingsError(
                f"LOG_LEVEL={level!r} is unknown: write DEBUG, INFO, WARNING or ERROR"
            )
        alias = env.get("REGISTRY_ALIAS", "{namespace}-{name}").strip()
        if alias and not re.fullmatch(r"([A-Za-z0-9_-]|\{namespace\}|\{name\})+", alias):
            raise SettingsError(
                f"REGISTRY_ALIAS={alias!r} is no alias: write letters, digits, _ and -, with"
                " {namespace} and {name}"
            )
        shard = env.get("SHARD", "").strip()
        if shard and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", shard):
            raise SettingsError(
                f"SHARD={shard!r} is no value of a label: write up to 63 letters, digits, -, _"
                " and ."
            )
        prometheus_url, prometheus_access = _prometheus(
            env, required("PROMETHEUS_URL", "http://prometheus:9090")
        )
        registry_url = required("MLFLOW_TRACKING_URI", "http://mlflow:5000").rstrip("/")
        namespaces = tuple(
            n.strip() for n in env.get("WATCH_NAMESPACES", "").split(",") if n.strip()
        )
        models = {
            **{n: env[n] for n in PASSED_ON if env.get(n)},
            "LOG_LEVEL": env.get("MODEL_LOG_LEVEL", "INFO"),
            **_signed(env),
            **_valued(env),
        }
        return cls(
            inference_image=required(
                "INFERENCE_IMAGE", "registry.example.com/rollouts/inference:1.0"
            ),
            prometheus_url=prometheus_url,
            prometheus_access=prometheus_access,
            registry_url=registry_url,
            registry_files=_registry_files(env, registry_url),
            namespaces=namespaces,
            log_level=level,
            metrics_port=whole("METRICS_PORT", 8081, 65535),
            health_port=whole("HEALTH_PORT", 8080, 65535),
            router_drain=timedelta(
                seconds=whole("ROUTER_DRAIN_SECONDS", int(DRAIN.total_seconds()), 600)
            ),
            gateway_namespace=env.get("GATEWAY_NAMESPACE", "").strip(),
            gateway_mirrors=truth("GATEWAY_MIRRORS"),
            routes_ask=truth("ROUTES_ASK", "true"),
            resync=timedelta(seconds=whole("RESYNC_SECONDS", 600, 86400)),
            registry_alias=alias,
            feedback_key=env.get("FEEDBACK_KEY", ""),
            shard=shard,
            model_environment=models,
            model_egress=_told(egress, models, env.get("MODEL_EGRESS", "")),
            windows=_told(windows, env.get("ROLLOUT_WINDOWS", "")),
            proof_rules=_told(proof_rules, env.get("PROMOTION_PROOF", "")),
            proof_signer=_told(
                proof_signer, env.get("PROOF_KEY", ""), env.get("PROOF_ENVIRONMENT", "")
            ),
            metrics=_told(configured_metrics, env),
            names_verified=truth("REQUESTER_POLICY"),
            messages=_messages(env, namespaces),
            messages_hold=timedelta(seconds=whole("MESSAGES_HOLD_SECONDS", 60, 3600)),
            messages_give_up=timedelta(
                seconds=whole("MESSAGES_GIVE_UP_SECONDS", 24 * 3600, 30 * 24 * 3600)
            ),
            dashboard_url=_dashboard(env),
            pin_digests=_choice(env, "MODEL_DIGESTS", DIGESTS) != "Require",
            model_credentials=_told(credentials, env.get("MODEL_CREDENTIALS", "")),
            feedback_stores=_told(feedback_stores, env.get("FEEDBACK_STORES", "")),
            shadow_fields=_told(shadow_fields, env.get("SHADOW_FIELDS", "")),
            route_annotations=_told(route_annotations, env.get("ROUTE_ANNOTATIONS", "")),
            model_profiles=_told(profiles, env.get("MODEL_PROFILES", "")),
        )


def _choice(env: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """One of the words, the first where nothing is said. Raises SettingsError."""
    word = env.get(name, "").strip() or words[0]
    if word not in words:
        raise SettingsError(f"{name}={word!r} is unknown: write {' or '.join(words)}")
    return word


def _signed(env: Mapping[str, str]) -> dict[str, str]:
    """What model servers verify signatures by; empty where none are asked for. Raises
    SettingsError.
    """
    given = _told(signers, env.get("MODEL_SIGNERS", ""))
    if _choice(env, "MODEL_DIGESTS", DIGESTS) != "Signed":
        return {}
    if not given:
        raise SettingsError(
            "MODEL_DIGESTS=Signed needs MODEL_SIGNERS, the public keys of those who sign: write"
            f" {EXAMPLE}"
        )
    return {"MODEL_SIGNERS": json.dumps([{"key": one.key} for one in given])}


def _valued(env: Mapping[str, str]) -> dict[str, str]:
    """Up to what model servers take values; empty where they take none. Raises SettingsError."""
    given = _told(values_of, env.get("MODEL_VALUES", ""))
    return {} if given is None else {"MODEL_VALUE_MAX": f"{given.max!r}"}


def _messages(env: Mapping[str, str], namespaces: tuple[str, ...]) -> tuple[Destination, ...]:
    """Raises SettingsError where namespaces are chosen by what the operator may not read."""
    given = _told(destinations, env.get("MESSAGES", ""))
    chosen = next((one.name for one in given if one.namespace_selector is not None), None)
    if chosen is not None and namespaces:
        raise SettingsError(
            f"MESSAGES: {chosen} chooses namespaces by label, which an operator with"
            " WATCH_NAMESPACES may not read: write namespaces instead of namespaceSelector"
        )
    return given


def _dashboard(env: Mapping[str, str]) -> str:
    url = env.get("DASHBOARD_URL", "").strip().rstrip("/")
    if url and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        raise SettingsError(
            f"DASHBOARD_URL={url!r} is no URL of a page: write https://rollouts.example.com"
        )
    return url


def _registry_files(env: Mapping[str, str], url: str) -> RegistryFiles:
    """Raises SettingsError for a certificate without its key, or for a URL that does without."""
    names = ("REGISTRY_CA_FILE", "REGISTRY_CERT_FILE", "REGISTRY_KEY_FILE")
    ca, cert, key = (env.get(name, "").strip() for name in names)
    if bool(cert) != bool(key):
        raise SettingsError(
            "REGISTRY_CERT_FILE and REGISTRY_KEY_FILE belong together: set both, or neither"
        )
    if (ca or cert) and url.startswith("http://"):
        name = names[0] if ca else names[1]
        raise SettingsError(
            f"{name} is set, and MLFLOW_TRACKING_URI begins with http://: write https://"
        )
    return RegistryFiles(ca, cert, key)


def _prometheus(env: Mapping[str, str], url: str) -> tuple[str, PrometheusAccess]:
    given = _told(access, env)
    _told(encrypted_for, url, given)
    try:
        return of_url(url.strip(), given)
    except ValueError as wrong:
        raise SettingsError(f"PROMETHEUS_URL: {wrong}") from wrong


def _told(read: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
    """What a setting says; raises SettingsError in the words of whoever reads it."""
    try:
        return read(*arguments, **more)
    except ValueError as wrong:
        raise SettingsError(str(wrong)) from wrong
