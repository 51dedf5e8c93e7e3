"""Annotations of routes on a real API server: written, changed and taken out again, also by an
operator that has started meanwhile, and never over what a controller beside it writes.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient, merged, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

SIZE = {"nginx.ingress.kubernetes.io/proxy-body-size": "8m"}
CONFIGURED = {"allowed": ["cert-manager.io/*"], "defaults": SIZE}
ISSUER = {"cert-manager.io/cluster-issuer": "company"}
HOST = "annotated.example.com"


@pytest.fixture
def operator(
    api: ApiClient, ns: str, world: ScriptedWorld, tmp_path: Path
) -> Iterator[OperatorProcess]:
    with (
        served(world) as url,
        OperatorProcess(
            api.kubeconfig,
            url,
            tmp_path / "operator.log",
            WATCH_NAMESPACES=ns,
            ROUTE_ANNOTATIONS=json.dumps(CONFIGURED),
        ) as running,
    ):
        yield running


def ask(rollout: Rollout, annotations: dict[str, str]) -> None:
    traffic = {"host": HOST, **({"annotations": annotations} if annotations else {})}
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
