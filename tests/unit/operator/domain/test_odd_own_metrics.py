"""Metrics of one's own whose series are not as they should be: what is not known passes nobody and
fails nobody, and what one revision exposes says nothing of another.
"""

import json
import math
from typing import Any

import pytest

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus, Measurement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.label_counters import MOST_PODS
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.gates.load import Arms, measure_under_load
from rollout_operator.domain.gates.promql import Snapshot, own_form, read_own, series_of
from rollout_operator.domain.gates.watched_gate import Watched, measure_watched
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.domain.own_metrics import OwnMetric
from tests.support.builders import START, at, revision

PASS, FAIL, NO_EVIDENCE = Measurement.PASS, Measurement.FAIL, Measurement.NO_EVIDENCE
OURS, THEIRS = revision(2), revision(1)
R, S = OURS.revision, THEIRS.revision
NOW = 400
Given = dict[str, Any]
ORDERS: Given = {
    "counts": "Share",
    "better": "Higher",
    "query": "shop_orders_total",
    "samples": "shop_visits_total",
}
REFUNDS: Given = ORDERS | {"better": "Lower", "query": "shop_refunds_total"}
REVENUE: Given = {
    "counts": "Mean",
    "better": "Higher",
    "query": "shop_revenue_total",
    "samples": "shop_visits_total",
    "squares": "shop_revenue_squared_total",
    "bounds": {"min": 0, "max": 100},
}
LATELY: Given = {
    "counts": "Mean",
    "better": "Higher",
    "query": "sum by (namespace, revision) (increase(shop_revenue_total[2m]))",
    "samples": "sum by (namespace, revision) (increase(shop_visits_total[2m]))",
}
P99: Given = {
    "counts": "Percentile",
    "better": "Lower",
    "by": "Pod",
    "query": "histogram_quantile(0.99, sum by (namespace, pod, le) (rate(srv_seconds_bucket[2m])))",
    "samples": "sum by (namespace, pod) (increase(srv_seconds_count[2m]))",
}
QUEUE: Given = {"counts": "Gauge", "better": "Lower", "query": "queue_size"}


def metric(given: Given) -> OwnMetric:
    return OwnMetric.model_validate(given)


def one(part: str, value: object, seconds: float = NOW, **labels: str) -> Given:
    """One series of a reply; of the candidate, where no label says another."""
    whose = {} if "revision" in labels or "-" in labels.get("pod", "") else {"revision": R}
    return {
        "metric": {"rollout_part": part, "namespace": "ml"} | whose | labels,
        "value": [at(seconds).timestamp(), str(value)],
    }


def reply(*series: Given, **more: object) -> bytes:
    told = {"status": "success", "data": {"resultType": "vector", "result": list(series)}}
    return json.dumps(told | more).encode()


def snapshot(given: Given, body: bytes) -> Snapshot:
    found = read_own(metric(given), 200, body)
    assert not isinstance(found, MetricsUnreachable), found
    return found


def said(
    given: Given,
    bound: Given,
    body: bytes,
    known: tuple[EvidenceStatus, ...] = (),
    seconds: float = NOW,
) -> tuple[GateStatus, EvidenceStatus | None]:
    """What a gate says, and what it has counted."""
    gate = Gate.model_validate({"metric": "own", **bound})
    found = snapshot(given, body)
    ours, theirs = (series_of(found, "ml", "iris", whose) for whose in (R, S))
    trial = Trial(OURS, THEIRS, START, at(seconds))
    if gate.labelled:
        return measure_labels(gate, ours, theirs, trial, known)
    return measure_under_load(gate, Arms(ours, theirs), trial), None


def processes(most: int) -> bytes:
    """Each has seen four visits, and one order."""
    told = (("counted", 1), ("of", 4))
    return reply(*(one(part, n, pod=f"shop{pod}") for pod in range(most) for part, n in told))


LABELLED = {"evidence": "Labelled"}
POD = f"iris-{R}-6d5f-abcde"
DOUBLED = [
    one(part, value, NOW, pod="shop1", instance="10.0.0.1:80", job=job, **more)
    for job, more in (("pods", {}), ("shop/services", {"service": "shop", "endpoint": "http"}))
    for part, value in (("counted", 4), ("of", 16))
]
SAID: dict[str, tuple[Given, Given, bytes, Measurement, str]] = {
    "orders that other pods count": (
        ORDERS,
        {"min": 0.03} | LABELLED,
        reply(one("counted", 100, pod="shop1"), one("of", 1000, pod="web1")),
        NO_EVIDENCE,
        "shop1 counts what query asks for, and not what samples does",
    ),
    "refunds that other pods count": (
        REFUNDS,
        {"max": 0.03} | LABELLED,
        reply(one("counted", 900, pod="shop1"), one("of", 1000, pod="web1")),
        NO_EVIDENCE,
        "Labelled needs both from one process",
    ),
    "as it is, it matters not who counts": (
        REFUNDS,
        {"max": 0.03},
        reply(one("counted", 900, pod="shop1"), one("of", 1000, pod="web1")),
        FAIL,
        "own 0.9 is above 0.03",
    ),
    "revenue that other pods count": (
        REVENUE,
        {"min": 1} | LABELLED,
        reply(
            one("mean", 4000, pod="shop1"),
            one("meanSquares", 90000, pod="shop1"),
            one("meanOf", 1000, pod="web1"),
        ),
        NO_EVIDENCE,
        "shop1 counts what query asks for",
    ),
    "refunds that nobody has a series of": (
        REFUNDS,
        {"max": 0.03} | LABELLED,
        reply(one("of", 1000)),
        NO_EVIDENCE,
        "query has no series of any revision",
    ),
    "the same, as it is": (
        REFUNDS,
        {"max": 0.03},
        reply(one("of", 1000)),
        NO_EVIDENCE,
        "query has no series of any revision",
    ),
    "no refund of this revision": (
        REFUNDS,
        {"max": 0.03} | LABELLED,
        reply(one("of", 1000), one("counted", 1, revision=S), one("of", 10, revision=S)),
        PASS,
        "1000 of 1000 samples good",
    ),
    "a process that has sold nothing": (
        REVENUE,
        {"min": 10} | LABELLED,
        reply(one("meanOf", 1000), one("mean", 5, revision=S), one("meanOf", 1, revision=S)),
        FAIL,
        "0 on average, 1000 samples",
    ),
    "as many processes as status holds": (
        ORDERS,
        {"min": 0.03} | LABELLED,
        reply(
            *(
                one(p, v, pod=f"s{n}")
                for n in range(MOST_PODS)
                for p, v in (("counted", 1), ("of", 4))
            )
        ),
        PASS,
        "200 of 800 samples good",
    ),
    "more processes than status holds": (
        ORDERS,
        {"min": 0.03} | LABELLED,
        processes(MOST_PODS + 1),
        NO_EVIDENCE,
        "201 processes count own, and 200 at most can be told apart",
    ),
    "one process, scraped by two jobs with labels of their own": (
        ORDERS,
        {"min": 0.5} | LABELLED,
        reply(*DOUBLED),
        NO_EVIDENCE,
        "4 of 16 samples good",
    ),
    "a percentile whose pod tells no samples": (
        P99,
        {"max": 0.5},
        reply(one("value", 0.2, pod=POD), one("samples", 1000)),
        NO_EVIDENCE,
        "0 of the 30 samples needed",
    ),
    "sums too great for a number": (
        LATELY,
        {"min": 10},
        reply(one("sum", 1e308, shop="a"), one("sum", 1e308, shop="b"), one("samples", 100)),
        NO_EVIDENCE,
        "its sum is not finite",
    ),
    "another revision's sums that are none": (
        LATELY,
        {"min": 10},
        reply(
            one("sum", 5000),
            one("samples", 100),
            one("sum", "+Inf", shop="a", revision=S),
            one("sum", "-Inf", shop="b", revision=S),
        ),
        PASS,
        "own 50 is at least 10",
    ),
    "a difference that is no number": (
        QUEUE,
        {"maxIncrease": 1},
        reply(one("value", 1.7e308), one("value", -1.7e308, revision=S)),
        NO_EVIDENCE,
        "differ by no number",
    ),
    "another revision's native histogram": (
        QUEUE,
        {"max": 5},
        reply(
            one("value", 3),
            {
                "metric": {"rollout_part": "value", "namespace": "ml", "revision": S},
                "histogram": [at(NOW).timestamp(), {"count": "3", "sum": "4"}],
            },
        ),
        PASS,
        "own 3 is at most 5",
    ),
    "what Prometheus says of somebody's series": (
        QUEUE,
        {"max": 5},
        reply(one("value", 3), warnings=['PromQL warning: bucket label "le" is missing']),
        PASS,
        "own 3 is at most 5",
    ),
}


@pytest.mark.parametrize(
    ("given", "bound", "body", "says", "words"), SAID.values(), ids=SAID.keys()
)
def test_what_odd_series_say(
    given: Given, bound: Given, body: bytes, says: Measurement, words: str
) -> None:
    told, _ = said(given, bound, body)
    assert words in told.message
    assert told.measurement is says
    assert told.value is None or math.isfinite(told.value)


UNREACHABLE: dict[str, tuple[bytes, str]] = {
    "native histograms alone": (
        reply({"metric": {"rollout_part": "value"}, "histogram": [1.0, {"count": "3"}]}),
        "its series are native histograms, and no numbers: take histogram_quantile",
    ),
    "an answer of some of the stores": (
        reply(one("value", 3), warnings=["store 10.0.0.1 is down"]),
        "Prometheus warns: store 10.0.0.1 is down",
    ),
}


@pytest.mark.parametrize(("body", "why"), UNREACHABLE.values(), ids=UNREACHABLE.keys())
def test_what_is_no_answer(body: bytes, why: str) -> None:
    found = read_own(metric(QUEUE), 200, body)
    assert isinstance(found, MetricsUnreachable)
    assert why in found.message


ANEW: dict[str, tuple[Given, bool]] = {
    "another expression": ({"query": "shop_paid_orders_total"}, True),
    "other samples": ({"samples": "shop_sessions_total"}, True),
    "another unit": ({"unit": "%"}, False),
    "staler": ({"stale": "40s"}, False),
}


@pytest.mark.parametrize(("change", "anew"), ANEW.values(), ids=ANEW.keys())
def test_a_metric_defined_anew_in_a_trial_is_counted_anew(change: Given, anew: bool) -> None:
    bound = {"min": 0.3} | LABELLED
    first = reply(one("counted", 60), one("of", 100))
    _, counted = said(ORDERS, bound, first)
    assert counted is not None
    later = reply(one("counted", 30, NOW + 9), one("of", 200, NOW + 9))
    told, after = said(ORDERS | change, bound, later, (counted,), NOW + 9)
    assert after is not None
    # Counters of one metric that fall have begun anew, and go on with what was counted before.
    assert (after.good, after.total) == ((30, 200) if anew else (90, 300))
    assert told.samples == after.total


def test_a_metric_defined_anew_in_a_watch_is_counted_from_where_it_stands() -> None:
    gate = Gate.model_validate({"metric": "own", "min": 0.3})
    known: tuple[EvidenceStatus, ...] = ()
    changed = ORDERS | {"query": "shop_paid_orders_total"}
    told = None
    for look, (given, counted, of) in enumerate(
        [(ORDERS, 500, 1000), (ORDERS, 550, 1100), (changed, 1, 1200), (changed, 51, 1300)]
    ):
        seconds = NOW + 60 * look
        body = reply(one("counted", counted, seconds), one("of", of, seconds))
        watched = Watched(Trial(OURS, None, START, at(seconds)), 100)
        ours = series_of(snapshot(given, body), "ml", "iris", R)
        told, evidence = measure_watched(gate, ours, watched, known)
        assert evidence is not None
        known = (evidence,)
    assert told is not None
    assert told.measurement is PASS
    assert (known[0].good, known[0].total) == (50, 100)


PODS: dict[str, tuple[str, str]] = {
    "as pods are called": ("iris-{0}-6d5f8b9c44-abcde", "iris"),
    "a name of 37 letters": ("{1:i<37}-{0}-6d5f8b9c44-abcde", f"{'':i<37}"),
    "one that has lost the end of the hash": ("{1:i<40}-{0}-6d5f8b9cabcde", f"{'':i<40}"),
    "one that has lost the hash": ("{1:i<48}-{0}-abcde", f"{'':i<48}"),
}


@pytest.mark.parametrize(("pod", "rollout"), PODS.values(), ids=PODS.keys())
def test_a_pod_tells_its_revision_however_long_its_name(pod: str, rollout: str) -> None:
    name = pod.format(R, "")
    assert len(name) <= 63
    body = reply(one("value", 0.2, pod=name), one("samples", 100, pod=name))
    found = snapshot(P99, body)
    assert [s.pod for s in series_of(found, "ml", rollout, R)] == [name, name]


def test_values_far_from_0_are_counted_once() -> None:
    """Their sums differ by less and less of what a float tells."""
    given = REVENUE | {"bounds": {"min": 9999, "max": 10001}}
    known: tuple[EvidenceStatus, ...] = ()
    count, total, squares = 0, 0.0, 0.0
    for look in range(40):
        for number in range(5000):
            value = 10000 + math.sin(number)
            count, total, squares = count + 1, total + value, squares + value * value
        seconds = NOW + look
        body = reply(
            *(
                one(part, repr(told), seconds)
                for part, told in (("meanOf", count), ("mean", total), ("meanSquares", squares))
            )
        )
        told, evidence = said(given, {"min": 9999.5} | LABELLED, body, known, seconds)
        assert evidence is not None
        known = (evidence,)
        assert told.samples == count
    assert known[0].predicted == pytest.approx(count * (0.25 + 0.125), rel=1e-2)


def test_what_is_asked_is_one_query_whatever_comments_say() -> None:
    form = own_form(metric(ORDERS | {"query": 'shop_orders_total{shop="#1"} # of the day'}))
    assert form["query"].count("label_replace") == 2
