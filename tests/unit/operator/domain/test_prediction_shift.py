"""predictionShift: counters of pods become differences scrape by scrape, and what is no evidence
says why.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus, Measurement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.prediction_shift import alike, measure_shift
from rollout_operator.domain.gates.shift_test import Shift, added, log_beyond, log_within
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series
from tests.support.builders import START, at, revision

STABLE, CANDIDATE = revision(1, promoted=True), revision(2, ready_at=START)
PASS, FAIL, NOTHING = Measurement.PASS, Measurement.FAIL, Measurement.NO_EVIDENCE


def gate(**changes: Any) -> Gate:
    return Gate.model_validate({"metric": "predictionShift", "max": 0.1, **changes})


def counters(second: float, pod: str = "a", **bins: float) -> tuple[Series, ...]:
    """Answers by class of one pod, as they stand at that second."""
    moment = at(second).timestamp()
    return tuple(
        Series("ml_predicted_total", pod, moment, count, bin=name) for name, count in bins.items()
    )


def numbered(second: float, pod: str, bins: dict[str, float]) -> tuple[Series, ...]:
    return counters(second, pod, **bins)


@dataclass
class Bench:
    """A gate fed look by look; the evidence is all that lasts from one to the next."""

    gate: Gate
    evidence: tuple[EvidenceStatus, ...] = ()

    def look(self, second: float, answer: Answer | None, baseline: Answer | None) -> GateStatus:
        trial = Trial(CANDIDATE, STABLE, START, at(second), weight=10)
        found, counted = measure_shift(self.gate, answer, baseline, trial, self.evidence)
        if counted is not None:
            # As status keeps it.
            self.evidence = (EvidenceStatus.model_validate(counted.to_api()),)
        return found


def played(
    bench: Bench, ours: tuple[float, ...], theirs: tuple[float, ...], looks: int = 80
) -> GateStatus:
    """Looks every 5 s: 10 answers of the candidate and 90 of stable by these shares; the last."""
    random, a, b = np.random.default_rng(0), np.zeros(len(ours)), np.zeros(len(ours))
    names = [f"class {n}" for n in range(len(ours))]
    found = None
    for n in range(looks):
        seconds = 5.0 * n + 1
        found = bench.look(
            seconds + 1,
            numbered(seconds, "a", dict(zip(names, a.tolist(), strict=True))),
            numbered(seconds, "s", dict(zip(names, b.tolist(), strict=True))),
        )
        if found.measurement is not NOTHING:
            return found
        a, b = a + random.multinomial(10, ours), b + random.multinomial(90, theirs)
    assert found is not None
    return found


VERDICTS: dict[str, tuple[tuple[float, ...], tuple[float, ...], dict[str, Any], Measurement]] = {
    "answers as stable": ((0.4, 0.3, 0.3), (0.4, 0.3, 0.3), {}, PASS),
    "answers otherwise": ((0.7, 0.15, 0.15), (0.4, 0.3, 0.3), {}, FAIL),
    "at the border": ((0.5, 0.25, 0.25), (0.4, 0.3, 0.3), {}, NOTHING),
    "as far as may be": ((0.7, 0.15, 0.15), (0.4, 0.3, 0.3), {"max": 0.6}, PASS),
    "with tolerance": ((0.5, 0.25, 0.25), (0.4, 0.3, 0.3), {"tolerance": 0.2}, PASS),
    "too few for minSamples": ((0.5, 0.5), (0.5, 0.5), {"minSamples": 2000}, NOTHING),
}


@pytest.mark.parametrize(
    ("ours", "theirs", "changes", "verdict"), VERDICTS.values(), ids=VERDICTS.keys()
)
def test_verdicts(
    ours: tuple[float, ...],
    theirs: tuple[float, ...],
    changes: dict[str, Any],
    verdict: Measurement,
) -> None:
    assert played(Bench(gate(**changes)), ours, theirs).measurement is verdict


def test_the_sentence_has_the_class_the_interval_and_the_counts() -> None:
    found = played(Bench(gate()), (0.8, 0.1, 0.1), (0.4, 0.3, 0.3))
    assert found.measurement is FAIL
    assert found.evidence_against is not None
    assert found.evidence_against >= 1
    assert found.lower is not None
    assert found.value is not None
    assert found.upper is not None
    assert 0.1 <= found.lower < found.value < found.upper
    for part in (
        "most 'class 0': 0.757 of them, 0.349 more than of stable's",
        "at most 0.1 asked",
        "of its answers beside",
        "against",
    ):
        assert part in found.message, found.message


def test_inconclusive_at_max_samples() -> None:
    found = played(Bench(gate(maxSamples=300)), (0.5, 0.25, 0.25), (0.4, 0.3, 0.3))
    assert (found.measurement, found.inconclusive) == (NOTHING, True)


def test_the_first_look_is_where_counting_begins() -> None:
    bench = Bench(gate())
    first = bench.look(11, counters(10, a=5000, b=0), counters(10, "s", a=0, b=5000))
    assert (first.measurement, first.samples) == (NOTHING, 0)
    second = bench.look(16, counters(15, a=5010, b=0), counters(15, "s", a=90, b=5000))
    assert second.samples == 10
    assert second.value == 0


def test_a_look_without_a_new_scrape_changes_nothing() -> None:
    bench = Bench(gate())
    bench.look(6, counters(5, a=0, b=0), counters(5, "s", a=0, b=0))
    bench.look(11, counters(10, a=6, b=4), counters(10, "s", a=50, b=40))
    before = bench.evidence
    bench.look(13, counters(10, a=6, b=4), counters(10, "s", a=50, b=40))
    assert bench.evidence == before


def test_a_restart_a_new_pod_and_one_that_is_gone() -> None:
    bench = Bench(gate())
    bench.look(6, counters(5, a=100, b=100), counters(5, "s", a=0, b=0))
    # Pod a restarted and counts anew; pod c is new and counts from its start.
    now = (*counters(10, a=3, b=1), *counters(10, "c", a=2, b=0))
    assert bench.look(11, now, counters(10, "s", a=50, b=40)).samples == 6
    # Pod a is gone; its counts stay.
    assert bench.look(16, counters(15, "c", a=5, b=1), counters(15, "s", a=60, b=50)).samples == 10
    # A new pod of stable has a past that nobody saw.
    more = (*counters(20, "s", a=61, b=50), *counters(20, "t", a=9000, b=0))
    assert bench.look(21, counters(20, "c", a=6, b=1), more).samples == 11
    assert bench.evidence[0].baseline_total == 90 + 20 + 1


def test_where_one_of_the_two_has_nothing_the_other_waits_for_it() -> None:
    bench = Bench(gate())
    bench.look(6, counters(5, a=0, b=0), counters(5, "s", a=0, b=0))
    assert bench.look(11, counters(10, a=7, b=3), counters(10, "s", a=0, b=0)).samples == 0
    assert bench.look(16, counters(15, a=7, b=3), counters(15, "s", a=50, b=40)).samples == 10


ALIKE: dict[str, tuple[dict[str, float], dict[str, float], dict[str, float], dict[str, float]]] = {
    "the same classes": (
        {"a": 1, "b": 2, "other": 3},
        {"a": 4, "b": 5, "other": 6},
        {"a": 1, "b": 2, "other": 3},
        {"a": 4, "b": 5, "other": 6},
    ),
    "a class that only one names is one of the others": (
        {"a": 1, "new": 2, "other": 0},
        {"a": 4, "old": 5, "other": 1},
        {"a": 1, "other": 2},
        {"a": 4, "other": 6},
    ),
    "numbers, at the edges that both have": (
        {"10.0": 1, "20.0": 2, "30.0": 3, "+Inf": 4},
        {"20.0": 5, "30": 6, "40.0": 7, "30.0": 1, "+Inf": 8},
        {"20.0": 3, "30.0": 3, "+Inf": 4},
        {"20.0": 5, "30.0": 7, "+Inf": 15},
    ),
    "classes that look like numbers": (
        {"1": 1, "2": 2, "+Inf": 1, "other": 0},
        {"1": 4, "3": 5, "other": 1},
        {"1": 1, "other": 3},
        {"1": 4, "other": 6},
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "mine", "other"), ALIKE.values(), ids=ALIKE.keys())
def test_what_is_compared(
    ours: dict[str, float],
    theirs: dict[str, float],
    mine: dict[str, float],
    other: dict[str, float],
) -> None:
    assert alike([ours], [theirs]) == (mine, other)


COUNTS = counters(10, a=6, b=4, other=0)
SILENT: dict[str, tuple[Answer | None, Answer | None, Measurement, str]] = {
    "not asked": (None, (), NOTHING, "not measured yet"),
    "Prometheus is away": (
        MetricsUnreachable("no route"),
        COUNTS,
        Measurement.UNREACHABLE,
        "no route",
    ),
    "stable's answer is away": (
        COUNTS,
        MetricsUnreachable("no route"),
        Measurement.UNREACHABLE,
        "no route",
    ),
    "nothing yet": ((), COUNTS, NOTHING, "no series of this revision"),
    "stable has none": (COUNTS, (), NOTHING, "stable has none to compare with: no series"),
    "pods that count no answers": (
        (Series("ml_predictions_total", "a", at(10).timestamp(), 9.0),),
        COUNTS,
        NOTHING,
        "register the version with training_profile.json",
    ),
    "stable is of an older server": (
        COUNTS,
        (Series("ml_predictions_total", "s", at(10).timestamp(), 9.0),),
        NOTHING,
        "stable has none to compare with: its pods count no answers by class",
    ),
    "too old": (counters(-100, a=1), COUNTS, NOTHING, "no sample yet since"),
    "no count": (counters(10, a=float("nan"), b=1), COUNTS, NOTHING, "is nan, not a count"),
    "a regression beside classes": (
        numbered(10, "a", {"10.0": 1.0, "+Inf": 2.0}),
        COUNTS,
        NOTHING,
        "by other classes or numbers than stable",
    ),
    "no class in common": (
        counters(10, x=1, other=0),
        COUNTS,
        NOTHING,
        "by other classes or numbers than stable",
    ),
    "scraped twice": (
        (*counters(10, a=1), *counters(9, a=1)),
        COUNTS,
        NOTHING,
        "several series: ml_predicted_total of pod a",
    ),
}


@pytest.mark.parametrize(
    ("answer", "baseline", "measurement", "said"), SILENT.values(), ids=SILENT.keys()
)
def test_what_is_no_evidence_says_why(
    answer: Answer | None, baseline: Answer | None, measurement: Measurement, said: str
) -> None:
    found = Bench(gate()).look(12, answer, baseline)
    assert found.measurement is measurement
    assert said in found.message
    assert found.late is (True if "take the gate out" in found.message else None)


def test_requests_of_many_rows_are_counted_as_fewer() -> None:
    """Each scrape is one request of rows that are all alike: the differences scatter."""
    bench, random = Bench(gate(maxSamples=1_000_000)), np.random.default_rng(1)
    a, b = np.zeros(2), np.zeros(2)
    found = None
    for n in range(60):
        seconds = 5.0 * n + 1
        found = bench.look(
            seconds + 1,
            counters(seconds, a=a[0], b=a[1]),
            counters(seconds, "s", a=b[0], b=b[1]),
        )
        a = a + 50 * random.multinomial(1, (0.5, 0.5))
        b = b + random.multinomial(200, (0.5, 0.5))
    assert found is not None
    assert found.design_effect is not None
    assert 15 < found.design_effect < 80


def test_status_is_bounded_whatever_pods_say() -> None:
    """Hundreds of pods, each with names of its own."""
    bench = Bench(gate())
    for n in range(4):
        ours = [
            s
            for pod in range(120)
            for s in numbered(5 * n + 5, f"p{pod}", {f"{i}" * 30: n * 9.0 for i in range(11)})
        ]
        theirs = [
            s
            for pod in range(120)
            for s in numbered(5 * n + 5, f"s{pod}", {f"{i}" * 30: n * 9.0 for i in range(11)})
        ]
        bench.look(5 * n + 6, tuple(ours), tuple(theirs))
    (evidence,) = bench.evidence
    assert (len(evidence.pods), len(evidence.stable_pods)) == (50, 50)
    assert len(evidence.bins) <= 24
    assert len(evidence.model_dump_json()) < 100_000


def test_the_gate_says_what_the_test_says() -> None:
    """Through pods that restart and come: the sums in status are those of the scrapes."""
    bench, random = Bench(gate(designEffect=1, maxSamples=10_000)), np.random.default_rng(3)
    shift, a, b, c = Shift(), np.zeros(3), np.zeros(3), np.zeros(3)
    names, found = ("x", "y", "other"), None
    for n in range(30):
        seconds = 5.0 * n + 1

        def counted(pod: str, numbers: np.ndarray, at_second: float) -> tuple[Series, ...]:
            return numbered(at_second, pod, dict(zip(names, numbers.tolist(), strict=True)))

        ours = counted("a", a, seconds) + (counted("c", c, seconds) if n >= 10 else ())
        found = bench.look(seconds + 1, ours, counted("s", b, seconds))
        if n == 20:
            a = np.zeros(3)  # it restarts, and what it counts from now on comes on top
        one, other = random.multinomial(5, (0.5, 0.3, 0.2)), random.multinomial(5, (0.5, 0.3, 0.2))
        theirs = random.multinomial(90, (0.4, 0.4, 0.2))
        mine = one + (other if n >= 9 else 0)
        a, b, c = a + one, b + theirs, c + (other if n >= 9 else 0)
        if n < 29:
            pairs = (dict(zip(names, (float(x) for x in k), strict=True)) for k in (mine, theirs))
            shift = added(shift, *pairs)
    assert found is not None
    need = math.log(20)
    assert found.value == pytest.approx(shift.distance, abs=1e-5)
    for told, expected in (
        (found.evidence_for, log_within(shift, 0.1, most=10_000)),
        (found.evidence_against, log_beyond(shift, 0.1, most=10_000)),
    ):
        assert told == pytest.approx(max(0.0, expected / need), abs=2e-3)


ODD: dict[str, tuple[dict[str, float], str]] = {
    "bins of numbers and of classes": ({"0.5": 9, "+Inf": 1, "junk": 3}, "numbers and of classes"),
    "a bin up to no number": ({"0.5": 9, "+Inf": 1, "nan": 3}, "numbers and of classes"),
    "more bins than status keeps": ({f"class {n}": 1 for n in range(24)}, "has 24 bins"),
    "a name longer than status keeps": ({"x" * 65: 1, "y": 1}, "names of 64 letters"),
    "more than a counter tells": ({"a": 1e200, "b": 1}, "is 1e+200, not a count"),
}


@pytest.mark.parametrize(("bins", "sentence"), ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("arm", ["candidate", "stable"])
def test_counters_of_a_server_of_ones_own_are_refused_by_a_sentence(
    bins: dict[str, float], sentence: str, arm: str
) -> None:
    """A pod exports what it likes."""
    odd, plain = counters(1, "o", **bins), counters(1, "p", **{"0.5": 9, "+Inf": 1})
    bench = Bench(gate())
    found = bench.look(2, *((odd, plain) if arm == "candidate" else (plain, odd)))
    assert found.measurement is NOTHING
    assert sentence in found.message


def test_as_many_bins_as_status_keeps_are_compared() -> None:
    names, bench = [f"class {n}" for n in range(23)], Bench(gate())
    for second, n in ((1, 0.0), (6, 50.0)):
        both = [counters(second, pod, **dict.fromkeys(names, n)) for pod in "ps"]
        found = bench.look(second + 1, *both)
    assert found.measurement is PASS
    assert len(bench.evidence[0].bins) == 24
