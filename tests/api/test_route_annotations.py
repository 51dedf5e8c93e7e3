"""Annotations of routes on a real API server: written, changed and taken out again, also by an
operator that has started meanwhile, and never over what a controller beside it writes.
"""

import json

import pytest

from tests.support.api_client import ApiClient, merged, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout

SIZE = {"nginx.ingress.kubernetes.io/proxy-body-size": "8m"}
CONFIGURED = {"allowed": ["cert-manager.io/*"], "defaults": SIZE}
ISSUER = {"cert-manager.io/cluster-issuer": "company"}
HOST = "annotated.example.com"


@pytest.fixture
def operator_settings() -> dict[str, str]:
    return {"ROUTE_ANNOTATIONS": json.dumps(CONFIGURED)}


def ask(rollout: Rollout, annotations: dict[str, str], host: str = HOST) -> None:
    traffic = {"host": host, **({"annotations": annotations} if annotations else {})}
    rollout.apply("models:/iris/1", traffic=traffic)


def annotations_of(api: ApiClient, ns: str, name: str) -> dict[str, str]:
    """Of an Ingress, without the operator's own."""
    found = api.get(path_of("Ingress", ns, name))["metadata"].get("annotations", {})
    return {k: v for k, v in found.items() if not k.startswith("rollouts.mlops.dev/")}


def test_annotations_come_and_go_with_the_spec(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    ask(rollout, ISSUER)
    rollout.wait_phase("Promoted", 1)

    def becomes(expected: dict[str, str]) -> None:
        wait_for(
            lambda: annotations_of(api, ns, rollout.name) == expected or None,
            f"{expected}, not {annotations_of(api, ns, rollout.name)}",
        )

    becomes({**SIZE, **ISSUER})
    external = {"external-dns.alpha.kubernetes.io/seen": "yes"}
    path = path_of("Ingress", ns, rollout.name)
    api.send(merged(path, {"metadata": {"annotations": external}}))
    operator.kill()
    operator.start()
    ask(rollout, {"cert-manager.io/issuer": "team"})
    becomes({**SIZE, **external, "cert-manager.io/issuer": "team"})
    ask(rollout, {})
    becomes({**SIZE, **external})
    assert rollout.status()["phase"] == "Promoted"
    assert rollout.status()["attempt"] == 1, "no trial for an annotation"


def test_one_that_is_not_allowed_is_stalled_and_changes_nothing(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    ask(rollout, ISSUER)
    rollout.wait_phase("Promoted", 1)
    ask(rollout, {"nginx.ingress.kubernetes.io/server-snippet": "return 200;"})
    stalled = rollout.wait_true("Stalled")
    assert stalled["reason"] == "InvalidSpec"
    assert "server-snippet" in stalled["message"]
    assert annotations_of(api, ns, rollout.name) == {**SIZE, **ISSUER}


def test_a_former_route_keeps_them_as_long_as_it_answers(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    """One that says who may ask must not go from a host that still answers."""
    ask(rollout, ISSUER)
    rollout.wait_phase("Promoted", 1)
    before = api.get(path_of("Ingress", ns, rollout.name))["metadata"]["generation"]
    ask(rollout, ISSUER, host="moved.example.com")
    wait_for(lambda: len(api.items("Ingress", ns)) == 2 or None, "both routes")
    wait_for(lambda: rollout.condition("Ready")["status"] == "True" or None, "Ready")
    found = {one["metadata"]["name"]: one for one in api.items("Ingress", ns)}
    assert found[rollout.name]["spec"]["rules"][0]["host"] == HOST
    assert found[rollout.name]["metadata"]["generation"] == before
    for name in found:
        assert annotations_of(api, ns, name) == {**SIZE, **ISSUER}


COOKIE = {"nginx.ingress.kubernetes.io/affinity": "cookie"}


def test_affinity_that_somebody_puts_on_the_route_is_told_and_left(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    ask(rollout, {})
    rollout.wait_phase("Promoted", 1)
    path = path_of("Ingress", ns, rollout.name)
    api.send(merged(path, {"metadata": {"annotations": COOKIE}}))
    told = rollout.wait_true("SessionAffinity")
    assert f"Ingress {rollout.name} has nginx.ingress.kubernetes.io/affinity" in told["message"]
    assert rollout.condition("Ready")["status"] == "True"
    assert annotations_of(api, ns, rollout.name) == {**SIZE, **COOKIE}
    api.send(merged(path, {"metadata": {"annotations": dict.fromkeys(COOKIE)}}))
    wait_for(lambda: not rollout.condition("SessionAffinity"), "it to be told no more")
    # Asked for last: an Event follows the status that it tells of.
    events = [e["reason"] for e in api.items("Event", ns)]
    assert events.count("SessionAffinity") == 1
