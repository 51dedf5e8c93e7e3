"""The page: one self-contained HTML file."""

from datetime import datetime

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from rollout_cli.report.attempt_record import Evidence
from rollout_cli.report.svg_plots import svg
from rollout_cli.view.formatting import PRETTY, gate_of, share, span
from rollout_operator.domain.api.status import GateStatus, Verdict

TONES = {Verdict.PROMOTED: "good", Verdict.ROLLED_BACK: "bad", None: "open"}
OF_GATE = {"Pass": "good", "Fail": "bad"}


def html(found: Evidence, place: str = "") -> str:
    """The report, whole and self-contained."""
    env = Environment(
        loader=PackageLoader("rollout_cli"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["moment"] = _moment
    before = next((a.uri for a in found.rollout.status.history if a.revision == found.stable), "")
    return env.get_template("report.html").render(
        e=found,
        verdict=verdict(found),
        tone=TONES.get(found.verdict, "open"),
        stable_uri=before,
        took=span((found.ended or found.now) - found.started),
        gates=[_gate(found, gate) for gate in found.gates],
        picture="" if found.trouble else svg(found),
        spec=yaml.safe_dump(found.rollout.raw["spec"], sort_keys=False, allow_unicode=True),
        place=place,
    )


def verdict(found: Evidence) -> str:
    """How the attempt ended, for a sentence."""
    return {None: "on trial", Verdict.PROMOTED: "promoted", Verdict.ROLLED_BACK: "rolled back"}.get(
        found.verdict, str(found.verdict).lower()
    )


def _gate(found: Evidence, gate: GateStatus) -> dict[str, str]:
    of = gate_of(found.rollout.spec, gate)
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
