"""Labels in batches, until each was taken or refused.

With a store behind the server each label is counted once, so whatever was not answered is sent
again.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rollout_labels.reading import Label, Unreadable

MOST = 10_000
"""Labels of one request; the server takes no more."""
BATCH = 500
LONGEST_PAUSE = 30.0
"""Seconds between two tries."""
_AWAY: dict[str, Any] = {"status": 503}

Post = Callable[[Sequence[Label]], tuple[int, bytes]]
"""Sends a list of labels to /feedback/: status and body of the answer. Raises NoAnswer."""


class NoAnswer(Exception):
    """Nobody answered, or not now."""


class Unanswered(Exception):
    """The server did not answer for as long as was waited for it."""


@dataclass
class Sender:
    """Sends batches to one server, and counts what came of them."""

    place: str
    """Whom it sends to, for sentences."""
    post: Post
    """How."""
    patience: float
    """Seconds for which the server may not answer."""
    refuse: Callable[[Label, Mapping[str, Any]], None]
    """Called with each label that is refused, and with the server's answer: `status`, `error`."""
    note: Callable[[str], None]
    """Called with why the server does not answer now."""
    pause: Callable[[float], None] = time.sleep
    """As `time.sleep`."""
    counts: Counter[str] = field(default_factory=Counter)
    """Labels by what came of them."""

    def send(self, batch: Sequence[Label]) -> None:
        """Until each was taken or refused. Raises Unanswered."""
        left, waited, wait = list(batch), 0.0, 0.5
        while left:
            results = self._answered(left)
            again = []
            for label, result in zip(left, results or [_AWAY] * len(left), strict=True):
                if result.get("status") == 503:
                    again.append(label)
                elif "error" in result:
                    self.counts["refused"] += 1
                    self.refuse(label, result)
                else:
                    # Without a store the server does not say more.
                    self.counts[result.get("taken", "counted")] += 1
            if len(again) < len(left):
                waited = 0.0
            left = again
            if left:
                if waited >= self.patience:
                    raise Unanswered(
                        f"{self.place} has not taken labels for {waited:.0f} s: look at its pods"
                        " and its store"
                    )
                self.pause(wait)
                waited, wait = waited + wait, min(2 * wait, LONGEST_PAUSE)

    def _answered(self, labels: list[Label]) -> list[dict[str, Any]] | None:
        """What the server says of each; None where it does not answer, or not now."""
        try:
            status, body = self.post(labels)
        except NoAnswer as failure:
            self.note(f"no answer: {failure}")
            return None
        if status == 422 and len(labels) > 1:
            # Of a list with one that is no label none is counted: each is asked by itself.
            return [(self._answered([one]) or [_AWAY])[0] for one in labels]
        if status == 200 and (results := _results(body, len(labels))) is not None:
            return results
        if status in {400, 413, 422}:
            return [{"status": status, "error": _said(body)}] * len(labels)
        self.note(f"HTTP {status}: {_said(body)}")
        return None


def summary(counts: Mapping[str, int]) -> str:
    """What came of labels, by numbers."""
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items()) if n) or "none"


def _results(body: bytes, count: int) -> list[dict[str, Any]] | None:
    """What was said of so many labels; None where the answer is another's."""
    try:
        results: list[dict[str, Any]] = json.loads(body)["results"]
    except (ValueError, KeyError, TypeError):
        return None
    return results if isinstance(results, list) and len(results) == count else None


def _said(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]


def run(
    labels: Iterator[Label],
    sender: Sender,
    batch: int,
    progress: Path | None,
    tell: Callable[[int], None],
) -> None:
    """Send all labels. Raises Unanswered and Unreadable.

    progress: a file with the number of those that are done, which are passed over; it is written
    after each batch. tell: called with that number, where some are passed over and after each
    batch.
    """
    done = _done(progress)
    if done:
        tell(done)
    rest = islice(labels, done, None)
    while some := list(islice(rest, batch)):
        sender.send(some)
        done += len(some)
        if progress is not None:
            # Put in its place whole, so that who dies now leaves one of the two numbers.
            new = progress.with_name(f"{progress.name}.new")
            new.write_text(str(done))
            new.replace(progress)
        tell(done)


def _done(progress: Path | None) -> int:
    """How many were sent before. Raises Unreadable."""
    if progress is None or not progress.exists():
        return 0
    text = progress.read_text(errors="replace").strip()
    if not text.isdecimal():
        raise Unreadable(f"{progress} holds no number of labels: name another file, or remove it")
    return int(text)
