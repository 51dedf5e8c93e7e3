"""When which rollout is reconciled, and what does not hold up the others."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from rollout_operator.controller import workqueue
from rollout_operator.controller.cache import Store
from rollout_operator.controller.concurrency import Turns
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.raw_objects import Key, WatchEvent, event_of
from rollout_operator.controller.workqueue import WorkQueue, utc_now
from rollout_operator.errors import CallFailed
from tests.unit.operator.raw_objects import KEY, ports_with, rollout


class Passes:
    """A pass that records when it ran, and does as told by name."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.together = 0

    async def __call__(self, key: Key, ports: Ports, now: datetime) -> datetime | None:
        self.ran.append(key[1])
        self.together += 1
        try:
            await asyncio.sleep(0.01)
            assert self.ran.count(key[1]) == 0 or self.together < 10
            if key[1] == "broken":
                raise CallFailed("no")
            if key[1] == "slow":
                await asyncio.sleep(0.1)
                return now + timedelta(milliseconds=150)
            if key[1] == "hanging":
                await asyncio.sleep(60)
            return workqueue.utc_now() + timedelta(milliseconds=50) if key[1] == "ticking" else None
        finally:
            self.together -= 1


async def until(done: Callable[[], bool]) -> None:
    """Wait for it, ten seconds at most."""
    for _ in range(1000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("in vain")


async def engine_with(*names: str, seconds: float = 0.35) -> Passes:
    store, passes = Store(), Passes()
    for name in names:
        store.put_rollout(rollout(1, name))
    queue = WorkQueue(ports_with(store), passes)
    task = asyncio.create_task(queue.run())
    for name in names:
        for _ in range(3):
            queue.enqueue(("models", name))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])
    return passes


MEANWHILE: dict[str, tuple[bool, list[WatchEvent | None], int]] = {
    "nothing": (False, [], 1),
    "its own writes come back": (
        True,
        [("ModelRollout", "iris", 5), ("Ingress", "iris-canary", "i1")],
        1,
    ),
    "somebody else writes, too": (
        True,
        [("ModelRollout", "iris", 5), ("ModelRollout", "iris", 6)],
        2,
    ),
    "its write has had no answer": (False, [("ModelRollout", "iris", 5)], 2),
    "another object has that version": (True, [("Deployment", "iris", 5)], 2),
    "something wakes it that is no change": (True, [None], 2),
}
"""By what happens during a look: whether it writes and deletes, what is told, and how many looks
there are.
"""


@pytest.mark.parametrize("name", MEANWHILE.keys())
async def test_a_look_is_not_repeated_for_what_it_wrote_itself(name: str) -> None:
    writes, heard, expected = MEANWHILE[name]
    store, looks = Store(), 0
    store.put_rollout(rollout(1))

    async def one_pass(key: Key, ports: Ports, now: datetime) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            for event in heard:
                queue.enqueue(key, event)
            if writes:
                ports.memory.wrote(key, event_of("ModelRollout", rollout(5)["metadata"]))
                ports.memory.wrote(key, ("Ingress", "iris-canary", "i1"))

    queue = WorkQueue(ports_with(store), one_pass)
    task = asyncio.create_task(queue.run())
    queue.enqueue(KEY)
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    assert looks == expected


async def test_a_look_that_lets_go_of_a_place_has_who_waits_for_it_looked_at() -> None:
    """No watch tells of a former way that goes by the operator's own write of the status."""

    def claiming(version: int, name: str, host: str, *former: str) -> dict[str, Any]:
        way = [{"host": one, "path": "/"} for one in former]
        return {
            **rollout(version, name, uid=name),
            "spec": {"traffic": {"host": host}},
            "status": {"routes": way},
        }

    store, looked = Store(), list[str]()
    store.put_rollout(
        claiming(1, "older", "new.example.com", "new.example.com", "iris.example.com")
    )
    store.put_rollout(claiming(1, "waiting", "iris.example.com"))
    store.put_rollout(claiming(1, "other", "other.example.com"))

    async def one_pass(key: Key, ports: Ports, now: datetime) -> None:
        looked.append(key[1])
        if key[1] == "older":
            moved = claiming(2, "older", "new.example.com", "new.example.com")
            ports.memory.wrote(key, event_of("ModelRollout", moved["metadata"]))
            store.put_status_reply(moved)

    queue = WorkQueue(ports_with(store), one_pass)
    task = asyncio.create_task(queue.run())
    queue.enqueue(("models", "older"))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    assert looked == ["older", "waiting"]


async def test_changes_do_not_make_the_backoff_longer(caplog: pytest.LogCaptureFixture) -> None:
    """Each pod that comes wakes the rollout: the fifth of them must not mean that it is tried again
    after seconds only.
    """
    store, passes = Store(), Passes()
    store.put_rollout(rollout(1, "broken"))
    queue = WorkQueue(ports_with(store), passes)
    task = asyncio.create_task(queue.run())
    for _ in range(5):
        queue.enqueue(("models", "broken"))
        await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.wait([task])
    assert len(passes.ran) >= 3
    assert "tried again (1)" in caplog.text
    assert "tried again (2)" not in caplog.text


async def test_those_at_rest_come_after_those_with_something_to_do() -> None:
    store, passes = Store(), Passes()
    queue = WorkQueue(ports_with(store), passes)
    for n in range(20):
        store.put_rollout(rollout(1, f"resting-{n}"))
        queue.enqueue_initial(("models", f"resting-{n}"))
    store.put_rollout(rollout(1, "busy"))
    queue.enqueue(("models", "busy"))
    task = asyncio.create_task(queue.run())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.wait([task])
    assert passes.ran.index("busy") <= 5
    assert len(passes.ran) == 21


@pytest.mark.parametrize(
    ("writes", "expected"), [(True, [1, 7]), (False, [1, 1, 7])], ids=["its own", "another's"]
)
async def test_an_edit_is_seen_where_the_list_told_of_the_first_look(
    writes: bool, expected: list[int]
) -> None:
    """kopf's list may bring a status at rest while the look that wrote it waits for its reply: the
    rollout was looked at no more until the process ended, whatever was edited.
    """
    store, versions = Store(), list[int]()
    store.put_rollout(rollout(1))

    async def one_pass(key: Key, ports: Ports, now: datetime) -> None:
        versions.append(store.version("ModelRollout", key, {}))
        if len(versions) == 1:
            told = event_of("ModelRollout", rollout(5)["metadata"])
            queue.enqueue_initial(key, told)
            await asyncio.sleep(0.05)
            if writes:
                ports.memory.wrote(key, told)

    queue = WorkQueue(ports_with(store), one_pass)
    task = asyncio.create_task(queue.run())
    queue.enqueue(KEY)
    await asyncio.sleep(0.15)
    store.put_rollout(rollout(7))
    queue.enqueue(KEY, event_of("ModelRollout", rollout(7)["metadata"]))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    assert versions == expected


async def test_wakes_are_merged_and_due_times_kept() -> None:
    passes = await engine_with("quiet", "ticking")
    assert passes.ran.count("quiet") == 1
    assert passes.ran.count("ticking") >= 3


async def test_a_broken_or_hanging_rollout_does_not_hold_up_the_others() -> None:
    passes = await engine_with("broken", "hanging", "ticking")
    assert passes.ran.count("ticking") >= 3
    assert 1 <= passes.ran.count("broken") <= 3
    assert passes.ran.count("hanging") == 1


LATE = {
    "what can wait goes by age": ({"first": 3, "second": 2}, set(), ["first", "second"]),
    "a rollback goes before starts that were due first": (
        {"start": 4, "another": 3, "rollback": 1},
        {"rollback"},
        ["rollback", "start", "another"],
    ),
    "urgent ones go by age": ({"step": 1, "weight": 2}, {"step", "weight"}, ["weight", "step"]),
    "a start that has waited for long enough goes first": (
        {"start": 7, "rollback": 1},
        {"rollback"},
        ["start", "rollback"],
    ),
}
"""Seconds for which each rollout has been due, those that are urgent, and the order of looks."""


@pytest.mark.parametrize(("due", "urgent", "order"), LATE.values(), ids=LATE)
async def test_where_many_are_due_what_is_urgent_goes_first(
    due: dict[str, int], urgent: set[str], order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, passes, began = Store(), Passes(), utc_now()
    queue = WorkQueue(ports_with(store), passes, Turns(1))
    for name, seconds in due.items():
        status = {"phase": "Trial", "candidate": {"revision": "b"}} if name in urgent else {}
        store.put_rollout({**rollout(1, name), "status": status})
        monkeypatch.setattr(workqueue, "utc_now", lambda s=seconds: began - timedelta(seconds=s))
        queue.enqueue(("models", name))
    monkeypatch.undo()
    task = asyncio.create_task(queue.run())
    await asyncio.sleep(0)
    waits = REGISTRY.get_sample_value("modelrollout_queue_wait_seconds") or 0
    await asyncio.sleep(0.15)
    task.cancel()
    await asyncio.wait([task])
    assert passes.ran == order
    # Of those that wait still, and not of the one that is looked at.
    assert waits >= min(due[name] for name in order[1:])
    assert REGISTRY.get_sample_value("modelrollout_queue_wait_seconds") == 0


@pytest.mark.parametrize(
    ("due", "behind"),
    [
        pytest.param(0, range(3), id="a rollback goes before starts that have had their answers"),
        pytest.param(-20, range(30, 32), id="but not before those that have waited long enough"),
    ],
)
async def test_what_waits_outside_holds_up_nothing_urgent(
    due: float, behind: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new attempt asks the registry: a thousand had begun, and a rollback waited for all."""
    store, turns, ended, answered = Store(), Turns(2), list[str](), asyncio.Event()

    async def one_pass(key: Key, ports: Ports, now: datetime) -> None:
        if key[1] != "rollback":
            async with turns.released():
                await answered.wait()
        await asyncio.sleep(0.005)
        ended.append(key[1])

    queue = WorkQueue(ports_with(store), one_pass, turns)
    task = asyncio.create_task(queue.run())
    monkeypatch.setattr(workqueue, "utc_now", lambda: utc_now() + timedelta(seconds=due))
    for n in range(30):
        store.put_rollout(rollout(1, f"start-{n}"))
        queue.enqueue(("models", f"start-{n}"))
    await asyncio.sleep(0.05)
    monkeypatch.undo()
    status = {"phase": "RollingBack", "candidate": {"revision": "b"}}
    store.put_rollout({**rollout(1, "rollback"), "status": status})
    answered.set()
    await asyncio.sleep(0)
    queue.enqueue(("models", "rollback"))
    await until(lambda: len(ended) == 31)
    task.cancel()
    await asyncio.wait([task])
    assert ended.index("rollback") in behind


SET_BACK = {
    "an hour": 3600.0,
    "a second and a half": 1.5,
    "not at all": 0.0,
    "forward, by an hour": -3600.0,
}


@pytest.mark.parametrize("seconds", SET_BACK.values(), ids=SET_BACK)
async def test_a_clock_that_is_set_back_holds_nobody_up(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, passes = Store(), Passes()
    queue = WorkQueue(ports_with(store), passes, Turns(3))
    task = asyncio.create_task(queue.run())
    for name in ("ticking", "broken", "slow"):
        store.put_rollout(rollout(1, name))
        queue.enqueue(("models", name))
    await until(lambda: "slow" in passes.ran)
    monkeypatch.setattr(workqueue, "utc_now", lambda: utc_now() - timedelta(seconds=seconds))
    for n in range(3):
        store.put_rollout(rollout(1, f"resting-{n}"))
        queue.enqueue_initial(("models", f"resting-{n}"))
    before = len(passes.ran)
    all_of_them = {"slow", "ticking", "broken", "resting-0", "resting-1", "resting-2"}
    await until(lambda: all_of_them <= set(passes.ran[before:]))
    task.cancel()
    await asyncio.wait([task])
