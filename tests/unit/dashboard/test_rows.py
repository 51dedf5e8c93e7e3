"""A rollout as one line: what it waits for, whom it concerns, which gate is nearest to failing."""

from typing import Any

import pytest

from rollout_dashboard.gate_margin import nearest, nearness
from rollout_dashboard.rows import LONGEST, Row
from rollout_dashboard.waiting import Group, waiting
from rollout_operator.domain.api.gate_results import GateStatus
from rollout_operator.domain.api.status import Shortage, Status, Watch
from rollout_operator.domain.api.words import Phase
from tests.support.builders import at, on_trial, revision, spec
from tests.unit.cli.builders import rollout
from tests.unit.dashboard.builders import gate

TO_2 = spec("models:/iris/2")
STABLE, CANDIDATE = revision(1, promoted=True), revision(2)


def trial(**changes: Any) -> Status:
    return on_trial(**{"stable": STABLE, "candidate": CANDIDATE, **changes})


WAITS = {
    "a step that is held": (trial(), Group.TRIAL, "step 1 of 2"),
    "evidence": (
        trial(no_evidence_since=at(0), gates=(gate(labels_left=120),)),
        Group.TRIAL,
        "about 120 more labels",
    ),
    "pods of the next step": (trial(grows_since=at(0)), Group.TRIAL, "pods that the next step"),
    "the end of a frozen window": (
        trial(frozen="frozen until 2026-11-30 08:00 UTC", frozen_until=at(60)),
        Group.TRIAL,
        "frozen until",
    ),
    "the route": (trial(waits_for="the Gateway is late"), Group.TRIAL, "the Gateway is late"),
    "somebody, because it is halted": (trial(halted=True), Group.PERSON, "halted"),
    "somebody, because it is paused": (trial(paused_since=at(0)), Group.PERSON, "paused"),
    "somebody, because the spec is wrong": (
        trial(invalid="host taken"),
        Group.PERSON,
        "host taken",
    ),
    "somebody, to approve it": (trial(approval_since=at(0)), Group.PERSON, "approve"),
    "pods": (trial(phase=Phase.STARTING), Group.TRIAL, "the candidate's pods"),
    "routers": (trial(phase=Phase.ROLLING_BACK), Group.TRIAL, "routers"),
    "another version": (trial(phase=Phase.ROLLED_BACK), Group.ROLLED_BACK, "another version"),
    "nothing": (trial(phase=Phase.PROMOTED), Group.REST, ""),
    "the end of its watch": (
        trial(
            phase=Phase.PROMOTED,
            retiring=(STABLE,),
            watch=Watch(former=STABLE.revision, since=at(0), until=at(86400)),
        ),
        Group.REST,
        "Watched until 2026-11-24 12:00 UTC",
    ),
    "missing pods": (
        trial(
            phase=Phase.PROMOTED,
            shortage=Shortage(ready=1, wanted=2, since=at(0), message="1 of 2 pods serve"),
        ),
        Group.REST,
        "1 of 2 pods serve",
    ),
    "somebody, because pods are missing for long": (
        trial(
            phase=Phase.PROMOTED,
            shortage=Shortage(
                ready=0, wanted=2, since=at(0), stalled=True, message="0 of 2 pods serve"
            ),
        ),
        Group.PERSON,
        "0 of 2 pods serve",
    ),
    "somebody, because an object is refused": (
        trial(phase=Phase.PROMOTED, api_rejection="quota exceeded"),
        Group.PERSON,
        "quota exceeded",
    ),
    "somebody, because a failed watch has no way back": (
        trial(
            phase=Phase.PROMOTED,
            retiring=(STABLE,),
            watch=Watch(
                former=STABLE.revision, since=at(0), until=at(86400), waits="1 of 2 are Ready"
            ),
        ),
        Group.PERSON,
        "1 of 2 are Ready",
    ),
}


@pytest.mark.parametrize(("status", "group", "words"), WAITS.values(), ids=WAITS)
def test_it_waits_for(status: Status, group: Group, words: str) -> None:
    found = waiting(rollout(status, TO_2))
    assert found.group is group
    assert words in found.sentence
    assert bool(found.sentence) == bool(words)


def test_a_rollout_that_nobody_has_seen_waits_for_the_operator() -> None:
    assert "the operator" in waiting(rollout(Status(), TO_2)).sentence


NEARNESS = {
    "far from a lower bound": (gate(value=0.97), 0.1),
    "at a lower bound": (gate(value=0.7), 1.0),
    "far from an upper bound": (gate(metric="errorRate", value=0.001, threshold=0.01), 0.1),
    "above an upper bound": (gate(metric="errorRate", value=0.02, threshold=0.01), 1.0),
    "a failure": (gate(measurement="Fail", value=0.99), 1.0),
    "evidence against counts, not the value": (
        gate(evidence="Labelled", value=0.71, evidence_for=0.5, evidence_against=0.2),
        0.2,
    ),
    "no value": (gate(value=None, measurement="NoEvidence"), 0.0),
}


@pytest.mark.parametrize(("measured", "expected"), NEARNESS.values(), ids=NEARNESS)
def test_how_near_a_gate_is_to_failing(measured: GateStatus, expected: float) -> None:
    assert nearness(measured, None) == pytest.approx(expected)


def test_the_nearest_gate_is_shown_and_of_equals_the_one_without_an_answer() -> None:
    far, near = gate(value=0.97), gate(value=0.75)
    silent = gate(value=None, measurement="NoEvidence", message="accuracy: no series")
    assert nearest((far, near, silent), None) is near
    assert nearest((gate(metric="errorRate", value=0.0, threshold=1), silent), None) is silent
    assert nearest((), None) is None


def test_a_row_has_what_the_page_shows() -> None:
    made = Row.of(rollout(trial(gates=(gate(revision=CANDIDATE.revision),)), TO_2))
    assert (made.stable, made.candidate, made.weight) == ("iris/1", "iris/2", 10)
    assert made.gate == "accuracy 0.9 ≥ 0.7"


def test_a_row_stays_short_whatever_the_status_says() -> None:
    made = Row.of(rollout(trial(waits_for="x" * 1000), TO_2))
    assert len(made.waits) == LONGEST


def test_rows_that_show_the_same_are_equal_whatever_version_they_were_made_from() -> None:
    first = rollout(trial(), TO_2)
    second = rollout(trial(), TO_2)
    second.raw["metadata"]["resourceVersion"] = "2"
    assert Row.of(first) == Row.of(second)
