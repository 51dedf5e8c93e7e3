"""What a store does with labels: each is counted once, whatever is sent, however often, in whatever
order, and whoever dies.
"""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_inference.feedback.databases import Postgres, Sqlite, database
from rollout_inference.feedback.prediction_id import Prediction
from rollout_inference.feedback.settlement import (
    COUNTED,
    DUPLICATE,
    Entry,
    Sent,
    key_of_id,
    settle,
)
from rollout_inference.feedback.store import (
    MOST_REVISIONS,
    Limits,
    Store,
    StoreAway,
    size_of,
)
from tests.support.feedback_stories import (
    KNOWN,
    NOON,
    STORIES,
    WEEK,
    WHOSE,
    Clock,
    counted,
    entry,
    label,
    taken,
)

Made = Callable[..., Store]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A store in one file, as another process would open it."""

    def opened(clock: Clock | None = None, scope: str = "u1", **changes: int) -> Store:
        limits = {"seconds": WEEK, "entries": 10_000, "size": 10**8, **changes}
        found = database(f"sqlite:{tmp_path}/labels", scope)
        return Store(found, scope, Limits(**limits), value_max=100.0, clock=clock or Clock())

    return opened


@pytest.mark.parametrize(("sent", "said", "counts"), STORIES.values(), ids=STORIES.keys())
@pytest.mark.parametrize("together", [True, False], ids=["in one request", "one by one"])
def test_what_is_counted_of_what_was_sent(
    made: Made,
    sent: list[Sent],
    said: list[str | int],
    counts: dict[str, tuple[float, float]],
    together: bool,
) -> None:
    store = made()
    store.remember(KNOWN)
    results = store.take(sent) if together else [store.take([one])[0] for one in sent]
    assert taken(results) == said
    assert counted(store) == counts


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["setosa", "virginica"])), max_size=6))
def test_of_labels_with_versions_the_greatest_stands_in_every_order(
    sent: list[tuple[int, str]],
) -> None:
    """Of two labels with one version the first that came stands, and the other is refused."""
    versions = dict(reversed(sent))
    distinct = list(versions.items())
    for order in (distinct, distinct[::-1], sorted(distinct), sorted(distinct)[::-1]):
        known: Entry | None = entry("a")
        net = {"correct": 0.0, "wrong": 0.0}
        for version, right in order:
            settled = settle(known, label("a", right, version), -1)
            known = settled.entry
            for name in net:
                net[name] += settled.added.get(name, 0) - settled.retracted.get(name, 0)
        expected = {"correct": 0.0, "wrong": 0.0}
        if versions:
            stands = versions[max(versions)]
            expected["correct" if stands == "setosa" else "wrong"] = 1.0
        assert net == expected


def test_a_signed_id_needs_no_entry_and_is_counted_once(made: Made) -> None:
    said = Prediction("iris", "7", "abc", int(NOON), 0xABCDEF, False, "setosa")
    sent = Sent(key_of_id(said), label="setosa", prediction=said)
    assert taken(made().take([sent, sent])) == [COUNTED, DUPLICATE]
    other = made()
    assert taken(other.take([sent])) == [DUPLICATE], "another pod knows it, too"
    assert counted(other) == {"correct": (1, 0)}


def test_of_two_predictions_by_one_request_id_the_newer_is_labelled_until_a_label_came(
    made: Made,
) -> None:
    store = made()
    store.remember([entry("a", revision="old")])
    assert store.remember([entry("a", revision="new", value="virginica")]) == frozenset()
    assert taken(store.take([label("a", "virginica")])) == [COUNTED]
    later = [entry("b"), entry("a", revision="later"), entry("c")]
    assert store.remember(later) == {entry("a").key}, "it is told which is not noted"
    assert taken(store.take([label("a", "virginica")])) == [DUPLICATE]
    assert (counted(store, "new"), counted(store, "old")) == ({"correct": (1, 0)}, {})


def test_rollouts_do_not_see_each_others_requests(made: Made) -> None:
    mine, theirs = made(), made(scope="u2")
    mine.remember([entry("a")])
    assert taken(theirs.take([label("a", "setosa")])) == [404]


def test_labels_are_taken_for_a_limited_time_and_entries_go_with_it(made: Made) -> None:
    clock = Clock()
    store = made(clock)
    store.remember([entry("early"), entry("late", issued=NOON + 3600)])
    clock.now = NOON + WEEK + 60
    assert taken(store.take([label("early", "setosa"), label("late", "setosa")])) == [410, COUNTED]
    assert store.forget() == 1
    assert taken(store.take([label("early", "setosa")])) == [404]
    said = Prediction("iris", "7", "abc", int(NOON), 5, False, "setosa")
    sent = Sent(key_of_id(said), label="setosa", prediction=said)
    assert taken(store.take([sent])) == [410]


@pytest.mark.parametrize("bound", ["entries", "size"])
def test_a_full_store_forgets_the_eldest_and_never_counts_them_again(
    made: Made, bound: str
) -> None:
    clock, many = Clock(), 1_000
    each = size_of(entry("0000"))
    store = made(clock, **{bound: 500 if bound == "entries" else 500 * each})
    names = [f"{n:04d}" for n in range(many)]
    ids = [
        Prediction("iris", "7", "abc", int(NOON) + n, n + 1, False, "setosa") for n in range(many)
    ]
    store.remember([entry(name, issued=NOON + n) for n, name in enumerate(names)])
    by_id = [Sent(key_of_id(one), label="setosa", prediction=one) for one in ids]
    first = taken(store.take([label(name, "setosa") for name in names] + by_id))
    assert first == [COUNTED] * 2 * many
    store.forget()
    kept = store.snapshot(WHOSE, 1)
    assert 300 <= kept.entries <= 500
    assert bound == "entries" or kept.size <= 500 * each
    again = taken(store.take([label(name, "setosa") for name in names] + by_id))
    assert COUNTED not in again
    assert again[-1] == DUPLICATE, "the newest is known"
    assert again[many] == 410, "the eldest is refused, though nothing is known of it"
    assert counted(store) == {"correct": (2 * many, 0)}


def test_the_file_of_a_full_store_stays_within_its_bound(made: Made, tmp_path: Path) -> None:
    clock, most = Clock(), 1_000_000
    store = made(clock, entries=10**6, size=most)
    for turn in range(20):
        store.remember(
            [
                entry(f"order-{turn:03d}-{n:04d}", issued=NOON + turn * 60 + n // 10)
                for n in range(500)
            ]
        )
        store.take([label(f"order-{turn:03d}-{n:04d}", "setosa") for n in range(0, 500, 2)])
        clock.now = NOON + turn * 60 + 60
        store.forget()
    assert store.snapshot(WHOSE, 1).size <= most
    store.close()
    found = sum(one.stat().st_size for one in (tmp_path / "labels").iterdir())
    assert found <= 1.5 * most, found


def test_counts_of_many_revisions_are_those_of_the_newest(made: Made) -> None:
    clock = Clock()
    store = made(clock)
    for n in range(MOST_REVISIONS + 5):
        clock.now += 1
        store.remember([entry(f"r{n}", revision=f"rev{n:03d}")])
        store.take([label(f"r{n}", "setosa")])
    store.forget()
    known = {whose[2] for whose, _ in store.snapshot(WHOSE, 1).counts}
    assert known == {f"rev{n:03d}" for n in range(5, MOST_REVISIONS + 5)}


def test_a_file_that_was_deleted_or_put_back_is_what_all_pods_have_from_then_on(
    made: Made, tmp_path: Path
) -> None:
    file, copy = tmp_path / "labels" / "u1.sqlite", tmp_path / "copy.sqlite"
    first, second = made(), made()
    first.remember([entry("a"), entry("b")])
    first.take([label("a", "setosa")])
    with closing(sqlite3.connect(file)) as whole, closing(sqlite3.connect(copy)) as into:
        whole.backup(into)
    second.take([label("b", "setosa")])
    for one in file.parent.iterdir():
        one.unlink()
    copy.rename(file)
    assert counted(first) == counted(second) == counted(made()) == {"correct": (1, 0)}
    assert taken(second.take([label("b", "setosa"), label("a", "setosa")])) == [COUNTED, DUPLICATE]
    for one in file.parent.iterdir():
        one.unlink()
    for store in (first, second):
        with suppress(StoreAway):
            # It finds no tables, and makes them the next time.
            store.snapshot(WHOSE, 10)
        vars(store).update(_away_until=0.0)
        assert counted(store) == {}


def test_tables_that_somebody_empties_are_begun_anew(made: Made, tmp_path: Path) -> None:
    store = made()
    store.remember([entry("a")])
    with sqlite3.connect(tmp_path / "labels" / "u1.sqlite") as other:
        for table in ("entries", "counts", "scopes"):
            other.execute(f"DELETE FROM feedback_{table}")
    assert taken(store.take([label("a", "setosa")])) == [404]
    store.remember([entry("a")])
    assert taken(store.take([label("a", "setosa")])) == [COUNTED]
    assert store.forget() == 0


def test_a_clock_that_was_wrong_for_a_while_does_not_refuse_labels_for_as_long(made: Made) -> None:
    clock, year = Clock(), 365 * 24 * 3600
    store = made(clock)
    store.remember([entry("before")])
    clock.now = NOON + year
    store.remember([entry("ahead", issued=NOON + year)])
    signed = Prediction("iris", "7", "abc", int(NOON) + year, 9, False, "setosa")
    ahead = Sent(key_of_id(signed), label="setosa", prediction=signed)
    assert taken(store.take([ahead])) == [COUNTED]
    assert store.forget() == 1
    clock.now = NOON + 10
    assert taken(store.take([ahead])) == [410], "nothing of that time is counted any more"
    assert store.forget() == 2
    store.remember([entry("after", issued=NOON + 20)])
    clock.now = NOON + 30
    assert taken(store.take([label("after", "setosa"), ahead])) == [COUNTED, 410]
    assert counted(store) == {"correct": (2, 0)}


def test_clocks_that_disagree_by_minutes_refuse_no_label(made: Made) -> None:
    store = made(Clock())
    store.remember([entry("a", issued=NOON + 300)])
    made(Clock(NOON + 300)).forget()
    made(Clock(NOON - 300)).forget()
    assert taken(store.take([label("a", "setosa")])) == [COUNTED]


def _of_another_program(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("of another program " * 100)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a folder in its place": (partial(Path.mkdir, parents=True), "fsGroup"),
    "something else": (_of_another_program, "is no database"),
}


@pytest.mark.parametrize(("damage", "advice"), DAMAGES.values(), ids=DAMAGES.keys())
def test_what_helps_is_said_of_a_file_that_cannot_be_used(
    made: Made, tmp_path: Path, damage: Callable[[Path], None], advice: str
) -> None:
    damage(tmp_path / "labels" / "u1.sqlite")
    with pytest.raises(StoreAway) as away:
        made().remember([entry("a")])
    assert advice in away.value.why
    assert advice not in str(away.value), "that is not for clients"


class Limited(Sqlite):
    """On a volume that is full, or read-only, as this connection is told."""

    pragma = "query_only = 1"

    def _connected(self) -> sqlite3.Connection:
        connection = super()._connected()
        connection.execute(f"PRAGMA {self.pragma}")
        return connection


@pytest.mark.parametrize(
    ("pragma", "advice"),
    [("max_page_count = 1", "the volume is full"), ("query_only = 1", "the volume is read-only")],
    ids=["full", "read-only"],
)
def test_what_helps_is_said_of_a_volume_that_takes_nothing(
    made: Made, tmp_path: Path, pragma: str, advice: str
) -> None:
    made().remember([entry("a")])
    file = Limited(tmp_path / "labels" / "u1.sqlite")
    file.pragma = pragma
    store = Store(file, "u1", Limits(WEEK, 10_000, 10**8), clock=Clock())
    with pytest.raises(StoreAway) as away:
        store.remember([entry(f"{n}" * 100) for n in range(5_000)])
    assert advice in away.value.why


def test_the_live_accuracy_is_of_the_newest_labels_of_the_revision(made: Made) -> None:
    clock = Clock()
    store = made(clock)
    store.remember([entry(f"{n}", revision="abc" if n % 2 else "other") for n in range(40)])
    for n in range(40):
        clock.now += 1
        store.take([label(f"{n}", "setosa" if n >= 20 else "virginica")])
    seen = store.snapshot(WHOSE, 15)
    assert seen.samples == 15
    assert seen.mean == pytest.approx(10 / 15)


class Dying(Sqlite):
    """A file whose process dies at one of the statements: what was not committed is not there."""

    left = -1

    def transaction(self) -> Any:
        outer = super().transaction()

        class Context:
            def __enter__(inner) -> Any:  # noqa: N805
                cursor = outer.__enter__()
                dying = self

                class Cursor:
                    @property
                    def rowcount(self) -> int:
                        return int(cursor.rowcount)

                    def __getattr__(self, name: str) -> Any:
                        found = getattr(cursor, name)

                        def called(*given: Any) -> Any:
                            if name.startswith("execute"):
                                dying.left -= 1
                                if dying.left == 0:
                                    raise sqlite3.OperationalError("killed")
                            return found(*given)

                        return called

                return Cursor()

            def __exit__(inner, *raised: Any) -> Any:  # noqa: N805
                return outer.__exit__(*raised)

        return Context()


@pytest.mark.parametrize("statement", range(1, 5), ids=["closed", "known", "labels", "counts"])
def test_a_transaction_that_ends_early_is_done_again_wholly(
    tmp_path: Path, statement: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout_inference.feedback.store.WAIT_AFTER", 0.0)
    file = Dying(tmp_path / "labels.sqlite")
    store = Store(file, "u1", Limits(WEEK, 10_000, 10**8), clock=Clock())
    store.remember([entry("a"), entry("b")])
    file.left = statement
    sent = [label("a", "setosa"), label("b", "virginica")]
    assert all(isinstance(one, StoreAway) for one in store.take(sent))
    assert taken(store.take(sent)) == [COUNTED, COUNTED], "nothing of it was there"
    assert counted(store) == {"correct": (1, 0), "wrong": (1, 0)}


def test_many_orders_of_many_labels_end_with_the_same_counts(made: Made) -> None:
    """An oracle that knows nothing of stores."""
    chance = random.Random(4)
    names = [f"{n}" for n in range(200)]
    store, other = made(), made()
    store.remember([entry(name) for name in names])
    stands: dict[str, tuple[int, str]] = {}
    sent = []
    for name in names:
        for version in range(1 + (chance.random() < 0.2) + (chance.random() < 0.05)):
            right = chance.choice(["setosa", "virginica"])
            stands[name] = (version, right)
            sent += [label(name, right, version)] * chance.choice([1, 1, 2, 3])
    chance.shuffle(sent)
    while sent:
        part = [sent.pop() for _ in range(min(len(sent), chance.randint(1, 40)))]
        chance.choice([store, other]).take(part)
    setosas = sum(said == "setosa" for _, said in stands.values())
    counts = counted(store)
    assert {name: added - back for name, (added, back) in counts.items()} == {
        "correct": setosas,
        "wrong": 200 - setosas,
    }


ADDRESSES: dict[str, tuple[str, type | None]] = {
    "a folder": ("sqlite:/var/lib/feedback", Sqlite),
    "a server": ("postgresql://db.example.com/labels", Postgres),
    "the other spelling": ("postgres://db.example.com/labels", Postgres),
    "another database": ("mysql://db/labels", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("address", "kind"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_the_address_says_which_store_it_is(address: str, kind: type | None) -> None:
    if kind is None:
        with pytest.raises(ValueError, match="write sqlite:"):
            database(address, "u1")
    else:
        assert type(database(address, "u1")) is kind


def test_a_url_that_cannot_be_read_is_told_without_its_password() -> None:
    address = "postgresql://rollouts:secret[1]@[db/labels"
    store = Store(database(address, "u1"), "u1", Limits(WEEK, 10_000, 10**8))
    with pytest.raises(StoreAway) as away:
        store.remember([entry("a")])
    assert "as %XX" in away.value.why
    assert "secret" not in away.value.why


def test_a_store_that_is_away_says_so_and_is_not_asked_again_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(database(f"sqlite:{tmp_path}/file/x", "u1"), "u1", Limits(WEEK, 10, 10**6))
    with pytest.raises(StoreAway, match="send the label again later"):
        store.remember([entry("a")])
    (only,) = store.take([label("a", "setosa")])
    assert isinstance(only, StoreAway)
    assert only.status == 503
