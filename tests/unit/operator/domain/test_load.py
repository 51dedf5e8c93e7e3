"""Load is no evidence against a version, and a bad version beside a good stable still fails."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from rollout_operator.domain.api.analysis import Gate, Metric, OnNoEvidence
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.status import ScaleUp, Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.load import Arms, measure_under_load
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series, Workload
from tests.support.builders import START, at, observed, on_trial, revision, spec

PASS, FAIL, NO_EVIDENCE = Measurement.PASS, Measurement.FAIL, Measurement.NO_EVIDENCE
NOW = 100
TRIAL = Trial(revision(2), revision(1), START, at(NOW), weight=50)
LATENCY = Gate(metric=Metric.LATENCY_P95, max=0.25)
SLOWER = Gate(metric=Metric.LATENCY_P95, max_increase=0.05)
ERRORS = Gate(metric=Metric.ERROR_RATE, max=0.01)

GROWS = ScaleUp(wanted=4, since=at(80))
GREW_NOW = GROWS.model_copy(update={"until": at(NOW - 29)})
GREW_LONG_AGO = GROWS.model_copy(update={"until": at(NOW - 31)})


def counter(name: str, first: float, value: float, pod: str = "a", le: str = "") -> Series:
    moment = at(NOW - 2).timestamp()
    return Series(name, pod, moment, value, le=le, first=first, gap=15)


def latency(
    before: tuple[int, int], lately: tuple[int, int], pod: str = "a", slow: str = "0.5"
) -> tuple[Series, ...]:
    """Requests of at most 0.1 s, and slow ones up to that bound: before the window, and within."""
    quick, late = before[0], before[1]
    counts = {"0.1": (quick, lately[0]), "0.25": (quick, lately[0])}
    counts["1"] = counts["0.25"]
    counts |= dict.fromkeys(
        {slow, "1" if slow == "0.5" else slow, "+Inf"}, (quick + late, sum(lately))
    )
    return tuple(
        counter("ml_request_latency_seconds_bucket", n, n + more, pod, le)
        for le, (n, more) in counts.items()
    )


def errors(before: tuple[int, int], lately: tuple[int, int], pod: str = "a") -> tuple[Series, ...]:
    """Requests and errors among them: before the window, and within."""
    return (
        counter("ml_request_count_total", before[0], before[0] + lately[0], pod),
        counter("ml_request_errors_total", before[1], before[1] + lately[1], pod),
    )


def throttled(periods: int, of_them: int, pod: str = "a") -> tuple[Series, ...]:
    """CPU periods within the window, and those in which the limit held the pod back."""
    return (
        counter("ml_cpu_periods_total", 1000, 1000 + periods, pod),
        counter("ml_cpu_throttled_periods_total", 500, 500 + of_them, pod),
    )


QUICK, SLOW = latency((0, 0), (1000, 0)), latency((0, 0), (500, 500))
SLOWISH = latency((0, 0), (500, 500), slow="1")
MUCH_SLOWER = latency((0, 0), (500, 500), slow="5")
RIGHT, WRONG = errors((0, 0), (1000, 0)), errors((0, 0), (1000, 20))
ALL_WRONG = errors((0, 0), (1000, 900))
HELD_BACK, HARDLY = throttled(100, 25), throttled(100, 24)
FEW = latency((0, 0), (700, 0))
"""Of stable's, of which each pod gets fewer requests than one that got a thousand."""
DOWN = MetricsUnreachable("down")

CASES: dict[str, tuple[Gate, Answer, Answer | None, ScaleUp | None, Measurement]] = {
    "slow beside a quick stable": (LATENCY, SLOW, QUICK, None, FAIL),
    "slow, and nothing is known of stable": (LATENCY, SLOW, None, None, FAIL),
    "slow, and stable cannot be asked": (LATENCY, SLOW, DOWN, None, FAIL),
    "slow, and too few requests of stable are": (
        LATENCY,
        SLOW,
        latency((0, 0), (27, 2)),
        None,
        FAIL,
    ),
    "slow, as stable is for sure by few requests": (
        LATENCY,
        SLOW,
        latency((0, 0), (0, 14)),
        None,
        NO_EVIDENCE,
    ),
    "slow as stable": (LATENCY, SLOW, SLOW, None, NO_EVIDENCE),
    "slow as stable was, before the window": (
        LATENCY,
        SLOW,
        latency((0, 5000), (1000, 0)),
        None,
        FAIL,
    ),
    "slower than a slow stable": (LATENCY, SLOWISH, SLOW, None, NO_EVIDENCE),
    "much slower than a slow stable": (LATENCY, MUCH_SLOWER, SLOW, None, FAIL),
    "quick beside a slow stable": (LATENCY, QUICK, SLOW, None, PASS),
    "wrong beside a stable that is right": (ERRORS, WRONG, RIGHT, None, FAIL),
    "wrong as stable": (ERRORS, WRONG, WRONG, None, NO_EVIDENCE),
    "wrong, far more than a stable that is wrong": (ERRORS, ALL_WRONG, WRONG, None, FAIL),
    "slow while its pods become more": (LATENCY, SLOW, QUICK, GROWS, NO_EVIDENCE),
    "slow while samples of that time count": (LATENCY, SLOW, QUICK, GREW_NOW, NO_EVIDENCE),
    "slow long after its pods became more": (LATENCY, SLOW, QUICK, GREW_LONG_AGO, FAIL),
    "wrong while its pods become more": (ERRORS, WRONG, RIGHT, GROWS, NO_EVIDENCE),
    "quick while its pods become more": (LATENCY, QUICK, QUICK, GROWS, PASS),
    "throttled, with more requests for each pod": (
        LATENCY,
        SLOW + HELD_BACK,
        FEW,
        None,
        NO_EVIDENCE,
    ),
    "throttled, with as many requests for each pod": (LATENCY, SLOW + HELD_BACK, QUICK, None, FAIL),
    "throttled, with more requests on more pods": (
        LATENCY,
        SLOW + latency((0, 0), (0, 400), "b") + HELD_BACK,
        FEW,
        None,
        FAIL,
    ),
    "hardly throttled, with more requests": (LATENCY, SLOW + HARDLY, FEW, None, FAIL),
    "more requests, and nothing known of throttling": (LATENCY, SLOW, FEW, None, FAIL),
    "wrong and throttled, with more requests": (
        ERRORS,
        WRONG + HELD_BACK,
        errors((0, 0), (700, 0)),
        None,
        NO_EVIDENCE,
    ),
    "wrong and throttled, as much as so many more requests explain": (
        ERRORS,
        errors((0, 0), (1000, 300)) + HELD_BACK,
        errors((0, 0), (700, 0)),
        None,
        NO_EVIDENCE,
    ),
    "wrong and throttled, far more than that": (
        ERRORS,
        ALL_WRONG + HELD_BACK,
        errors((0, 0), (700, 0)),
        None,
        FAIL,
    ),
    "slower than stable": (SLOWER, SLOW, QUICK, None, FAIL),
    "slower than stable while its pods become more": (SLOWER, SLOW, QUICK, GROWS, NO_EVIDENCE),
    "slower than a stable that gets fewer requests, throttled": (
        SLOWER,
        SLOW + HELD_BACK,
        FEW,
        None,
        NO_EVIDENCE,
    ),
}


@pytest.mark.parametrize(
    ("gate", "ours", "theirs", "scale_up", "expected"), CASES.values(), ids=CASES.keys()
)
def test_load_is_told_from_the_version(
    gate: Gate, ours: Answer, theirs: Answer | None, scale_up: ScaleUp | None, expected: Measurement
) -> None:
    said = measure_under_load(gate, Arms(ours, theirs, scale_up), TRIAL)
    assert said.measurement is expected, said.message
    assert (said.overloaded_since is not None) is (expected is NO_EVIDENCE)
    assert ("no evidence against the version" in said.message) is (expected is NO_EVIDENCE)


Counts = tuple[int, int]
"""Requests that are right, and wrong ones."""


def counted(gate: Gate, load: Counts, since: Counts = (0, 0), pod: str = "a") -> tuple[Series, ...]:
    """Counters with what came under load and since, of which the window shows the latter."""
    if gate.metric is Metric.LATENCY_P95:
        return latency(load, since, pod)
    return errors((sum(load), load[1]), (sum(since), since[1]), pod)


def later(series: tuple[Series, ...], seconds: float) -> tuple[Series, ...]:
    return tuple(replace(s, at=s.at + seconds) for s in series)


def seen(
    gate: Gate, ours: Answer, theirs: Answer, before: GateStatus | None, seconds: float
) -> GateStatus:
    trial = replace(TRIAL, now=at(NOW + seconds))
    return measure_under_load(gate, Arms(ours, theirs), trial, before)


def after_load(gate: Gate, load: Counts) -> GateStatus:
    """What status has at the first look that sees no load any more."""
    series, quiet = counted(gate, (0, 0), load), counted(gate, (5000, 0), (1000, 0))
    excused = seen(gate, series, series, None, 0)
    assert (excused.measurement, excused.counted_from) == (NO_EVIDENCE, ())
    return seen(gate, later(series, 10), later(quiet, 10), excused, 10)


FEW_NEEDED = LATENCY.model_copy(update={"min_samples": 14})
AFTERWARDS: dict[str, tuple[Gate, Counts, Measurement]] = {
    "nothing came": (LATENCY, (0, 0), NO_EVIDENCE),
    "too few": (LATENCY, (29, 0), NO_EVIDENCE),
    "all quick": (LATENCY, (30, 0), PASS),
    "one slow of 14": (FEW_NEEDED, (13, 1), NO_EVIDENCE),
    "two slow of 30": (LATENCY, (28, 2), NO_EVIDENCE),
    "all slow": (LATENCY, (0, 30), FAIL),
    "all slow of 14": (FEW_NEEDED, (0, 14), FAIL),
    "a third slow": (LATENCY, (40, 20), FAIL),
    "a tenth slow of many": (LATENCY, (900, 100), FAIL),
    "a twentieth slow": (LATENCY, (950, 50), PASS),
    "no errors": (ERRORS, (30, 0), PASS),
    "one error of 30": (ERRORS, (29, 1), NO_EVIDENCE),
    "a hundredth wrong": (ERRORS, (990, 10), PASS),
    "a tenth wrong": (ERRORS, (90, 10), FAIL),
    "all wrong": (ERRORS, (0, 30), FAIL),
}


@pytest.mark.parametrize(("gate", "since", "expected"), AFTERWARDS.values(), ids=AFTERWARDS.keys())
def test_after_load_only_what_came_since_counts(
    gate: Gate, since: Counts, expected: Measurement
) -> None:
    load = (500, 5000)
    over = after_load(gate, load)
    assert over.measurement is NO_EVIDENCE
    assert [pod.pod for pod in over.counted_from] == ["a"]
    ours, theirs = counted(gate, load, since), counted(gate, (6000, 0), (1000, 0))
    said = seen(gate, later(ours, 40), later(theirs, 40), over, 40)
    assert (said.measurement, said.samples) == (expected, sum(since)), said.message
    assert said.counted_from == over.counted_from
    assert said.excused is (expected is NO_EVIDENCE)


def test_a_pod_that_is_new_or_began_anew_counts_from_its_beginning() -> None:
    over = after_load(LATENCY, (500, 500))
    again = later(latency((0, 0), (0, 20)), 40)
    new = later(latency((0, 0), (0, 11), "b"), 40)
    said = seen(LATENCY, (*again, *new), later(QUICK, 40), over, 40)
    assert (said.measurement, said.samples) == (FAIL, 31), said.message


def test_load_that_comes_again_is_forgotten_as_well() -> None:
    over = after_load(LATENCY, (500, 500))
    slow = later(latency((500, 500), (0, 100)), 40)
    again = seen(LATENCY, slow, slow, over, 40)
    assert (again.measurement, again.counted_from) == (NO_EVIDENCE, ())
    quiet = later(latency((500, 600), (0, 0)), 70)
    ended = seen(LATENCY, quiet, later(QUICK, 70), again, 70)
    assert (ended.samples, ended.overloaded_since) == (0, at(NOW))


def test_what_an_older_revision_was_excused_says_nothing() -> None:
    over = after_load(LATENCY, (500, 500)).model_copy(update={"revision": "other"})
    said = seen(LATENCY, later(latency((500, 500), (30, 0)), 40), later(QUICK, 40), over, 40)
    assert said.measurement is FAIL


NEAR_STABLE: dict[str, tuple[Gate, Counts, Counts, Measurement]] = {
    "stable has no slow ones": (LATENCY, (28, 2), (60, 0), FAIL),
    "stable has as many": (LATENCY, (28, 2), (29, 1), NO_EVIDENCE),
    "stable has few of very many": (LATENCY, (28, 2), (1990, 10), FAIL),
    "far more than stable": (LATENCY, (10, 20), (29, 1), FAIL),
    "wrong now and then, as stable": (ERRORS, (98, 2), (199, 1), NO_EVIDENCE),
    "wrong often, beside such a stable": (ERRORS, (80, 20), (199, 1), FAIL),
}


@pytest.mark.parametrize(
    ("gate", "ours", "theirs", "expected"), NEAR_STABLE.values(), ids=NEAR_STABLE.keys()
)
def test_where_stable_is_near_the_bound_a_failure_must_be_for_sure(
    gate: Gate, ours: Counts, theirs: Counts, expected: Measurement
) -> None:
    said = seen(gate, counted(gate, (0, 0), ours), counted(gate, (0, 0), theirs), None, 0)
    assert said.measurement is expected, said.message
    assert said.overloaded_since is None
    assert said.excused is (expected is NO_EVIDENCE)


def trial(scale_up: ScaleUp | None = None, replicas: int = 1) -> Status:
    candidate = revision(2, replicas=replicas, ready_at=START)
    return on_trial(candidate=candidate, scale_up=scale_up, step=1, step_since=START, weight=50)


ASKS_FOR_LATENCY = [{"metric": "latencyP95Seconds", "max": 0.25}]


def looked(
    status: Status,
    ours: Answer,
    theirs: Answer,
    pods: Workload,
    second: float = NOW,
    when_silent: OnNoEvidence = OnNoEvidence.ROLLBACK,
) -> Plan:
    wanted = spec(
        "models:/iris/2",
        analysis__gates=ASKS_FOR_LATENCY,
        analysis__onNoEvidence=when_silent,
        replicas=2,
    )
    return decide(
        observed(
            second,
            spec=wanted,
            status=status,
            workloads={revision(2).revision: pods, revision(1).revision: Workload(2, 2)},
            answers={Metric.LATENCY_P95: ours},
            baseline={Metric.LATENCY_P95: theirs},
        )
    )


def test_a_version_that_is_slow_with_stable_is_held_and_told_of_once() -> None:
    first = looked(trial(), SLOW, SLOW, Workload(1, 1))
    assert (first.status.phase, first.status.weight) == (Phase.TRIAL, 50)
    assert first.status.reason is Reason.WAITING_FOR_EVIDENCE
    assert [e.reason for e in first.events] == [Reason.OVERLOADED]
    second = looked(first.status, SLOW, SLOW, Workload(1, 1), NOW + 1)
    assert second.events == ()
    assert second.status.gates[0].overloaded_since == at(NOW)


def test_load_that_stays_is_no_evidence_until_max_hold() -> None:
    held = looked(trial(), SLOW, SLOW, Workload(1, 1)).status
    late = tuple(replace(s, at=s.at + 41) for s in SLOW)
    ended = looked(held, late, late, Workload(1, 1), NOW + 41)
    assert (ended.status.phase, ended.status.reason) == (Phase.ROLLING_BACK, Reason.NO_EVIDENCE)


GIVEN_UP: dict[str, tuple[OnNoEvidence, Answer, Answer, tuple[Phase, bool]]] = {
    "Rollback": (OnNoEvidence.ROLLBACK, SLOW, SLOW, (Phase.ROLLING_BACK, False)),
    "Pause": (OnNoEvidence.PAUSE, SLOW, SLOW, (Phase.TRIAL, True)),
    "Promote": (OnNoEvidence.PROMOTE, SLOW, SLOW, (Phase.ROLLING_BACK, False)),
    "Promote, and nothing came since": (
        OnNoEvidence.PROMOTE,
        SLOW,
        QUICK,
        (Phase.ROLLING_BACK, False),
    ),
    "Promote, and Prometheus is gone": (
        OnNoEvidence.PROMOTE,
        DOWN,
        DOWN,
        (Phase.ROLLING_BACK, False),
    ),
}


@pytest.mark.parametrize(
    ("when_silent", "ours", "theirs", "expected"), GIVEN_UP.values(), ids=GIVEN_UP.keys()
)
def test_a_bound_that_was_broken_under_load_is_never_taken_for_silence(
    when_silent: OnNoEvidence, ours: Answer, theirs: Answer, expected: tuple[Phase, bool]
) -> None:
    held = looked(trial(), SLOW, SLOW, Workload(1, 1), NOW, when_silent).status
    assert held.phase is Phase.TRIAL
    one, other = (
        a if a is DOWN else later(cast("tuple[Series, ...]", a), 41) for a in (ours, theirs)
    )
    ended = looked(held, one, other, Workload(1, 1), NOW + 41, when_silent).status
    assert (ended.phase, ended.halted) == expected
    if when_silent is OnNoEvidence.PROMOTE:
        assert "It broke its bound" in ended.message


def test_silence_without_any_load_is_promoted_where_the_spec_says_so() -> None:
    silent = looked(trial(), (), (), Workload(1, 1), NOW, OnNoEvidence.PROMOTE).status
    ended = looked(silent, (), (), Workload(1, 1), NOW + 41, OnNoEvidence.PROMOTE).status
    assert ended.phase is Phase.PROMOTING


def test_a_version_that_is_slow_alone_is_rolled_back_at_once() -> None:
    ended = looked(trial(), SLOW, QUICK, Workload(1, 1))
    assert (ended.status.phase, ended.status.reason) == (Phase.ROLLING_BACK, Reason.GATE_FAILED)


GROWTHS: Mapping[str, tuple[ScaleUp | None, Workload, dict[str, Any] | None]] = {
    "as many as asked": (None, Workload(1, 1), None),
    "one is lost": (None, Workload(1, 2), None),
    "more are asked for": (None, Workload(1, 3), {"wanted": 3, "until": None}),
    "more are asked for and Ready already": (None, Workload(3, 3), None),
    "still not Ready": (GROWS, Workload(3, 4), {"wanted": 4, "until": None}),
    "Ready now": (GROWS, Workload(4, 4), {"wanted": 4, "until": at(NOW)}),
    "some are lost after it": (GREW_NOW, Workload(3, 4), {"wanted": 4, "until": at(NOW - 29)}),
    "fewer are asked for": (GREW_NOW, Workload(2, 2), {"wanted": 2, "until": at(NOW - 29)}),
    "even more are asked for": (GREW_NOW, Workload(4, 6), {"wanted": 6, "until": None}),
}


@pytest.mark.parametrize(("before", "pods", "expected"), GROWTHS.values(), ids=GROWTHS.keys())
def test_growth_is_what_is_asked_for_beyond_what_was(
    before: ScaleUp | None, pods: Workload, expected: dict[str, Any] | None
) -> None:
    status = trial(before, replicas=2 if pods == Workload(1, 2) else 1)
    known = looked(status, QUICK, QUICK, pods).status.scale_up
    assert (known is None) is (expected is None)
    if known is not None and expected is not None:
        assert (known.wanted, known.until) == (expected["wanted"], expected["until"])


def test_a_trial_whose_spec_asks_for_more_pods_is_scaled_up() -> None:
    status = trial().model_copy(update={"step_since": at(NOW - 5)})
    wanted = spec("models:/iris/2", analysis__gates=ASKS_FOR_LATENCY, replicas=8)
    seen = observed(
        NOW,
        spec=wanted,
        status=status,
        workloads={revision(2).revision: Workload(1, 1)},
        answers={Metric.LATENCY_P95: QUICK},
        baseline={Metric.LATENCY_P95: QUICK},
    )
    scale_up = decide(seen).status.scale_up
    assert scale_up is not None
    assert (scale_up.wanted, scale_up.until) == (4, None)
