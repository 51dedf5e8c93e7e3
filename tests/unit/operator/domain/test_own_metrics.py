"""Metrics of one's own: what of their configuration is refused, and what gates make of replies."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus, Measurement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.gates.load import Arms, measure_under_load
from rollout_operator.domain.gates.promql import own_form, read_own, series_of
from rollout_operator.domain.gates.watched_gate import Watched, measure_watched
from rollout_operator.domain.observed import Answer, MetricsUnreachable
from rollout_operator.domain.own_metrics import (
    By,
    OwnMetric,
    configured_metrics,
    expression,
    own_metrics,
)
from rollout_operator.domain.rollout import Rollout
from tests.support.builders import START, at, revision

PASS, FAIL, NO_EVIDENCE = Measurement.PASS, Measurement.FAIL, Measurement.NO_EVIDENCE
OURS, THEIRS = revision(2), revision(1)
NOW = 400
CONVERSION = {
    "counts": "Share",
    "better": "Higher",
    "query": "shop_orders_total",
    "samples": "shop_visits_total",
}
LATELY = {
    "counts": "Share",
    "better": "Higher",
    "query": "sum by (namespace, revision) (increase(shop_orders_total[5m]))",
    "samples": "sum by (namespace, revision) (increase(shop_visits_total[5m]))",
}
REFUNDS = CONVERSION | {"better": "Lower", "query": "shop_refunds_total"}
REVENUE = {
    "counts": "Mean",
    "better": "Higher",
    "unit": "EUR",
    "query": "sum by (namespace, revision) (increase(shop_revenue_total[2m]))",
    "samples": "sum by (namespace, revision) (increase(shop_orders_total[2m]))",
}
ORDERS = {
    "counts": "Mean",
    "better": "Higher",
    "unit": "EUR",
    "query": "shop_revenue_total",
    "samples": "shop_orders_total",
    "squares": "shop_revenue_squared_total",
    "bounds": {"min": -100, "max": 400},
}
P99 = {
    "counts": "Percentile",
    "better": "Lower",
    "unit": "s",
    "by": "Pod",
    "query": "histogram_quantile(0.99, sum by (namespace, pod, le) (rate(srv_seconds_bucket[2m])))",
    "samples": "sum by (namespace, pod) (increase(srv_seconds_count[2m]))",
}
QUEUE = {"counts": "Gauge", "better": "Lower", "query": "max by (namespace, revision) (queue_size)"}


def metric(given: Mapping[str, Any]) -> OwnMetric:
    return OwnMetric.model_validate(given)


REFUSED: dict[str, tuple[object, str]] = {
    "no object": ([], "ROLLOUT_METRICS is no JSON object"),
    "a name that is built in": ({"errorRate": CONVERSION}, "errorRate means something else"),
    "a name with a dash": ({"conversion-rate": CONVERSION}, "conversion-rate"),
    "a word that it does not know": ({"c": CONVERSION | {"window": "5m"}}, "c.window"),
    "a share without samples": ({"c": CONVERSION | {"samples": ""}}, "a Share rests on samples"),
    "no PromQL": ({"c": CONVERSION | {"query": "sum(x"}}, "query: it is no PromQL: unclosed"),
    "a number": ({"c": CONVERSION | {"samples": "1"}}, "samples: it is a scalar"),
    "a constant vector": ({"c": CONVERSION | {"query": "vector(1)"}}, "it is a number, the same"),
    "a text": ({"c": QUEUE | {"query": '"x"'}}, "it is a string"),
    "a range": ({"c": QUEUE | {"query": "x[5m]"}}, "it is a range of samples"),
    "a sum over all": ({"c": QUEUE | {"query": "sum(x)"}}, "sum leaves out namespace and revision"),
    "a sum without the revision": (
        {"c": QUEUE | {"query": "max by (namespace) (x)"}},
        "write by (namespace, revision)",
    ),
    "a sum that takes the label away": (
        {"c": QUEUE | {"query": "sum without (revision) (x) / 2"}},
        "sum leaves out",
    ),
    "by pod, a sum by revision": (
        {"c": QUEUE | {"by": "Pod", "query": "max by (namespace, revision) (x)"}},
        "write by (namespace, pod)",
    ),
    "one time for ever": ({"c": QUEUE | {"query": "x @ 1609746000"}}, "@ looks at one time"),
    "the future": ({"c": QUEUE | {"query": "x offset -5m"}}, "looks at the future"),
    "too far back": ({"c": QUEUE | {"query": "rate(x[2h])"}}, "write ranges of an hour at most"),
    "bounds of a share": (
        {"c": CONVERSION | {"bounds": {"min": 0, "max": 1}}},
        "bounds are of a Mean, not of a Share",
    ),
    "bounds that sums do not tell apart": (
        {"c": ORDERS | {"bounds": {"min": 1e6, "max": 1e6 + 1}}},
        "count by how much they are above 1e+06",
    ),
    "bounds beyond all sums": (
        {"c": ORDERS | {"bounds": {"min": 0, "max": 1e200}}},
        "values lie beyond 1e+100",
    ),
    "matched by what is no revision": (
        {"c": QUEUE | {"query": "x * on (namespace) y"}},
        "* on (namespace) leaves out namespace and revision",
    ),
    "matched by all but the revision": (
        {"c": QUEUE | {"query": "x / ignoring (revision) y"}},
        "/ ignoring (revision) leaves out",
    ),
    "bounds the wrong way round": (
        {"c": ORDERS | {"bounds": {"min": 5, "max": 5}}},
        "max is not above min",
    ),
    "squares without bounds": ({"c": REVENUE | {"squares": "x"}}, "squares go with bounds"),
    "squares that are no PromQL": ({"c": ORDERS | {"squares": "x["}}, "squares: it is no PromQL"),
    "as stale as that": ({"c": QUEUE | {"stale": "10m"}}, "stale is from 1s to 5m"),
}


@pytest.mark.parametrize(("given", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused(given: object, why: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is what matters
        own_metrics(json.dumps(given))
    assert why in str(refused.value)


EXPRESSIONS: dict[str, tuple[str, float, bool]] = {
    "a counter": ('x_total{job="shop"}', 0, True),
    "a counter, renamed": ('label_replace(x, "revision", "$1", "version", "(.*)")', 0, True),
    "one or the other counter": ("(x or y)", 0, True),
    "a counter by a pattern of names": ('{__name__=~"(?:x|y)_total"}', 0, True),
    "a sum that a rule has recorded": ("namespace_revision:x:sum", 0, False),
    "the same, by a matcher": ('{__name__="namespace_revision:x:sum"}', 0, False),
    "one that the other has, too": ("x and on (namespace) y", 0, False),
    "a counter as it was": ("x offset 5m", 300, False),
    "a sum of counters": ("sum by (namespace, revision) (x)", 0, False),
    "a rate": ("sum by (namespace, revision) (rate(x[5m]))", 300, False),
    "a rate as it was": ("rate(x[5m] offset 1m)", 360, False),
    "a subquery": ("max_over_time(rate(x[1m])[10m:1m])", 660, False),
    "joined with what knows the revision": (
        "sum by (namespace, pod) (x) * on (namespace, pod) group_left (revision) y",
        0,
        False,
    ),
    "a comment at the end": ("x # all of them", 0, True),
}


@pytest.mark.parametrize(
    ("text", "reach", "counters"), EXPRESSIONS.values(), ids=EXPRESSIONS.keys()
)
def test_what_an_expression_is_like(text: str, reach: float, counters: bool) -> None:
    found = expression(text, By.REVISION)
    assert (found.reach, found.counters) == (reach, counters)


GATES: dict[str, tuple[dict[str, Any], str]] = {
    "at least": ({"metric": "conversionRate", "min": 0.03}, ""),
    "against stable by counts": (
        {"metric": "conversionRate", "maxDrop": 0.01, "evidence": "Labelled"},
        "",
    ),
    "against stable lately": ({"metric": "lately", "maxDrop": 0.01}, ""),
    "built in": ({"metric": "errorRate", "max": 0.01}, ""),
    "unknown": (
        {"metric": "conversion", "min": 0.03},
        "inputDrift, disagreement, conversionRate, lately, orders, p99 or revenue",
    ),
    "the wrong way round": ({"metric": "p99", "min": 1}, "of p99 lower values are better: write"),
    "no share": ({"metric": "conversionRate", "min": 3}, "a share from 0 to 1"),
    "labels of what is no share": (
        {"metric": "revenue", "min": 0.5, "evidence": "Labelled"},
        "revenue cannot be Labelled: leave evidence out, or have it a Share or a Mean of counters",
    ),
    "labels of a range": (
        {"metric": "lately", "min": 0.5, "evidence": "Labelled"},
        "lately cannot be Labelled: leave evidence out",
    ),
    "a share of all": (
        {"metric": "conversionRate", "min": 1, "evidence": "Labelled"},
        "conversionRate lies between 0 and 1: write a bound within",
    ),
    "a mean by its values": ({"metric": "orders", "min": 12.5, "evidence": "Labelled"}, ""),
    "a mean below all that it may be": (
        {"metric": "orders", "min": -100, "evidence": "Labelled"},
        "orders lies between -100 and 400: write a bound within",
    ),
    "a tolerance below all that it may be": (
        {"metric": "orders", "min": 10, "tolerance": 110, "evidence": "Labelled"},
        "beyond tolerance too",
    ),
    "a mean against stable by its values": (
        {"metric": "orders", "maxDrop": 5, "evidence": "Labelled"},
        "",
    ),
    "a mean that may be as much worse as there is": (
        {"metric": "orders", "maxDrop": 500, "evidence": "Labelled"},
        "write how much worse it may be, less than 500",
    ),
    "a lifelong mean against stable": (
        {"metric": "orders", "maxDrop": 5},
        "of stable since long before: write evidence: Labelled, or have query and samples",
    ),
    "lifetimes against each other": (
        {"metric": "conversionRate", "maxDrop": 0.01},
        "write evidence: Labelled, or have",
    ),
}
KNOWN = own_metrics(
    json.dumps(
        {
            "conversionRate": CONVERSION,
            "lately": LATELY,
            "orders": ORDERS,
            "revenue": REVENUE,
            "p99": P99,
        }
    )
)


@pytest.mark.parametrize(("given", "why"), GATES.values(), ids=GATES.keys())
def test_a_gate_that_cannot_be_measured_is_no_spec(given: dict[str, Any], why: str) -> None:
    raw = {
        "metadata": {"namespace": "ml", "name": "iris"},
        "spec": {
            "modelUri": "models:/iris/7",
            "traffic": {"host": "iris.example.com"},
            "analysis": {"gates": [{"metric": "accuracy", "min": 0.7}, given]},
        },
        "status": {},
    }
    read = Rollout.read(raw, mirrors=False, metrics=KNOWN)
    assert (read.spec is None) is bool(why)
    assert why in read.error
    assert not why or read.error.startswith("spec.analysis.gates[1]: ")


def reply(*series: tuple[str, str, float], seconds: float = NOW, **labels: str) -> bytes:
    """Part, revision (or pod) and value of each series, as Prometheus has them."""
    result: list[dict[str, Any]] = [
        {
            "metric": {
                "rollout_part": part,
                "namespace": "ml",
                "pod" if "-" in whose else "revision": whose,
            }
            | labels,
            "value": [at(seconds).timestamp(), str(value)],
        }
        for part, whose, value in series
    ]
    return json.dumps(
        {"status": "success", "data": {"resultType": "vector", "result": result}}
    ).encode()


def answer(given: Mapping[str, Any], body: bytes, whose: str = OURS.revision) -> Answer:
    found = read_own(metric(given), 200, body)
    assert not isinstance(found, MetricsUnreachable), found
    return series_of(found, "ml", "iris", whose)


R, S = OURS.revision, THEIRS.revision
POD, OTHER = f"iris-{R}-6d5f-abcde", f"iris-{R}-6d5f-fghij"
MEASURED: dict[str, tuple[dict[str, Any], dict[str, Any], bytes, Measurement, str]] = {
    "a share that holds": (
        CONVERSION,
        {"min": 0.03},
        reply(("counted", R, 40), ("of", R, 1000)),
        PASS,
        "own 0.04 is at least 0.03, 1000 samples",
    ),
    "a share that does not": (
        CONVERSION,
        {"min": 0.03},
        reply(("counted", R, 20), ("of", R, 1000)),
        FAIL,
        "own 0.02 is below 0.03",
    ),
    "what never happened": (
        CONVERSION,
        {"min": 0.03},
        reply(("of", R, 1000), ("counted", S, 9)),
        FAIL,
        "own 0 is below",
    ),
    "what never happened anywhere, or is called otherwise": (
        CONVERSION,
        {"min": 0.03},
        reply(("of", R, 1000)),
        NO_EVIDENCE,
        "own: query has no series of any revision, and may be called otherwise",
    ),
    "too few": (
        CONVERSION,
        {"min": 0.03},
        reply(("counted", R, 1), ("of", R, 20)),
        NO_EVIDENCE,
        "20 of the 30 samples needed",
    ),
    "more than all": (
        CONVERSION,
        {"min": 0.03},
        reply(("counted", R, 50), ("of", R, 40)),
        NO_EVIDENCE,
        "50 of 40 cannot be a share",
    ),
    "nothing": (CONVERSION, {"min": 0.03}, reply(), NO_EVIDENCE, "no series of this revision"),
    "a mean with its unit": (
        REVENUE,
        {"min": 10},
        reply(("sum", R, 1250), ("samples", R, 100)),
        PASS,
        "own 12.5 EUR is at least 10",
    ),
    "a mean of nothing": (
        REVENUE,
        {"min": 10, "minSamples": 1},
        reply(("sum", R, 0), ("samples", R, 0)),
        NO_EVIDENCE,
        "0 of the 1 samples needed",
    ),
    "a mean against stable": (
        REVENUE,
        {"maxDrop": 1},
        reply(("sum", R, 1000), ("samples", R, 100), ("sum", S, 9000), ("samples", S, 750)),
        FAIL,
        "own 10 is 2 worse than stable's 12",
    ),
    "a mean of counters": (
        ORDERS,
        {"min": 10},
        reply(("mean", R, 1000), ("meanOf", R, 100), ("meanSquares", R, 40000)),
        PASS,
        "own 10 EUR is at least 10, 100 samples",
    ),
    "a mean beyond its bounds": (
        ORDERS,
        {"min": 10},
        reply(("mean", R, 50000), ("meanOf", R, 100), ("meanSquares", R, 25e6)),
        NO_EVIDENCE,
        "values lie beyond the bounds",
    ),
    "the slowest pod": (
        P99,
        {"max": 0.5},
        reply(
            ("value", POD, 0.2),
            ("samples", POD, 500),
            ("value", OTHER, 0.7),
            ("samples", OTHER, 90),
        ),
        FAIL,
        "own 0.7 s is above 0.5, 90 samples",
    ),
    "pods of another revision": (
        P99,
        {"max": 0.5},
        reply(("value", f"iris-{S}-6d5f-abcde", 0.7), ("samples", f"iris-{S}-6d5f-abcde", 90)),
        NO_EVIDENCE,
        "no series of this revision",
    ),
    "a percentile of nothing": (
        P99,
        {"max": 0.5},
        reply(("value", POD, float("nan")), ("samples", POD, 0)),
        NO_EVIDENCE,
        "its value is nan",
    ),
    "a gauge": (QUEUE, {"max": 10}, reply(("value", R, 3)), PASS, "own 3 is at most 10, revision"),
    "two gauges of one revision": (
        QUEUE,
        {"max": 10},
        reply(("value", R, 3)).replace(b"}]", b"}, ")[:-2]
        + reply(("value", R, 4), zone="b").split(b'"result": [')[1],
        NO_EVIDENCE,
        "several series of one revision",
    ),
}


@pytest.mark.parametrize(
    ("given", "bound", "body", "says", "words"), MEASURED.values(), ids=MEASURED.keys()
)
def test_what_a_reported_gate_says(
    given: dict[str, Any], bound: dict[str, Any], body: bytes, says: Measurement, words: str
) -> None:
    gate = Gate.model_validate({"metric": "own", **bound})
    arms = Arms(answer(given, body), answer(given, body, S))
    said = measure_under_load(gate, arms, Trial(OURS, THEIRS, START, at(NOW)))
    assert words in said.message
    assert said.measurement is says


def test_a_range_says_nothing_of_a_trial_that_began_within_it() -> None:
    gate = Gate(metric="lately", min=0.03)
    body = reply(("share", R, 40), ("samples", R, 1000))
    whole = Trial(OURS, THEIRS, START, at(NOW))
    began = replace(whole, since=at(NOW - 299))
    told = answer(LATELY, body)
    assert measure_under_load(gate, Arms(told, None), whole).measurement is PASS
    said = measure_under_load(gate, Arms(told, None), began)
    assert said.measurement is NO_EVIDENCE
    assert "no sample yet since" in said.message
    assert "it is of the last 300 s" in said.message


def test_one_query_asks_for_all_parts_and_says_how_stale_they_may_be() -> None:
    form = own_form(metric(CONVERSION | {"query": "shop_orders_total # orders", "stale": "40s"}))
    assert form["query"].count(" or ") == 1
    assert '"rollout_part", "counted"' in form["query"]
    assert '"rollout_part", "of"' in form["query"]
    assert (form["lookback_delta"], form["step"]) == ("40s", "40s")


def labelled(
    given: Mapping[str, Any], bound: Mapping[str, Any], scrapes: list[list[tuple[int, int]]]
) -> tuple[Measurement, EvidenceStatus]:
    """What the gate says at last; of each scrape: orders and visits of each of the pods."""
    gate = Gate.model_validate({"metric": "own", "evidence": "Labelled", **bound})
    known: tuple[EvidenceStatus, ...] = ()
    said = None
    for number, pods in enumerate(scrapes):
        result = []
        for pod, (counted, of) in enumerate(pods):
            for part, value in (("counted", counted), ("of", of)):
                one = reply((part, R, value), seconds=20 + number, instance=f"10.0.0.{pod}:80")
                result += json.loads(one)["data"]["result"]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})
        trial = Trial(OURS, THEIRS, START, at(20 + number))
        said, counted_now = measure_labels(gate, answer(given, body.encode()), None, trial, known)
        assert counted_now is not None
        known = (counted_now,)
    assert said is not None
    return said.measurement, known[0]


def test_counters_of_processes_that_restart_are_counted_exactly() -> None:
    scrapes = [
        [(2, 20), (3, 30)],
        [(4, 40), (3, 35)],
        # The second process has restarted, and has counted 4 visits since.
        [(5, 60), (1, 4)],
        # It is gone; another one has come.
        [(7, 80), (1, 4), (2, 10)],
    ]
    _, evidence = labelled(CONVERSION, {"min": 0.03, "designEffect": 1}, scrapes)
    assert (evidence.good, evidence.total) == (7 + 3 + 1 + 2, 80 + 35 + 4 + 10)


LABELLED: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[int, int], Measurement]] = {
    "clearly more": (CONVERSION, {"min": 0.3}, (40, 80), PASS),
    "clearly less": (CONVERSION, {"min": 0.3}, (8, 80), FAIL),
    "about as many": (CONVERSION, {"min": 0.3}, (26, 80), NO_EVIDENCE),
    "clearly fewer refunds": (REFUNDS, {"max": 0.3}, (8, 80), PASS),
    "clearly more refunds": (REFUNDS, {"max": 0.3}, (40, 80), FAIL),
}


@pytest.mark.parametrize(
    ("given", "bound", "counted", "says"), LABELLED.values(), ids=LABELLED.keys()
)
def test_a_share_is_proved_by_counts(
    given: dict[str, Any], bound: dict[str, Any], counted: tuple[int, int], says: Measurement
) -> None:
    assert labelled(given, bound, [[counted]])[0] is says


def of_values(
    values: list[float], bound: Mapping[str, Any], squares: bool = True
) -> tuple[GateStatus, EvidenceStatus]:
    """What a Labelled gate on a mean says of these values, half of which each of two processes
    counts; after most of them the first one has restarted.
    """
    given = ORDERS if squares else {k: v for k, v in ORDERS.items() if k != "squares"}
    gate = Gate.model_validate({"metric": "orders", "evidence": "Labelled", **bound})
    most, said = len(values) * 3 // 4, None
    known: tuple[EvidenceStatus, ...] = ()
    for number, counted in enumerate((values[:most], values[most:])):
        result: list[dict[str, Any]] = []
        # The second process has its sums still; the first one counts anew.
        for process, of in enumerate((counted[::2], (values if number else counted)[1::2])):
            sums = {"mean": sum(of), "meanOf": len(of), "meanSquares": sum(v * v for v in of)}
            for part, value in sums.items():
                if squares or part != "meanSquares":
                    instance = f"10.0.0.{process}:80"
                    one = reply((part, R, value), seconds=20 + number, instance=instance)
                    result += json.loads(one)["data"]["result"]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})
        trial = Trial(OURS, THEIRS, START, at(20 + number))
        said, evidence = measure_labels(gate, answer(given, body.encode()), None, trial, known)
        assert evidence is not None
        known = (evidence,)
    assert said is not None
    return said, known[0]


VALUES = [-100.0, 400.0, 12.5, 30.0, 0.0, -20.0, 99.9, 50.0] * 50
"""On average 59.05."""
MEANS: dict[str, tuple[list[float], dict[str, Any], Measurement]] = {
    "clearly more": (VALUES, {"min": 20}, PASS),
    "clearly less": (VALUES, {"min": 110}, FAIL),
    "about as much": (VALUES, {"min": 58}, NO_EVIDENCE),
    "about as much, and so much less is borne": (VALUES, {"min": 58, "tolerance": 38}, PASS),
    "too few": (VALUES[:16], {"min": 20}, NO_EVIDENCE),
    "clearly at most": (VALUES, {"max": 110}, PASS),
    "clearly not at most": (VALUES, {"max": 20}, FAIL),
}


@pytest.mark.parametrize(("values", "bound", "says"), MEANS.values(), ids=MEANS.keys())
def test_a_mean_is_proved_by_its_values(
    values: list[float], bound: dict[str, Any], says: Measurement
) -> None:
    said, evidence = of_values(values, bound)
    assert said.measurement is says
    assert said.samples == evidence.total == len(values)
    assert said.value == pytest.approx(sum(values) / len(values), abs=1e-5)
    assert "EUR on average" in said.message


def test_without_squares_a_mean_takes_more() -> None:
    with_squares, _ = of_values(VALUES, {"min": 20})
    without, evidence = of_values(VALUES, {"min": 20}, squares=False)
    assert evidence.predicted == pytest.approx(evidence.good)
    assert with_squares.evidence_for is not None
    assert without.evidence_for is not None
    assert 0 < without.evidence_for < with_squares.evidence_for


WATCHED: dict[str, tuple[dict[str, Any], dict[str, Any], bytes, Measurement]] = {
    "a share that fell for sure": (
        LATELY,
        {"min": 0.3},
        reply(("share", R, 20), ("samples", R, 400)),
        FAIL,
    ),
    "a share below by chance": (
        LATELY,
        {"min": 0.3},
        reply(("share", R, 115), ("samples", R, 400)),
        PASS,
    ),
    "a percentile": (
        P99,
        {"max": 0.5},
        reply(("value", POD, 9), ("samples", POD, 90)),
        NO_EVIDENCE,
    ),
}


@pytest.mark.parametrize(("given", "bound", "body", "says"), WATCHED.values(), ids=WATCHED.keys())
def test_what_is_proved_in_a_watch(
    given: dict[str, Any], bound: dict[str, Any], body: bytes, says: Measurement
) -> None:
    gate = Gate.model_validate({"metric": "own", **bound})
    watched = Watched(Trial(OURS, None, START, at(NOW)), 100)
    said, counted = measure_watched(gate, answer(given, body), watched, ())
    assert (said.measurement, counted) == (says, None)


def test_counters_are_watched_from_where_they_stood() -> None:
    gate = Gate.model_validate({"metric": "own", "min": 0.3})
    known: tuple[EvidenceStatus, ...] = ()
    said = []
    # Of a thousand visits before the watch every one ended well; of those in it few do.
    for look, (counted, of) in enumerate([(1000, 1000), (1001, 1040), (1002, 1080), (1003, 1200)]):
        moment = NOW + look * 60
        body = reply(("counted", R, counted), ("of", R, of), seconds=moment, instance="10.0.0.1:80")
        watched = Watched(Trial(OURS, None, at(NOW), at(moment + 1)), 100)
        if look == 0:
            watched = Watched(Trial(OURS, None, START, at(moment + 1)), 100)
        measured, evidence = measure_watched(gate, answer(CONVERSION, body), watched, known)
        known = (evidence,) if evidence is not None else ()
        said.append(measured)
    assert said[0].measurement is NO_EVIDENCE
    assert said[-1].measurement is FAIL
    assert said[-1].value == pytest.approx(3 / 200)
    assert said[-1].samples == 200


def test_values_of_feedback_are_a_metric_where_they_are_configured() -> None:
    env = {"MODEL_VALUES": '{"max": 200, "better": "Higher", "unit": "EUR"}'}
    gate = Gate.model_validate({"metric": "value", "min": 1.5, "evidence": "Labelled"})
    assert not configured_metrics(env).refusal(gate)
    assert "no metric is called value" in configured_metrics({}).refusal(gate)
    form = own_form(configured_metrics(env).by_name["value"])
    for name in ("ml_feedback_value_sum", "ml_feedback_values", "ml_feedback_value_squares"):
        assert f"{name}_total" in form["query"]


UNREADABLE: dict[str, tuple[str, str]] = {
    "no object": ("200", "MODEL_VALUES is no JSON object"),
    "nothing below max": ('{"max": 0, "better": "Higher"}', "max: "),
    "nobody knows what is better": ('{"max": 5}', "better: "),
}


@pytest.mark.parametrize(("given", "why"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_values_that_cannot_be_meant_are_refused(given: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is what matters
        configured_metrics({"MODEL_VALUES": given})
    assert why in str(refused.value)
