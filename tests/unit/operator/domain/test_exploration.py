"""`decide` explored over an abstract cluster: the promises hold in every state, every path comes to
rest, and what is explored is the table of transitions, exactly.

Breadth first near many beginnings, and random walks far from them: machine_pieces. What is reached
is printed after the tests, and docs/operations/reliability.md has to say the same.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.observed import Observed
from tests.unit.operator.domain.machine_coverage import (
    MILESTONES,
    TABLE,
    Explorer,
    Found,
    missed,
    report,
    statements,
)
from tests.unit.operator.domain.machine_pieces import PIECES, STEPS, breadth, piece, settle, walks
from tests.unit.operator.domain.machine_planted import DEEP, NEAR_BUGS
from tests.unit.operator.domain.machine_steps import beginnings, steps
from tests.unit.operator.domain.machine_world import NEAR

LEAST = 100_000
"""States, and events of walks."""
NEAR_ENOUGH = 11_000
DOCUMENT = Path(__file__).parents[4] / "docs" / "operations" / "reliability.md"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder that all workers share."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if hasattr(request.config, "workerinput") else base) / "exploration"


@pytest.mark.parametrize("name", PIECES)
def test_the_promises_hold(name: str, folder: Path) -> None:
    assert piece(name, folder).violations == []


@pytest.fixture(scope="module")
def explored(folder: Path) -> Found:
    """All pieces together."""
    return Found.together(piece(name, folder) for name in PIECES)


def test_the_exploration_is_wide_and_long_enough(
    explored: Found, record_property: Callable[[str, object], None]
) -> None:
    record_property("summary", "\n".join(["exploration of decide", *report(explored)]))
    assert len(explored.states) >= LEAST
    assert explored.events >= LEAST
    assert STEPS >= 100


def test_the_edges_that_are_explored_are_those_of_the_table(explored: Found) -> None:
    assert sorted(explored.edges.keys() - TABLE) == []
    assert sorted(TABLE - explored.edges.keys()) == []


def test_no_plan_goes_from_phase_to_phase_but_by_an_edge(explored: Found) -> None:
    moves = {(before, after) for before, after in explored.moves if before != after}
    assert moves == {(before, after) for before, after, _ in TABLE if before != after}
    assert {after for _, after in moves} == {before for before, _ in moves} == set(map(str, Phase))


def test_every_reason_is_reached(explored: Found) -> None:
    # What the registry refuses is told by whoever writes there, and decides nothing.
    assert set(map(str, Reason)) - explored.reasons == {str(Reason.DIGEST_NOT_RECORDED)}


def test_99_of_100_lines_of_the_state_machine_are_gone_by(explored: Found) -> None:
    assert len(missed(explored)) <= 0.01 * len(statements()), missed(explored)


@pytest.mark.parametrize("milestone", MILESTONES)
def test_the_exploration_comes_by(milestone: str, explored: Found) -> None:
    assert explored.milestones[milestone]


def test_the_document_says_how_far_it_goes(explored: Found) -> None:
    told = " ".join(DOCUMENT.read_text().split())
    assert f"{LEAST:,} distinct states" in told
    assert f"{LEAST:,} events" in told
    assert f"walks of {STEPS} events" in told
    assert f"{len(beginnings())} beginnings" in told
    assert f"{len(DEEP) + len(NEAR_BUGS)} planted bugs" in told


@pytest.mark.parametrize("metric", ["good", "bad", "none", "down"])
@pytest.mark.parametrize(
    "ready", [True, False], ids=["pods become Ready", "pods never become Ready"]
)
def test_every_path_comes_to_rest(metric: str, ready: bool) -> None:
    """From each beginning, and from states near the first ones, the engine comes to rest in bounded
    time when nothing changes any more, or waits for a person, and stays there.
    """
    explorer, start = Explorer(traced=False), beginnings()
    seen, queue, tried = {s.key() for s in start}, deque(start), 0
    while tried < len(start) + 50:
        state, wanted = queue.popleft(), ("1", "2", "lost")[tried % 3]
        tried += 1
        rest = settle(replace(state, wanted=wanted), metric, ready, explorer.look)
        # A halted trial waits for a person, whatever is wanted meanwhile.
        resting = rest.status.phase in AT_REST or rest.status.halted
        assert resting, f"{state.status.phase} never ends: {rest.status.phase}"
        for _, after in steps(state, explorer.look, NEAR) if tried < 5 else ():
            if (key := after.key()) not in seen:
                seen.add(key)
                queue.append(after)


def _walk_until_caught(explorer: Explorer) -> None:
    for seed in range(1, 5):
        if not explorer.found.violations:
            walks(explorer, seed, breaks=1)


@pytest.mark.parametrize("planted", NEAR_BUGS)
def test_a_planted_bug_is_caught(
    planted: Callable[[Observed], Plan], record_property: Callable[[str, object], None]
) -> None:
    explorer = Explorer(planted, traced=False)
    breadth(explorer, NEAR_ENOUGH, breaks=1)
    _walk_until_caught(explorer)
    assert explorer.found.violations
    record_property("planted bug found", "near")


@pytest.mark.parametrize("planted", DEEP)
def test_a_bug_that_is_planted_deep_is_caught_by_walks_alone(
    planted: Callable[[Observed], Plan], record_property: Callable[[str, object], None]
) -> None:
    near, far = Explorer(planted, traced=False), Explorer(planted, traced=False)
    breadth(near, NEAR_ENOUGH)
    assert near.found.violations == []
    _walk_until_caught(far)
    assert far.found.violations
    assert far.found.depth > 10
    record_property("planted bug found", "deep")
