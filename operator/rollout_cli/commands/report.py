"""`report`: one HTML file with everything that is known of an attempt."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from rollout_cli.cluster.kube_client import Access
from rollout_cli.cluster.prometheus import find
from rollout_cli.cluster.rollout import read
from rollout_cli.exit_codes import Failure, Unreachable
from rollout_cli.report.attempt_record import Evidence, gather
from rollout_cli.report.svg_plots import svg
from rollout_cli.view.formatting import PRETTY, gate_of, share, span
from rollout_cli.view.terminal import console
from rollout_operator.domain.api.status import GateStatus, Verdict

TONES = {Verdict.PROMOTED: "good", Verdict.ROLLED_BACK: "bad", None: "open"}
OF_GATE = {"Pass": "good", "Fail": "bad"}


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    name: str
    attempt: int | None
    file: Path | None
    prometheus: str | None


def run(
    request: Request, kubeconfig: str | None, context: str | None, namespace: str | None
) -> None:
    """Do it."""
    access = Access.connect(kubeconfig, context, namespace)
    rollout = read(access, request.name)
    source, trouble = None, ""
    try:
        source = find(access, request.prometheus)
    except Unreachable as nobody:
        trouble = str(nobody)
    found = gather(access, source, rollout, request.attempt, trouble)
    target = request.file or Path(f"{rollout.name}-{found.attempt}.html")
    try:
        target.write_text(html(found, source.place if source is not None else ""), encoding="utf-8")
    except OSError as failure:
        raise Failure(f"{target} could not be written: {failure.strerror}.") from failure
    out = console()
    out.print(
        f"Wrote {target}: attempt {found.attempt} of {rollout.name}, {_verdict(found)}.",
        soft_wrap=True,
    )
    if found.trouble:
        out.print(f"Without plots: {found.trouble}", style="yellow", soft_wrap=True)


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
        verdict=_verdict(found),
        tone=TONES.get(found.verdict, "open"),
        stable_uri=before,
        took=span((found.ended or found.now) - found.started),
        gates=[_gate(found, gate) for gate in found.gates],
        picture="" if found.trouble else svg(found),
        spec=yaml.safe_dump(found.rollout.raw["spec"], sort_keys=False, allow_unicode=True),
        place=place,
    )


def _verdict(found: Evidence) -> str:
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
