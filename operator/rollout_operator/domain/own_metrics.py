"""Metrics of one's own: named in the operator's configuration, each with the PromQL that yields it.

One query asks for all parts of a metric, of all rollouts at once. What is written is parsed, so
that whatever cannot be meant is refused at start: no vector, labels that tell no revision, a time
that is not now.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Self

import promql_parser as promql
from pydantic import Field, TypeAdapter, model_validator

from rollout_operator.domain.api.analysis import BUILT_IN, METRIC_NAME, Gate, Metric
from rollout_operator.domain.api.api_types import ApiModel, Duration
from rollout_operator.domain.configured import from_json

EXAMPLE: Final = (
    '{"conversionRate": {"counts": "Share", "better": "Higher", "query": "shop_orders_total",'
    ' "samples": "shop_visits_total"}}'
)
LONGEST_STALE: Final = timedelta(minutes=5)
LONGEST_REACH: Final = timedelta(hours=1)
VALUE: Final = "value"
"""The mean of the values that feedback gave predictions."""
RESERVED: Final = frozenset({*Metric, "route", VALUE})
"""Names that mean, or will mean, something else."""
PART: Final = "rollout_part"
"""Label by which a reply tells the parts of a metric apart."""
GREATEST: Final = 1e100
"""No value that is counted lies beyond it: sums of squares stay finite."""
FARTHEST: Final = 1e4
"""How many times as far from 0 values may lie as they lie apart."""
_CHOOSE = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
"""Aggregations that keep all labels."""
_RENAME = frozenset({"label_replace", "label_join"})


class Counts(StrEnum):
    """What a metric is, and so what its two expressions are."""

    SHARE = "Share"
    """`query` counts some of those that `samples` counts."""
    MEAN = "Mean"
    """`query` sums values, `samples` counts them."""
    PERCENTILE = "Percentile"
    """`query` is the value, of as many as `samples` counts."""
    GAUGE = "Gauge"
    """`query` is the value; `samples`, if given, how many it rests on."""


class Better(StrEnum):
    """Which values are better."""

    HIGHER = "Higher"
    LOWER = "Lower"


class By(StrEnum):
    """By which label, beside `namespace`, the series of a revision are known."""

    REVISION = "Revision"
    POD = "Pod"
    """Of servers that know nothing of revisions: the pod's name tells it."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What one expression of PromQL is like."""

    reach: float
    """How far before its time what it yields may come from, in seconds; 0 for newest samples."""
    counters: bool
    """Whether it yields series just as they were scraped."""


class Bounds(ApiModel, extra="forbid"):
    """What every single value lies between."""

    min: float
    """The least, in the metric's unit."""
    max: float
    """The greatest."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        farthest = max(abs(self.min), abs(self.max))
        if not (math.isfinite(farthest) and self.min < self.max):
            raise ValueError("max is not above min: write what single values lie between")
        if farthest > GREATEST:
            raise ValueError(f"values lie beyond {GREATEST:g}: count them in a greater unit")
        if farthest > FARTHEST * (self.max - self.min):
            # Sums of squares would differ by less than a float of that size tells.
            raise ValueError(
                "values lie so close together, so far from 0, that their sums do not tell them"
                f" apart: count by how much they are above {self.min:g}"
            )
        return self


class OwnMetric(ApiModel, extra="forbid"):
    """One metric of the configuration."""

    query: str = Field(min_length=1, max_length=4096)
    """PromQL, an instant vector with the labels `namespace` and `revision` (or `pod`)."""
    samples: str = Field("", max_length=4096)
    """PromQL of how many samples the value rests on; "" where a Gauge tells nothing of it."""
    squares: str = Field("", max_length=4096)
    """PromQL of the sum of the values' squares; without it a Mean takes more samples."""
    bounds: Bounds | None = None
    """Of a Mean that may be Labelled."""
    counts: Counts
    """What they are."""
    better: Better
    """Which bounds gates may have: `min` and `maxDrop`, or `max` and `maxIncrease`."""
    unit: str = Field("", max_length=32)
    """For sentences, such as `EUR`."""
    stale: Duration = Duration("150s")
    """How old the newest sample may be; two and a half intervals of scrapes let one be lost."""
    by: By = By.REVISION
    """By which label revisions are known."""

    @model_validator(mode="after")
    def _can_be_meant(self) -> Self:
        if self.counts is not Counts.GAUGE and not self.samples:
            raise ValueError(
                f"a {self.counts} rests on samples: write samples, the expression that counts them"
            )
        if self.bounds is not None and self.counts is not Counts.MEAN:
            raise ValueError(f"bounds are of a Mean, not of a {self.counts}: leave them out")
        if self.squares and self.bounds is None:
            raise ValueError("squares go with bounds: write bounds, or leave squares out")
        if not timedelta(seconds=1) <= self.stale <= LONGEST_STALE:
            raise ValueError("stale is from 1s to 5m: write 150s where scrapes are a minute apart")
        for field, text in self.expressions():
            try:
                expression(text, self.by)
            except ValueError as wrong:
                raise ValueError(f"{field}: {wrong}") from wrong
        return self

    def expressions(self) -> Iterator[tuple[str, str]]:
        """What it asks for, by field."""
        yield "query", self.query
        if self.samples:
            yield "samples", self.samples
        if self.squares:
            yield "squares", self.squares

    @property
    def counters(self) -> bool:
        """Whether it is of counters as they were scraped, and of a kind that a test can count: a
        share, or a mean of bounded values.
        """
        told = [expression(text, self.by) for _, text in self.expressions()]
        bounded = self.counts is Counts.MEAN and self.bounds is not None
        return (bounded or self.counts is Counts.SHARE) and all(one.counters for one in told)

    @property
    def lifelong(self) -> bool:
        """Whether its value is of all that was ever counted, because counters are taken as they
        are.
        """
        told = [expression(text, self.by) for _, text in self.expressions()]
        return self.counts in {Counts.SHARE, Counts.MEAN} and not any(one.reach for one in told)

    @property
    def defined(self) -> str:
        """A hash of what is counted: what was counted of another definition is none of this."""
        what = self.model_dump_json(exclude={"better", "unit", "stale"})
        return hashlib.sha256(what.encode()).hexdigest()[:8]

    @property
    def reach(self) -> float:
        """How far before its time the value may come from, in seconds."""
        return max(expression(text, self.by).reach for _, text in self.expressions())


def expression(text: str, by: By) -> Expression:
    """What an expression of PromQL is like. Raises ValueError with what is wrong with it."""
    return _expression(text.strip(), by)


@lru_cache(maxsize=1024)
def _expression(text: str, by: By) -> Expression:
    try:
        parsed = promql.parse(text)
        promql.parse(labelled(text, "value"))
    except ValueError as wrong:
        raise ValueError(_no_vector(str(wrong))) from wrong
    if _is_number(parsed):
        raise ValueError("it is a number, the same for all: write an expression over series")
    reach = _reach(parsed)
    if reach > LONGEST_REACH.total_seconds():
        raise ValueError(f"it looks back {reach:.0f} s: write ranges of an hour at most")
    needed = ("namespace", "revision" if by is By.REVISION else "pod")
    if lost := _lost(parsed, needed):
        raise ValueError(
            f"{lost} leaves out {' and '.join(needed)}, by which revisions are known: write by"
            f" ({', '.join(needed)})"
        )
    return Expression(reach, _is_counters(parsed))


def _no_vector(said: str) -> str:
    if found := re.search(
        r"expected type vector in call to function 'label_replace', got (\w+)", said
    ):
        kind = "a range of samples" if found[1] == "matrix" else f"a {found[1]}"
        return f"it is {kind}, and no value for each revision: write an instant vector"
    return f"it is no PromQL: {said}"


def labelled(text: str, part: str) -> str:
    """The expression, its series labelled with the part that they are."""
    # A comment at its end goes no further than its line.
    return f'label_replace((\n{text}\n), "{PART}", "{part}", "", "")'


def _children(one: promql.Expr) -> Iterator[promql.Expr]:
    match one:
        case promql.BinaryExpr():
            yield from (one.lhs, one.rhs)
        case promql.Call():
            yield from one.args
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr():
            yield one.expr
        case promql.SubqueryExpr():
            yield one.expr
        case promql.MatrixSelector():
            yield one.vector_selector


def _is_number(one: promql.Expr) -> bool:
    """Whether nothing in it is a series."""
    return not isinstance(one, promql.VectorSelector) and all(map(_is_number, _children(one)))


def _reach(one: promql.Expr) -> float:
    """How far back it looks, in seconds. Raises ValueError for what is of another time than now."""
    back = timedelta()
    if isinstance(one, promql.VectorSelector | promql.SubqueryExpr):
        if one.at is not None:
            raise ValueError("@ looks at one time for ever: leave it out")
        back += one.offset or timedelta()
        if back < timedelta():
            raise ValueError("a negative offset looks at the future: leave it out")
    if isinstance(one, promql.MatrixSelector | promql.SubqueryExpr):
        back += one.range or timedelta()
    return back.total_seconds() + max(map(_reach, _children(one)), default=0.0)


def _lost(one: promql.Expr, needed: tuple[str, ...]) -> str:
    """The aggregation that leaves a needed label out; "" where none does for sure."""
    if isinstance(one, promql.AggregateExpr):
        operator, modifier = str(one.op), one.modifier
        if operator in _CHOOSE:
            return _lost(one.expr, needed)
        kept = modifier is not None and (
            set(needed) <= set(modifier.labels)
            if modifier.type == promql.AggModifierType.By
            else not set(needed) & set(modifier.labels)
        )
        return "" if kept else operator
    if isinstance(one, promql.Call) and one.func.name in _RENAME:
        return ""
    if isinstance(one, promql.BinaryExpr) and one.modifier is not None:
        if one.modifier.group_labels:
            return ""
        # One to one, only what is matched by is kept; `and`, `or` and `unless` keep all.
        matching, single = one.modifier.matching, promql.VectorMatchCardinality.OneToOne
        if one.modifier.card == single and matching is not None and not _keeps(matching, needed):
            return f"{one.op} {matching}"
    return next((lost for child in _children(one) if (lost := _lost(child, needed))), "")


def _keeps(matching: promql.LabelModifier, needed: tuple[str, ...]) -> bool:
    """Whether a match one to one keeps these labels."""
    given = set(matching.labels)
    included = matching.type == promql.LabelModifierType.Include
    return set(needed) <= given if included else not set(needed) & given


def _is_counters(one: promql.Expr) -> bool:
    match one:
        case promql.VectorSelector():
            # What a rule has recorded is a sum, by convention with a colon in its name, and falls
            # whenever one of its processes ends.
            return one.offset is None and not any(":" in name for name in _names(one))
        case promql.ParenExpr():
            return _is_counters(one.expr)
        case promql.Call() if one.func.name in _RENAME:
            return _is_counters(one.args[0])
        case promql.BinaryExpr() if str(one.op) == "or":
            return _is_counters(one.lhs) and _is_counters(one.rhs)
        case promql.AggregateExpr() if str(one.op) == "max":
            # Every pod tells alike what a store has counted, and the greatest never falls.
            told = one.expr
            return isinstance(told, promql.VectorSelector) and (
                str(told.name or "").startswith(OF_A_STORE)
            )
    return False


def _names(one: promql.VectorSelector) -> Iterator[str]:
    """The names that a selector may have."""
    yield one.name or ""
    for matcher in one.matchers.matchers:
        if matcher.name == "__name__":
            yield matcher.value.replace("(?:", "(")


class OwnMetrics:
    """The metrics of the operator's configuration, by name."""

    def __init__(self, given: Mapping[str, OwnMetric]) -> None:
        self.by_name = dict(sorted(given.items()))

    def refusal(self, gate: Gate) -> str:
        """Why a gate cannot be measured, with what to write instead; "" where it can."""
        if gate.metric is not Metric.OWN:
            return ""
        own = self.by_name.get(gate.name)
        if own is None:
            known = [*BUILT_IN, *self.by_name]
            none = "" if self.by_name else " (the operator's configuration has no metrics)"
            return (
                f"no metric is called {gate.name}: write {', '.join(known[:-1])} or"
                f" {known[-1]}{none}"
            )
        return _misfit(gate, own)


NO_METRICS = OwnMetrics({})


def _misfit(gate: Gate, own: OwnMetric) -> str:
    """Why a gate is none for this metric; "" where it is one."""
    name, share = gate.name, own.counts is Counts.SHARE
    if gate.of_good is not (own.better is Better.HIGHER):
        bounds = "min or maxDrop" if own.better is Better.HIGHER else "max or maxIncrease"
        return f"of {name} {own.better.lower()} values are better: write {bounds}"
    most = 0.5 if gate.against_stable else 1.0
    if share and not 0 <= gate.threshold <= most:
        return f"{name} is a share from 0 to 1: write a bound from 0 to {most:g}"
    if gate.labelled and not own.counters:
        bounded = " and with bounds" if own.counts is Counts.MEAN else ""
        return (
            f"{name} cannot be Labelled: leave evidence out, or have it a Share or a Mean of"
            f" counters in the configuration, without ranges, functions and sums{bounded}"
        )
    if gate.labelled and (why := _unprovable(gate, own)):
        return f"{name} {why}"
    if gate.against_stable and not gate.labelled and own.lifelong:
        instead = "write evidence: Labelled, or " if own.counters else ""
        return (
            f"{name} is of all that was ever counted, of stable since long before: {instead}have"
            " query and samples in the configuration with a range, such as increase(…[5m])"
        )
    return ""


def _unprovable(gate: Gate, own: OwnMetric) -> str:
    """Why no count proves the bound of a Labelled gate; "" where one may."""
    low, high = (own.bounds.min, own.bounds.max) if own.bounds is not None else (0.0, 1.0)
    if gate.against_stable:
        return (
            ""
            if gate.threshold < high - low
            else f"lies between {low:g} and {high:g}: write how much worse it may be, less than"
            f" {high - low:g}"
        )
    eased = gate.threshold + (-gate.tolerance if gate.of_good else gate.tolerance)
    if not (low < gate.threshold < high and low < eased < high):
        return f"lies between {low:g} and {high:g}: write a bound within, beyond tolerance too"
    return ""


OF_A_STORE = "ml_feedback_stored_"
"""What the names of counters begin with that a store keeps."""
_READER = TypeAdapter(dict[Annotated[str, Field(pattern=METRIC_NAME, max_length=32)], OwnMetric])


class Values(ApiModel, extra="forbid"):
    """What the values of feedback are, from 0 on."""

    max: float = Field(gt=0, lt=1e150)
    """The greatest; what is above counts as that."""
    better: Better
    """Which values are better."""
    unit: str = Field("", max_length=32)
    """For sentences, such as `EUR`."""


def values_of(text: str) -> Values | None:
    """What MODEL_VALUES says, a JSON object; None for "". Raises ValueError."""
    if not text.strip():
        return None
    example = '{"max": 200, "better": "Higher", "unit": "EUR"}'
    return from_json("MODEL_VALUES", text, dict, TypeAdapter(Values), example)


def _also_stored(series: str) -> str:
    """The counter, and what a store has counted: every pod has that, and the greatest is newest."""
    stored = series.replace("ml_feedback_", OF_A_STORE, 1)
    return f"{series} or max by (namespace, revision) ({stored})"


def _of_feedback(values: Values) -> OwnMetric:
    """The metric that our model servers' own series are."""
    return OwnMetric(
        query=_also_stored("ml_feedback_value_sum_total"),
        samples=_also_stored("ml_feedback_values_total"),
        squares=_also_stored("ml_feedback_value_squares_total"),
        bounds=Bounds(min=0, max=values.max),
        counts=Counts.MEAN,
        better=values.better,
        unit=values.unit,
    )


def configured_metrics(env: Mapping[str, str]) -> OwnMetrics:
    """All that the operator's variables name. Raises ValueError."""
    found = own_metrics(env.get("ROLLOUT_METRICS", ""))
    values = values_of(env.get("MODEL_VALUES", ""))
    if values is None:
        return found
    return OwnMetrics({**found.by_name, VALUE: _of_feedback(values)})


def own_metrics(text: str) -> OwnMetrics:
    """The metrics of ROLLOUT_METRICS, a JSON object by name; none for "". Raises ValueError."""
    if not text.strip():
        return NO_METRICS
    given = from_json("ROLLOUT_METRICS", text, dict, _READER, EXAMPLE)
    if taken := sorted(RESERVED & set(given)):
        raise ValueError(
            f"ROLLOUT_METRICS cannot be used: {taken[0]} means something else already: take"
            " another name"
        )
    return OwnMetrics(given)


def refused_gates(gates: Iterable[Gate], known: OwnMetrics) -> Iterator[tuple[int, str]]:
    """Which gates cannot be measured, by their number, and why."""
    for number, gate in enumerate(gates):
        if why := known.refusal(gate):
            yield number, why
