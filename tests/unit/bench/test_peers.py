"""What bench-peers takes for promoted and for a weight, and what it tells of the waves."""

from dataclasses import replace

import pytest

from tests.bench.operator.waves import Pace
from tests.bench.peers import figures
from tests.bench.peers.contenders import ArgoRollouts, Contender, Flagger, Ours
from tests.bench.peers.stand import Seen
from tests.bench.peers.told import merged
from tests.bench.peers.waves import Wave
from tests.support.kinds import WEIGHT, Object

PACE = Pace(interval=10, hold=10)
OURS, ARGO, FLAGGER = Ours("o", PACE), ArgoRollouts("a", PACE), Flagger("f", PACE)


def ours(phase: str, version: str) -> Object:
    return {"status": {"phase": phase, "stable": {"version": version}}}


def argo(phase: str, seen: str = "3", stable: str = "new", version: int = 2) -> Object:
    container = {"env": [{"name": "VERSION", "value": str(version)}]}
    status = {"phase": phase, "observedGeneration": seen}
    return {
        "metadata": {"generation": 3},
        "spec": {"template": {"spec": {"containers": [container]}}},
        "status": {**status, "stableRS": stable, "currentPodHash": "new"},
    }


def flagger(phase: str, applied: str = "b", promoted: str = "b") -> Object:
    status = {"phase": phase, "lastAppliedSpec": applied, "lastPromotedSpec": promoted}
    return {"status": status}


PROMOTED: dict[str, tuple[Contender, list[Object], bool]] = {
    "ours: the version is stable": (OURS, [ours("Promoted", "2")], True),
    "ours: the former one still is": (OURS, [ours("Promoted", "1")], False),
    "ours: on trial": (OURS, [ours("Trial", "1")], False),
    "ours: nothing said yet": (OURS, [{}], False),
    "Argo Rollouts: its pods are stable": (ARGO, [argo("Healthy")], True),
    "Argo Rollouts: a status of the former spec": (ARGO, [argo("Healthy", seen="2")], False),
    "Argo Rollouts: stable is another": (ARGO, [argo("Healthy", stable="old")], False),
    "Argo Rollouts: not asked for yet": (ARGO, [argo("Healthy", version=1)], False),
    "Argo Rollouts: on its way": (ARGO, [argo("Progressing")], False),
    "Flagger: seen to begin, and to end": (
        FLAGGER,
        [flagger("Progressing"), flagger("Succeeded")],
        True,
    ),
    "Flagger: the end of the wave before": (FLAGGER, [flagger("Succeeded")], False),
    "Flagger: something else was promoted": (
        FLAGGER,
        [flagger("Progressing"), flagger("Succeeded", promoted="a")],
        False,
    ),
}


@pytest.mark.parametrize(("contender", "told", "promoted"), PROMOTED.values(), ids=PROMOTED)
def test_promoted_is_what_says_so_of_the_version_that_was_asked_for(
    contender: Contender, told: list[Object], promoted: bool
) -> None:
    seen = Seen(contender)
    seen.begin(2)
    for one in told:
        named = {"name": "m00000", **one.get("metadata", {})}
        seen.rollout("MODIFIED", {**one, "metadata": named})
    assert bool(seen.promoted) is promoted


def test_weights_are_those_of_the_canary_ingress() -> None:
    seen = Seen(OURS)
    for event, name, weight in (
        ("ADDED", "m00000", None),
        ("ADDED", "m00000-canary", "10"),
        ("MODIFIED", "m00000-canary", "50"),
        ("DELETED", "m00000-canary", "50"),
    ):
        marks = {} if weight is None else {WEIGHT: weight}
        seen.ingress(event, {"metadata": {"name": name, "annotations": marks}})
    assert [weight for _, weight in seen.weights["m00000"]] == [10, 50, 0]
    first, last = seen.weights["m00000"][0][0], seen.weights["m00000"][-1][0]
    assert seen.weight_since("m00000", first, zero=False) == first
    assert seen.weight_since("m00000", first, zero=True) == last
    assert seen.weight_since("m00001", first, zero=False) is None


WAVE = Wave(1, 30.0, 1.0, 1.0, 14.0, 17.0, {}, 40.0, 50.0, 200.0, 6.0, 60.0)


def test_ours_is_divided_by_each_other_and_held_against_the_goals() -> None:
    others = replace(WAVE, seconds=40.0, requests_with_cleaning=34.0, memory=120.0)
    waves = {figures.OURS: [WAVE, replace(WAVE, seconds=50.0), WAVE], figures.ARGO: [others]}
    told = {one.metric: one for one in figures.of_waves(1, waves)}
    seconds = told["N=1: seconds until all are promoted, ours ÷ argo-rollouts"]
    assert (seconds.value, seconds.goal, seconds.met) == (0.75, "<= 1.05", True), "of medians"
    asked = "N=1: API requests for each promotion, cleaning up included, ours"
    assert (told[asked].value, told[asked].goal, told[asked].met) == (17.0, "<= 13", False)
    assert told[f"{asked} ÷ argo-rollouts"].value == 0.5
    assert not told[f"{asked} ÷ argo-rollouts"].goal


def test_a_run_of_other_numbers_leaves_what_was_told_before() -> None:
    def row(figure: str, rollouts: int, value: float) -> dict[str, object]:
        return {"figure": figure, "rollouts": rollouts, "values": {"ours": value}}

    asked, lag = "Prometheus queries for each promotion", f"{figures.BAD}, median"
    before = [row(asked, 1, 6), row(asked, 200, 0.4), row(lag, 10, 3.2)]
    assert merged(before, [row(lag, 50, 5.1), row(asked, 50, 0.5), row(asked, 1, 3)]) == [
        row(asked, 1, 3),
        row(asked, 50, 0.5),
        row(asked, 200, 0.4),
        row(lag, 10, 3.2),
        row(lag, 50, 5.1),
    ]
