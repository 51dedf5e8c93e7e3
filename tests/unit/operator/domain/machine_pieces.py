"""The exploration in pieces: each is computed once, by the worker of the tests that is first."""

import fcntl
import pickle
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.redirect import needs_resolution
from rollout_operator.domain.machine.transitions import AT_REST
from tests.unit.operator.domain.machine_coverage import Explorer, Found
from tests.unit.operator.domain.machine_router import later
from tests.unit.operator.domain.machine_steps import (
    COMMANDS,
    Look,
    beginnings,
    demanding,
    happens,
    looked,
    metrics_at,
    revisions,
    steps,
    walk_beginnings,
)
from tests.unit.operator.domain.machine_world import (
    NEAR,
    REFUSED,
    REGISTRY,
    SPECS,
    State,
    applied,
    numbers,
    objects,
    scaling,
)

BREADTH = 60_000
WALKS, STEPS = 125, 200
"""Of each of the pieces that walk."""
PROOFS = 40
"""Walks where a proof is demanded."""
SEEDS = (24, 25, 26, 27)
THEME = 5
"""How many specs a walk asks for: of all of them, it would seldom ask for one again."""


def crossings(explorer: Explorer) -> None:
    """Whatever is asked for in whatever phase: each spec at each beginning, now and later, with all
    that the registry and the metrics can say.
    """
    for start in beginnings():
        for wanted in SPECS:
            for seconds in (0, 31, 61):
                now = start.now + timedelta(seconds=seconds)
                state = replace(start, wanted=wanted, now=now, late=later(start.late, now))
                asked = needs_resolution(SPECS[wanted], state.status)
                first, *others = metrics_at(state)
                registry = REGISTRY if asked and not seconds else ("up",)
                said = [(first, answer) for answer in registry]
                said += [(metric, "up") for metric in others] if wanted in NEAR else []
                for (metric, seen), answer in said:
                    event, after = next(looked(state, seen, (metric, answer), explorer.look))
                    explorer.step(state, event, after)


def commands(explorer: Explorer) -> None:
    """Whatever is commanded in whatever phase."""
    for start in beginnings():
        for command in COMMANDS:
            state = replace(start, command=command)
            for event, after in looked(state, state, ("none", "up"), explorer.look):
                explorer.step(state, event, after)


def patience(explorer: Explorer) -> None:
    """A trial that stays without a verdict, until it is given up: by each spec, for each cause,
    before and after routers have followed.
    """
    for start in (s for s in beginnings() if s.status.phase is Phase.TRIAL):
        for wanted in SPECS:
            for cause in ("none", "mixed answers", "few right answers", REFUSED):
                for seconds in (4, 15):
                    _wait_out(explorer, replace(start, wanted=wanted), cause, seconds)


def _wait_out(explorer: Explorer, state: State, cause: str, seconds: int) -> None:
    for _ in range(8):
        now = state.now + timedelta(seconds=seconds)
        state = replace(state, now=now, ready=revisions(state), late=later(state.late, now))
        seen = dict(metrics_at(state)).get(cause, state)
        event, after = next(looked(state, seen, (cause, "up"), explorer.look))
        explorer.step(state, event, after)
        state = after
        if state.status.phase is not Phase.TRIAL:
            return


def breadth(explorer: Explorer, most: int = BREADTH, breaks: int = 5) -> None:
    """Everything that can happen, breadth first, until there are so many distinct states."""
    found, start = explorer.found, beginnings()
    seen, queue = {s.key() for s in start}, deque((s, 0) for s in start)
    while queue and len(seen) < most and len(found.violations) < breaks:
        state, found.depth = queue.popleft()
        for event, after in steps(state, explorer.look, NEAR):
            explorer.step(state, event, after)
            if (key := after.key()) not in seen:
                seen.add(key)
                queue.append((after, found.depth + 1))


def proofs(explorer: Explorer) -> None:
    """What happens by chance where a proof is demanded."""
    walks(explorer, SEEDS[0], PROOFS, start=demanding())


def walks(
    explorer: Explorer,
    seed: int,
    number: int = WALKS,
    breaks: int = 5,
    start: Sequence[State] = (),
) -> None:
    """What happens by chance, far from any beginning; then nothing more, until it comes to rest."""
    found, dice, start = explorer.found, random.Random(seed), start or walk_beginnings()
    for n in range(number):
        state = start[0] if n % 2 else dice.choice(start)
        specs = tuple(dice.sample(sorted(SPECS), THEME))
        for found.depth in range(1, STEPS + 1):
            event, after = happens(dice, state, explorer.look, specs)
            explorer.step(state, event, after)
            found.events += 1
            if len(found.violations) >= breaks:
                return
            state = after
        _note_rest(explorer, state, dice)


def _note_rest(explorer: Explorer, state: State, dice: random.Random) -> None:
    metric, ready = dice.choice(("good", "bad", "none", "down")), dice.random() < 0.7
    end = settle(state, metric, ready, explorer.look)
    explorer.found.rests += 1
    if not at_rest(end):
        explorer.found.violations.append(f"{end.status.phase} never ends")


def at_rest(state: State) -> bool:
    """Whether nothing is under way, but for what waits for a person."""
    status = state.status
    asked = status.approval_since is not None
    return status.phase in AT_REST or status.halted or status.paused_since is not None or asked


def _followed(state: State) -> State:
    """The state once every autoscaler has given what it is told at least."""
    live = objects(state)
    found = ((r, *n) for r, n in numbers(state).items() if scaling(live, r))
    told = ((r, max(asked, scaling(live, r)["minReplicas"])) for r, asked, _ in found)
    return replace(state, given=tuple(sorted((r, asked, asked) for r, asked in told)))


def settle(state: State, metric: str, ready: bool, look: Look) -> State:
    """What becomes of it when nothing changes any more, however long it takes; where pods never
    become Ready, autoscalers do nothing either.

    What others on the host hold is held as long as they are there; it is looked at without.
    """
    state = replace(state, command="", taken=False, foreign="")
    for _ in range(400):
        pods = revisions(state) if ready else frozenset[str]()
        state = replace(_followed(state) if ready else state, ready=pods, former=frozenset())
        plan = look(state, metric, "up")
        resting = plan.status == state.status and not plan.status.retiring
        due = max(plan.requeue_at or state.now, state.now + timedelta(seconds=0.01))
        done = replace(state, status=plan.status, live=plan.status, half=())
        late = later(applied(state, done).late, due)
        state = replace(applied(state, done), now=due, late=late)
        if resting and at_rest(state):
            break
    return state


PIECES: Mapping[str, Callable[[Explorer], None]] = {
    "crossings": crossings,
    "commands": commands,
    "patience": patience,
    "breadth": breadth,
    "proofs": proofs,
    **{f"walks {seed}": partial(walks, seed=seed) for seed in SEEDS},
}


def piece(name: str, folder: Path) -> Found:
    """One piece of the exploration, from the folder that the workers share, or made there."""
    folder.mkdir(exist_ok=True)
    kept = folder / f"{name}.pickle"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            before = time.process_time()
            with Explorer() as explorer:
                PIECES[name](explorer)
            explorer.found.seconds = time.process_time() - before
            kept.write_bytes(pickle.dumps(explorer.found))
    found = pickle.loads(kept.read_bytes())
    assert isinstance(found, Found)
    return found
