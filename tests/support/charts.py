"""Charts as Helm renders them; `python -m tests.support.charts` writes what they render into
tests/api/golden.
"""

import functools
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.cluster import gobuild

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
Manifest = dict[str, Any]

OPERATOR, MODEL = "rollout-operator", "model"
PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
"""The example of RFC 8410, of Ed25519."""
EVERYTHING: dict[str, dict[str, Any]] = {
    OPERATOR: {
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "modelPodMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "grafana": {"dashboards": {"enabled": True}},
        "podLabels": {"team": "ml"},
        "commonLabels": {"cost": "ml"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "ml", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"a": "b"}},
            }
        ],
        "priorityClassName": "system-cluster-critical",
        "extraEnv": [{"name": "EXTRA", "value": "1"}],
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "{{ .Release.Name }}-extra"},
            }
        ],
        "feedbackStore": [
            {"namespaces": ["ml-small"], "claim": "feedback", "maxEntries": 10_000_000},
            {"secret": "feedback-database", "ca": {"configMap": "company-ca"}},
        ],
        "shadowFields": [{"namespaces": ["ml-*"], "fields": ["petal_length"]}],
        "mlflow": {
            "trackingUri": "https://mlflow.mlflow.svc:5000",
            "credentialsSecret": "mlflow",
            "ca": {"secret": "company-ca"},
            "clientCertificate": {"secret": "mlflow-client"},
        },
        "messages": {
            "destinations": [
                {
                    "name": "ml-team",
                    "secret": "ml-team-slack",
                    "kinds": ["RolledBack", "Stalled"],
                    "namespaceSelector": {"matchLabels": {"team": "ml"}},
                },
                {"name": "audit", "secret": "audit", "format": "CloudEvents"},
            ]
        },
        "dashboard": {"publicUrl": "https://rollouts.example.com"},
        "prometheus": {
            "url": "https://prometheus.monitoring.svc:9090/prometheus",
            "auth": {"secret": "prometheus-login"},
            "ca": {"configMap": "company-ca"},
            "clientCertificate": {"secret": "prometheus-client"},
            "headers": {"X-Scope-OrgID": "team-a|team-b"},
        },
        "models": {
            "digests": "Signed",
            "signers": [{"key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}],
            "allowCode": ["ml-*", "sandbox"],
            "python": "/opt/models/bin/python",
            "values": {"max": 200, "better": "Higher", "unit": "EUR"},
            "trustedTypes": ["category_encoders.target_encoder.TargetEncoder"],
            "credentials": [
                {
                    "namespaces": ["ml-*"],
                    "secret": "reader",
                    "ca": {"configMap": "company-ca"},
                    "volumes": [{"claim": "mlflow-artifacts", "path": "/srv/models"}],
                    "cache": {"claim": "models-cache", "maxBytes": 1_000_000},
                }
            ],
        },
        "routes": {
            "annotations": {
                "allowed": ["cert-manager.io/*"],
                "defaults": {"example.com/owner": "ml"},
            }
        },
        "profiles": {
            "gpu": {
                "namespaces": ["ml-*"],
                "nodeSelector": {"pool": "gpu"},
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
                "resources": {"nvidia.com/gpu": "1"},
            },
            "openshift": {"securityContext": {}},
        },
        "promotionProof": {
            "signingKey": {"secret": "promotion-proof"},
            "environment": "staging",
            "required": [
                {
                    "namespaces": ["prod-*"],
                    "promotedBy": ["staging/*/{name}"],
                    "maxAge": "720h",
                    "keys": [PUBLIC_KEY],
                }
            ],
        },
        "admission": {"requesterPolicy": True},
        "metrics": {
            "conversionRate": {
                "counts": "Share",
                "better": "Higher",
                "query": "shop_orders_total",
                "samples": "shop_visits_total",
            },
        },
        "windows": [
            {
                "schedule": "FREQ=WEEKLY;BYDAY=FR",
                "start": "2026-01-02T18:00",
                "timeZone": "Europe/Berlin",
                "duration": "62h",
                "namespaces": ["prod-*"],
            }
        ],
        "modelEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 443}]}],
        "feedbackKey": {"secret": "feedback", "key": "key"},
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccount": {"annotations": {"a": "b"}},
    },
    MODEL: {
        "ingress": {"tlsSecret": "tls", "annotations": {"a": "b"}},
        "mlflow": {"credentialsSecret": "mlflow"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "extraEnv": [{"name": "EXTRA", "value": "1"}],
    },
}
BRIDGE: dict[str, Any] = {
    "bridge": {
        "enabled": True,
        "mappings": [
            {
                "model": "iris",
                "alias": "production",
                "rollout": {
                    "namespace": "team-a",
                    "name": "iris",
                    "template": {"traffic": {"host": "iris.example.com"}},
                },
            },
            {
                "model": "churn",
                "alias": "production",
                "rollout": {"namespace": "team-b", "name": "churn"},
            },
            {
                "model": "churn",
                "alias": "staging",
                "dispatch": {"repository": "acme/churn", "payload": {"environment": "staging"}},
            },
        ],
        "webhookSecret": {"secret": "webhook", "previousKey": "previous"},
        "reverts": {
            "secret": "bridge-events",
            "rollouts": [
                {
                    "namespace": "team-a",
                    "name": "iris",
                    "repository": "acme/production",
                    "path": "prod/iris.yaml",
                    "as": "iris-eu",
                }
            ],
        },
        "githubToken": {"secret": "github"},
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mlflow"}}}],
    },
    "serviceMonitor": {"enabled": True},
}
DASHBOARD: dict[str, Any] = {
    "dashboard": {
        "enabled": True,
        "publicUrl": "https://rollouts.example.com",
        "tokenHeader": "X-Forwarded-Access-Token",
        "mlflowUrl": "https://mlflow.example.com",
        "runs": True,
        "tls": {"secret": "dashboard-tls"},
        "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "public-tls"},
        "from": [{"podSelector": {"matchLabels": {"app": "oauth2-proxy"}}}],
    },
    "watchNamespaces": ["team-a", "team-b"],
    "prometheus": {
        "url": "https://prometheus.monitoring.svc:9090",
        "auth": {"secret": "prometheus-login"},
    },
}
VARIANTS = {
    "the operator": (OPERATOR, {}),
    "the operator with everything": (OPERATOR, EVERYTHING[OPERATOR]),
    "the operator in two namespaces": (OPERATOR, {"watchNamespaces": ["team-a", "team-b"]}),
    "the operator with the bridge": (OPERATOR, BRIDGE),
    "the operator with the dashboard": (OPERATOR, DASHBOARD),
    "a model": (MODEL, {"canary": {"enabled": False}}),
    "a model with a canary": (MODEL, {}),
    "a model with everything": (MODEL, EVERYTHING[MODEL]),
}
"""Chart and values, by what they are."""


@functools.cache
def tool(name: str) -> Path:
    """A program from a Go module; built first where it is missing."""
    gobuild.build(
        next(c for c in gobuild.COMPONENTS if any(p.rsplit("/", 1)[1] == name for p in c.packages))
    )
    return gobuild.program(name)


def helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("helm"), *words], capture_output=True, text=True, check=False)


def values_of(chart: str) -> Path:
    """The values that the chart cannot do without."""
    return next((CHARTS / chart / "ci").glob("*-values.yaml"))


def render(
    chart: str,
    values: Mapping[str, Any] | None = None,
    release: str = "",
    namespace: str = "models",
) -> str:
    """What Helm would install, as text; raises AssertionError with Helm's own words where it
    refuses.
    """
    words: list[str | Path] = [
        "template",
        release or chart,
        CHARTS / chart,
        "--namespace",
        namespace,
        "--values",
        values_of(chart),
    ]
    done = subprocess.run(
        [tool("helm"), *words, "--values", "-"],
        input=yaml.safe_dump(dict(values or {})),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifests(chart: str, values: Mapping[str, Any] | None = None, **how: str) -> list[Manifest]:
    return [m for m in yaml.safe_load_all(render(chart, values, **how)) if m]


def golden(variant: str) -> Path:
    """Where the rendering of a variant is kept."""
    return ROOT / "tests" / "api" / "golden" / f"{variant.replace(' ', '-')}.yaml"


def written(variant: str) -> str:
    """The rendering of a variant, without what is generated elsewhere: the CRD, rules and
    dashboard.
    """
    chart, values = VARIANTS[variant]
    kept = [
        m
        for m in manifests(chart, values)
        if m["kind"] not in {"CustomResourceDefinition", "PrometheusRule"}
    ]
    for manifest in kept:
        if manifest["kind"] == "ConfigMap" and "data" in manifest:
            manifest["data"] = dict.fromkeys(manifest["data"], "…")
    return yaml.safe_dump_all(kept, sort_keys=False, allow_unicode=True, width=140)


def by_kind(
    chart: str, values: Mapping[str, Any] | None = None, **how: str
) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for one in manifests(chart, values, **how):
        found.setdefault(one["kind"], []).append(one)
    return found


def pods(found: list[Manifest]) -> list[Manifest]:
    """The pod specs among them."""
    return [
        m["spec"] if m["kind"] == "Pod" else m["spec"]["template"]["spec"]
        for m in found
        if m["kind"] in {"Pod", "Deployment"}
    ]


if __name__ == "__main__":
    for name in VARIANTS:
        golden(name).parent.mkdir(exist_ok=True)
        golden(name).write_text(written(name))
