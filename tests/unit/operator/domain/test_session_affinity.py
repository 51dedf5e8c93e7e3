"""Visitors that stay where they came first: what keeps them is seen, and told."""

from typing import Any

import pytest

from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.session_affinity import affinity, sentence
from tests.support.builders import accuracy, observed, on_trial, ready, revision, spec

V1 = revision(1, promoted=True)
NGINX = "nginx.ingress.kubernetes.io"


def annotated(**annotations: str) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations}, "spec": {}}


def rule(**more: Any) -> dict[str, Any]:
    return {"metadata": {}, "spec": {"rules": [{"backendRefs": []}, {"backendRefs": [], **more}]}}


KEPT: dict[str, tuple[str, dict[str, Any], str]] = {
    "nginx' cookie": ("Ingress", annotated(**{f"{NGINX}/affinity": "cookie"}), "affinity: cookie"),
    "nginx' cookie, which canaries disregard": (
        "Ingress",
        annotated(
            **{
                f"{NGINX}/affinity": "cookie",
                f"{NGINX}/affinity-canary-behavior": "legacy",
            }
        ),
        "",
    ),
    "other annotations of nginx": (
        "Ingress",
        annotated(**{f"{NGINX}/proxy-body-size": "8m", f"{NGINX}/canary-weight": "10"}),
        "",
    ),
    "a Gateway's session": (
        "HTTPRoute",
        rule(sessionPersistence={"type": "Cookie"}),
        "sessionPersistence",
    ),
    "a Gateway without one": ("HTTPRoute", rule(), ""),
    "Traefik's cookie": (
        "Service",
        annotated(**{"traefik.ingress.kubernetes.io/service.sticky.cookie": "true"}),
        "sticky.cookie: true",
    ),
    "a Service by address": (
        "Service",
        {"metadata": {}, "spec": {"sessionAffinity": "ClientIP"}},
        "sessionAffinity: ClientIP",
    ),
    "a Service as it is made": (
        "Service",
        {"metadata": {}, "spec": {"sessionAffinity": "None"}},
        "",
    ),
    "another kind": ("Deployment", annotated(**{f"{NGINX}/affinity": "cookie"}), ""),
}


@pytest.mark.parametrize(("kind", "raw", "said"), KEPT.values(), ids=KEPT.keys())
def test_what_keeps_visitors_is_seen(kind: str, raw: dict[str, Any], said: str) -> None:
    found = affinity(kind, raw)
    assert bool(found) is bool(said)
    assert said in found


def test_the_affinity_of_a_service_counts_where_callers_ask_it() -> None:
    service = [("Service", "iris", "sessionAffinity: ClientIP")]
    assert not sentence(service, Provider.INGRESS), "routers ask pods"
    assert "Service iris has sessionAffinity: ClientIP" in sentence(service, Provider.NONE)


def test_it_is_told_by_condition_event_and_step() -> None:
    said = sentence([("Ingress", "iris", f"{NGINX}/affinity: cookie")], Provider.INGRESS)
    assert "or add" in said
    assert "legacy" in said
    status = on_trial(stable=V1, candidate=revision(2), step=0, weight=10)
    seen = observed(
        5,
        spec=spec("models:/iris/2"),
        status=status,
        workloads=ready(V1, revision(2)),
        answers=accuracy(0.9, 5),
        affinity=said,
    )
    plan = decide(seen)
    conditions = {c.type: c for c in plan.status.conditions}
    assert conditions["SessionAffinity"].message == said
    assert [e.message for e in plan.events if e.reason is Reason.SESSION_AFFINITY] == [said]
    assert "10 % of new visitors' requests go to" in plan.status.message
