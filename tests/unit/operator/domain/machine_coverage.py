"""What an exploration of `decide` came by: edges, reasons, statements and milestones, counted."""

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

from rollout_operator.domain import machine
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine import transitions
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.machine.transitions import COMMITTED, EDGES
from rollout_operator.domain.observed import Observed
from tests.unit.operator.domain.machine_promises import broken
from tests.unit.operator.domain.machine_world import State, observe

FOLDER = Path(machine.__file__).parent
Triple = tuple[str, str, str]
TABLE: frozenset[Triple] = frozenset(
    (str(before), str(after), str(reason))
    for (before, after), reasons in EDGES.items()
    for reason in reasons
)
"""Every edge with each of its reasons."""


def _promoted(old: Status, new: Status) -> bool:
    return old.phase in COMMITTED and new.phase is Phase.PROMOTED


def _router(new: Status) -> str:
    return str(new.routes[0].provider) if new.routes else ""


def _labelled(status: Status) -> bool:
    return any(gate.evidence_for is not None for gate in status.gates)


MILESTONES: dict[str, Callable[[Status, Status, State], bool]] = {
    "a first deploy to Promoted": lambda old, new, _: _promoted(old, new) and old.stable is None,
    "a promotion beside stable": lambda old, new, _: _promoted(old, new) and old.stable is not None,
    "a second step": lambda old, new, _: (
        (old.step, new.step) == (0, 1) and new.phase is Phase.TRIAL
    ),
    "a step of copies that ends": lambda old, new, _: (
        old.phase is new.phase is Phase.TRIAL
        and old.stable is not None
        and (old.step, old.weight, new.step) == (0, 0, 1)
    ),
    "a rollback before any request": lambda old, new, _: (
        old.phase is Phase.TRIAL
        and old.stable is not None
        and old.weight == 0
        and new.reason is Reason.GATE_FAILED
    ),
    "a halt": lambda old, new, _: new.halted and not old.halted,
    "an approval that promotes": lambda old, new, _: (
        old.phase is Phase.TRIAL
        and new.verdict == "Promoted"
        and new.reason is Reason.GATES_PASSED
        and "approve" in old.handled_commands
    ),
    "a wait for a person that a failed gate ends": lambda old, new, _: (
        old.approval_since is not None and new.reason is Reason.GATE_FAILED
    ),
    "a step that waits for its window to close": lambda old, new, state: (
        old.reason is Reason.FROZEN and not state.frozen and new.weight > old.weight
    ),
    "a rollback in a frozen window": lambda old, new, state: (
        state.frozen and old.phase is Phase.TRIAL and new.reason is Reason.GATE_FAILED
    ),
    "a promotion by hand that waits for its window to close": lambda old, new, state: (
        bool(old.frozen) and not state.frozen and new.reason is Reason.PROMOTED_BY_COMMAND
    ),
    "a retry": lambda old, new, state: (
        state.command.startswith("retry")
        and new.attempt > old.attempt
        and (old.phase is Phase.ROLLED_BACK or old.halted)
    ),
    "a rollback to its end": lambda old, new, _: (
        old.phase is Phase.ROLLING_BACK and new.phase is Phase.ROLLED_BACK
    ),
    "a version that was rejected before": lambda old, new, _: (
        new.reason is Reason.REJECTED_BEFORE is not old.reason
    ),
    "a version whose pods still run is restored": lambda old, new, _: (
        new.reason is Reason.RESTORED is not old.reason
    ),
    "a pause that ends": lambda old, new, _: (
        old.paused_since is not None and new.paused_since is None
    ),
    "two ways at once": lambda old, new, _: len(new.routes) > 1 >= len(old.routes),
    "promoted by an HTTPRoute": lambda old, new, _: (
        _promoted(old, new) and _router(new) == "HTTPRoute"
    ),
    "promoted by an Ingress": lambda old, new, _: _promoted(old, new) and _router(new) == "Ingress",
    "promoted by the Service alone": lambda old, new, _: (
        _promoted(old, new) and _router(new) == "None"
    ),
    "a Labelled gate that promotes": lambda old, new, _: (
        old.verdict is None
        and new.verdict == "Promoted"
        and new.reason is Reason.GATES_PASSED
        and _labelled(new)
    ),
    "a Labelled gate that rolls back": lambda old, new, _: (
        new.reason is Reason.GATE_FAILED is not old.reason and _labelled(new)
    ),
    "a Reported gate that promotes": lambda old, new, _: (
        old.verdict is None
        and new.verdict == "Promoted"
        and new.reason is Reason.GATES_PASSED
        and bool(new.gates)
        and not _labelled(new)
    ),
    "a Reported gate that rolls back": lambda old, new, _: (
        new.reason is Reason.GATE_FAILED is not old.reason and not _labelled(new)
    ),
    "an overload that ends well": lambda old, new, _: (
        new.reason is Reason.GATES_PASSED is not old.reason
        and any(g.overloaded_since is not None for g in new.gates)
    ),
    "a status that was removed": lambda old, new, _: old.attempt == 0 and new.stable is not None,
}


@dataclass
class Found:
    """What one exploration, or several together, came by."""

    states: set[int] = field(default_factory=set)
    events: int = 0
    rests: int = 0
    """Paths that were followed until they came to rest."""
    edges: Counter[Triple] = field(default_factory=Counter)
    moves: set[tuple[str, str]] = field(default_factory=set)
    """From which phase to which the plans went."""
    reasons: set[str] = field(default_factory=set)
    lines: set[tuple[str, int]] = field(default_factory=set)
    milestones: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0
    depth: int = 0

    @classmethod
    def together(cls, parts: Iterable[Self]) -> Self:
        """All of them as one."""
        whole = cls()
        for part in parts:
            whole.states |= part.states
            whole.events += part.events
            whole.rests += part.rests
            whole.edges += part.edges
            whole.moves |= part.moves
            whole.reasons |= part.reasons
            whole.lines |= part.lines
            whole.milestones += part.milestones
            whole.violations += part.violations
            whole.seconds += part.seconds
        return whole


class Explorer:
    """Looks and steps by `decide`, or by one with a bug in it, and what they come by."""

    def __init__(
        self, decided: Callable[[Observed], Plan] = decide, *, traced: bool = True
    ) -> None:
        self.found = Found()
        self._traced = traced
        self._decide = decided
        self._known = set[CodeType]()
        """Functions of which every line was gone by."""

    def __enter__(self) -> Self:
        self._checked = transitions.check_transition
        transitions.check_transition = self._note_transition
        return self

    def __exit__(self, *_: object) -> None:
        transitions.check_transition = self._checked

    def _note_transition(self, before: Phase, after: Phase, reason: Reason) -> None:
        self.found.edges[str(before), str(after), str(reason)] += 1
        self._checked(before, after, reason)

    def look(self, state: State, metric: str, registry: str) -> Plan:
        """One look, with the lines of the state machine that it goes by."""
        before = sys.gettrace()
        sys.settrace(self._trace if self._traced else before)
        try:
            plan = self._decide(observe(state, metric, registry))
        finally:
            sys.settrace(before)
        new = plan.status
        self.found.moves.add((str(state.status.phase), str(new.phase)))
        self.found.reasons.update(
            (str(new.reason), *(c.reason for c in new.conditions), *(h.reason for h in new.history))
        )
        self.found.reasons.update(str(event.reason) for event in plan.events)
        return plan

    def _trace(self, frame: FrameType, kind: str, _: Any) -> Any:
        code = frame.f_code
        if code in self._known or not code.co_filename.startswith(str(FOLDER)):
            return None
        if kind == "line":
            self.found.lines.add((Path(code.co_filename).name, frame.f_lineno))
        elif kind == "return":
            name = Path(code.co_filename).name
            there = {line for _, _, line in code.co_lines() if line and line != code.co_firstlineno}
            if {(name, line) for line in there} <= self.found.lines:
                self._known.add(code)
        return self._trace

    def step(self, before: State, event: str, after: State) -> None:
        """Note what this step came by, and what it broke."""
        if why := broken(before, event, after):
            self.found.violations.append(f"{why}: in {before.status.phase} after '{event}'")
        self.found.states.add(after.key())
        if event.startswith("look"):
            for name, came in MILESTONES.items():
                if came(before.status, after.status, after):
                    self.found.milestones[name] += 1


def statements() -> dict[tuple[str, int], set[tuple[str, int]]]:
    """The statements of all functions of the state machine by file and first line, with the lines
    by which each is known to have been reached: a statement of several lines is one.
    """
    found = dict[tuple[str, int], set[tuple[str, int]]]()
    for file in FOLDER.glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for statement in (s for body in function.body for s in ast.walk(body)):
                if not isinstance(statement, ast.stmt) or _is_apart(statement):
                    continue
                inner = [*getattr(statement, "body", ()), *getattr(statement, "cases", ())]
                first = min((_first_line(part) for part in inner), default=None)
                end = statement.end_lineno or statement.lineno
                lines = range(statement.lineno, first or end + 1)
                found[file.name, statement.lineno] = {(file.name, line) for line in lines}
    return found


def _is_apart(statement: ast.stmt) -> bool:
    """Docstrings, and what the type checker proves that it is never reached."""
    if not isinstance(statement, ast.Expr):
        return False
    value = statement.value
    never = isinstance(value, ast.Call) and ast.unparse(value.func) == "assert_never"
    return never or isinstance(value, ast.Constant)


def _first_line(part: ast.stmt | ast.match_case) -> int:
    return part.lineno if isinstance(part, ast.stmt) else part.pattern.lineno


def missed(found: Found) -> list[tuple[str, int]]:
    """The statements that were not gone by."""
    return sorted(place for place, lines in statements().items() if not lines & found.lines)


def report(found: Found) -> list[str]:
    """What was explored, for those who run the tests."""
    there, short = statements(), missed(found)
    edges = {(before, after) for before, after, _ in found.edges}
    table = {(before, after) for before, after, _ in TABLE}
    reached, triples = len(there) - len(short), found.edges.keys()
    states, events = f"{len(found.states):,} distinct states", f"{found.events:,} events of walks"
    own = f"{len(edges & table)} of {len(table)}, {len(edges - table)} others"
    with_reasons = f"{len(triples & TABLE)} of {len(TABLE)}, {len(triples - TABLE)} others"
    return [
        f"{states}, {events}, {found.rests:,} paths followed to rest",
        f"processor time: {found.seconds:.0f} s",
        f"promises broken: {len(found.violations)}",
        f"edges: {own}; with each of their reasons: {with_reasons}",
        f"reasons: {len(found.reasons & set(map(str, Reason)))} of {len(Reason)}",
        f"decision lines: {reached} of {len(there)} ({100 * reached / len(there):.1f} %)",
        *(f"{name}: {found.milestones[name]:,}" for name in MILESTONES),
    ]
