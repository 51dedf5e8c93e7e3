"""The store for feedback on a real PostgreSQL: the same stories as on SQLite, and several pods."""

import itertools
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from rollout_inference.feedback.databases import database
from rollout_inference.feedback.settlement import COUNTED, DUPLICATE, Sent, Settled
from rollout_inference.feedback.store import Limits, Store, StoreAway
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
from tests.support.postgres import Server, postgres

SCOPES = itertools.count()
LIMITS = Limits(WEEK, 10_000, 10**8)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


def opened(server: Server, scope: str, clock: Clock | None = None, entries: int = 10_000) -> Store:
    """A pod's store."""
    limits = Limits(WEEK, entries, 10**8)
    made = database(server.address, scope)
    return Store(made, scope, limits, value_max=100.0, clock=clock or Clock())


@pytest.fixture
def scope() -> str:
    return f"u{next(SCOPES)}"


@pytest.mark.parametrize(("sent", "said", "counts"), STORIES.values(), ids=STORIES.keys())
def test_what_is_counted_of_what_was_sent(
    server: Server,
    scope: str,
    sent: list[Sent],
    said: list[str | int],
    counts: dict[str, tuple[float, float]],
) -> None:
    store = opened(server, scope)
    store.remember(KNOWN)
    assert taken(store.take(sent)) == said
    assert counted(store) == counts


def test_a_full_store_forgets_the_eldest(server: Server, scope: str) -> None:
    store = opened(server, scope, entries=100)
    names = [f"{n:03d}" for n in range(300)]
    noted = [entry(name, issued=NOON + n) for n, name in enumerate(names)]
    assert store.remember(noted) == frozenset()
    assert store.forget() >= 200
    assert store.snapshot(WHOSE, 1).entries <= 100
    first, last = store.take([label("000", "setosa"), label("299", "setosa")])
    assert taken([first, last]) == [404, COUNTED]
    assert store.remember([entry("299"), entry("new")]) == {entry("299").key}


def test_pods_that_send_the_same_at_the_same_time_count_it_once(server: Server, scope: str) -> None:
    """Six connections; each label is sent by all, in another order, while predictions are noted."""
    names = [f"{n:03d}" for n in range(200)]
    pods = [opened(server, scope) for _ in range(6)]
    pods[0].remember([entry(name) for name in names])
    said: list[str | int] = []
    lock, start = threading.Lock(), threading.Barrier(len(pods))

    def send(number: int) -> None:
        start.wait()
        order = names[number * 30 :] + names[: number * 30]
        for part in _parts(order):
            pods[number].remember([entry(f"{number}-{part[0]}"), entry(part[0])])
            results = pods[number].take([label(name, "setosa") for name in part])
            with lock:
                said.extend(taken(results))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(len(pods))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count(COUNTED) == len(names)
    assert said.count(DUPLICATE) == 5 * len(names)
    assert counted(pods[0]) == {"correct": (len(names), 0)}


def _parts(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), 25):
        yield names[start : start + 25]


def test_a_database_that_comes_back_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout_inference.feedback.store.WAIT_AFTER", 0.0)
    with postgres() as server:
        store = opened(server, "u1")
        store.remember([entry("a")])
        server.kill()
        (away,) = store.take([label("a", "setosa")])
        assert not isinstance(away, Settled)
        assert away.status == 503
        assert "127.0.0.1" not in str(away), "that is for the log"
        server.start()
        assert taken(store.take([label("a", "setosa")])) == [COUNTED]


def test_after_another_password_the_log_says_what_to_do_and_new_pods_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rollout_inference.feedback.store.WAIT_AFTER", 0.0)
    with postgres(password="before") as server:
        pod = opened(server, "u1")
        pod.remember([entry("a"), entry("b")])
        server.rotate("after")
        assert taken(pod.take([label("a", "setosa")])) == [COUNTED], "its connection goes on"
        server.kill()
        server.start()
        for _ in range(2):  # the connection is found to be gone, and then another is refused
            (away,) = pod.take([label("b", "setosa")])
        assert isinstance(away, StoreAway)
        assert "replace the pods" in away.why
        assert "before" not in away.why, "the password is nobody's business"
        assert taken(opened(server, "u1").take([label("b", "setosa")])) == [COUNTED]


def test_the_server_tells_what_time_it_is_and_no_pod_does(
    server: Server, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a pod's clock is a year ahead, the others' predictions are neither old nor refused."""
    now = time.time()
    pods = [Store(database(server.address, scope), scope, LIMITS) for _ in range(2)]
    pods[0].remember([entry("a", issued=now)])
    monkeypatch.setattr(time, "time", lambda: now + 365 * 24 * 3600)
    assert pods[1].forget() == 0
    pods[1].remember([entry("b", issued=now + 365 * 24 * 3600)])
    assert taken(pods[1].take([label("a", "setosa"), label("b", "setosa")])) == [COUNTED, 410]


def test_a_server_that_takes_no_writes_is_told_from_one_that_is_away(
    server: Server, scope: str
) -> None:
    opened(server, scope).remember([entry("a")])
    address = f"{server.address}?options=-c%20default_transaction_read_only%3Don"
    # What the URL asks for stands beside what we do.
    store = Store(database(address, scope), scope, LIMITS, clock=Clock())
    with pytest.raises(StoreAway) as away:
        store.remember([entry("b")])
    assert "target_session_attrs=read-write" in away.value.why


def test_who_may_only_read_and_write_the_tables_needs_no_more(server: Server, scope: str) -> None:
    opened(server, "owner").remember([entry("a")])
    with psycopg.connect(server.address, autocommit=True) as owner:
        owner.execute("CREATE ROLE writer LOGIN")
        owner.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC, writer")
        for table in ("entries", "counts", "scopes"):
            owner.execute(
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON feedback_{table} TO writer".encode()
            )
    address = server.address.replace("postgres@", "writer@")
    with psycopg.connect(server.address, autocommit=True) as owner:
        owner.execute("CREATE ROLE stranger LOGIN")
    nobody = Store(database(server.address.replace("postgres@", "stranger@"), scope), scope, LIMITS)
    with pytest.raises(StoreAway) as away:
        nobody.remember([entry("a")])
    assert "grant" in away.value.why
    store = Store(database(address, scope), scope, Limits(WEEK, 10_000, 10**8), clock=Clock())
    store.remember([entry("a")])
    assert taken(store.take([label("a", "setosa")])) == [COUNTED]
    assert store.forget() == 0
