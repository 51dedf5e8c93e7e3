"""What of the documents is made from the table of transitions: the picture of the phases, the
glossary's list of them, and which phases give each reason.
"""

import ast
import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.transitions import EDGES, PROMOTION, RETURN, ROLLBACK, WAY
from scripts.docs import markdown

DOCS = Path(__file__).parents[2] / "docs"
BEGIN = "<!-- made from the table of transitions by `make docs`: {part} -->"
END = "<!-- end -->"
COLOURS = {
    Phase.PENDING: ("#ffffff", "#4a6fa5"),
    Phase.TRIAL: ("#fdf1dc", "#c28a2b"),
    Phase.PROMOTED: ("#e6f4ea", "#3b8a57"),
    Phase.ROLLING_BACK: ("#fbe9e7", "#b5483a"),
    Phase.ROLLED_BACK: ("#fbe9e7", "#b5483a"),
    Phase.INVALID: ("#fbe9e7", "#b5483a"),
}
RANKS = (
    (Phase.PENDING, Phase.INVALID),
    (Phase.TRIAL, Phase.ROLLING_BACK),
    (Phase.PROMOTING, Phase.ROLLED_BACK),
    (Phase.SWITCHING, Phase.SETTLING),
)
AFTER_A_WATCH = {(Phase.PROMOTED, Phase.SHIFTING), (Phase.SHIFTING, Phase.PROMOTED)}
SPOKEN = (
    (PROMOTION, "promotion"),
    (RETURN, "return"),
    (PROMOTION | RETURN, "promotion\\nor return"),
    (PROMOTION | {Reason.PROGRESS_DEADLINE_EXCEEDED}, "promotion"),
    (ROLLBACK | {Reason.RETURNED_TO_STABLE}, "rollback"),
    (EDGES[Phase.PENDING, Phase.INVALID], "cannot be\\nrolled out"),
)
"""What an arrow says that has several reasons, all of one kind."""
HEAD = """digraph phases {
  rankdir=LR; bgcolor=white; nodesep=0.45; ranksep=0.75; pad=0.2;
  node [shape=box, style="rounded,filled", fillcolor="#eef3fa", color="#4a6fa5",
        fontname="Helvetica", fontsize=12, margin="0.14,0.09"];
  edge [fontname="Helvetica", fontsize=9, color="#555555", fontcolor="#333333", arrowsize=0.7];
"""


def phases() -> Mapping[Phase, str]:
    """What each phase is, by the sentence under it in the code."""
    body = ast.parse(inspect.getsource(Phase)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = dict[Phase, str]()
    for named, told in zip(body.body[1::2], body.body[2::2], strict=True):
        if isinstance(named, ast.Assign) and isinstance(told, ast.Expr):
            phase = Phase[ast.unparse(named.targets[0])]
            found[phase] = " ".join(str(ast.literal_eval(told.value)).split())
    return found


def picture() -> str:
    """The phases and the edges of an attempt's way, as text for Graphviz."""
    nodes = [
        f'  {phase} [fillcolor="{fill}", color="{line}"];'
        for phase, (fill, line) in COLOURS.items()
    ]
    first = {
        (Phase.PENDING, after): EDGES[Phase.PENDING, after]
        for after in (Phase.STARTING, Phase.INVALID)
    }
    arrows = [
        f'  {before} -> {after} [label="{_label(reasons)}"{_dress(before, after)}];'
        for (before, after), reasons in {**first, **WAY}.items()
        if before is not after
    ]
    ranks = " ".join(f"{{rank=same; {'; '.join(rank)}}}" for rank in RANKS)
    return "\n".join([HEAD, *nodes, "", *arrows, f"  {ranks}", "}", ""])


def _label(reasons: frozenset[Reason]) -> str:
    if len(reasons) == 1:
        return str(*reasons)
    return next(spoken for kind, spoken in SPOKEN if reasons <= kind)


def _dress(before: Phase, after: Phase) -> str:
    back = Phase.ROLLING_BACK in {before, after} or before is Phase.ROLLED_BACK
    back = back or after is Phase.ROLLED_BACK or (before, after) in AFTER_A_WATCH
    short = (before, after) in {
        (Phase.TRIAL, Phase.SHIFTING),
        (Phase.TRIAL, Phase.SWITCHING),
        (Phase.PROMOTING, Phase.SWITCHING),
    }
    return ", style=dashed, constraint=false" if back or short else ""


def phase_table() -> str:
    """The glossary's rows."""
    told = phases()
    rows = [f"| {phase} | {_lowered(told[phase])} |" for phase in Phase]
    return "\n".join(["| phase | what happens |", "| --- | --- |", *rows])


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:].rstrip(".")


def reason_table() -> str:
    """Which phases go with each reason."""
    places = defaultdict[Reason, set[Phase]](set)
    for (_, after), reasons in EDGES.items():
        for reason in reasons:
            places[reason].add(after)
    rows = []
    for reason in Reason:
        named = [str(phase) for phase in Phase if phase in places[reason]]
        rows.append(f"| `{reason}` | {', '.join(named) or 'conditions, Events and history only'} |")
    return "\n".join(["| reason | goes with the phase |", "| --- | --- |", *rows])


PARTS: Mapping[str, tuple[Path, Callable[[], str]]] = {
    "phases": (DOCS / "concepts" / "glossary.md", phase_table),
    "reasons": (DOCS / "reference" / "reasons.md", reason_table),
}


def with_part(part: str) -> str:
    """The page with its part made anew; raises ValueError where the page has no place for it."""
    page, make = PARTS[part]
    return markdown.with_part(page, BEGIN.format(part=part), END, make())
