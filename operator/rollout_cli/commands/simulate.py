"""`simulate`: recorded or generated metrics through the operator's own gates, and the timeline of
what they would have decided.
"""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from rollout_cli.exit_codes import Exit, WrongUsage
from rollout_cli.offline.chart_values import metrics_of
from rollout_cli.offline.crd_validation import is_rollout, judge
from rollout_cli.offline.recorded_metrics import Recording, recorded
from rollout_cli.offline.simulator import Source, TimelineEntry, replay
from rollout_cli.offline.synthetic_metrics import Load, Quality, SyntheticMetrics, by_role
from rollout_cli.offline.synthetic_own import HOW, Generated, given_values
from rollout_cli.offline.text_files import text_of
from rollout_cli.output_format import Output, for_programs
from rollout_cli.view.formatting import (
    OF_MEASUREMENT,
    Marks,
    of_exit,
    of_measurement,
    samples,
    span,
    value_and_threshold,
    without_metric_name,
)
from rollout_cli.view.terminal import console, dump, marks
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.gate_results import GateStatus
from rollout_operator.domain.api.manifest import Document, Trouble, read
from rollout_operator.domain.api.spec import Approval, Spec
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.gates.histogram import bounds
from rollout_operator.domain.own_metrics import NO_METRICS, refused_gates
from rollout_operator.domain.windows import freeze_at

DEFAULT = {"modelUri": "models:/simulated/2", "traffic": {"host": "simulated.example.com"}}


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    manifest: Path | None
    """File of a ModelRollout; else one with all defaults."""
    metrics: Sequence[Path]
    """Files of a recording; without any, metrics are generated from what follows."""
    candidate_revision: str | None
    """On trial in the recording; None for the revision that appears last."""
    stable_revision: str | None
    """Compared with in the recording; None for the other that appears last."""
    accuracy: float
    """The candidate's share of right answers."""
    stable_accuracy: float
    """Stable's share of right answers."""
    errors: float
    """The candidate's share of server errors."""
    latency: float
    """The candidate's median latency, in seconds."""
    shift: float
    """How much more often than stable the candidate gives one of two classes."""
    drift: float
    """PSI of live rows against those that the candidate was trained on."""
    differs: float
    """Share of copies of stable's requests that the candidate answers otherwise."""
    rps: float
    """Requests per second to the host."""
    labels: float
    """Share of predictions that get a label."""
    seed: int
    """Of the first trial; the same seed generates the same metrics."""
    values: Path | None
    """File of the chart's values, for metrics of the configuration."""
    own: Sequence[str]
    """What those come to: name, the candidate's value, and stable's."""
    runs: int
    """Trials, with one seed after the other."""
    first_deploy: bool
    """Whether the trial has no stable revision."""
    output: Output | None
    """`-o`: JSON or YAML; None prints for people."""


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """How a replay ended, after how long."""

    exit: Exit
    """PROMOTED, ROLLED_BACK, or TIMED_OUT where the metrics end first."""
    word: str
    """Promoted, RolledBack, Halted or NoVerdict."""
    after: timedelta
    """From the start of the metrics to the last look."""
    message: str
    """What status says at the last look, for people."""


def run(request: Request) -> None:
    """Do it; exit 0 promoted, 1 rolled back or halted, 2 no verdict."""
    output = for_programs("simulate", request.output)
    spec = _spec(request.manifest)
    own = _own(spec, request)
    if request.runs > 1:
        if request.metrics:
            raise WrongUsage("--runs is for generated metrics: a recording is what it is.")
        _run_many(spec, request, own)
        return
    source: Source = _source(spec, request, own, request.seed)
    timeline = list(replay(spec, source, request.first_deploy))
    end = result_of(timeline, source)
    if output is not None:
        console().out(dump(_as_dict(timeline, end, source.start), output), highlight=False)
    else:
        _print(spec, source, timeline, end)
        for line in decided_besides(spec, end, datetime.now(UTC)):
            console().print(line, style="dim", soft_wrap=True)
    raise typer.Exit(end.exit)


def _source(spec: Spec, request: Request, own: Mapping[str, Generated], seed: int) -> Source:
    if request.metrics:
        return recorded(request.metrics, request.candidate_revision, request.stable_revision)
    qualities = by_role(
        Quality(
            request.accuracy,
            request.errors,
            request.latency,
            request.shift,
            request.drift,
            request.differs,
        ),
        Quality(request.stable_accuracy),
    )
    load = Load(request.rps, request.labels)
    return SyntheticMetrics(qualities, load, seed, bounds(spec.analysis.gates), own)


def _own(spec: Spec, request: Request) -> dict[str, Generated]:
    """Metrics of the configuration, and what they come to. Raises WrongUsage for a gate whose
    series cannot be made, nor be in a recording.
    """
    known = metrics_of(request.values) if request.values is not None else NO_METRICS
    generated = given_values(request.own, known)
    for gate in spec.analysis.gates:
        if gate.metric is not Metric.OWN:
            continue
        said = f"{gate.name} is a metric of the operator's configuration"
        if request.metrics:
            raise WrongUsage(
                f"{said}, of which a recording has nothing: leave its gate out of the manifest that"
                " is replayed."
            )
        if request.values is None:
            raise WrongUsage(f"{said}: say what it is by --values, the chart's values; and {HOW}.")
        if gate.name in known.by_name and gate.name not in generated:
            raise WrongUsage(f"Nothing says what {gate.name} comes to: {HOW}.")
    for number, why in refused_gates(spec.analysis.gates, known):
        raise WrongUsage(f"spec.analysis.gates[{number}]: {why}.")
    return generated


def _spec(manifest: Path | None) -> Spec:
    if manifest is None:
        return Spec.model_validate(DEFAULT)
    documents = list(read(text_of(manifest)))
    if broken := [f"{d.place.line}: {d.message}" for d in documents if isinstance(d, Trouble)]:
        raise WrongUsage(f"{manifest}:{broken[0]}.")
    ours = [
        value
        for d in documents
        if isinstance(d, Document)
        for _, value in d.objects()
        if is_rollout(value)
    ]
    if len(ours) != 1:
        raise WrongUsage(
            f"{manifest} has {len(ours)} ModelRollouts; simulate takes a file with one."
        )
    if found := judge(ours[0]):
        raise WrongUsage(
            f"{manifest} would be refused: {found[0]}. `kubectl modelrollout lint {manifest}` says"
            " where."
        )
    return Spec.model_validate(ours[0]["spec"])


def result_of(timeline: Sequence[TimelineEntry], source: Source) -> SimulationResult:
    """What the last look came to."""
    last = timeline[-1]
    after = last.at - source.start
    if last.halted:
        return SimulationResult(Exit.ROLLED_BACK, "Halted", after, last.message)
    if last.phase is Phase.ROLLING_BACK:
        return SimulationResult(Exit.ROLLED_BACK, "RolledBack", after, last.message)
    if last.ends:
        return SimulationResult(Exit.PROMOTED, "Promoted", after, last.message)
    return SimulationResult(
        Exit.TIMED_OUT,
        "NoVerdict",
        after,
        f"The metrics end here, without a verdict: {last.message}",
    )


def decided_besides(spec: Spec, end: SimulationResult, now: datetime) -> Iterator[str]:
    """What a cluster would wait for besides, which no metric knows: a person, and windows as they
    are from `now` on.
    """
    if spec.strategy.approval is Approval.REQUIRED and end.exit is Exit.PROMOTED:
        yield "In a cluster it would wait for a person there: strategy.approval is Required."
    freeze = freeze_at(now, spec.strategy.windows)
    if freeze.active:
        ends = f"until {freeze.until:%Y-%m-%d %H:%M} UTC" if freeze.until else "for a year and more"
        yield f"In a cluster it would be frozen now, {ends}: {freeze.why}."
    if freeze.begins is not None:
        yield f"By its windows it is next frozen at {freeze.begins:%Y-%m-%d %H:%M} UTC."


def changes(timeline: Sequence[TimelineEntry]) -> Iterator[TimelineEntry]:
    """The looks that say something new: another step, another measurement, a verdict."""
    before: object = None
    for entry in timeline:
        now = (
            entry.phase,
            entry.step,
            entry.halted,
            entry.reason,
            tuple(g.measurement for g in entry.gates),
        )
        if now != before or entry is timeline[-1]:
            yield entry
        before = now


def _print(
    spec: Spec, source: Source, timeline: Sequence[TimelineEntry], end: SimulationResult
) -> None:
    out, signs = console(), marks(console())
    if isinstance(source, Recording):
        roles = ", ".join(
            f"{role} {revision or '(no label)'}" for role, revision in source.revisions.items()
        )
        out.print(
            f"Replaying {roles}, from {source.start:%Y-%m-%d %H:%M:%S} UTC on.",
            style="dim",
            soft_wrap=True,
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("AFTER", no_wrap=True, justify="right")
    table.add_column("WEIGHT", no_wrap=True, justify="right")
    table.add_column("GATES", ratio=1)
    for entry in changes(timeline):
        gates = (
            Text("\n").join(_gate(spec, gate, signs) for gate in entry.gates)
            if entry.gates
            else Text(entry.message, style="dim")
        )
        table.add_row(span(entry.at - source.start), f"{entry.weight} %", gates)
    out.print(table)
    said = f" after {span(end.after)} ({len(timeline)} looks): {end.message}"
    out.print(Text.assemble((end.word, of_exit(end.exit)), said), soft_wrap=True)
    if end.exit is Exit.PROMOTED and spec.strategy.watch:
        then = (
            f"Then it is watched for {spec.strategy.watch}, which is not simulated: a failed gate"
        )
        out.print(f"{then} would return to the version before.", style="dim", soft_wrap=True)


def _gate(spec: Spec, gate: GateStatus, signs: Marks) -> Text:
    value = value_and_threshold(spec, gate, signs)
    text = Text(
        f"{of_measurement(gate.measurement, signs)} {gate.metric}",
        style=OF_MEASUREMENT[gate.measurement],
    )
    text.append(f"  {value}" if value else f"  {without_metric_name(gate)}", style="")
    return text.append(f"  {counted}" if value and (counted := samples(gate)) else "", style="dim")


def _run_many(spec: Spec, request: Request, own: Mapping[str, Generated]) -> None:
    """The same trial again and again, with other chances: how likely each verdict is, and how long
    it takes.
    """
    ends: list[SimulationResult] = []
    for seed in range(request.seed, request.seed + request.runs):
        source = _source(spec, request, own, seed)
        ends.append(result_of(list(replay(spec, source, request.first_deploy)), source))
    counted = Counter(end.word for end in ends)
    rows = []
    for word, count in counted.most_common():
        seconds = sorted(e.after.total_seconds() for e in ends if e.word == word)
        rows.append(
            {
                "verdict": word,
                "runs": count,
                "share": count / len(ends),
                "medianSeconds": statistics.median(seconds),
                "longestSeconds": seconds[-1],
            }
        )
    out = console()
    if request.output is not None:
        out.out(dump(rows, request.output), highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("VERDICT", "RUNS", "SHARE", "MEDIAN", "LONGEST"):
        table.add_column(name, no_wrap=True, justify="left" if name == "VERDICT" else "right")
    for row in rows:
        median, longest = (
            span(timedelta(seconds=float(str(row[k])))) for k in ("medianSeconds", "longestSeconds")
        )
        table.add_row(str(row["verdict"]), str(row["runs"]), f"{row['share']:.0%}", median, longest)
    out.print(table)


def _as_dict(
    timeline: Sequence[TimelineEntry], end: SimulationResult, start: datetime
) -> dict[str, object]:
    def gate(status: GateStatus) -> dict[str, object]:
        return {
            "metric": status.metric,
            "value": status.value,
            "measurement": str(status.measurement),
            "message": status.message,
        }

    return {
        "verdict": end.word,
        "seconds": round(end.after.total_seconds(), 3),
        "message": end.message,
        "looks": len(timeline),
        "timeline": [
            {
                "seconds": round((m.at - start).total_seconds(), 3),
                "weight": m.weight,
                "step": m.step,
                "gates": [gate(g) for g in m.gates],
            }
            for m in changes(timeline)
        ],
    }
