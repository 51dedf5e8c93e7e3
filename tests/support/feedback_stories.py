"""What is sent to a store, in which order, and what has to come of it, whatever the database."""

import math
from typing import Any

from rollout_inference.feedback.prediction_id import Prediction
from rollout_inference.feedback.settlement import (
    CORRECTED,
    COUNTED,
    DUPLICATE,
    SUPERSEDED,
    Entry,
    Sent,
    Settled,
    key_of_request,
)
from rollout_inference.feedback.store import Store
from rollout_model.errors import Refused

NOON = 1_700_000_000.0
WEEK = 7 * 24 * 3600
WHOSE = ("iris", "7", "abc")


class Clock:
    """Stands still."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        """Unix time, s."""
        return self.now


def predicted(
    value: Any = "setosa", issued: float = NOON, revision: str = "abc", numeric: bool = False
) -> Prediction:
    """A prediction of setosa at noon, where nothing else is said."""
    return Prediction("iris", "7", revision, int(issued), 0, numeric, value)


def entry(name: str, **said: Any) -> Entry:
    """What a store remembers of a request of one row."""
    return Entry(key_of_request(name, 0), predicted(**said))


def label(name: str, right: Any, version: int = 0) -> Sent:
    """A label by the caller's key."""
    return Sent(key_of_request(name, 0), label=right, version=version)


def value(name: str, of: float, version: int = 0) -> Sent:
    """A value by the caller's key."""
    return Sent(key_of_request(name, 0), value=of, version=version)


def taken(results: list[Settled | Refused]) -> list[str | int]:
    """What came of each: how it was taken, or the status of the refusal."""
    return [one.status if isinstance(one, Refused) else one.taken for one in results]


def counted(store: Store, revision: str = "abc") -> dict[str, tuple[float, float]]:
    """Added and retracted, by name of the counter."""
    counts = store.snapshot(WHOSE, 1_000).counts
    return {
        name: (one.added, one.retracted)
        for ((_, _, whose), name), one in counts.items()
        if whose == revision
    }


KNOWN = (
    entry("a"),
    entry("n", value=2.0, numeric=True),
    entry("nan", value=math.nan, numeric=True),
    entry("far", value=1.797e308, numeric=True),
)
"""What each story begins with."""
STORIES: dict[str, tuple[list[Sent], list[str | int], dict[str, tuple[float, float]]]] = {
    "one label": ([label("a", "setosa")], [COUNTED], {"correct": (1, 0)}),
    "a wrong one": ([label("a", "virginica")], [COUNTED], {"wrong": (1, 0)}),
    "twice the same": (
        [label("a", "setosa")] * 2,
        [COUNTED, DUPLICATE],
        {"correct": (1, 0)},
    ),
    "a number as another sender writes it": (
        [label("n", 3), label("n", 3.0)],
        [COUNTED, DUPLICATE],
        {"numbers": (1, 0), "absolute_error": (1, 0)},
    ),
    "another one without a version is no correction": (
        [label("a", "setosa"), label("a", "virginica"), label("a", "setosa")],
        [COUNTED, 409, DUPLICATE],
        {"correct": (1, 0)},
    ),
    "a correction takes back what was counted": (
        [label("a", "setosa"), label("a", "virginica", 1)],
        [COUNTED, CORRECTED],
        {"correct": (1, 1), "wrong": (1, 0)},
    ),
    "and back again": (
        [label("a", "setosa"), label("a", "virginica", 1), label("a", "setosa", 2)],
        [COUNTED, CORRECTED, CORRECTED],
        {"correct": (2, 1), "wrong": (1, 1)},
    ),
    "a correction to another wrong label counts the same": (
        [label("a", "virginica"), label("a", "versicolor", 1)],
        [COUNTED, CORRECTED],
        {"wrong": (1, 0)},
    ),
    "the first label again, after its correction": (
        [label("a", "setosa"), label("a", "virginica", 1), label("a", "setosa")],
        [COUNTED, CORRECTED, SUPERSEDED],
        {"correct": (1, 1), "wrong": (1, 0)},
    ),
    "the correction before what it corrects": (
        [label("a", "virginica", 1), label("a", "setosa")],
        [COUNTED, SUPERSEDED],
        {"wrong": (1, 0)},
    ),
    "a number is no text": (
        [label("a", 3), label("a", "setosa")],
        [422, COUNTED],
        {"correct": (1, 0)},
    ),
    "nobody knows it": (
        [label("b", "setosa"), label("a", "setosa")],
        [404, COUNTED],
        {"correct": (1, 0)},
    ),
    "another row of the same request": (
        [Sent(key_of_request("a", 1), label="setosa")],
        [404],
        {},
    ),
    "an error of a regression": (
        [label("n", 3.0), label("n", 2.5, 1), label("n", 2.5, 1)],
        [COUNTED, CORRECTED, DUPLICATE],
        {"numbers": (1, 0), "absolute_error": (1.5, 1.0)},
    ),
    "an error of what is no number": (
        [label("nan", 3.0), label("far", -1e299), label("n", 3.0)],
        [422, 422, COUNTED],
        {"numbers": (1, 0), "absolute_error": (1.0, 0)},
    ),
    "a value beside the label": (
        [value("a", 12.5), value("a", 12.5), label("a", "setosa"), value("a", 3)],
        [COUNTED, DUPLICATE, COUNTED, 409],
        {
            "correct": (1, 0),
            "values": (1, 0),
            "value_sum": (12.5, 0),
            "value_squares": (156.25, 0),
        },
    ),
    "a value above the greatest": (
        [value("a", 250.0)],
        [COUNTED],
        {
            "values": (1, 0),
            "value_sum": (100, 0),
            "value_squares": (1e4, 0),
            "values_clipped": (1, 0),
        },
    ),
    "a value takes no correction": ([value("a", 5.0, 1)], [422], {}),
}
"""Labels and values in their order, what each comes to, and the counts in the end."""
