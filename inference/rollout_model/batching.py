"""Batches: requests that wait at the same time are answered by one run of the model.

Both runtimes are served by the one Batcher. What differs stands in its policy: whether a batch is
answered at the end of this turn of the event loop, or in a thread, while the next one gathers.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from rollout_model.outcome import PLAIN, Outcome, Question, joined
from rollout_model.signature import AnyRows, together

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)


class Policy(Protocol[Item_contra]):
    """How much one batch may hold, and where it is answered."""

    most: float
    """What the weights of a batch may come to; one item is taken however heavy it is."""
    pause: bool
    """Whether the event loop has a turn of its own between two batches; else the next one is taken
    at once, before those that were answered go on.
    """

    def weight(self, item: Item_contra) -> float:
        """How much of a batch the item takes."""

    def answer(self, batch: Sequence[Item_contra], answered: Callable[[], None]) -> None:
        """Answer each, and call `answered` once the next batch may come."""


class Batcher(Generic[Item]):
    """What waits to be answered. Whatever comes in one turn of the event loop may share a batch."""

    def __init__(self, policy: Policy[Item]) -> None:
        self._policy = policy
        self._waiting: list[Item] = []
        self._scheduled = False
        """Whether a batch is going to be taken, or is being answered."""

    def add(self, item: Item) -> None:
        """Have it answered, by the first batch that has room for it."""
        self._waiting.append(item)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._answer)

    def flush(self) -> None:
        """Answer all that wait, now; for a policy that answers at once."""
        while self._waiting:
            self._policy.answer(self._take(), _nothing)

    def _answer(self) -> None:
        batch = self._take()
        if not batch:
            self._answered()
            return
        try:
            self._policy.answer(batch, self._answered)
        except Exception:  # a defect must not keep what comes after it from being answered
            asyncio.get_running_loop().call_soon(self._answer)
            raise

    def _answered(self) -> None:
        if not self._waiting:
            self._scheduled = False
        elif self._policy.pause:
            asyncio.get_running_loop().call_soon(self._answer)
        else:
            self._answer()

    def _take(self) -> list[Item]:
        """The first that wait, as many as a batch may hold; one at least."""
        total, count = 0.0, 0
        for item in self._waiting:
            total += self._policy.weight(item)
            if count and total > self._policy.most:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch


Run = Callable[[Any, Question], Outcome]
"""Predicts rows, and says what else the question asks; raises whatever the model raises."""


def predict_each(
    run: Run, parts: Sequence[AnyRows], most: float, questions: Sequence[Question] = ()
) -> list[Outcome | Exception]:
    """An outcome for each part, or what the model raised. questions: one for each part; none where
    all ask for predictions alone.

    By one run where the parts have at most `most` rows together and one question answers all. Where
    that run fails, each part is tried alone, so that none fails for another's rows.
    """
    sizes, each = [len(part) for part in parts], questions or [PLAIN] * len(parts)
    if len(parts) > 1 and sum(sizes) <= most and (asked := joined(questions)) is not None:
        try:
            return [*run(together(parts), asked).split(sizes)]
        except Exception:  # whatever it was: each part says it for itself
            return [_alone(run, part, one) for part, one in zip(parts, each, strict=True)]
    return [_alone(run, part, one) for part, one in zip(parts, each, strict=True)]


def _alone(run: Run, rows: AnyRows, question: Question) -> Outcome | Exception:
    try:
        return run(rows, question)
    except Exception as failure:  # models fail in as many ways as there are models
        return failure


def _nothing() -> None:
    pass
