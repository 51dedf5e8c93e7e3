"""The page: one self-contained HTML file."""

from datetime import datetime

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from rollout_cli.report.attempt_record import AttemptRecord
from rollout_cli.report.svg_plots import svg
from rollout_cli.view.formatting import PRETTY, gate_of, share, span
from rollout_operator.domain.api.gate_results import GateStatus
from rollout_operator.domain.api.words import Verdict

TONES = {Verdict.PROMOTED: "good", Verdict.ROLLED_BACK: "bad", None: "open"}
OF_GATE = {"Pass": "good", "Fail": "bad"}


def html(record: AttemptRecord, place: str = "") -> str:
    """The report, whole and self-contained."""
    env = Environment(
        loader=PackageLoader("rollout_cli"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["moment"] = _moment
    before = next((a.uri for a in record.rollout.status.history if a.revision == record.stable), "")
    return env.get_template("report.html").render(
        e=record,
        verdict=verdict(record),
        tone=TONES.get(record.verdict, "open"),
        stable_uri=before,
        took=span((record.ended or record.now) - record.started),
        gates=[_gate(record, gate) for gate in record.gates],
        picture="" if record.trouble else svg(record),
        spec=yaml.safe_dump(record.rollout.raw["spec"], sort_keys=False, allow_unicode=True),
        place=place,
    )


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


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
