"""`lint`: what the API server would say against manifests, with the line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from rollout_cli.exit_codes import Exit
from rollout_cli.offline.chart_values import metrics_of
from rollout_cli.offline.crd_validation import is_rollout, judge
from rollout_cli.offline.text_files import text_of
from rollout_cli.output_format import Output, for_programs
from rollout_cli.view.terminal import console, dump
from rollout_operator.domain.api.manifest import Document, Finding, Place, Trouble, read
from rollout_operator.domain.api.manifest import Path as Field
from rollout_operator.domain.api.traffic import names
from rollout_operator.domain.own_metrics import OwnMetrics
from rollout_operator.domain.places import meet, places_of


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    file: str
    """Path as given, or found in a directory given; `-` for stdin."""
    place: Place
    """Of the field, or where a missing one would belong; in broken YAML, where reading ended."""
    message: str
    """What is wrong, after the field's path where it is about a field."""


Claimed = dict[int, list[tuple[str, str, str]]]
"""By place: who answers there, the line that says so, and the listener ("" for all)."""


def run(files: list[Path], output: Output | None, values: Path | None = None) -> None:
    """Judge every ModelRollout in `files` (`-` is stdin, a directory all its YAML); exit 1 where
    one would be refused. values: the chart's, for the metrics that the operator knows.
    """
    known = metrics_of(values) if values is not None else None
    output = for_programs("lint", output)
    problems: list[Problem] = []
    rollouts = others = 0
    lines: dict[str, list[str]] = {}
    claimed: Claimed = {}
    for file in _manifests(files):
        text = text_of(file)
        lines[str(file)] = text.splitlines()
        for document in read(text):
            if isinstance(document, Trouble):
                problems.append(Problem(str(file), document.place, document.message))
                continue
            ours = [(path, value) for path, value in document.objects() if is_rollout(value)]
            rollouts += len(ours)
            others += sum(1 for _ in document.objects()) - len(ours)
            if ours:
                problems += _problems(str(file), document, ours, known)
                problems += (
                    problem
                    for path, value in ours
                    if (problem := _address_conflict(str(file), document, path, value, claimed))
                    is not None
                )
    if output is not None:
        listed = [
            {"file": f.file, "line": f.place.line, "column": f.place.column, "message": f.message}
            for f in problems
        ]
        console().out(dump(listed, output), highlight=False)
    else:
        _print(problems, lines, rollouts, others)
    if problems or not rollouts:
        raise typer.Exit(Exit.ROLLED_BACK)


def _problems(
    file: str, document: Document, ours: list[tuple[Field, Any]], known: OwnMetrics | None
) -> Iterator[Problem]:
    yield from (Problem(file, trouble.place, trouble.message) for trouble in document.twice)
    findings = [
        Finding((*path, *finding.path), finding.message)
        for path, value in ours
        for finding in judge(value, known)
    ]
    found = [Problem(file, document.place(finding.path), str(finding)) for finding in findings]
    yield from sorted(found, key=lambda problem: (problem.place.line, problem.place.column))


def _address_conflict(
    file: str, document: Document, path: Field, value: Any, claimed: Claimed
) -> Problem | None:
    """Whether another ModelRollout of this run answers where this one would; Gateways are taken to
    be in its own namespace.
    """
    meta, spec = value.get("metadata"), value.get("spec")
    traffic = spec.get("traffic") if isinstance(spec, dict) else None
    if not isinstance(meta, dict) or not isinstance(traffic, dict):
        return None
    name = "/".join(str(meta[part]) for part in ("namespace", "name") if meta.get(part))
    field = document.place((*path, "spec", "traffic", "host"))
    try:
        places, _ = places_of(value, "")
    except (AttributeError, TypeError):
        # A field of another type than it should have; that is said by itself.
        return None
    for place in places:
        there = claimed.setdefault(place.where, [])
        # The same object in another file is the same for another cluster.
        if met := next(
            (
                (other, where)
                for other, where, listener in there
                if other != name and meet(place.listener, listener)
            ),
            None,
        ):
            other, where = met
            hosts = names(traffic.get("host"), traffic.get("hosts") or ())
            address = ", ".join(f"{host}{traffic.get('path', '/')}" for host in hosts)
            return Problem(
                file,
                field,
                f"spec.traffic: {address} is answered by {other} ({where}): take another host or"
                " path",
            )
        there.append((name, f"{file}:{field.line}", place.listener))
    return None


def _manifests(files: list[Path]) -> Iterator[Path]:
    for file in files:
        if file.is_dir():
            yield from sorted(p for p in file.rglob("*") if p.suffix in {".yaml", ".yml", ".json"})
        else:
            yield file


def _print(
    problems: list[Problem], lines: dict[str, list[str]], rollouts: int, others: int
) -> None:
    out = console()
    for problem in problems:
        where = f"{problem.file}:{problem.place.line}:{problem.place.column}"
        out.print(Text.assemble((where, "bold"), ": ", problem.message), soft_wrap=True)
        written = lines[problem.file][problem.place.line - 1 : problem.place.line]
        out.print(Text("    " + "".join(written).rstrip(), style="dim"), soft_wrap=True)
    skipped = (
        f" ({others} other object{'s' if others != 1 else ''} not looked at)" if others else ""
    )
    count = f"{rollouts} ModelRollout{'s' if rollouts != 1 else ''}"
    if problems:
        out.print(Text.assemble((f"{len(problems)} found in {count}", "red"), skipped))
    elif rollouts:
        taken = f"{count}: the API server would take {'it' if rollouts == 1 else 'them'}"
        out.print(Text.assemble((taken, "green"), skipped))
    else:
        out.print(Text.assemble(("No ModelRollout here", "yellow"), skipped))
