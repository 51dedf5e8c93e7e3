"""One batcher for both runtimes: when a batch is taken, how large it is, how its run is shared."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from rollout_model.batching import Batcher, predict_each
from rollout_model.outcome import PLAIN, PROBABILITIES, Outcome, Question
from rollout_model.signature import Rows


@dataclass
class Notes:
    """A policy that notes its batches of numbers, each as heavy as it says; the next batch has to
    be asked for.
    """

    most: float = 10
    at_once: bool = True
    pause: bool = True
    batches: list[list[int]] = field(default_factory=list)
    answered: list[Callable[[], None]] = field(default_factory=list)

    def weight(self, item: int) -> float:
        return item

    def answer(self, batch: Sequence[int], answered: Callable[[], None]) -> None:
        self.batches.append(list(batch))
        if 13 in batch:
            raise KeyError("a defect")
        if self.at_once:
            answered()
        else:
            self.answered.append(answered)


TAKEN = {
    "what fits together": ([1, 2, 3], [[1, 2, 3]]),
    "no more than fits": ([4, 6, 1], [[4, 6], [1]]),
    "in the order in which it came": ([9, 2, 1], [[9], [2, 1]]),
    "one that is too heavy is alone": ([1, 30, 2], [[1], [30], [2]]),
}


@pytest.mark.parametrize(("items", "batches"), TAKEN.values(), ids=TAKEN.keys())
async def test_a_batch_holds(items: list[int], batches: list[list[int]]) -> None:
    notes = Notes()
    batcher = Batcher(notes)
    for item in items:
        batcher.add(item)
    assert not notes.batches, "nothing is answered before the turn ends"
    for _ in batches:
        await asyncio.sleep(0)
    assert notes.batches == batches


async def test_what_comes_while_a_batch_is_answered_is_the_next() -> None:
    notes = Notes(at_once=False)
    batcher = Batcher(notes)
    batcher.add(1)
    await asyncio.sleep(0)
    for item in (2, 3):
        batcher.add(item)
        await asyncio.sleep(0)
    assert notes.batches == [[1]]
    notes.answered.pop()()
    await asyncio.sleep(0)
    assert notes.batches == [[1], [2, 3]]


async def test_a_thread_has_its_next_batch_before_the_answered_go_on() -> None:
    notes = Notes(at_once=False, pause=False)
    batcher = Batcher(notes)
    batcher.add(1)
    await asyncio.sleep(0)
    batcher.add(2)
    notes.answered.pop()()
    assert notes.batches == [[1], [2]]


async def test_what_was_flushed_is_not_answered_again_and_what_comes_after_it_is() -> None:
    notes = Notes()
    batcher = Batcher(notes)
    batcher.add(1)
    batcher.flush()
    batcher.add(2)
    await asyncio.sleep(0)
    batcher.add(3)
    await asyncio.sleep(0)
    assert notes.batches == [[1], [2], [3]]


async def test_a_policy_with_a_defect_keeps_nobody_else_waiting() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: told.append(about))
    notes = Notes(most=1)
    batcher = Batcher(notes)
    for item in (13, 1):
        batcher.add(item)
    for _ in range(2):
        await asyncio.sleep(0)
    assert notes.batches == [[13], [1]]
    assert len(told) == 1, "the defect is in the log"


PROBABLE = Question(frozenset({PROBABILITIES}))
HALVED, DOUBLED = Question(params={"times": 0.5}), Question(params={"times": 2.0})


def sums(rows: Rows, question: Question) -> Outcome:
    """A model that fails on what is negative, and has probabilities and a factor."""
    if (rows < 0).any():
        raise ValueError("negative")
    more = {PROBABILITIES: np.column_stack([rows[:, 0], 1 - rows[:, 0]])} if question.also else {}
    return Outcome((rows.sum(axis=1) * question.params.get("times", 1)).tolist(), more)


RUNS: dict[str, tuple[list[list[float]], list[Question], float, int, list[object]]] = {
    "one run": ([[1], [2, 3]], [], 10, 1, [[1.0], [2.0, 3.0]]),
    "one run for what is asked in any": (
        [[1], [2, 3], [4]],
        [PLAIN, PROBABLE, PLAIN],
        10,
        1,
        [[1.0], [2.0, 3.0], [4.0]],
    ),
    "one run with the same parameters": ([[1], [2]], [DOUBLED, DOUBLED], 10, 1, [[2.0], [4.0]]),
    "other parameters, each alone": (
        [[1], [2], [3]],
        [DOUBLED, HALVED, PROBABLE],
        10,
        3,
        [[2.0], [1.0], [3.0]],
    ),
    "too many rows for one": ([[1], [2, 3]], [], 2, 2, [[1.0], [2.0, 3.0]]),
    "one that fails takes none with it": ([[1], [-2], [3]], [], 10, 4, [[1.0], "negative", [3.0]]),
    "one alone that fails is asked once": ([[-1]], [], 10, 1, ["negative"]),
    "none": ([], [], 10, 0, []),
}


@pytest.mark.parametrize(
    ("parts", "questions", "most", "runs", "said"), RUNS.values(), ids=RUNS.keys()
)
def test_outcomes(
    parts: list[list[float]],
    questions: list[Question],
    most: float,
    runs: int,
    said: list[object],
) -> None:
    ran: list[int] = []

    def run(rows: Rows, question: Question) -> Outcome:
        ran.append(len(rows))
        return sums(rows, question)

    rows = [np.array(part, dtype=np.float64)[:, None] for part in parts]
    found = predict_each(run, rows, most, questions)
    assert [str(one) if isinstance(one, Exception) else one.labels for one in found] == said
    assert len(ran) == runs
    for part, asked, outcome in zip(rows, questions, found, strict=False):
        if asked.also:
            assert isinstance(outcome, Outcome)
            assert outcome.more[PROBABILITIES][:, 0].tolist() == part[:, 0].tolist()
