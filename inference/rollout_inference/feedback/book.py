"""The store as the server uses it: one thread asks it, predictions are noted together, and a store
that is away holds up no prediction.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from rollout_inference.feedback.settlement import CORRECTED, COUNTED, Entry, Sent, Settled
from rollout_inference.feedback.store import AT_ONCE, Snapshot, Store, StoreAway, Whose
from rollout_model.errors import Refused

log = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE = 1.0
"""Seconds that a prediction waits for being noted; then it is answered without, and so are those of
the same time to come.
"""
READS = 2.0
"""Seconds that a scrape waits for counts; then it has those of the last one."""
MOST_WAITING = 64
"""Requests with labels that wait for the store; more are told to come again."""
MOST_PENDING = 20_000
"""Predictions that wait for being noted; more are not noted."""
MOST_ROWS = 10_000
"""Of a request whose rows are noted."""
LONGEST_SAID = 4_096
"""Characters of a prediction that is noted."""
FORGET_EVERY = 60.0
"""Seconds between two looks for entries that are too old or too many."""
WRITTEN = {COUNTED, CORRECTED}
"""What becomes of labels that the store had to write."""
AWAY, REUSED, LARGE, NAME = "away", "reused", "large", "name"
REASONS = (AWAY, REUSED, LARGE, NAME)
"""Why predictions with a request id are not noted: the store is away; the id belongs to predictions
that have labels; there are too many rows, or too long ones; the id is none.
"""


@dataclass
class Book:
    """What remembers predictions and labels for one server."""

    store: Store
    """Asked by one thread of this book's own."""
    whose: Whose
    """The revision that is served here."""
    newest: int
    """Labels that its live accuracy rests on, at most."""
    seen: Snapshot = field(default_factory=Snapshot)
    """As the last read that succeeded found it."""
    answers: bool = False
    """Whether the last read succeeded."""
    writable: bool = True
    """Whether the last write did: a full volume can be read."""
    known: bool = False
    """Whether it has ever answered."""
    unremembered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    """Predictions that labels will not find by their request ids, by reason."""
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "store"))
    _pending: list[tuple[Sequence[Entry], asyncio.Future[str]]] = field(default_factory=list)
    """What is to be noted, and why it was not; "" where it was."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: int = 0
    _slow_until: float = 0.0
    _forgot: float = -FORGET_EVERY

    @property
    def up(self) -> bool:
        """Whether the store answers, and takes what it is given."""
        return self.answers and self.writable

    async def ask(self, question: Callable[[], T]) -> T:
        """What the store's thread answers; raises StoreAway where too many wait for it."""
        if self._waiting >= MOST_WAITING:
            raise StoreAway("it has too much to do")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, question)
        finally:
            self._waiting -= 1

    async def remember(self, entries: Sequence[Entry]) -> bool:
        """Note predictions, together with those of other requests, before they are answered; False
        where that was not possible.
        """
        if not entries:
            return True
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        with self._lock:
            waiting = sum(len(some) for some, _ in self._pending)
            hurry = now < self._slow_until or waiting + len(entries) > MOST_PENDING
            if not hurry:
                noted: asyncio.Future[str] = loop.create_future()
                self._pending.append((entries, noted))
                alone = len(self._pending) == 1
        if hurry:
            return self.skipped(AWAY, len(entries))
        if alone:
            loop.run_in_executor(self._thread, self._note)
        try:
            why = await asyncio.wait_for(noted, PATIENCE)
        except TimeoutError:
            self._slow_until = time.monotonic() + PATIENCE
            return self.skipped(AWAY, len(entries))
        return self.skipped(AWAY, len(entries)) if why == AWAY else not why

    def take(self, sent: Sequence[Sent]) -> list[Settled | Refused]:
        """Settle labels and values; to be called in the store's thread, by `ask`. Predictions that
        wait are noted in between: they wait for an answer.
        """
        found: list[Settled | Refused] = []
        for start in range(0, len(sent), AT_ONCE):
            found += self.store.take(sent[start : start + AT_ONCE])
            self._note()
        away = next((one for one in found if isinstance(one, StoreAway)), None)
        if away is not None:
            self.writable = False
            log.warning("labels are not taken: %s", away.why)
        elif any(isinstance(one, Settled) and one.taken in WRITTEN for one in found):
            self.writable = True
        return found

    def skipped(self, reason: str, rows: int) -> bool:
        """So many predictions are not noted, for one of REASONS; always False."""
        self.unremembered[reason] += rows
        return False

    async def refresh(self) -> Snapshot:
        """The counts now, or those of the last time where the store does not answer soon."""
        try:
            await asyncio.wait_for(self.ask(self._read), READS)
        except (StoreAway, TimeoutError) as failure:
            self.answers = False
            why = failure.why if isinstance(failure, StoreAway) else "it takes too long"
            log.warning("the feedback store cannot be read: %s", why)
        except Exception:
            # The pod's other series have no part in it.
            self.answers = False
            log.exception("the feedback store cannot be read")
        return self.seen

    def close(self) -> None:
        """Let the connection go, once what was begun is done."""
        self._thread.submit(self.store.close)
        self._thread.shutdown(wait=True)

    def _note(self) -> None:
        """In the store's thread: all that waits, by one transaction."""
        with self._lock:
            pending, self._pending = self._pending, []
        if not pending:
            return
        try:
            reused = self.store.remember([one for entries, _ in pending for one in entries])
            done = True
        except StoreAway as away:
            reused, done = frozenset(), False
            log.warning("predictions are not noted: %s", away.why)
        except Exception:
            reused, done = frozenset(), False
            log.exception("predictions are not noted")
        self.writable = done
        for entries, noted in pending:
            again = sum(one.key in reused for one in entries)
            if again:
                self.skipped(REUSED, again)
            outcome = REUSED if again else "" if done else AWAY
            noted.get_loop().call_soon_threadsafe(_tell, noted, outcome)

    def _read(self) -> None:
        if time.monotonic() - self._forgot >= FORGET_EVERY:
            self._forgot = time.monotonic()
            gone = self.store.forget()
            # It notes up to when labels come too late, so something was written.
            self.writable = True
            if gone:
                log.info("the feedback store has forgotten %d predictions", gone)
        self.seen = self.store.snapshot(self.whose, self.newest)
        self.answers = self.known = True


def _tell(noted: asyncio.Future[str], why: str) -> None:
    if not noted.done():
        noted.set_result(why)
