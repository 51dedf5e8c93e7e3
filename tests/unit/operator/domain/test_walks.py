"""`decide` walked at random, with a fixed seed: what breadth alone never reaches, such as the end
of a first deploy.

What was reached is computed, and docs/operations/reliability.md has to say the same.
"""

import ast
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from rollout_operator.domain import machine
from rollout_operator.domain.api.status import Phase, Reason, Status
from rollout_operator.domain.machine.transitions import COMMITTED
from tests.support.builders import spec
from tests.unit.operator.domain.test_exploration import (
    SPECS,
    State,
    around,
    beginnings,
    broken,
    deployments,
    looked,
    measured,
)

WALKS, STEPS = 150, 200
GATEWAY = {
    "host": "iris.example.com",
    "provider": "HTTPRoute",
    "parentRefs": [{"name": "public"}],
    "removalDelay": "30s",
}
MORE = {
    "2 by Gateway": spec("models:/iris/2", traffic=GATEWAY),
    "3, which halts": spec(
        "models:/iris/3", analysis__onFailure="Pause", analysis__onNoEvidence="Pause"
    ),
}
OFTEN = {
    "look": 55,
    "pass": 25,
    "pods": 8,
    "spec": 2,
    "command": 2,
    "Gateway": 1,
    "older": 0.3,
    "deleted": 0.1,
}
"""How likely what happens is, by a word of the event."""
MACHINE = Path(machine.__file__).parent
DOCUMENT = Path(__file__).parents[4] / "docs" / "operations" / "reliability.md"


@dataclass
class Reached:
    """What the walks came by."""

    states: set[int] = field(default_factory=set)
    passages: set[tuple[Phase, Phase]] = field(default_factory=set)
    reasons: set[str] = field(default_factory=set)
    milestones: set[str] = field(default_factory=set)
    lines: set[tuple[str, int]] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)


MILESTONES: dict[str, Callable[[Status, Status, str], bool]] = {
    "a first deploy ends Promoted": lambda old, new, _: (
        old.phase in COMMITTED and old.stable is None and new.phase is Phase.PROMOTED
    ),
    "a second step": lambda old, new, _: (
        (old.step, new.step) == (0, 1) and new.phase is Phase.TRIAL
    ),
    "a promotion beside stable": lambda old, new, _: (
        old.phase in COMMITTED and old.stable is not None and new.phase is Phase.PROMOTED
    ),
    "a halt": lambda old, new, _: new.halted and not old.halted,
    "a rollback that is carried out": lambda old, new, _: (
        old.phase is Phase.ROLLING_BACK and new.phase is Phase.ROLLED_BACK
    ),
    "a version that was rejected before": lambda _, new, __: new.reason is Reason.REJECTED_BEFORE,
    "a version whose pods still run is restored": lambda _, new, __: new.reason is Reason.RESTORED,
    "an HTTPRoute into Settling": lambda _, new, wanted: (
        new.phase is Phase.SETTLING and wanted == "2 by Gateway"
    ),
    "a pause that ends": lambda old, new, _: (
        old.paused_since is not None and new.paused_since is None
    ),
    "two ways at once": lambda _, new, __: len(new.routes) > 1,
}


def happens(dice: random.Random, state: State) -> Iterator[tuple[str, State]]:
    """One of the things that can happen next, and what follows from it."""
    if dice.random() * 100 < OFTEN["look"]:
        metric, seen = (
            next(iter(measured(state))) if dice.random() < 0.6 else dice.choice([*measured(state)])
        )
        found = [*looked(state, seen, metric, "up" if dice.random() < 0.95 else "down")]
        yield found[0] if dice.random() < 0.9 else dice.choice(found)
        return
    ready = frozenset(
        m["metadata"]["labels"]["rollouts.mlops.dev/revision"] for m in deployments(state)
    )
    if ready != state.ready and dice.random() < 0.4:
        yield "all pods become Ready", replace(state, ready=ready)
        return
    found = [*around(state)]
    weights = [next(often for word, often in OFTEN.items() if word in event) for event, _ in found]
    yield dice.choices(found, weights)[0]


def walk(dice: random.Random, state: State, reached: Reached) -> None:
    """Go STEPS steps; what is broken is noted."""
    for _ in range(STEPS):
        for event, after in happens(dice, state):
            if why := broken(state, event, after):
                reached.violations.append(f"{why}: in {state.status.phase} after '{event}'")
            old, new = state.status, after.status
            reached.states.add(after.key())
            reached.reasons |= {
                str(new.reason),
                *(c.reason for c in new.conditions),
                *(h.reason for h in new.history),
            }
            if event.startswith("look"):
                reached.passages.add((old.phase, new.phase))
                reached.milestones |= {
                    name for name, come in MILESTONES.items() if come(old, new, after.wanted)
                }
            state = after


@pytest.fixture(scope="module")
def reached() -> Reached:
    """All walks, with every line of decide that they went by."""
    found, dice = Reached(), random.Random(24)
    folder = str(MACHINE)

    def trace(frame: FrameType, kind: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(folder):
            return None
        if kind == "line":
            found.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    with pytest.MonkeyPatch.context() as patch:
        for name, more in MORE.items():
            patch.setitem(SPECS, name, more)
        seeds = [*beginnings(), *([beginnings()[0]] * 10)]
        for n in range(WALKS):
            # Tracing costs: a third of the walks shows which lines there are.
            before = sys.gettrace()
            sys.settrace(trace if n % 3 == 0 else before)
            try:
                walk(dice, seeds[n % len(seeds)], found)
            finally:
                sys.settrace(before)
    return found


def test_the_promises_hold_on_every_walk(reached: Reached) -> None:
    assert reached.violations == []
    assert len(reached.states) > WALKS * STEPS / 4


@pytest.mark.parametrize("milestone", MILESTONES)
def test_the_walks_come_by(milestone: str, reached: Reached) -> None:
    assert milestone in reached.milestones


def test_every_phase_is_entered_and_left(reached: Reached) -> None:
    moves = {(old, new) for old, new in reached.passages if old is not new}
    assert {new for _, new in moves} == {old for old, _ in moves} == set(Phase)


def test_the_document_names_every_reason_that_no_walk_comes_by(reached: Reached) -> None:
    told = " ".join(DOCUMENT.read_text().split())
    assert f"{WALKS} walks of {STEPS} steps" in told
    missing = {str(reason) for reason in Reason} - reached.reasons
    sentence = told.split("No walk comes by ")[1].split(".")[0]
    assert missing == {word.strip("`,") for word in sentence.split() if word.startswith("`")}, (
        missing
    )


def statements(source: str) -> dict[int, set[int]]:
    """The statements of all functions by their first line, with the lines by which each is known to
    have been reached: a statement of several lines is one.
    """
    found = dict[int, set[int]]()
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for statement in (s for body in function.body for s in ast.walk(body)):
            if not isinstance(statement, ast.stmt) or _is_docstring(statement):
                continue
            inner = [*getattr(statement, "body", ()), *getattr(statement, "cases", ())]
            first = min((_first_line(part) for part in inner), default=None)
            end = statement.end_lineno or statement.lineno
            found[statement.lineno] = {*range(statement.lineno, first or end + 1)}
    return found


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _first_line(part: ast.stmt | ast.match_case) -> int:
    return part.lineno if isinstance(part, ast.stmt) else part.pattern.lineno


def test_nine_of_ten_lines_of_decide_are_gone_by(reached: Reached) -> None:
    there = {
        (str(file), line): {(str(file), n) for n in lines}
        for file in MACHINE.glob("*.py")
        for line, lines in statements(file.read_text()).items()
    }
    missed = [line for line, lines in there.items() if not lines & reached.lines]
    assert len(missed) < 0.1 * len(there), sorted(missed)
