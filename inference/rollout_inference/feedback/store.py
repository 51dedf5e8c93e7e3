"""What remembers predictions and their labels: SQLite on a volume, or PostgreSQL, by the same SQL.

What is counted stands in the same database as what was taken, and is written by the same
transaction: whatever dies whenever, the counts are those of the labels that are there. All pods
read the same counts, so none has any of its own to lose.

One thread uses a store: nothing here is safe for several.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rollout_inference.feedback.databases import Cursor, Database
from rollout_inference.feedback.prediction_id import Prediction
from rollout_inference.feedback.settlement import Entry, Sent, Settled, settle
from rollout_model.errors import Refused

AT_ONCE = 500
"""Labels of one transaction, and keys of one query: others get in between."""
FORGET_AT_ONCE = 5_000
"""Entries that one transaction forgets."""
OVERHEAD = 250
"""Bytes of an entry beside its key, prediction and label: columns, and its part of the indexes;
more than SQLite was measured to take.
"""
MOST_REVISIONS = 20
"""Of which counts are kept and shown: those that last got a label."""
AHEAD = 3600.0
"""Seconds by which clocks may disagree. What is dated later than that, a clock dated that was
wrong: it is put right, so that it does not refuse labels for as long.
"""
WAIT_AFTER = 2.0
"""Seconds for which a store that was away is not asked again."""

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS feedback_entries (
        scope TEXT NOT NULL, key TEXT NOT NULL, issued BIGINT NOT NULL,
        model TEXT NOT NULL, version TEXT NOT NULL, revision TEXT NOT NULL,
        regression INTEGER NOT NULL, said TEXT NOT NULL,
        label TEXT, label_version BIGINT NOT NULL DEFAULT 0, measured DOUBLE PRECISION,
        labelled DOUBLE PRECISION, value DOUBLE PRECISION, size INTEGER NOT NULL,
        PRIMARY KEY (scope, key))""",
    """CREATE INDEX IF NOT EXISTS feedback_entries_age
        ON feedback_entries (scope, issued, size)""",
    """CREATE INDEX IF NOT EXISTS feedback_entries_labelled
        ON feedback_entries (scope, revision, labelled) WHERE labelled IS NOT NULL""",
    """CREATE TABLE IF NOT EXISTS feedback_counts (
        scope TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, revision TEXT NOT NULL,
        name TEXT NOT NULL, added DOUBLE PRECISION NOT NULL, retracted DOUBLE PRECISION NOT NULL,
        touched DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (scope, model, version, revision, name))""",
    """CREATE TABLE IF NOT EXISTS feedback_scopes (
        scope TEXT NOT NULL PRIMARY KEY, closed BIGINT NOT NULL)""",
)
"""`size`: bytes, as they are counted against the limit; `labelled`, `touched`: Unix time, s."""
COLUMNS = (
    "key, issued, model, version, revision, regression, said, label, label_version, measured, value"
)

_REMEMBER = """INSERT INTO feedback_entries
    (scope, key, issued, model, version, revision, regression, said, size)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (scope, key) DO UPDATE SET
        issued = excluded.issued, model = excluded.model, version = excluded.version,
        revision = excluded.revision, regression = excluded.regression, said = excluded.said,
        size = excluded.size
    WHERE feedback_entries.label IS NULL AND feedback_entries.value IS NULL"""
_TAKE = """INSERT INTO feedback_entries
    (scope, key, issued, model, version, revision, regression, said, size,
     label, label_version, measured, labelled, value)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (scope, key) DO UPDATE SET
        size = excluded.size, label = excluded.label, label_version = excluded.label_version,
        measured = excluded.measured, labelled = excluded.labelled, value = excluded.value"""
_COUNT = """INSERT INTO feedback_counts
    (scope, model, version, revision, name, added, retracted, touched)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (scope, model, version, revision, name) DO UPDATE SET
        added = feedback_counts.added + excluded.added,
        retracted = feedback_counts.retracted + excluded.retracted,
        touched = excluded.touched"""
_OPEN = "INSERT INTO feedback_scopes (scope, closed) VALUES (?, -1) ON CONFLICT (scope) DO NOTHING"
_CLOSED = "SELECT closed FROM feedback_scopes WHERE scope = ?"
_LAST = """SELECT avg(measured), count(*) FROM (
    SELECT measured FROM feedback_entries
    WHERE scope = ? AND revision = ? AND labelled IS NOT NULL AND model = ? AND version = ?
    ORDER BY labelled DESC LIMIT ?) AS newest"""


class StoreAway(Refused):
    """The store does not answer, or not in time."""

    def __init__(self, why: str) -> None:
        """why: for the log; clients need not know where the store is, nor who asks it."""
        super().__init__(
            "the feedback store does not answer: send the label again later; it is counted once,"
            " whether it has been taken or not",
            503,
        )
        self.why = why


@dataclass(frozen=True, slots=True)
class Limits:
    """What a store keeps of one scope."""

    seconds: int
    """How long after its prediction a label is taken."""
    entries: int
    """Predictions, with a label or without."""
    size: int
    """Bytes of them, as `size_of` has it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one revision and counter, since the store began."""

    added: float
    """What labels added; it never falls."""
    retracted: float
    """What corrections took back; it never falls."""


Whose = tuple[str, str, str]
"""Model, version and revision."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the store has at one moment."""

    counts: Mapping[tuple[Whose, str], Counts] = field(default_factory=dict)
    """By revision, and name of the counter as in settlement.py."""
    mean: float | None = None
    """Of what the newest labels of one revision say; None where there is none."""
    samples: int = 0
    """How many these are."""
    entries: int = 0
    """Predictions that are remembered, as the last look for old ones found them."""
    size: int = 0
    """Bytes of them, as they are counted against the limit."""


def size_of(entry: Entry) -> int:
    """Bytes of an entry in the store, roughly."""
    return _size(entry.key, _json(entry.prediction.value), _json(entry.label))


def _size(key: str, said: str, label: str) -> int:
    return OVERHEAD + 3 * len(key.encode()) + len(said.encode()) + len(label.encode())


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class Store:
    """The predictions and labels of one scope: those of a rollout."""

    def __init__(
        self,
        made: Database,
        scope: str,
        limits: Limits,
        value_max: float = 0.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """clock: Unix time, s; None for the database's own: no pod's clock decides for all."""
        self._database, self._scope, self._limits = made, scope, limits
        self._value_max, self._clock = value_max, clock
        self._there = False
        """Whether the tables are known to exist."""
        self._away_until, self._why = 0.0, ""
        self._kept = (0, 0)

    def remember(self, entries: Sequence[Entry]) -> frozenset[str]:
        """Note predictions, so that labels find them by their request ids; returns the keys of
        those that were not noted: they belong to predictions that have labels.

        Of two predictions by one id the newer one counts, as a caller who tries again sees the
        newer answer. Raises StoreAway.
        """
        rows = [
            (*self._identity(one), size_of(one)) for one in sorted(entries, key=lambda e: e.key)
        ]
        with self._transaction() as cursor:
            cursor.executemany(_REMEMBER, rows)
            # psycopg and SQLite both sum it up.
            if cursor.rowcount >= len(rows):
                return frozenset()
            keys = sorted({one.key for one in entries})
            known = [
                one
                for start in range(0, len(keys), AT_ONCE)
                for one in self._known(cursor, keys[start : start + AT_ONCE]).values()
            ]
        return frozenset(one.key for one in known if one.label is not None or one.value is not None)

    def take(self, sent: Sequence[Sent]) -> list[Settled | Refused]:
        """Settle labels and values, in their order, each by itself; what was settled stays settled
        where a later part of them meets StoreAway, and each that is not is StoreAway itself.
        """
        found: list[Settled | Refused] = []
        for start in range(0, len(sent), AT_ONCE):
            part = sent[start : start + AT_ONCE]
            try:
                found += self._taken(part)
            except StoreAway as away:
                found += [away] * len(part)
        return found

    def snapshot(self, whose: Whose, newest: int) -> Snapshot:
        """All counts, and the mean of the newest labels of one revision. Raises StoreAway."""
        model, version, revision = whose
        with self._transaction() as cursor:
            cursor.execute(
                "SELECT model, version, revision, name, added, retracted FROM feedback_counts"
                " WHERE scope = ?",
                (self._scope,),
            )
            counts = {
                ((row[0], row[1], row[2]), row[3]): Counts(row[4], row[5])
                for row in cursor.fetchall()
            }
            cursor.execute(_LAST, (self._scope, revision, model, version, newest))
            ((mean, samples),) = cursor.fetchall()
        return Snapshot(counts, mean, samples, *self._kept)

    def forget(self) -> int:
        """Forget what is too old, and the eldest of what is too much, and first refuse its labels;
        returns how many entries went. Raises StoreAway.
        """
        limits, gone = self._limits, 0
        with self._transaction() as cursor:
            now = self._now(cursor)
            closed = self._closed(cursor, now)
            until = max(closed, int(now - limits.seconds) - 1)
            until = max(until, self._too_much(cursor, until))
            if until > closed:
                cursor.execute(
                    "UPDATE feedback_scopes SET closed = ? WHERE scope = ? AND closed < ?",
                    (until, self._scope, until),
                )
            self._forget_revisions(cursor)
        while True:
            with self._transaction() as cursor:
                cursor.execute(
                    "DELETE FROM feedback_entries WHERE scope = ? AND key IN (SELECT key FROM"
                    " feedback_entries WHERE scope = ? AND (issued <= ? OR issued > ?)"
                    " ORDER BY issued, key LIMIT ?)",
                    (self._scope, self._scope, until, int(now + AHEAD), FORGET_AT_ONCE),
                )
                went = max(0, cursor.rowcount)
                gone += went
                if went < FORGET_AT_ONCE:
                    self._kept = self._counted(cursor, until)
                    return gone

    def close(self) -> None:
        """Let the connection go."""
        self._database.close()

    def _too_much(self, cursor: Cursor, until: int) -> int:
        """The time up to which entries have to go so that the rest keeps within 95 % of what it may
        be, where it does not keep within that.
        """
        entries, size = self._counted(cursor, until)
        share = max(entries / self._limits.entries, size / self._limits.size)
        if share <= 1:
            return until
        cursor.execute(
            "SELECT issued FROM feedback_entries WHERE scope = ? AND issued > ?"
            " ORDER BY issued LIMIT 1 OFFSET ?",
            (self._scope, until, min(entries - 1, int(entries * (1 - 0.95 / share)))),
        )
        ((found,),) = cursor.fetchall()
        return int(found)

    def _counted(self, cursor: Cursor, since: int) -> tuple[int, int]:
        """Entries of predictions since then (Unix time, s), and their bytes."""
        cursor.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM feedback_entries"
            " WHERE scope = ? AND issued > ?",
            (self._scope, since),
        )
        ((entries, size),) = cursor.fetchall()
        return int(entries), int(size)

    def _forget_revisions(self, cursor: Cursor) -> None:
        cursor.execute(
            "SELECT model, version, revision, max(touched) FROM feedback_counts WHERE scope = ?"
            " GROUP BY model, version, revision ORDER BY max(touched) DESC",
            (self._scope,),
        )
        for model, version, revision, _ in cursor.fetchall()[MOST_REVISIONS:]:
            cursor.execute(
                "DELETE FROM feedback_counts"
                " WHERE scope = ? AND model = ? AND version = ? AND revision = ?",
                (self._scope, model, version, revision),
            )

    def _now(self, cursor: Cursor) -> float:
        """Unix time, s."""
        if self._clock is not None:
            return self._clock()
        if not self._database.clock:
            return time.time()
        cursor.execute(self._database.clock)
        ((now,),) = cursor.fetchall()
        return float(now)

    def _closed(self, cursor: Cursor, now: float) -> int:
        """Up to when predictions take no labels any more, Unix time, s. Other transactions that ask
        wait: labels of one scope are settled one after the other.
        """
        asked = f"{_CLOSED}{self._database.locking_one}"
        cursor.execute(asked, (self._scope,))
        found = cursor.fetchall()
        if not found:
            # Somebody has emptied the tables meanwhile.
            cursor.execute(_OPEN, (self._scope,))
            cursor.execute(asked, (self._scope,))
            found = cursor.fetchall()
        ((closed,),) = found
        if closed <= now + AHEAD:
            return int(closed)
        cursor.execute(
            "UPDATE feedback_scopes SET closed = ? WHERE scope = ?", (int(now), self._scope)
        )
        return int(now)

    def _taken(self, part: Sequence[Sent]) -> list[Settled | Refused]:
        found: list[Settled | Refused] = []
        with self._transaction() as cursor:
            now = self._now(cursor)
            closed = max(self._closed(cursor, now), int(now - self._limits.seconds) - 1)
            known = self._known(cursor, sorted({one.key for one in part}))
            changed: dict[str, Entry] = {}
            counts: dict[tuple[Whose, str], list[float]] = {}
            for one in part:
                try:
                    latest = int(now + AHEAD)
                    settled = settle(known.get(one.key), one, closed, self._value_max, latest)
                except Refused as refused:
                    found.append(refused)
                    continue
                found.append(settled)
                if settled.entry != known.get(one.key):
                    known[one.key] = changed[one.key] = settled.entry
                for place, what in enumerate((settled.added, settled.retracted)):
                    for name, value in what.items():
                        which = whose(settled.entry.prediction), name
                        counts.setdefault(which, [0.0, 0.0])[place] += value
            cursor.executemany(_TAKE, [self._row(one, now) for one in changed.values()])
            rows = [
                (self._scope, *of, name, *both, now) for (of, name), both in sorted(counts.items())
            ]
            cursor.executemany(_COUNT, rows)
        return found

    def _known(self, cursor: Cursor, keys: Sequence[str]) -> dict[str, Entry]:
        marks = ", ".join("?" * len(keys))
        cursor.execute(
            f"SELECT {COLUMNS} FROM feedback_entries"  # noqa: S608 - names and marks of ours
            f" WHERE scope = ? AND key IN ({marks}){self._database.locking}",
            (self._scope, *keys),
        )
        return {row[0]: _entry(row) for row in cursor.fetchall()}

    def _identity(self, entry: Entry) -> tuple[Any, ...]:
        said = entry.prediction
        return (
            self._scope,
            entry.key,
            said.issued,
            said.model,
            said.version,
            said.revision,
            int(said.numeric),
            _json(said.value),
        )

    def _row(self, entry: Entry, now: float) -> tuple[Any, ...]:
        labelled = entry.label is not None
        return (
            *self._identity(entry),
            size_of(entry),
            _json(entry.label) if labelled else None,
            entry.label_version,
            entry.measured,
            now if labelled else None,
            entry.value,
        )

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        """Raises StoreAway for whatever a connection raises, and does not ask again at once."""
        if time.monotonic() < self._away_until:
            raise StoreAway(self._why)
        try:
            if not self._there:
                self._begin()
            with self._database.transaction() as cursor:
                yield cursor
        except self._database.failures as failure:
            self._why = f"{type(failure).__name__}: {str(failure).strip()[:300]}"
            if advice := self._database.advice(failure):
                self._why += f"; {advice}"
            self._away_until = time.monotonic() + WAIT_AFTER
            self._there = False
            self._database.close()
            raise StoreAway(self._why) from failure

    def _begin(self) -> None:
        with self._database.transaction() as cursor:
            if self._database.locking:
                # Of several that find no tables, one makes them.
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext('feedback_entries'))")
            cursor.execute(self._database.has_tables)
            if not cursor.fetchall():
                # Who may read and write them need not have the right to create some.
                for statement in SCHEMA:
                    cursor.execute(statement)
            cursor.execute(_OPEN, (self._scope,))
        self._there = True


def whose(prediction: Prediction) -> Whose:
    """The revision that a prediction is credited to."""
    return prediction.model, prediction.version, prediction.revision


def _entry(row: Sequence[Any]) -> Entry:
    key, issued, model, version, revision, regression, said, label, label_version, *rest = row
    prediction = Prediction(
        model, version, revision, int(issued), 0, bool(regression), msgspec.json.decode(said)
    )
    measured, value = rest
    return Entry(
        key,
        prediction,
        None if label is None else msgspec.json.decode(label),
        int(label_version),
        measured,
        value,
    )
