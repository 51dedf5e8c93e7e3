"""What Prometheus is asked, and how its reply is read: the same for the operator and for people who
want to see what it sees.

A range selector in an instant query gives the samples with their own timestamps, and none after a
series went stale; `last_over_time` or a plain selector would give the time of the query instead.
Source: prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.
"""

import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.names import revision_name
from rollout_operator.domain.gates.samples import (
    ACCURACY,
    ACCURACY_SAMPLES,
    COUNTED,
    COUNTED_OF,
    CPU_PERIODS,
    CPU_THROTTLED,
    DRIFT,
    DRIFT_PREDICTIONS,
    DRIFT_PSI,
    DRIFT_ROWS,
    ERRORS,
    FEEDBACK,
    INPUT,
    INPUT_TRAINED,
    LATENCY_BUCKET,
    LONGEST_WINDOW,
    MEAN,
    MEAN_OF,
    MEAN_SQUARES,
    PREDICTED,
    PREDICTIONS,
    REQUESTS,
    RETRACTED,
    SAMPLES,
    SCRAPES,
    SHADOW,
    SHARE,
    STORED,
    SUM,
    VALUE,
)
from rollout_operator.domain.observed import MetricsUnreachable, Series
from rollout_operator.domain.own_metrics import PART, By, Counts, OwnMetric, labelled
from rollout_operator.domain.prometheus_access import PrometheusAccess
from rollout_operator.domain.prometheus_refusal import refusal
from rollout_operator.domain.replies import first_line

NAMES: Mapping[Metric, tuple[str, ...]] = {
    Metric.ACCURACY: (ACCURACY, ACCURACY_SAMPLES, FEEDBACK, STORED, RETRACTED, PREDICTIONS),
    Metric.ERROR_RATE: (REQUESTS, ERRORS, CPU_PERIODS, CPU_THROTTLED),
    Metric.LATENCY_P95: (LATENCY_BUCKET, CPU_PERIODS, CPU_THROTTLED),
    Metric.PREDICTION_SHIFT: (PREDICTED, PREDICTIONS),
    Metric.INPUT_DRIFT: (INPUT, INPUT_TRAINED, PREDICTIONS),
    Metric.DISAGREEMENT: (SHADOW, PREDICTIONS),
}
"""The series behind each metric."""
LEAST_SHARE = 0.001
"""Of a bin, in a PSI: one that training never saw does not make it infinite."""


def query(metric: Metric, window: float = LONGEST_WINDOW.total_seconds(), **labels: str) -> str:
    """The query for a metric, of all rollouts or of those whose series carry `labels`; window: how
    far it looks back, in seconds.
    """
    of = [f"{name}={json.dumps(value)}" for name, value in labels.items()]
    if metric is Metric.INPUT_DRIFT:
        return _input_drift(f"{{{', '.join(of)}}}" if of else "")
    matchers = [f'__name__=~"{"|".join(NAMES[metric])}"', *of]
    return f"{{{', '.join(matchers)}}}[{math.ceil(window)}s]"


def _input_drift(of: str) -> str:
    """PSI by column and the rows behind it, of all pods since they started; and predictions, so
    that pods without a profile can be told from those that nobody scrapes. Computed over there: of
    each column there are 11 bins in each pod. Counters that went stale are left out.
    """
    column = "sum by (namespace, revision, column)"
    live = f"sum by (namespace, revision, column, bin) ({INPUT}{of})"
    rows = f"{column} ({INPUT}{of})"
    share = f"clamp_min({live} / ignoring (bin) group_left {rows}, {LEAST_SHARE})"
    trained = f"avg by (namespace, revision, column, bin) ({INPUT_TRAINED}{of})"
    trained = f"clamp_min({trained}, {LEAST_SHARE})"
    psi = f"{column} (({share} - {trained}) * ln({share} / {trained}))"
    predictions = f"sum by (namespace, revision) ({PREDICTIONS}{of})"
    answers = {DRIFT_PSI: psi, DRIFT_ROWS: rows, DRIFT_PREDICTIONS: predictions}
    named = (
        f'label_replace(label_replace({expression}, "bin", "{what}", "", ""), "__name__",'
        f' "{DRIFT}", "", "")'
        for what, expression in answers.items()
    )
    # A subquery of one step, because a matrix is what is read.
    return f"({' or '.join(named)})[1s:1s]"


SCRAPERS = frozenset({"job", "prometheus", "prometheus_replica"})
"""Labels of who has scraped: series that differ in nothing else are one."""
ANYBODY = PrometheusAccess()
Key = tuple[str, str]
"""Namespace and revision; of a metric by pods: namespace and Deployment."""
Snapshot = Mapping[Key, tuple[Series, ...]]
Parts = dict[tuple[str, str, str, str], list[tuple[float, float]]]
"""Times and values by namespace, revision or Deployment, process, and part of a metric."""
_Told = tuple[float, float, tuple[str, ...]]
"""Time, value, and who has scraped it."""
_OF_ONE_SERIES = "PromQL warning: "
"""How Prometheus begins what it says of single series, which it leaves out: nobody else's series
say less for it.
"""
_LONGEST_POD = 63
"""From that length on, a pod's name has lost the end of what comes before its five letters."""
_CUT = re.compile("(.+-[0-9a-f]{8})-[^-]*")
"""Such a name: that of a revision's Deployment, and what is left."""
_HISTOGRAMS = (
    "its series are native histograms, and no numbers: take histogram_quantile, histogram_count or"
    " histogram_sum of them"
)


class _Unusable(Exception):
    """A reply that is no answer; the message is a sentence."""


def read(
    status: int, body: bytes, access: PrometheusAccess = ANYBODY
) -> Snapshot | MetricsUnreachable:
    """Read a reply of the query API; whatever is not a plain matrix without warnings is no
    answer. access: by which it was asked.
    """
    found: dict[Key, list[Series]] = defaultdict(list)
    try:
        for one in _results(status, body, access, "matrix"):
            labels = one["metric"]
            place = labels.get("namespace", ""), labels.get("revision", "")
            found[place].append(_newest(labels, one["values"]))
    except _Unusable as why:
        return MetricsUnreachable(str(why))
    except (ValueError, KeyError, TypeError, IndexError) as failure:
        return MetricsUnreachable(f"Prometheus' answer cannot be read: {type(failure).__name__}")
    return {key: tuple(series) for key, series in found.items()}


def _results(
    status: int, body: bytes, access: PrometheusAccess, kind: str, passes: tuple[str, ...] = ()
) -> list[Any]:
    """The series of a reply of this kind. Raises _Unusable, or what comes of JSON that is none.
    passes: how warnings begin that are none.
    """
    html = body.lstrip()[:1] == b"<"
    if status != 200 or html:
        raise _Unusable(_refusal(status, body, html, access))
    reply = json.loads(body)
    if reply["status"] != "success" or reply["data"]["resultType"] != kind:
        raise _Unusable(f"Prometheus answered with something else than a {kind}")
    warnings = [one for one in reply.get("warnings") or () if not str(one).startswith(passes)]
    if warnings:
        raise _Unusable(f"Prometheus warns: {warnings[0]}")
    results: list[Any] = reply["data"]["result"]
    return results


def _refusal(status: int, body: bytes, html: bool, access: PrometheusAccess) -> str:
    """What was answered instead, in its own words, and what helps; a proxy that wants a login
    redirects to its page or sends it.
    """
    said = first_line(_error(body))
    saying = f" and said: {said}" if said else ""
    helps = refusal(status, said, access)
    if status == 401 or (helps and not html):
        return f"Prometheus answered HTTP {status}{saying}. {helps}"
    if not html and not 300 <= status < 400:
        return f"Prometheus answered HTTP {status}{saying}"
    what = "with HTML" if html else "with a redirect"
    answered = f"HTTP {status} {what}" if status != 200 else what
    return (
        f"Prometheus answered {answered} instead of JSON (a login page?): look at prometheus.url"
        + (saying if status != 200 else "")
    )


def _error(body: bytes) -> bytes:
    """The text of Prometheus' own refusal, which is JSON; any other body as it is."""
    try:
        reply = json.loads(body)
    except ValueError:
        return body
    return str(reply.get("error", "")).encode() if isinstance(reply, dict) else b""


def _newest(labels: Mapping[str, str], values: list[Any]) -> Series:
    # VictoriaMetrics shows the end of a series as NaN, also where it went on after it.
    at, value = values[-1]
    gap = float(at) - float(values[-2][0]) if len(values) > 1 else 0.0
    return Series(
        name=labels["__name__"],
        pod=labels.get("pod", ""),
        at=float(at) if math.isfinite(float(at)) else 0.0,
        value=float(value),
        source=labels.get("source", ""),
        le=labels.get("le", ""),
        outcome=labels.get("outcome", ""),
        first=next((v for v in (float(v) for _, v in values) if not math.isnan(v)), math.nan),
        gap=gap if math.isfinite(gap) and gap > 0 else 0.0,
        job=sys.intern(labels.get("job", "")),
        instance=sys.intern(labels.get("instance", "")),
        column=sys.intern(labels.get("column", "")),
        bin=sys.intern(labels.get("bin", "")),
        candidate=sys.intern(labels.get("candidate", "")),
    )


def series_of(
    snapshot: Snapshot, namespace: str, rollout: str, revision: str
) -> tuple[Series, ...]:
    """Those of one revision, known by its label or by the Deployment of its pods."""
    by_pod = snapshot.get((namespace, revision_name(rollout, revision)), ())
    return (*snapshot.get((namespace, revision), ()), *by_pod)


def own_form(own: OwnMetric) -> dict[str, str]:
    """What Prometheus is asked for a metric of one's own: one instant query for all its parts and
    all rollouts.

    Newest samples count as long as the metric says: by `lookback_delta` of Prometheus and those
    like it, by `step` of VictoriaMetrics.
    """
    parts = zip(part_names(own), own.expressions(), strict=False)
    stale = f"{own.stale.total_seconds():.0f}s"
    return {
        "query": " or ".join(labelled(text.strip(), part) for part, (_, text) in parts),
        "lookback_delta": stale,
        # Else VictoriaMetrics answers with what was there 30 s ago.
        "nocache": "1",
        "step": stale,
    }


def part_names(own: OwnMetric) -> tuple[str, ...]:
    """What the series of its expressions are called, in their order."""
    match own.counts:
        case Counts.SHARE:
            return (COUNTED, COUNTED_OF) if own.counters else (SHARE, SAMPLES)
        case Counts.MEAN:
            return (MEAN, MEAN_OF, MEAN_SQUARES) if own.counters else (SUM, SAMPLES)
        case Counts.PERCENTILE | Counts.GAUGE:
            return VALUE, SAMPLES


def read_own(
    own: OwnMetric, status: int, body: bytes, access: PrometheusAccess = ANYBODY
) -> Snapshot | MetricsUnreachable:
    """Read the reply to `own_form`, as `read` does."""
    found: dict[Key, list[Series]] = defaultdict(list)
    try:
        parts = _by_process(own, status, body, access)
        lacks, reach, defined = _lacks(own, parts), own.reach, own.defined
        scale = (own.bounds.min, own.bounds.max) if own.bounds and own.counters else None
        if scale is not None:
            parts = _scaled(parts, *scale)
        if own.samples:
            # Else a value would pass for one that rests on nothing.
            for namespace, whose, pod, part in list(parts):
                if part == VALUE:
                    at = parts[namespace, whose, pod, part][0][0]
                    parts.setdefault((namespace, whose, pod, SAMPLES), [(at, 0.0)])
        for (namespace, whose, pod, part), values in parts.items():
            at = max(at for at, _ in values)
            # Of several values it is not known which one is meant; the others are sums.
            told = [v for _, v in values] if part == VALUE else [_sum(values)]
            found[namespace, whose] += [
                Series(
                    name=part,
                    pod=pod,
                    at=at,
                    value=value,
                    first=value,
                    gap=own.stale.total_seconds() / SCRAPES,
                    reach=reach,
                    unit=own.unit,
                    scale=scale,
                    lacks=lacks,
                    defined=defined,
                )
                for value in told
            ]
    except _Unusable as why:
        return MetricsUnreachable(str(why))
    except (ValueError, KeyError, TypeError, IndexError) as failure:
        return MetricsUnreachable(f"Prometheus' answer cannot be read: {type(failure).__name__}")
    return {key: tuple(series) for key, series in found.items()}


def _sum(values: Iterable[tuple[float, float]]) -> float:
    """Of their values; NaN where it is no number, whatever one of so many revisions counts."""
    try:
        return math.fsum(value for _, value in values)
    except (OverflowError, ValueError):
        return math.nan


def _lacks(own: OwnMetric, parts: Parts) -> str:
    """Why what was answered tells nothing of anybody; "" where it does.

    What never happened has no series. But where nobody has one of what is counted, of all revisions
    there are, it is more likely called otherwise, and would be taken for 0.
    """
    there = {part for *_, part in parts}
    if own.counts not in {Counts.SHARE, Counts.MEAN} or there & {COUNTED, SHARE, MEAN, SUM}:
        return ""
    return (
        "query has no series of any revision, and may be called otherwise: correct it, or have it"
        " counted from 0 on"
    )


def _scaled(parts: Parts, low: float, high: float) -> Parts:
    """Sums of values from `low` to `high` as those of values from 0 to 1. Where squares are not
    told, they are taken for as many as they may be. Who has counted no value has no sum.
    """
    found: Parts = {}
    width = high - low
    for namespace, whose, pod in dict.fromkeys(key[:3] for key in parts):
        total, count, squares = (
            parts.get((namespace, whose, pod, name), []) for name in (MEAN, MEAN_OF, MEAN_SQUARES)
        )
        at = max(at for at, _ in (*total, *count, *squares))
        raised = _sum(total) - _sum(count) * low
        mean = square = raised / width
        if squares or not total:
            square = (_sum(squares) - 2 * low * _sum(total) + _sum(count) * low * low) / width
            square /= width
        named = [(MEAN, mean), (MEAN_SQUARES, square), *([(MEAN_OF, _sum(count))] if count else [])]
        for name, value in named:
            # What is just at a bound is not beyond it by a rounding.
            found[namespace, whose, pod, name] = [(at, round(value, 9))]
    return found


def _by_process(own: OwnMetric, status: int, body: bytes, access: PrometheusAccess) -> Parts:
    """Times and values, by namespace, revision or Deployment, process, and part. Counters are told
    apart by who was scraped: those of one process restart together.
    """
    results = _results(status, body, access, "vector", passes=(_OF_ONE_SERIES,))
    if results and not any("value" in one for one in results):
        raise _Unusable(_HISTOGRAMS)
    counters = own.counters
    once: dict[frozenset[tuple[str, str]], _Told] = {}
    for one in results:
        same = frozenset((k, v) for k, v in one["metric"].items() if k not in SCRAPERS)
        # A native histogram is no number.
        at, value = map(float, one.get("value") or (one["histogram"][0], math.nan))
        by = tuple(one["metric"].get(label, "") for label in sorted(SCRAPERS))
        before = once.get(same)
        if before is None or math.isnan(before[1]) or value > before[1]:
            once[same] = at, value, by
    found: dict[tuple[str, str, str, str], list[_Told]] = defaultdict(list)
    for same, told in once.items():
        labels = dict(same)
        part, pod = labels[PART], labels.get("pod", "")
        if own.by is By.POD:
            whose, process = _deployment(pod), pod
        else:
            whose, process = labels.get("revision", ""), ""
        if counters:
            process = " ".join(filter(None, (pod, labels.get("instance", ""))))[:253]
        found[labels.get("namespace", ""), whose, process, part].append(told)
    # Each who scrapes a process may have given its series labels of his own.
    return {
        key: _of_one_scraper(told) if counters and key[2] else [(at, v) for at, v, _ in told]
        for key, told in found.items()
    }


def _of_one_scraper(told: list[_Told]) -> list[tuple[float, float]]:
    """Of several who have scraped one process, what the one tells who has seen it count most."""
    of: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    for at, value, by in told:
        of[by].append((at, value))
    return max(of.values(), key=_sum) if len(of) > 1 else next(iter(of.values()))


def _deployment(pod: str) -> str:
    """Whose pod it is: <Deployment>-<hash of its template>-<five letters>."""
    cut = _CUT.fullmatch(pod) if len(pod) == _LONGEST_POD else None
    return cut[1] if cut else pod.rsplit("-", 2)[0]
