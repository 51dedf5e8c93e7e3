"""One line of the table of all rollouts. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from rollout_cli.api.rollout import Rollout
from rollout_cli.view.formatting import PRETTY, value_and_threshold, without_metric_name
from rollout_dashboard.gate_margin import nearest, nearness
from rollout_dashboard.waiting import Group, waiting
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, COMMITTED

LONGEST = 240
"""Characters of a sentence in the table; the page of the rollout has all of it."""
TONES = {Phase.PROMOTED: "good", Phase.ROLLED_BACK: "bad", Phase.ROLLING_BACK: "bad"}


@dataclass(frozen=True, slots=True)
class Row:
    """What the table shows of a rollout; all that is kept of it in memory."""

    namespace: str
    """Its namespace."""
    name: str
    """Its name."""
    phase: str
    """A Phase."""
    tone: str
    """good, bad, open or person: how it is coloured."""
    group: Group
    """Whom it concerns."""
    stable: str
    """`iris/7`; "" where there is none."""
    candidate: str
    """`iris/8`; "" where there is none on its way."""
    weight: int | None
    """Percent of requests that the candidate gets; None where there is none."""
    gate: str
    """The gate nearest to failing, in words; "" where none is measured."""
    gate_tone: str
    """good, bad or open."""
    nearness: float
    """Of that gate, from 0 to 1 (fails)."""
    waits: str
    """What it waits for; "" for nothing."""
    since: datetime | None
    """Since when."""
    version: str = field(compare=False)
    """resourceVersion of the object that it was made from."""

    @property
    def id(self) -> str:
        """NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, rollout: Rollout) -> "Row":
        """Read a rollout."""
        status, wait = rollout.status, waiting(rollout)
        runs = status.phase in CANDIDATE_RUNS or status.phase is Phase.ROLLED_BACK
        candidate = status.candidate if runs else None
        gates = tuple(
            g for g in status.gates if candidate is None or g.revision == candidate.revision
        )
        gate = nearest(gates, rollout.spec)
        words, tone = "", "open"
        if gate is not None:
            value = value_and_threshold(rollout.spec, gate, PRETTY)
            words = f"{gate.metric} {value or without_metric_name(gate)}"
            tone = {"Pass": "good", "Fail": "bad"}.get(str(gate.measurement), "open")
        return cls(
            namespace=rollout.namespace,
            name=rollout.name,
            version=str(rollout.raw["metadata"].get("resourceVersion", "")),
            phase=str(status.phase),
            tone="person" if wait.group is Group.PERSON else TONES.get(status.phase, "open"),
            group=wait.group,
            stable=short(status.stable),
            candidate=short(candidate),
            weight=_weight(rollout) if candidate is not None else None,
            gate=_cut(words),
            gate_tone=tone,
            nearness=0.0 if gate is None else round(nearness(gate, rollout.spec), 3),
            waits=_cut(wait.sentence),
            since=wait.since,
        )


def short(revision: Revision | None) -> str:
    """`models:/iris/7` as `iris/7`; "" for none."""
    return "" if revision is None else revision.uri.removeprefix("models:/")


def _weight(rollout: Rollout) -> int:
    status = rollout.status
    return 100 if status.phase in COMMITTED else status.percent


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
