"""What the page of one rollout says, from the object, its pods and its Events. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import yaml

from rollout_cli.api.rollout import Rollout
from rollout_cli.api.snapshot import Pod
from rollout_cli.report.attempt_record import KubeEvent
from rollout_cli.view.acts import act
from rollout_cli.view.formatting import ago, span
from rollout_cli.view.progress import Rung, ladder, summary
from rollout_dashboard.gate_view import GateView, gate_view
from rollout_dashboard.rows import Row, short
from rollout_dashboard.waiting import Waiting, waiting
from rollout_operator.domain.api.status import Attempt, Revision
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, COMMITTED
from rollout_operator.domain.windows import ConfiguredWindow, for_namespace, freeze_at

VERDICTS = {"Promoted": "good", "RolledBack": "bad", "Returned": "bad"}


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of stable beside candidate."""

    what: str
    """`Version`."""
    stable: str
    """"" where there is none."""
    candidate: str
    """"" where there is none."""

    @property
    def differs(self) -> bool:
        """Whether the two are not the same."""
        return bool(self.stable and self.candidate) and self.stable != self.candidate


@dataclass(frozen=True, slots=True)
class Past:
    """One attempt that has ended."""

    attempt: Attempt
    """As status has it."""
    tone: str
    """good, bad or open."""
    took: str
    """How long it lasted."""
    ago: str
    """How long ago it ended."""
    acts: tuple[str, ...]
    """What people told it to do: `abort by anna (unverified), …: labels look wrong`."""
    proof: tuple[str, ...]
    """Its gates: `accuracy 0.81 against 0.7, 240 counted: Pass`."""


@dataclass(frozen=True, slots=True)
class PodLine:
    """One pod."""

    pod: Pod
    """As read."""
    role: str
    """stable, candidate, retiring; "" for another."""
    age: str
    """How long it has run."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything."""

    rollout: Rollout
    """As read."""
    row: Row
    """Its line in the table."""
    summary: str
    """Why it stands where it does."""
    waiting: Waiting
    """What it waits for."""
    window: str
    """When it is frozen, or is next; "" for never."""
    ladder: tuple[Rung, ...]
    """The steps."""
    runs: bool
    """Whether a candidate is on its way."""
    share: int
    """Percent of requests that the candidate is to get."""
    gates: tuple[GateView, ...]
    """As last measured."""
    acts: tuple[str, ...]
    """What people told the attempt under way to do."""
    history: tuple[Past, ...]
    """Newest first."""
    compared: tuple[Compared, ...]
    """Stable beside candidate."""
    pods: tuple[PodLine, ...] | None
    """None where the viewer may not list them."""
    events: tuple[KubeEvent, ...] | None
    """Newest first; None where the viewer may not list them."""
    spec: str
    """As YAML."""


def facts(
    rollout: Rollout,
    pods: Sequence[Pod] | None,
    events: Sequence[KubeEvent] | None,
    now: datetime,
    configured: Sequence[ConfiguredWindow] = (),
) -> Facts:
    """Everything that the page says of this rollout.

    configured: the windows of the operator's configuration.
    """
    status, roles = rollout.status, rollout.revisions()
    subject = status.candidate if status.candidate is not None else status.stable
    gates = [g for g in status.gates if subject is None or g.revision == subject.revision]
    return Facts(
        rollout=rollout,
        row=Row.of(rollout),
        summary=summary(rollout),
        waiting=waiting(rollout),
        window=window(rollout, configured, now),
        ladder=ladder(rollout, now),
        runs=status.phase in CANDIDATE_RUNS,
        share=100 if status.phase in COMMITTED else status.percent,
        gates=tuple(gate_view(rollout, gate, n, now) for n, gate in enumerate(gates)),
        acts=tuple(map(act, status.acts)),
        history=tuple(_past(attempt, now) for attempt in status.history),
        compared=compared(status.stable, status.candidate),
        pods=None
        if pods is None
        else tuple(
            PodLine(
                pod,
                roles.get(pod.revision, ""),
                span(now - pod.since) if pod.since is not None else "",
            )
            for pod in sorted(pods, key=lambda p: (roles.get(p.revision, "~"), p.name))
        ),
        events=None
        if events is None
        else tuple(sorted(events, key=lambda event: event.at, reverse=True)),
        spec=yaml.safe_dump(rollout.raw["spec"], sort_keys=False, allow_unicode=True),
    )


def window(rollout: Rollout, configured: Sequence[ConfiguredWindow], now: datetime) -> str:
    """When it is frozen, or is next; "" for never."""
    if rollout.spec is None:
        return ""
    theirs = for_namespace(configured, rollout.namespace)
    freeze = freeze_at(now, rollout.spec.strategy.windows, theirs)
    if freeze.active:
        until = "" if freeze.until is None else f" until {freeze.until:%Y-%m-%d %H:%M} UTC"
        return f"frozen{until}: {freeze.why}"
    return "" if freeze.begins is None else f"frozen from {freeze.begins:%Y-%m-%d %H:%M} UTC on"


def _past(attempt: Attempt, now: datetime) -> Past:
    proof = tuple(
        f"{gate.metric} "
        + (
            "not measured"
            if gate.value is None
            else f"{gate.value:.4g} against {gate.threshold:.4g}"
        )
        + (f", {gate.samples} counted" if gate.samples is not None else "")
        + f": {gate.measurement}"
        for gate in attempt.gates
    )
    return Past(
        attempt,
        VERDICTS.get(str(attempt.verdict), "open"),
        span(attempt.ended - attempt.started),
        ago(attempt.ended, now),
        tuple(map(act, attempt.acts)),
        proof,
    )


def compared(stable: Revision | None, candidate: Revision | None) -> tuple[Compared, ...]:
    """Stable beside candidate, line by line."""
    pair = (stable, candidate)
    lines = [
        Compared("Version", *(short(r) for r in pair)),
        Compared("Revision", *(r.revision if r else "" for r in pair)),
        Compared("Digest", *(_digest(r) for r in pair)),
        Compared("MLflow run", *(r.run if r else "" for r in pair)),
        Compared("Inputs", *(columns(r, "inputs") for r in pair)),
        Compared("Outputs", *(columns(r, "outputs") for r in pair)),
        Compared("Image", *(r.image if r else "" for r in pair)),
        Compared("Profile", *((r.profile or "") if r else "" for r in pair)),
    ]
    return tuple(line for line in lines if line.stable or line.candidate)


def side_by_side(stable: Mapping[str, str], candidate: Mapping[str, str]) -> tuple[Compared, ...]:
    """What two runs say under the same names, by name."""
    names = sorted({*stable, *candidate})
    return tuple(Compared(n, stable.get(n, ""), candidate.get(n, "")) for n in names)


def _digest(revision: Revision | None) -> str:
    """As much of it as two differ by."""
    return "" if revision is None else f"{revision.digest.removeprefix('sha256:')[:16]}…"


def columns(revision: Revision | None, side: str) -> str:
    """The columns of one side of a signature: `sepal length: double, …`; "" where it is unknown."""
    if revision is None or not revision.signature:
        return ""
    try:
        listed = json.loads(revision.signature).get(side)
        found = json.loads(listed) if isinstance(listed, str) else listed
        return ", ".join(_column(column) for column in found or ())
    except (ValueError, AttributeError, TypeError, KeyError):
        return "cannot be read"


def _column(column: dict[str, object]) -> str:
    if column.get("type") == "tensor":
        spec = column.get("tensor-spec")
        shape = f"{spec.get('dtype')}{spec.get('shape')}" if isinstance(spec, dict) else "tensor"
        return f"{column['name']}: {shape}" if column.get("name") else shape
    kind = f"{column.get('type')}" + ("" if column.get("required", True) else "?")
    return f"{column['name']}: {kind}" if column.get("name") else kind


def registry_link(base: str, uri: str) -> str:
    """The page of a model version in MLflow; "" where MLflow's address is not known."""
    name, _, version = uri.removeprefix("models:/").partition("/")
    if not base or not version:
        return ""
    return f"{base}/#/models/{quote(name, safe='')}/versions/{quote(version, safe='')}"
