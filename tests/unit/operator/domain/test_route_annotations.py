"""Annotations that a route may have: by the operator's configuration, and whatever it says."""

from typing import Any

import pytest

from rollout_operator.domain.rollout import Rollout
from rollout_operator.domain.route_annotations import (
    EXAMPLE,
    NEVER,
    NO_ANNOTATIONS,
    RouteAnnotations,
    route_annotations,
)
from rollout_operator.settings import Settings, SettingsError

ISSUER = {"cert-manager.io/cluster-issuer": "company"}
SIZE = {"nginx.ingress.kubernetes.io/proxy-body-size": "8m"}
COMPANY = RouteAnnotations(
    allowed=("cert-manager.io/*", "nginx.ingress.kubernetes.io/*"), defaults=SIZE
)


def read(asked: dict[str, str], configured: RouteAnnotations) -> Rollout:
    """A ModelRollout that asks for these."""
    traffic: dict[str, Any] = {"host": "iris.example.com", "annotations": asked}
    raw = {
        "metadata": {"namespace": "models", "name": "iris", "uid": "u"},
        "spec": {"modelUri": "models:/iris/1", "traffic": traffic},
        "status": {},
    }
    return Rollout.read(raw, mirrors=False, annotations=configured)


TAKEN: dict[str, tuple[dict[str, str], RouteAnnotations, dict[str, str]]] = {
    "none": ({}, NO_ANNOTATIONS, {}),
    "the defaults": ({}, COMPANY, SIZE),
    "one that is allowed beside them": (ISSUER, COMPANY, {**SIZE, **ISSUER}),
    "one over a default": (
        {"nginx.ingress.kubernetes.io/proxy-body-size": "1m"},
        COMPANY,
        {"nginx.ingress.kubernetes.io/proxy-body-size": "1m"},
    ),
}


@pytest.mark.parametrize(("asked", "configured", "found"), TAKEN.values(), ids=TAKEN.keys())
def test_a_route_gets_what_is_allowed_and_the_defaults(
    asked: dict[str, str], configured: RouteAnnotations, found: dict[str, str]
) -> None:
    rollout = read(asked, configured)
    assert rollout.spec is not None, rollout.error
    assert rollout.spec.traffic.annotations == found


ALL = RouteAnnotations(allowed=("*",))
REFUSED: dict[str, tuple[str, RouteAnnotations, str]] = {
    "one that nobody has allowed": ("example.com/a", COMPANY, "is not allowed here"),
    "any, where none is allowed": ("cert-manager.io/issuer", NO_ANNOTATIONS, "allowed: none"),
    "no name of an annotation": ("cert manager", ALL, "is no name of an annotation"),
    "a snippet": (
        "nginx.ingress.kubernetes.io/configuration-snippet",
        COMPANY,
        "puts text into the router's configuration",
    ),
    "a snippet for authentication": (
        "nginx.ingress.kubernetes.io/auth-snippet",
        ALL,
        "puts text into the router's configuration",
    ),
    "another weight": ("nginx.ingress.kubernetes.io/canary-weight", ALL, "splits requests"),
    "a header of one's own": ("nginx.ingress.kubernetes.io/canary-by-header", ALL, "splits"),
    "cookies": ("nginx.ingress.kubernetes.io/affinity", ALL, "never come to a candidate"),
    "other hosts": ("nginx.ingress.kubernetes.io/server-alias", ALL, "other hosts"),
    "elsewhere": ("nginx.ingress.kubernetes.io/permanent-redirect-code", ALL, "go elsewhere"),
    "cookies of Traefik": (
        "traefik.ingress.kubernetes.io/service.sticky.cookie",
        ALL,
        "never come to a candidate",
    ),
    "the operator's own": ("rollouts.mlops.dev/applied", ALL, "the operator's own"),
    "another class": ("kubernetes.io/ingress.class", ALL, "ingressClassName"),
}


@pytest.mark.parametrize(("name", "configured", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_allowed_is_invalid_with_a_sentence(
    name: str, configured: RouteAnnotations, said: str
) -> None:
    rollout = read({name: "x"}, configured)
    assert rollout.spec is None
    assert rollout.error.startswith("spec.traffic.annotations: ")
    assert name in rollout.error
    assert said in rollout.error


@pytest.mark.parametrize("pattern", NEVER)
def test_no_default_may_be_what_is_never_allowed(pattern: str) -> None:
    name = pattern.replace("*", "a")
    with pytest.raises(ValueError, match="cannot be a default"):
        RouteAnnotations(defaults={name: "x"})


NO_SETTINGS = {
    "no JSON": ("cert-manager.io/*", "is no JSON object"),
    "a list": ('["cert-manager.io/*"]', "is no JSON object"),
    "an unknown key": ('{"allow": []}', "allow"),
    "a number as a value": ('{"defaults": {"example.com/a": 1}}', "defaults.example.com/a"),
    "a default that is never allowed": (
        '{"defaults": {"nginx.ingress.kubernetes.io/server-snippet": "x"}}',
        "cannot be a default",
    ),
}
NEEDED = {
    "INFERENCE_IMAGE": "inference:1",
    "PROMETHEUS_URL": "http://prometheus:9090",
    "MLFLOW_TRACKING_URI": "http://mlflow:5000",
}


@pytest.mark.parametrize(("text", "said"), NO_SETTINGS.values(), ids=NO_SETTINGS.keys())
def test_a_wrong_setting_is_refused_at_start(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({**NEEDED, "ROUTE_ANNOTATIONS": text})
    assert said in str(refused.value)
    assert "ROUTE_ANNOTATIONS" in str(refused.value)


def test_the_setting_is_read() -> None:
    settings = Settings.from_environment({**NEEDED, "ROUTE_ANNOTATIONS": EXAMPLE})
    assert settings.route_annotations == route_annotations(EXAMPLE)
    assert settings.route_annotations.allowed == ("cert-manager.io/*",)
