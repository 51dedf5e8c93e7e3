"""What several viewers look at is read once: a rollout by its resourceVersion, and what changes
beside it (pods, Events) for a moment.

Nobody gets from here what the API server would not give him: the caller asks first what the viewer
may (viewers.py).
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

MOST = 200
"""Answers that are kept."""


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float | None = None
    value: Any = None


class SharedReads:
    """Answers by question; a question is asked once at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._all: OrderedDict[Hashable, _Entry] = OrderedDict()

    def read(self, question: Hashable, seconds: float, ask: Callable[[], T]) -> T:
        """The answer, at most so many seconds old. Raises what `ask` raises, and keeps nothing
        then.
        """
        with self._lock:
            entry = self._all.setdefault(question, _Entry())
            self._all.move_to_end(question)
            while len(self._all) > MOST:
                self._all.popitem(last=False)
        with entry.lock:
            if entry.at is None or self._clock() - entry.at > seconds:
                entry.value = ask()
                entry.at = self._clock()
            value: T = entry.value
            return value
