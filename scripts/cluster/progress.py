"""Lines that say what is being done and how long it has taken."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_started = time.monotonic()
_lock = threading.Lock()
TICK = 20.0


def say(text: str) -> None:
    """One line, with the seconds since the command began."""
    with _lock:
        print(f"[{time.monotonic() - _started:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say that something begins, that it still goes on every 20 s, and that it is done."""
    begun, done = time.monotonic(), threading.Event()

    def remind() -> None:
        while not done.wait(TICK):
            say(f"  … {what} ({time.monotonic() - begun:.0f} s so far)")

    say(what)
    threading.Thread(target=remind, daemon=True).start()
    try:
        yield
    finally:
        done.set()
    if (took := time.monotonic() - begun) > 2:
        say(f"  done: {what} ({took:.0f} s)")
