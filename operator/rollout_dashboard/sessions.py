"""Who is logged in. Tokens are kept here, in memory, and nowhere else: the cookie is a random
number that says nothing, and a restart logs everybody out.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

IDLE, LONGEST = 3600.0, 12 * 3600.0
"""Seconds: until a session ends that nobody uses, and that somebody does."""
MOST = 5000
"""Sessions at a time; the one that was not used for longest makes room."""


@dataclass(slots=True)
class Session:
    """One browser."""

    id: str = field(repr=False)
    """What the cookie holds."""
    token: str = field(repr=False)
    """The bearer token that was pasted in; "" where a proxy's header has it, or the kubeconfig."""
    began: float
    """Monotonic seconds."""
    used: float
    """Monotonic seconds, of the last request."""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """What every form of this browser carries."""
    result: str = ""
    """What came of the last action, until it was shown once."""
    namespaces: frozenset[str] = frozenset()
    """Where this viewer looks besides."""


class Sessions:
    """All of them; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._all: OrderedDict[str, Session] = OrderedDict()

    def begin(self, token: str = "") -> Session:
        """A new session."""
        now = self._clock()
        session = Session(secrets.token_urlsafe(32), token, now, now)
        with self._lock:
            self._drop_old(now)
            self._all[_digest(session.id)] = session
            while len(self._all) > MOST:
                self._all.popitem(last=False)
        return session

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie; None where there is none any more."""
        now = self._clock()
        with self._lock:
            session = self._all.get(_digest(cookie)) if cookie else None
            if session is None:
                return None
            if _is_over(session, now):
                del self._all[_digest(cookie)]
                return None
            session.used = now
            self._all.move_to_end(_digest(cookie))
            return session

    def end(self, session: Session) -> None:
        """Log out: nothing of it stays."""
        with self._lock:
            self._all.pop(_digest(session.id), None)

    def _drop_old(self, now: float) -> None:
        for key in [key for key, session in self._all.items() if _is_over(session, now)]:
            del self._all[key]


class OneTimeSecret:
    """What the URL of the loopback command carries: it opens one session, once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._code: str | None = secrets.token_urlsafe(32)

    @property
    def code(self) -> str:
        """The secret; "" once it was used."""
        return self._code or ""

    def take(self, code: str) -> bool:
        """Whether this is it; it is used up then."""
        with self._lock:
            fits = self._code is not None and same(code, self._code)
            if fits:
                self._code = None
            return fits


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are the same, in a time that does not say how much of them is."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _is_over(session: Session, now: float) -> bool:
    return now - session.used > IDLE or now - session.began > LONGEST


def _digest(cookie: str) -> str:
    # Looked up by its hash, so that the time of a look-up says nothing of ids that exist.
    return hashlib.sha256(cookie.encode()).hexdigest()
