"""An explanation in words: what the operator would do next, and the series behind a gate. Pure,
without a terminal.
"""

from collections.abc import Iterator
from datetime import datetime

from rollout_cli.cluster.explanation import Explanation, GateExplanation, newest
from rollout_cli.view.formatting import ago, span
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.observed import MetricsUnreachable, Series

MOST_SERIES = 8


def next_step(explanation: Explanation) -> Iterator[str]:
    """What the operator would decide now, and when it looks next, as sentences."""
    plan, status, spec = explanation.plan, explanation.rollout.status, explanation.rollout.spec
    if plan is None or spec is None:
        return
    after = plan.status
    stays = (after.phase, after.step) == (status.phase, status.step)
    if stays and after.invalid:
        yield f"It is held, and nothing is measured: {after.invalid}"
        return
    if stays and spec.paused:
        yield "It is paused: nothing is measured until `kubectl modelrollout resume`."
        return
    if stays and status.halted:
        yield "It is halted: nothing is measured until somebody commands abort, retry or promote."
        return
    if status.waits_for and status.phase is not Phase.TRIAL:
        yield f"It waits for the route: {status.waits_for}"
    decided = "stay" if stays else f"go to phase {after.phase}"
    if after.phase is Phase.TRIAL and after.step != status.step:
        decided = f"go to step {(after.step or 0) + 1}"
    yield f"If the operator looked now it would {decided}: {after.message}"
    if after.frozen and after.frozen not in after.message:
        yield after.frozen
    if plan.requeue_at is not None and decided == "stay":
        yield (
            f"Next look at {plan.requeue_at:%H:%M:%S} UTC, in"
            f" {span(plan.requeue_at - explanation.now)}; then every {spec.analysis.interval}."
        )
    on_trial = (
        status.phase is Phase.TRIAL
        and status.step is not None
        and status.step < len(spec.strategy.steps)
    )
    if on_trial and status.step is not None and status.step_since is not None:
        due = (
            max(status.step_since, status.candidate.ready_at or status.step_since)
            if status.candidate
            else status.step_since
        )
        due += spec.strategy.steps[status.step].hold
        when = (
            f"in {span(due - explanation.now)}"
            if due > explanation.now
            else ago(due, explanation.now)
        )
        silent = (
            f"without evidence it waits up to {spec.analysis.max_hold} more, then"
            f" {spec.analysis.on_no_evidence}"
        )
        yield f"The step is due at {due:%H:%M:%S} UTC ({when}); {silent}."


def series_lines(explained: GateExplanation, now: datetime) -> Iterator[str]:
    """How many series a gate has, and the first few of them with their values."""
    if isinstance(explained.answer, MetricsUnreachable):
        yield explained.answer.message
        return
    found = sorted(explained.answer, key=lambda s: (s.name, s.pod, float(s.le or 0), s.outcome))
    last = newest(tuple(found))
    yield f"{len(found)}" + (
        f", newest sample {ago(last, now)}"
        if last is not None
        else ": Prometheus has none; see `doctor`"
    )
    if explained.gate.metric is Metric.LATENCY_P95:
        found = [s for s in found if s.le == "+Inf"] or found
    for series in found[:MOST_SERIES]:
        yield f"{_labelled(series)}  {series.value:g}"
    if len(found) > MOST_SERIES:
        yield f"… and {len(found) - MOST_SERIES} more"


def _labelled(series: Series) -> str:
    labels = {
        "pod": series.pod,
        "source": series.source,
        "outcome": series.outcome,
        "le": series.le,
        "column": series.column,
        "bin": series.bin,
    }
    return f"{series.name}{{{', '.join(f'{k}={v}' for k, v in labels.items() if v)}}}"
