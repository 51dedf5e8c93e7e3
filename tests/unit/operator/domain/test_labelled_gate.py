"""Labelled gates: exact chances of a wrong verdict, golden counts, and counting through restarts,
resets and gaps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import ville
from scipy import optimize, special, stats

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus, Measurement
from rollout_operator.domain.gates import sequential_test
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series
from tests.support.boundaries import Boundaries, boundaries, chances
from tests.support.builders import START, at, revision

PASS, FAIL, UNDECIDED, UNREACHABLE = (
    Measurement.PASS,
    Measurement.FAIL,
    Measurement.NO_EVIDENCE,
    Measurement.UNREACHABLE,
)
STABLE, CANDIDATE = revision(1, promoted=True), revision(2, ready_at=START)


def gate(**changes: Any) -> Gate:
    bound: dict[str, Any] = (
        {} if {"maxDrop", "max", "maxIncrease"} & set(changes) else {"min": 0.70}
    )
    return Gate.model_validate(
        {"metric": "accuracy", "evidence": "Labelled", "minSamples": 1, **bound, **changes}
    )


def labels(
    right: float, wrong: float, second: float, pod: str = "a", predicted: float | None = None
) -> tuple[Series, ...]:
    """Counters of one pod as they stand at that second."""
    moment = at(second).timestamp()
    made = predicted if predicted is not None else right + wrong
    return (
        Series("ml_feedback_total", pod, moment, right, outcome="correct"),
        Series("ml_feedback_total", pod, moment, wrong, outcome="wrong"),
        Series("ml_predictions_total", pod, moment, made),
    )


@dataclass
class Bench:
    """A gate fed look by look, as `decide` does it; the evidence is all that lasts from one look to
    the next.
    """

    gate: Gate
    evidence: tuple[EvidenceStatus, ...] = ()
    tests: int = 1

    def look(
        self, second: float, answer: Answer | None, baseline: Answer | None = ()
    ) -> GateStatus:
        trial = Trial(CANDIDATE, STABLE, START, at(second), self.tests, 10)
        said, counted = measure_labels(self.gate, answer, baseline, trial, self.evidence)
        # A status goes through JSON at every write.
        self.evidence = (
            () if counted is None else (EvidenceStatus.model_validate(counted.to_api()),)
        )
        return said


# --- chances ---


@cache
def lines(threshold: float) -> Boundaries:
    return boundaries(gate(min=threshold), 2000)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9, 0.99])
def test_at_the_threshold_each_verdict_is_at_most_as_likely_as_alpha(threshold: float) -> None:
    found = chances(lines(threshold), threshold)
    assert found.promote <= 0.05
    assert found.roll_back <= 0.05
    assert found.promote > 0.02, "a test that never decides would pass, too"


@pytest.mark.parametrize("share", [0.55, 0.65, 0.75, 0.85, 0.95])
def test_a_verdict_takes_little_more_than_the_fewest_labels_possible(share: float) -> None:
    found = chances(lines(0.70), share)
    assert found.labels <= 1.35 * math.log(20) / sequential_test.kl(share, 0.70)
    assert (found.promote if share > 0.70 else found.roll_back) > 0.96


def test_several_gates_share_the_chance_to_roll_back() -> None:
    assert Bench(gate(), tests=1).look(5, labels(0, 6, 4)).measurement is FAIL
    assert Bench(gate(), tests=10).look(5, labels(0, 6, 4)).measurement is UNDECIDED


GOLDEN: dict[str, tuple[int, int, dict[str, Any], Measurement]] = {
    "52 right of 60": (52, 8, {}, PASS),
    "6 wrong of 6": (0, 6, {}, FAIL),
    "350 right of 500": (350, 150, {}, UNDECIDED),
    "11 right of 11": (11, 0, {}, UNDECIDED),
    "12 right of 12": (12, 0, {}, PASS),
    "12 right of 12 where 30 are needed": (12, 0, {"minSamples": 30}, UNDECIDED),
    "5 wrong of 5": (0, 5, {}, UNDECIDED),
    "no label": (0, 0, {}, UNDECIDED),
    "counts of a design effect of 4": (52, 8, {"designEffect": 4}, UNDECIDED),
    "at the threshold, with tolerance": (700, 300, {"tolerance": 0.05}, PASS),
    "at the threshold, without": (700, 300, {}, UNDECIDED),
}


@pytest.mark.parametrize(
    ("right", "wrong", "changes", "measurement"), GOLDEN.values(), ids=GOLDEN.keys()
)
def test_golden_counts(
    right: int, wrong: int, changes: dict[str, Any], measurement: Measurement
) -> None:
    said = Bench(gate(**changes)).look(5, labels(right, wrong, 4))
    assert said.measurement is measurement, said.message
    assert said.samples == right + wrong


def test_golden_evidence_and_bounds() -> None:
    said = Bench(gate()).look(5, labels(52, 8, 4))
    assert (said.evidence_for or 0) * math.log(20) == pytest.approx(3.53, abs=0.02)
    assert said.lower == pytest.approx(0.713, abs=0.002)
    assert said.upper == pytest.approx(0.957, abs=0.002)
    assert said.value == pytest.approx(52 / 60, abs=1e-6)


@pytest.mark.parametrize(
    ("right", "wrong", "threshold"),
    [(52, 8, 0.7), (0, 6, 0.7), (350, 150, 0.7), (12, 0, 0.9), (988, 12, 0.99), (3, 9, 0.5)],
)
def test_the_evidence_is_what_scipy_makes_of_the_definition(
    right: int, wrong: int, threshold: float
) -> None:
    """The mean likelihood ratio of alternatives whose KL divergence is ln(1/alpha)/n, by other
    people's root finder and binomials.
    """
    for above in (True, False):
        ratios = []
        for n in (10, 40, 160, 640):

            def gap(q: float, n: int = n) -> float:
                distance: float = special.rel_entr(q, threshold) + special.rel_entr(
                    1 - q, 1 - threshold
                )
                return distance - math.log(20) / n

            far = 1 - 1e-3 * (1 - threshold) if above else 1e-3 * threshold
            q = optimize.brentq(gap, threshold, far) if gap(far) > 0 else far
            ratios.append(
                stats.binom.logpmf(right, right + wrong, q)
                - stats.binom.logpmf(right, right + wrong, threshold)
            )
        expected = special.logsumexp(ratios) - math.log(len(ratios))
        assert sequential_test.log_e(right, wrong, threshold, above) == pytest.approx(
            expected, abs=1e-6
        )


def test_an_independent_package_never_says_the_opposite() -> None:
    """ville's Beta-binomial confidence sequence is another mixture for the same question."""
    agreed = 0
    for n in (5, 10, 20, 40, 80, 160, 320):
        for right in range(n + 1):
            said = Bench(gate()).look(5, labels(right, n - right, 4)).measurement
            oracle = ville.BernoulliCS(alpha=0.10, intersect=False).update(
                np.array([1.0] * right + [0.0] * (n - right))
            )
            above, below = oracle.lower_[-1] > 0.70, oracle.upper_[-1] < 0.70
            assert not (said is PASS and below), (right, n)
            assert not (said is FAIL and above), (right, n)
            agreed += (
                (said is PASS and above)
                or (said is FAIL and below)
                or (said is UNDECIDED and not above and not below)
            )
    assert agreed > 0.9 * sum(n + 1 for n in (5, 10, 20, 40, 80, 160, 320))


# --- not worse than stable ---


def ramp(
    generator: np.random.Generator, gap: float, base: tuple[float, float], most: int = 2000
) -> Iterator[tuple[int, int, int, int]]:
    """Labels of each scrape while the weight goes from 10 to 50 % and stable's accuracy drifts;
    ends with `most` of the candidate.
    """
    counted, scrapes = 0, 70
    for k in range(scrapes):
        done = k / scrapes
        n = round(100 * (0.1 + 0.4 * done))
        stable = base[0] + (base[1] - base[0]) * done
        yield (
            int(generator.binomial(n, stable - gap)),
            n,
            int(generator.binomial(100 - n, stable)),
            100 - n,
        )
        counted += n
        if counted >= most:
            return


def verdict(generator: np.random.Generator, gap: float, base: tuple[float, float]) -> Measurement:
    """How a gate of maxDrop 0.05 ends over such a ramp, through the real gate code."""
    wealth, need = sequential_test.Wealth(), math.log(20)
    for xc, nc, xs, ns in ramp(generator, gap, base):
        wealth = sequential_test.pair_step(wealth, sequential_test.Scrape(xc, nc, xs, ns), 0.05)
        if wealth.above and sequential_test.log_mean_exp(wealth.above) >= need:
            return PASS
        if wealth.below and sequential_test.log_mean_exp(wealth.below) >= need:
            return FAIL
    return UNDECIDED


@pytest.mark.parametrize(
    "base", [(0.9, 0.7), (0.7, 0.9)], ids=["stable gets worse", "stable gets better"]
)
def test_a_ramp_over_a_drifting_baseline_decides_wrongly_in_at_most_5_percent(
    base: tuple[float, float],
) -> None:
    """The candidate is exactly maxDrop worse: either verdict is wrong."""
    generator = np.random.default_rng(7)
    ends = [verdict(generator, 0.05, base) for _ in range(120)]
    assert ends.count(PASS) <= 6
    assert ends.count(FAIL) <= 6


@pytest.mark.parametrize(
    ("gap", "right"), [(0.0, PASS), (0.17, FAIL)], ids=["an equal candidate", "one far worse"]
)
def test_a_ramp_over_a_drifting_baseline_still_decides_clear_cases(
    gap: float, right: Measurement
) -> None:
    generator = np.random.default_rng(8)
    ends = [verdict(generator, gap, (0.9, 0.7)) for _ in range(20)]
    assert ends.count(right) >= 19


# --- counting ---


def stream(seed: int = 3, scrapes: int = 30) -> list[tuple[int, int]]:
    generator = np.random.default_rng(seed)
    return [(int(generator.binomial(4, 0.85)), 4) for _ in range(scrapes)]


def ending(
    bench: Bench, restarted_at: int | None = None, reset_at: int | None = None
) -> list[tuple[Measurement, float | None]]:
    """Feed the stream; the operator forgets everything but the evidence at one scrape, or the pod's
    counters begin anew.
    """
    right = wrong = 0
    said = []
    for k, (good, n) in enumerate(stream()):
        if k == reset_at:
            right = wrong = 0
        if k == restarted_at:
            bench = Bench(
                bench.gate,
                tuple(
                    EvidenceStatus.model_validate_json(e.model_dump_json(by_alias=True))
                    for e in bench.evidence
                ),
            )
        right, wrong = right + good, wrong + n - good
        answer = labels(right, wrong, 5 * k + 4, predicted=right + wrong)
        one = bench.look(5 * k + 5, answer)
        # Looking twice at the same scrape counts it once.
        assert bench.look(5 * k + 6, answer).samples == one.samples
        said.append((one.measurement, one.value))
    return said


@pytest.mark.parametrize("scrape", range(1, 30))
def test_an_operator_killed_between_scrapes_comes_to_the_same_verdicts(scrape: int) -> None:
    assert ending(Bench(gate()), restarted_at=scrape) == ending(Bench(gate()))


@pytest.mark.parametrize("scrape", range(1, 30))
def test_counters_that_begin_anew_come_to_the_same_verdicts(scrape: int) -> None:
    # The new container has counted fewer labels than the old one had, as after every restart that
    # is scraped in time.
    assert [m for m, _ in ending(Bench(gate()), reset_at=scrape)][scrape + 8 :] == [
        m for m, _ in ending(Bench(gate()))
    ][scrape + 8 :]


def test_a_reset_is_seen_by_either_counter() -> None:
    bench = Bench(gate())
    bench.look(5, labels(10, 5, 4))
    said = bench.look(10, labels(12, 0, 9))
    assert said.samples == 15 + 12


def test_pods_add_up_and_a_pod_that_is_gone_keeps_its_labels() -> None:
    bench = Bench(gate())
    bench.look(5, labels(10, 2, 4) + labels(8, 0, 4, "b"))
    assert bench.look(10, labels(11, 2, 9)).samples == 21
    assert bench.look(15, labels(11, 2, 14) + labels(4, 0, 14, "c")).samples == 25


def test_an_older_answer_changes_nothing() -> None:
    bench = Bench(gate())
    bench.look(10, labels(20, 2, 9))
    assert bench.look(11, labels(10, 1, 5)).samples == 22


def test_a_retry_goes_on_with_the_evidence() -> None:
    bench = Bench(gate())
    bench.look(5, labels(20, 2, 4))
    again = replace(
        Trial(CANDIDATE.model_copy(update={"ready_at": at(100)}), STABLE, at(100), at(110)),
        weight=10,
    )
    said, counted = measure_labels(
        bench.gate, labels(10, 1, 109, "new-pod"), (), again, bench.evidence
    )
    assert said.samples == 33
    assert counted is not None
    assert (counted.since, counted.before) == (at(100), 22)


NOT_COUNTED: dict[str, tuple[Answer | None, Measurement]] = {
    "not asked": (None, UNDECIDED),
    "unreachable": (MetricsUnreachable("refused"), UNREACHABLE),
    "no series": ((), UNDECIDED),
    "only predictions": (labels(30, 0, 9)[2:], UNDECIDED),
    "NaN": ((replace(labels(30, 0, 9)[0], value=math.nan), *labels(30, 0, 9)[1:]), UNDECIDED),
    "+Inf": ((replace(labels(30, 0, 9)[0], value=math.inf), *labels(30, 0, 9)[1:]), UNDECIDED),
    "below 0": ((replace(labels(30, 0, 9)[0], value=-1.0), *labels(30, 0, 9)[1:]), UNDECIDED),
    "older than Ready": (labels(30, 0, -1), UNDECIDED),
    "from the future": (labels(30, 0, 60), UNDECIDED),
    "two series of one counter": (labels(30, 0, 9) + labels(30, 0, 9)[:1], UNDECIDED),
}


@pytest.mark.parametrize(("answer", "measurement"), NOT_COUNTED.values(), ids=NOT_COUNTED.keys())
def test_what_cannot_be_counted_is_no_evidence(
    answer: Answer | None, measurement: Measurement
) -> None:
    said = Bench(gate()).look(10, answer)
    assert said.measurement is measurement
    assert not said.samples


def test_what_was_counted_survives_an_answer_that_cannot_be_read() -> None:
    bench = Bench(gate())
    bench.look(5, labels(20, 2, 4))
    assert bench.look(10, MetricsUnreachable("refused")).samples == 22
    assert bench.look(15, labels(26, 2, 14)).samples == 28


# --- labels that are late, missing, or not independent ---


def test_missing_labels_count_against_either_verdict() -> None:
    assert Bench(gate()).look(5, labels(52, 8, 4, predicted=70)).measurement is PASS
    low = Bench(gate()).look(5, labels(52, 8, 4, predicted=120))
    assert (low.measurement, low.coverage) == (UNDECIDED, 0.5)
    assert Bench(gate()).look(5, labels(0, 8, 4, predicted=100)).measurement is UNDECIDED
    assert Bench(gate(minCoverage=0)).look(5, labels(52, 8, 4, predicted=1000)).measurement is PASS


def test_predictions_younger_than_the_label_delay_need_no_label_yet() -> None:
    bench = Bench(gate(labelDelay="60s"))
    early = bench.look(5, labels(0, 0, 4, predicted=50))
    assert early.measurement is UNDECIDED
    assert "60s" in early.message
    assert bench.look(50, labels(20, 0, 49, predicted=500)).measurement is UNDECIDED
    ripe = bench.look(66, labels(48, 2, 65, predicted=660))
    assert (ripe.measurement, ripe.coverage) == (PASS, 1.0)


def test_labels_that_come_in_clumps_count_for_less() -> None:
    clumps, even = Bench(gate()), Bench(gate())
    for k in range(1, 21):
        said = clumps.look(5 * k, labels(10 * ((k + 1) // 2), 10 * (k // 2), 5 * k - 1))
        plain = even.look(5 * k, labels(5 * k, 5 * k, 5 * k - 1))
    assert (said.design_effect or 1) > 5
    assert plain.design_effect is None
    assert (said.evidence_against or 0) < (plain.evidence_against or 0)


def test_the_estimate_needs_five_scrapes() -> None:
    bench = Bench(gate())
    for k in range(1, 5):
        assert (
            bench.look(5 * k, labels(10 * ((k + 1) // 2), 10 * (k // 2), 5 * k - 1)).design_effect
            is None
        )


# --- what is shown ---


def test_labels_left_and_when_they_will_be_there() -> None:
    said = Bench(gate()).look(100, labels(17, 3, 99))
    assert said.labels_left is not None
    assert said.eta == at(100) + timedelta(seconds=said.labels_left / (20 / 100))


def test_before_the_first_label_the_offline_accuracy_tells_how_many_it_takes() -> None:
    offline = Series("ml_model_accuracy", "a", at(4).timestamp(), 0.85)
    said = Bench(gate()).look(5, (*labels(0, 0, 4), offline))
    assert said.labels_left == math.ceil(1.25 * math.log(20) / sequential_test.kl(0.85, 0.70))


def test_at_the_threshold_no_end_is_promised() -> None:
    said = Bench(gate()).look(100, labels(70, 30, 99))
    assert said.labels_left is None
    assert said.eta is None


def test_max_samples_without_a_verdict_is_inconclusive() -> None:
    assert Bench(gate(maxSamples=100)).look(5, labels(70, 30, 4)).inconclusive is True
    assert Bench(gate(maxSamples=101)).look(5, labels(70, 30, 4)).inconclusive is None


def requests(total: float, errors: float, second: float) -> tuple[Series, ...]:
    moment = at(second).timestamp()
    return Series("ml_request_count_total", "a", moment, total), Series(
        "ml_request_errors_total", "a", moment, errors
    )


def test_an_error_rate_is_proved_by_counts_of_requests() -> None:
    errors = gate(metric="errorRate", max=0.01)
    said = Bench(errors).look(5, requests(2000, 4, 4))
    assert said.measurement is PASS
    assert said.value == pytest.approx(0.002)
    assert (said.lower or 1) < 0.002 < (said.upper or 0) < 0.01
    assert Bench(errors).look(5, requests(200, 20, 4)).measurement is FAIL


def test_a_latency_is_proved_by_the_share_of_fast_requests() -> None:
    def buckets(fast: float, total: float) -> tuple[Series, ...]:
        name, moment = "ml_request_latency_seconds_bucket", at(4).timestamp()
        return tuple(
            Series(name, "a", moment, n, le=le)
            for le, n in (("0.1", fast), ("0.25", fast), ("0.5", total), ("+Inf", total))
        )

    latency = gate(metric="latencyP95Seconds", max=0.25)
    assert Bench(latency).look(5, buckets(998, 1000)).measurement is PASS
    assert Bench(latency).look(5, buckets(800, 1000)).measurement is FAIL
    assert (
        Bench(gate(metric="latencyP95Seconds", max=0.05)).look(5, buckets(998, 1000)).measurement
        is UNDECIDED
    )


def test_a_difference_to_stable_counts_only_scrapes_of_both() -> None:
    bench = Bench(gate(maxDrop=0.05))
    stable = [labels(800 + 40 * k, 200 + 10 * k, 5 * k + 4, "s") for k in range(40)]
    ours = [labels(8 * k, 2 * k, 5 * k + 4) for k in range(40)]
    said = [bench.look(5 * k + 5, ours[k], stable[k]) for k in range(20)]
    assert said[-1].measurement is not FAIL
    before = said[-1].samples
    assert bench.look(105, ours[20], ()).measurement is UNDECIDED
    later = bench.look(115, ours[22], stable[22])
    assert later.samples == (before or 0) + 30, (
        "nothing is lost, it comes with the next scrape of both"
    )


def test_intervals_narrow_as_labels_come_in() -> None:
    widths = [
        hi - lo for lo, hi in (sequential_test.interval(0.8 * n, 0.2 * n) for n in (5, 20, 80, 320))
    ]
    assert all(a > b for a, b in pairwise(widths))
    assert sequential_test.interval(0, 0) == (0.0, 1.0)
