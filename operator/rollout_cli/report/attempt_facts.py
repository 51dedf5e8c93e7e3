"""What a page says of an attempt, besides its plots: for the report, and for the dashboard."""

from typing import Any

import yaml

from rollout_cli.report.attempt_record import AttemptRecord
from rollout_cli.view.acts import act
from rollout_cli.view.formatting import PRETTY, gate_of, share, span
from rollout_operator.domain.api.gate_results import GateStatus
from rollout_operator.domain.api.words import Verdict

TONES = {
    Verdict.PROMOTED: "good",
    Verdict.ROLLED_BACK: "bad",
    Verdict.RETURNED: "bad",
    None: "open",
}
OF_GATE = {"Pass": "good", "Fail": "bad"}


def facts(record: AttemptRecord) -> dict[str, Any]:
    """What a page says of an attempt, besides its plots."""
    return {
        "e": record,
        "verdict": verdict(record),
        "tone": TONES.get(record.verdict, "open"),
        "stable_uri": next(
            (a.uri for a in record.rollout.status.history if a.revision == record.stable), ""
        ),
        "took": span((record.ended or record.now) - record.started),
        "acts": [act(one) for one in record.acts],
        "gates": [_gate(record, gate) for gate in record.gates],
        "spec": yaml.safe_dump(record.rollout.raw["spec"], sort_keys=False, allow_unicode=True),
    }


def verdict(record: AttemptRecord) -> str:
    """How the attempt ended, for a sentence."""
    return {None: "on trial", Verdict.PROMOTED: "promoted", Verdict.ROLLED_BACK: "rolled back"}.get(
        record.verdict, str(record.verdict).lower()
    )


def _gate(record: AttemptRecord, gate: GateStatus) -> dict[str, str]:
    of = gate_of(record.rollout.spec, gate)
    least = of.min is not None if of is not None else gate.metric == "accuracy"
    return {
        "metric": gate.metric,
        "evidence": gate.evidence.lower(),
        "measurement": str(gate.measurement),
        "tone": OF_GATE.get(str(gate.measurement), "open"),
        "value": "" if gate.value is None else share(gate.value),
        "asked": f"{PRETTY.at_least if least else PRETTY.at_most} {share(gate.threshold)}",
        "samples": "" if gate.samples is None else str(gate.samples),
        "message": gate.message,
    }
