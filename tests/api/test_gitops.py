"""No drift: what Git owns is never written by the operator, and applying the same manifest for ever
changes nothing.
"""

import time
from typing import Any

import pytest

from rollout_operator.domain.api.analysis import Gate
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import GROUP, path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.spec_cases import ACCEPTED, MINIMAL, with_field

AT_REST = 3.0
"""Seconds in which nothing may be written."""


def test_the_same_manifest_applied_for_ever_changes_nothing(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient, ns: str
) -> None:
    """A GitOps controller applies every few minutes; here it does twenty times, at rest after a
    promotion and after a rollback.
    """
    for uri, phase, attempt in (
        ("models:/iris/1", "Promoted", 1),
        ("models:/iris/3", "RolledBack", 2),
    ):
        rollout.apply(uri)
        rollout.wait_phase(phase, attempt)
        wait_for(lambda: len(rollout.deployments()) == 1, "only stable to be left")
        wait_for(lambda: rollout.status().get("retiring", []) == [], "nothing to retire")
        rollout.wait_reported(attempt)
        time.sleep(1)
        before, owned = api.get(rollout.path), versions(api, ns)
        for _ in range(20):
            assert rollout.apply(uri).status_code == 200
            time.sleep(AT_REST / 20)
        after = api.get(rollout.path)
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
        assert after == before
        assert versions(api, ns) == owned, "nor is anything written that the rollout owns"


def versions(api: ApiClient, ns: str) -> dict[str, str]:
    """The resourceVersions of what the operator owns; Deployments change by their status, so their
    generation stands for them.
    """
    found = {}
    for kind in ("Deployment", "Service", "Ingress", "NetworkPolicy", "PodDisruptionBudget"):
        for one in api.items(kind, ns):
            meta = one["metadata"]
            found[f"{kind}/{meta['name']}"] = (
                str(meta["generation"]) if kind == "Deployment" else meta["resourceVersion"]
            )
    return found


def fields(entry: dict[str, Any]) -> set[str]:
    return {key.removeprefix("f:") for key in entry["fieldsV1"]}


def test_the_operator_writes_no_field_that_git_owns(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient
) -> None:
    """Through a promotion, a rollback, a pause and a command: Git's manager owns the spec, the
    operator's nothing but the status.
    """
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/3")
    rollout.wait_phase("RolledBack", 2)
    rollout.apply("models:/iris/2", paused=True)
    api.patch(
        rollout.path, {"metadata": {"annotations": {"rollouts.mlops.dev/abort": "3"}}}
    ).raise_for_status()
    rollout.apply("models:/iris/2", paused=False)
    wait_for(lambda: rollout.status()["attempt"] == 3, "the third attempt")
    wait_for(lambda: rollout.status()["phase"] in {"RolledBack", "Promoted"}, "its end")
    managed = api.get(rollout.path)["metadata"]["managedFields"]
    of_git = [e for e in managed if e["manager"] == "test"]
    assert [e["operation"] for e in of_git] == ["Apply"]
    assert fields(of_git[0]) == {"spec"}
    others = [e for e in managed if e["manager"] != "test"]
    by_status = [e for e in others if e.get("subresource") == "status"]
    assert by_status, "the operator has written a status"
    assert all(fields(e) == {"status"} for e in by_status)
    assert [fields(e) for e in others if e not in by_status] == [{"metadata"}], (
        "who owns an annotation is not forgotten either"
    )
    assert {e["manager"] for e in by_status} == {"rollout-operator"}


def test_what_the_operator_owns_names_its_manager(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient, ns: str
) -> None:
    """So that a GitOps tool can trust it by managedFieldsManagers."""
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    for kind in ("Deployment", "Service", "Ingress", "NetworkPolicy", "PodDisruptionBudget"):
        for one in api.items(kind, ns):
            managers = {
                e["manager"]: e["operation"]
                for e in one["metadata"]["managedFields"]
                if not e.get("subresource")
            }
            assert managers == {"rollout-operator": "Apply"}


def merged(live: Any, applied: Any) -> Any:
    """What a structured merge predicts of an apply, as Argo CD does with ServerSideApply=true:
    mappings field by field, lists whole.
    """
    if isinstance(live, dict) and isinstance(applied, dict):
        return {**live, **{key: merged(live.get(key), value) for key, value in applied.items()}}
    return applied


SHORT = {
    "gates with a bound alone": with_field(
        "analysis.gates",
        [
            {"metric": "accuracy", "min": 0.7},
            {"metric": "errorRate", "max": 0.01},
            {"metric": "latencyP95Seconds", "max": 0.25},
        ],
    ),
    "a gate with half of alpha": with_field(
        "analysis.gates",
        [{"metric": "accuracy", "min": 0.7, "evidence": "Labelled", "alpha": {"promote": 0.01}}],
    ),
    "steps without hold": with_field(
        "strategy.steps", [{"weight": 10}, {"weight": 50, "hold": "5m"}]
    ),
    "a Gateway": {
        **MINIMAL,
        "traffic": {
            "host": "iris.example.com",
            "provider": "HTTPRoute",
            "parentRefs": [{"name": "public"}],
        },
    },
}


@pytest.mark.parametrize("spec", {**ACCEPTED, **SHORT}.values(), ids={**ACCEPTED, **SHORT}.keys())
def test_what_git_applies_is_in_sync_at_once(api: ApiClient, spec: dict[str, Any]) -> None:
    """No list is other than it was written: else Argo CD calls the application OutOfSync for ever,
    and syncs again and again.
    """
    manifest = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "in-sync"},
        "spec": spec,
    }
    query = {"dryRun": "All", "fieldManager": "argocd-controller", "fieldValidation": "Strict"}
    reply = api.http.patch(
        path_of("ModelRollout", "default", "in-sync"),
        json=manifest,
        params=query,
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    assert reply.status_code == 201, reply.text
    live = reply.json()
    assert merged(live["spec"], spec) == live["spec"]


def test_gates_from_before_lists_were_left_as_they_are_written_stay_good_and_begin_no_trial(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient
) -> None:
    """An older CRD wrote every default into the list: the object is valid, and Git's shorter list
    asks for the same.
    """
    filled = Gate(metric="accuracy", min=0.7).to_api()
    assert filled.keys() > {"metric", "min"}
    rollout.apply("models:/iris/1", analysis={"interval": "1s", "gates": [filled]})
    promoted = rollout.wait_phase("Promoted", 1)
    before = api.get(rollout.path)["metadata"]["generation"]
    for _ in range(3):
        assert (
            rollout.apply(
                "models:/iris/1",
                analysis={"interval": "1s", "gates": [{"metric": "accuracy", "min": 0.7}]},
            ).status_code
            == 200
        )
    wait_for(
        lambda: rollout.status()["observedGeneration"] == before + 1,
        "the operator to have seen the shorter list",
    )
    now = rollout.status()
    assert (now["phase"], now["attempt"], now["stable"]) == ("Promoted", 1, promoted["stable"])
