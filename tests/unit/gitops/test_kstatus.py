"""What Flux, Helm --wait and kubectl make of a status, by kstatus' own order of questions.

Source: sigs.k8s.io/cli-utils pkg/kstatus/status (generic.go, core.go): deletion,
observedGeneration, Reconciling, Stalled, Ready.
"""

from typing import Any

import pytest

from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from tests.support.builders import on_trial, revision
from tests.unit.gitops.lacking import LACKING, rollout

V1 = revision(1)


def kstatus(obj: dict[str, Any]) -> str:
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    status = obj.get("status", {})
    if (
        status.get("observedGeneration", obj["metadata"]["generation"])
        != obj["metadata"]["generation"]
    ):
        return "InProgress"
    truth = {c["type"]: c["status"] for c in status.get("conditions", ())}
    if truth.get("Reconciling") == "True":
        return "InProgress"
    if truth.get("Stalled") == "True":
        return "Failed"
    if "Ready" in truth:
        return {"True": "Current", "False": "InProgress", "Unknown": "InProgress"}[truth["Ready"]]
    return "Current"


STATUSES = {
    "just created": ({**rollout(None), "status": {"observedGeneration": -1}}, "InProgress"),
    "pending": (rollout(Status()), "InProgress"),
    "on trial": (rollout(on_trial()), "InProgress"),
    "promoted": (rollout(Status(phase=Phase.PROMOTED, stable=V1)), "Current"),
    "promoted, an older generation": (
        rollout(Status(phase=Phase.PROMOTED, stable=V1), generation=2),
        "InProgress",
    ),
    "rolled back": (rollout(on_trial(phase=Phase.ROLLED_BACK)), "Failed"),
    "invalid": (rollout(on_trial(phase=Phase.INVALID)), "Failed"),
    "halted": (rollout(on_trial(halted=True)), "Failed"),
    "a spec that cannot be read": (rollout(Status(invalid="spec.replicas: no")), "Failed"),
    **{
        name: (obj, "Failed" if stalled else "InProgress")
        for name, (obj, stalled) in LACKING.items()
    },
}


@pytest.mark.parametrize(("obj", "expected"), STATUSES.values(), ids=STATUSES.keys())
def test_kstatus(obj: dict[str, Any], expected: str) -> None:
    assert kstatus(obj) == expected
