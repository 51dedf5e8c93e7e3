"""Another who sets the number of an owned Deployment's pods: who it is, and how often the number is
put back.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.owned_object import OwnedObject
from rollout_operator.domain.scaling import Contest, put_back, sentence, waits
from tests.support.builders import at, observed, ready, revision, spec
from tests.unit.operator.raw_objects import deployment

OURS = "rollout-operator"


def owns(manager: str, field: str = "f:replicas", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {field: {}}}, **more}


OWNERS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "kubectl scale": ([owns(OURS, "f:template"), owns("kubectl", subresource="scale")], "kubectl"),
    "a HorizontalPodAutoscaler": (
        [owns("kube-controller-manager", subresource="scale")],
        "kube-controller-manager",
    ),
    "the operator alone": (
        [owns(OURS), owns("kube-controller-manager", "f:paused", subresource="status")],
        "",
    ),
    "one who has set the same number": ([owns(OURS), owns("kubectl", subresource="scale")], ""),
    "nobody": ([{"manager": "x", "fieldsType": "FieldsV1"}], ""),
}


@pytest.mark.parametrize(("fields", "scaler"), OWNERS.values(), ids=OWNERS.keys())
def test_who_has_set_the_number_of_pods_is_read_from_the_field_managers(
    fields: list[dict[str, Any]], scaler: str
) -> None:
    raw = deployment(1)
    raw["metadata"]["managedFields"] = fields
    assert OwnedObject.read("Deployment", raw).scaler == scaler
    assert not OwnedObject.read("Service", raw).scaler


def fight(every: float, seconds: float) -> Iterator[Contest]:
    """What is put back where another sets the number again at once, looked at every so often."""
    contest: Contest | None = None
    for look in range(int(seconds / every)):
        now = at(look * every)
        if not waits(contest, 2, now):
            contest = put_back(contest, "kubectl", 2, now)
            yield contest


@pytest.mark.parametrize("every", [1, 15, 30])
def test_a_fight_is_bounded_and_never_given_up(every: float) -> None:
    moments = [c.last for c in fight(every, 86_400)]
    assert moments[0] == at(0), "the first time at once"
    apart = [b - a for a, b in pairwise(moments)]
    assert apart == sorted(apart)
    assert max(apart) == timedelta(minutes=10)
    assert len([m for m in moments if m < at(3600)]) <= 11


BEFORE = Contest("kubectl", 2, at(0), times=3)
AGAIN = {
    "soon": (2, 39, True, 4),
    "when it is due": (2, 40, False, 4),
    "after a quiet time": (2, 161, False, 1),
    "where another number is wanted": (3, 1, False, 1),
}


@pytest.mark.parametrize(("wanted", "second", "left", "times"), AGAIN.values(), ids=AGAIN.keys())
def test_the_number_is_set_again(wanted: int, second: float, left: bool, times: int) -> None:
    assert waits(BEFORE, wanted, at(second)) is left
    assert put_back(BEFORE, "kubectl", wanted, at(second)).times == times


def test_who_scales_is_told_once_and_forgotten() -> None:
    said = sentence("iris-abc", "kube-controller-manager", 2)
    assert "kube-controller-manager (a HorizontalPodAutoscaler) scales Deployment iris-abc" in said
    assert "scale the ModelRollout instead (spec.replicas" in said
    stable = Status(phase=Phase.PROMOTED, attempt=1, stable=revision(1), observed_generation=1)
    look = observed(5, spec=spec(), status=stable, workloads=ready(revision(1)), scaled=said)
    plan = decide(look)
    assert (plan.status.scaled, [(n.kind, n.reason, n.message) for n in plan.events]) == (
        said,
        [("Warning", Reason.SCALED_BY_ANOTHER, said)],
    )
    again = decide(replace(look, now=at(9), status=plan.status))
    assert (again.status, again.events) == (plan.status, ())
    over = decide(replace(look, now=at(99), status=plan.status, scaled=""))
    assert (over.status.scaled, over.events) == ("", ())
