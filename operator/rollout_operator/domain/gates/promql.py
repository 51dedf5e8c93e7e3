"""What Prometheus is asked, and how its reply is read: the same for the operator and for people who
want to see what it sees.

A range selector in an instant query gives the samples with their own timestamps, and none after a
series went stale; `last_over_time` or a plain selector would give the time of the query instead.
Source: prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.gates.samples import (
    ACCURACY,
    ACCURACY_SAMPLES,
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
    PREDICTED,
    PREDICTIONS,
    REQUESTS,
)
from rollout_operator.domain.observed import MetricsUnreachable, Series
from rollout_operator.domain.prometheus_access import PrometheusAccess
from rollout_operator.domain.prometheus_refusal import refusal
from rollout_operator.domain.replies import first_line

NAMES: Mapping[Metric, tuple[str, ...]] = {
    Metric.ACCURACY: (ACCURACY, ACCURACY_SAMPLES, FEEDBACK, PREDICTIONS),
    Metric.ERROR_RATE: (REQUESTS, ERRORS, CPU_PERIODS, CPU_THROTTLED),
    Metric.LATENCY_P95: (LATENCY_BUCKET, CPU_PERIODS, CPU_THROTTLED),
    Metric.PREDICTION_SHIFT: (PREDICTED, PREDICTIONS),
    Metric.INPUT_DRIFT: (INPUT, INPUT_TRAINED, PREDICTIONS),
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


ANYBODY = PrometheusAccess()
Key = tuple[str, str]
"""Namespace and revision."""
Snapshot = Mapping[Key, tuple[Series, ...]]


def read(
    status: int, body: bytes, access: PrometheusAccess = ANYBODY
) -> Snapshot | MetricsUnreachable:
    """Read a reply of the query API; whatever is not a plain matrix without warnings is no
    answer. access: by which it was asked.
    """
    html = body.lstrip()[:1] == b"<"
    if status != 200 or html:
        return MetricsUnreachable(_refusal(status, body, html, access))
    try:
        reply = json.loads(body)
        if reply["status"] != "success" or reply["data"]["resultType"] != "matrix":
            return MetricsUnreachable("Prometheus answered with something else than a matrix")
        if reply.get("warnings"):
            return MetricsUnreachable(f"Prometheus warns: {reply['warnings'][0]}")
        found: dict[Key, list[Series]] = defaultdict(list)
        for one in reply["data"]["result"]:
            labels = one["metric"]
            found[labels.get("namespace", ""), labels.get("revision", "")].append(
                _newest(labels, one["values"])
            )
    except (ValueError, KeyError, TypeError, IndexError) as failure:
        return MetricsUnreachable(f"Prometheus' answer cannot be read: {type(failure).__name__}")
    return {key: tuple(series) for key, series in found.items()}


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
    )
