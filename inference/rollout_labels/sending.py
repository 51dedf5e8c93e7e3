"""Labels in batches, until each was taken or refused.

With a store behind the server each label is counted once, so whatever was not answered is sent
again.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from rollout_labels.reading import Label, Unreadable

MOST = 10_000
"""Labels of one request; the server takes no more."""
BATCH = 500
MANY = 100
"""Labels of a first batch that are refused for one reason: then the others are not tried."""
LONGEST_PAUSE = 30.0
"""Seconds between two tries."""
_AWAY: dict[str, Any] = {"status": 503}
_NOT_AS_THEY_ARE = frozenset({400, 413, 422})
"""Of a list with one that is no label, and of one that is too long, none is counted."""

Post = Callable[[Sequence[Label]], tuple[int, bytes]]
"""Sends a list of labels to /feedback/: status and body of the answer. Raises NoAnswer."""


class NoAnswer(Exception):
    """Nobody answered, or not now."""


class Unanswered(Exception):
    """The server did not answer for as long as was waited for it."""


class NoneTaken(Exception):
    """All of the first labels are in a form that the server does not take, for one reason."""


class Unkept(Exception):
    """What came of labels cannot be written down; the message says where, and why."""


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
    reasons: Counter[str] = field(default_factory=Counter)
    """Why labels were refused for their form, by the server."""

    def send(self, batch: Sequence[Label]) -> None:
        """Until each was taken or refused. Raises Unanswered."""
        left, waited, wait = [one for one in batch if not one.lacks], 0.0, 0.5
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
        for label in batch:
            # Sent, it would have the others of its request refused as well.
            if why := label.lacks:
                self.counts["refused"] += 1
                self.refuse(label, {"status": 422, "error": why})

    def _answered(self, labels: list[Label]) -> list[dict[str, Any]] | None:
        """What the server says of each; None where it does not answer, or not now."""
        try:
            status, body = self.post(labels)
        except NoAnswer as failure:
            self.note(f"no answer: {failure}")
            return None
        if status in _NOT_AS_THEY_ARE and len(labels) > 1:
            half = len(labels) // 2
            return [
                result
                for part in (labels[:half], labels[half:])
                for result in self._answered(part) or [_AWAY] * len(part)
            ]
        if status == 200 and (results := _results(body, len(labels))) is not None:
            return results
        if status in _NOT_AS_THEY_ARE:
            self.reasons[_said(body)] += 1
            return [{"status": status, "error": _said(body)}]
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
    if not isinstance(results, list) or len(results) != count:
        return None
    return results if all(isinstance(one, dict) for one in results) else None


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
) -> int:
    """Send all labels; how many of them were sent before. Raises Unanswered, Unkept, Unreadable,
    and NoneTaken after the first batch; what stands before a line that cannot be read is sent.

    progress: a file with the number of those that are done, which are passed over, and a digest by
    which they are known; it is written after each batch. tell: called with that number, where some
    are passed over and after each batch.
    """
    passed = _Passed(progress)
    done = passed.begin(labels)
    if done:
        tell(done)
    before = done
    for some in _batches(labels, batch):
        sender.send(some)
        if done == before and _for_one_reason(sender, some):
            (why,) = sender.reasons
            raise NoneTaken(f"none of the first {len(some)} labels was taken: {why}")
        done += len(some)
        passed.note(some, done)
        tell(done)
    return before


def _for_one_reason(sender: Sender, some: Sequence[Label]) -> bool:
    """Whether a whole batch was refused for its form, in one sentence: so would all others be, by
    one request for each.
    """
    return len(some) >= MANY and list(sender.reasons.values()) == [len(some)]


def _batches(labels: Iterator[Label], size: int) -> Iterator[list[Label]]:
    """Raises Unreadable, after what stands before the line that cannot be read."""
    some: list[Label] = []
    try:
        for label in labels:
            some.append(label)
            if len(some) == size:
                yield some
                some = []
    except Unreadable:
        if some:
            yield some
        raise
    if some:
        yield some


class _Passed:
    """Which labels were sent, as a file remembers it: their number, and the digest of them all."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._digest = file, sha256()

    def begin(self, labels: Iterator[Label]) -> int:
        """Take those away that were sent before; their number. Raises Unreadable where these are
        not they, and Unkept where nothing can be remembered.
        """
        if self._file is None:
            return 0
        if not self._file.exists():
            # Before anything is sent: whether it can be.
            self.note((), 0)
            return 0
        try:
            text = self._file.read_text(errors="replace").strip()
        except OSError as failure:
            raise Unreadable(f"{self._file} cannot be read: {failure.strerror}") from failure
        number, _, digest = text.partition(" ")
        if not number.isdecimal():
            raise Unreadable(
                f"{self._file} holds no number of labels: name another file, or remove it"
            )
        found = 0
        for label in islice(labels, int(number)):
            self._add(label)
            found += 1
        if found < int(number) or (digest and digest != self._digest.hexdigest()):
            raise Unreadable(
                f"{self._file} remembers {number} labels that were sent, and these begin with"
                " others: name another file for these, or remove it to send all of them"
            )
        return found

    def note(self, some: Sequence[Label], done: int) -> None:
        """Remember these too; done: the number with them. Raises Unkept."""
        if self._file is None:
            return
        for label in some:
            self._add(label)
        # Put in its place whole, so that who dies now leaves one of the two numbers.
        new = self._file.with_name(f"{self._file.name}.new")
        try:
            new.write_text(f"{done} {self._digest.hexdigest()}\n")
            new.replace(self._file)
        except OSError as failure:
            raise Unkept(
                f"{self._file} cannot be kept: {failure.strerror}. {done} labels were sent"
            ) from failure

    def _add(self, label: Label) -> None:
        self._digest.update(json.dumps(label).encode())


class Refusals:
    """A file that refused labels are added to, as JSON lines: each is on the disk before its batch
    counts as done, so that who dies loses none.
    """

    def __init__(self, file: Path, open_until: ExitStack) -> None:
        """open_until: closes the file. Raises Unkept."""
        self._path = file
        try:
            self._file = open_until.enter_context(file.open("ab", buffering=0))
        except OSError as failure:
            raise self._unkept(failure.strerror) from failure

    def write(self, label: Label, result: Mapping[str, Any]) -> None:
        """The label, its place and the server's answer. Raises Unkept."""
        line = json.dumps({"at": label.place, **label, **result}).encode() + b"\n"
        try:
            written = self._file.write(line)
        except OSError as failure:
            raise self._unkept(failure.strerror) from failure
        if written != len(line):
            raise self._unkept("no space is left")

    def _unkept(self, why: str | None) -> Unkept:
        return Unkept(f"{self._path} cannot be written: {why}")


def kept_apart(source: str, progress: Path | None, refused: Path | None) -> None:
    """Raises Unreadable where two of the files are one, of which each would spoil the other."""
    named = {"the labels": source, "--progress": progress, "--refused": refused}
    seen: dict[str, str] = {}
    for what, file in named.items():
        if file is None or str(file) == "-":
            continue
        place = os.path.realpath(file)
        if place in seen:
            raise Unreadable(f"{file} is named for {seen[place]} and for {what}: name another file")
        seen[place] = what
