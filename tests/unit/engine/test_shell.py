"""The store, the queue, settings, conditions and the layout that the packages depend on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.cache import Event, Key, Store, at_rest, child
from rollout_operator.controller.concurrency import Turns
from rollout_operator.controller.reconcile import Ports, trouble
from rollout_operator.controller.workqueue import WorkQueue, utc_now
from rollout_operator.domain.api.api_types import parse_duration
from rollout_operator.domain.api.conditions import conditions, truths
from rollout_operator.domain.api.status import Phase, Status
from rollout_operator.errors import CallFailed
from rollout_operator.handlers import Shell
from rollout_operator.settings import Settings, SettingsError
from tests.unit.engine.builders import at, on_trial


def rollout(version: int, name: str = "iris", uid: str = "u1") -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "models",
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
        },
        "spec": {},
    }


def deployment(version: int, ready: int = 0, uid: str = "d1") -> dict[str, Any]:
    labels = {"rollouts.mlops.dev/rollout": "iris", "rollouts.mlops.dev/revision": "abc"}
    owners = [{"uid": "u1", "controller": True}]
    meta = {
        "namespace": "models",
        "name": "iris-abc",
        "uid": uid,
        "resourceVersion": str(version),
        "labels": labels,
        "ownerReferences": owners,
    }
    return {"metadata": meta, "spec": {"replicas": 2}, "status": {"readyReplicas": ready}}


KEY = ("models", "iris")


def test_an_older_version_that_arrives_late_is_dropped() -> None:
    store = Store()
    store.put_rollout(rollout(9))
    store.put_rollout(rollout(8, uid="old"))
    store.put_child("Deployment", deployment(99, ready=2))
    store.put_child("Deployment", deployment(98, ready=0))
    assert (store.rollout(KEY) or {})["metadata"]["uid"] == "u1"
    assert [c.ready for c in store.children(KEY)] == [2]


class Listed:
    """An API server's ModelRollouts in pages; the first try to list them fails."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages_of, self.failed = pages, False

    async def pages(
        self, kind: str, namespace: str
    ) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        if not self.failed:
            self.failed = True
            raise CallFailed("GET modelrollouts: TimeoutError")
        for page in self.pages_of:
            yield page, "9"
            # The next page takes its time.
            await asyncio.sleep(0.05)


def test_at_the_start_no_rollout_is_looked_at_before_all_are_known() -> None:
    """Of two with one host and path it is the older's, whichever page of the list has it."""

    def claiming(name: str, created: str) -> dict[str, Any]:
        made = rollout(5, name, uid=name)
        return {
            "metadata": {**made["metadata"], "creationTimestamp": created},
            "spec": {"traffic": {"host": "iris.example.com"}},
        }

    shell = Shell(Settings.from_environment(GOOD))
    looked: dict[str, Key | None] = {}
    both = asyncio.Event()

    async def look(key: Key, ports: Ports, now: datetime) -> None:
        looked[key[1]] = shell.store.taken_by(key)
        if len(looked) == 2:
            both.set()

    async def started() -> None:
        shell.queue = WorkQueue(cast("Ports", type("P", (), {"store": shell.store})()), look)
        task = asyncio.create_task(shell.queue.run())
        first, second = claiming("a", "2026-11-02T00:00:00Z"), claiming("b", "2026-11-01T00:00:00Z")
        await shell.learn(cast("Cluster", Listed([first], [second])), "")
        await asyncio.wait_for(both.wait(), 10)
        task.cancel()

    asyncio.run(started())
    assert looked == {"a": ("models", "b"), "b": None}


def budget(version: int, healthy: int, most: int = 1, uid: str = "b1") -> dict[str, Any]:
    meta = {**deployment(version, uid=uid)["metadata"], "name": "iris"}
    return {
        "metadata": meta,
        "spec": {"maxUnavailable": most},
        "status": {"currentHealthy": healthy},
    }


def test_a_status_that_nobody_looks_at_is_nothing_new_but_its_version_is_kept() -> None:
    store = Store()
    assert store.put_child("PodDisruptionBudget", budget(1, healthy=1))
    assert not store.put_child("PodDisruptionBudget", budget(2, healthy=2))
    (kept,) = store.children(KEY)
    assert kept.version == 2, "or a write would be refused"
    assert kept.agrees(budget(0, 0))
    assert not store.put_child("PodDisruptionBudget", budget(3, healthy=1))
    assert store.put_child("PodDisruptionBudget", budget(4, healthy=1, most=2))
    assert store.put_child("PodDisruptionBudget", budget(5, healthy=1, most=2, uid="b2"))
    assert store.put_child("Deployment", deployment(6, ready=1))
    assert store.put_child("Deployment", deployment(7, ready=2))


def test_a_late_deletion_does_not_take_a_successor() -> None:
    store = Store()
    store.put_rollout(rollout(9, uid="new"))
    store.drop_rollout(rollout(8, uid="old"))
    store.put_child("Deployment", deployment(9, uid="new"))
    store.drop_child("Deployment", deployment(8, uid="old"))
    assert store.rollout(KEY) is not None
    assert len(store.children(KEY)) == 1
    store.drop_child("Deployment", deployment(10, uid="new"))
    assert store.children(KEY) == ()


def test_what_is_deleted_before_the_reply_to_its_write_is_read_stays_gone() -> None:
    store = Store()
    store.put_rollout(rollout(9))
    store.drop_rollout(rollout(11))
    store.wrote(KEY, "ModelRollout", rollout(10))
    assert not store.has(KEY)
    store.drop_child("Deployment", deployment(11))
    store.wrote(KEY, "Deployment", deployment(10))
    assert store.children(KEY) == ()
    store.put_child("Deployment", deployment(12))
    assert len(store.children(KEY)) == 1, "back under a label that another operator had"
    store.put_child("Deployment", deployment(8, uid="new"))
    assert [c.uid for c in store.children(KEY)] == ["d1"]


def made_anew(store: Store) -> None:
    store.drop_rollout(rollout(9))
    store.put_rollout(rollout(11, uid="u2"))


CHANGES: dict[str, Callable[[Store], object]] = {
    "the ModelRollout is written": lambda store: store.put_rollout(rollout(10)),
    "an object is edited": lambda store: store.put_child(
        "Deployment", {**deployment(100), "spec": {"replicas": 5}}
    ),
    "an object is deleted": lambda store: store.drop_child("Deployment", deployment(100)),
    "an object is found to be missing": lambda store: store.drop(
        "Deployment", KEY, "iris-abc", "d1"
    ),
    "an object comes": lambda store: store.put_child("Service", deployment(100)),
    "the ModelRollout is made anew": made_anew,
}


@pytest.mark.parametrize("name", CHANGES.keys())
def test_objects_are_compared_again_after_every_change(name: str) -> None:
    store = Store()
    store.put_rollout(rollout(9))
    store.put_child("Deployment", deployment(99))
    store.settle(KEY, 9)
    store.put_child("Deployment", deployment(98))
    assert store.settled(KEY, 9)
    CHANGES[name](store)
    raw = store.rollout(KEY)
    assert raw is not None
    assert not store.settled(KEY, int(raw["metadata"]["resourceVersion"]))


def test_terminating_and_unready_endpoints_do_not_count() -> None:
    def endpoint(pod: str, **conditions: bool) -> dict[str, Any]:
        return {"targetRef": {"name": pod}, "conditions": conditions}

    raw = {
        "metadata": {
            "namespace": "models",
            "name": "s",
            "uid": "s",
            "resourceVersion": "1",
            "labels": {"kubernetes.io/service-name": "iris"},
        },
        "endpoints": [
            endpoint("a", ready=True),
            endpoint("b", ready=False),
            endpoint("c", ready=True, terminating=True),
        ],
    }
    assert child("EndpointSlice", raw).endpoints == ("a",)


PODS = {
    "no pods": ([], ""),
    "a pod's last words": (
        [
            {
                "status": {
                    "containerStatuses": [
                        {
                            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                            "lastState": {"terminated": {"message": "bad digest\n"}},
                        }
                    ]
                }
            }
        ],
        "The pod says: bad digest",
    ),
    "killed for its memory": (
        [
            {
                "spec": {
                    "containers": [{"name": "model", "resources": {"limits": {"memory": "256Mi"}}}]
                },
                "status": {
                    "containerStatuses": [
                        {
                            "name": "model",
                            "state": {
                                "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
                            },
                            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                        }
                    ]
                },
            }
        ],
        (
            "OOMKilled: the model needs more memory than its limit of 256Mi: raise"
            " spec.resources.limits.memory"
        ),
    ),
    "killed without a limit": (
        [
            {
                "status": {
                    "containerStatuses": [
                        {"name": "model", "state": {"terminated": {"reason": "OOMKilled"}}}
                    ]
                }
            }
        ],
        (
            "OOMKilled: the model needs more memory than the node had: raise"
            " spec.resources.limits.memory"
        ),
    ),
    "an image that cannot be pulled": (
        [
            {
                "status": {
                    "containerStatuses": [
                        {
                            "state": {
                                "waiting": {"reason": "ErrImagePull", "message": "no such image"}
                            }
                        }
                    ]
                }
            }
        ],
        "ErrImagePull: no such image",
    ),
    "a pod that is starting": (
        [
            {
                "status": {
                    "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]
                }
            }
        ],
        "",
    ),
    "a pod that fits nowhere": (
        [
            {
                "status": {
                    "conditions": [
                        {
                            "type": "PodScheduled",
                            "status": "False",
                            "reason": "Unschedulable",
                            "message": "too big",
                        }
                    ]
                }
            }
        ],
        "Unschedulable: too big",
    ),
}


@pytest.mark.parametrize(("pods", "said"), PODS.values(), ids=PODS.keys())
def test_trouble_of_pods(pods: list[dict[str, Any]], said: str) -> None:
    assert trouble(pods) == said


GOOD = {
    "INFERENCE_IMAGE": "i",
    "PROMETHEUS_URL": "http://p:9090/",
    "MLFLOW_TRACKING_URI": "http://m:5000",
}


def test_settings_from_the_environment() -> None:
    settings = Settings.from_environment({**GOOD, "WATCH_NAMESPACES": "a, b"})
    assert (settings.prometheus_url, settings.namespaces) == ("http://p:9090", ("a", "b"))
    assert settings.model_environment["MLFLOW_TRACKING_URI"] == "http://m:5000"


@pytest.mark.parametrize(
    ("env", "names"),
    [
        pytest.param({**GOOD, "INFERENCE_IMAGE": ""}, "INFERENCE_IMAGE", id="no image"),
        pytest.param({**GOOD, "METRICS_PORT": "x"}, "METRICS_PORT", id="a port that is none"),
        pytest.param({**GOOD, "LOG_LEVEL": "LOUD"}, "LOG_LEVEL", id="an unknown level"),
        pytest.param(
            {**GOOD, "MODEL_EGRESS": "none"},
            "MODEL_EGRESS: .*or the word any",
            id="rules that are none",
        ),
    ],
)
def test_wrong_settings_are_named(env: dict[str, str], names: str) -> None:
    with pytest.raises(SettingsError, match=names):
        Settings.from_environment(env)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("10m", 600),
        ("1h30m", 5400),
        ("0s", 0),
        ("", None),
        ("5", None),
        ("PT5S", None),
        ("1.5h", None),
        ("-1s", None),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="write 30s"):
            parse_duration(text)
    else:
        assert parse_duration(text) == timedelta(seconds=seconds)


CONDITIONS = {
    "a new object": (Status(), ("Unknown", "Unknown", "True", "False")),
    "on trial": (on_trial(), ("True", "Unknown", "True", "False")),
    "promoted": (on_trial(phase=Phase.PROMOTED), ("True", "True", "False", "False")),
    "rolled back": (on_trial(phase=Phase.ROLLED_BACK), ("True", "False", "False", "True")),
    "invalid": (on_trial(phase=Phase.INVALID), ("False", "False", "False", "True")),
    "halted": (on_trial(halted=True), ("True", "False", "False", "True")),
    "a spec that cannot be read": (
        on_trial(invalid="spec.replicas: no"),
        ("False", "False", "False", "True"),
    ),
}


@pytest.mark.parametrize(("status", "expected"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_conditions_by_kstatus(status: Status, expected: tuple[str, ...]) -> None:
    assert tuple(truths(status).values()) == expected


def test_a_transition_time_moves_only_with_the_truth() -> None:
    before = on_trial()
    before = before.model_copy(update={"conditions": conditions(before, at(0))})
    same = conditions(before.model_copy(update={"message": "new"}), at(5))
    other = conditions(before.model_copy(update={"phase": Phase.PROMOTED}), at(5))
    assert {c.last_transition_time for c in same} == {at(0)}
    assert {c.type: c.last_transition_time for c in other} == {
        "Accepted": at(0),
        "Ready": at(5),
        "Reconciling": at(5),
        "Stalled": at(0),
    }


def test_a_paused_rollout_says_so() -> None:
    paused = conditions(on_trial(paused_since=at(1)), at(1))
    assert {c.reason for c in paused} == {"Paused"}


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
            if key[1] == "hanging":
                await asyncio.sleep(60)
            return utc_now() + timedelta(milliseconds=50) if key[1] == "ticking" else None
        finally:
            self.together -= 1


async def engine_with(*names: str, seconds: float = 0.35) -> Passes:
    store, passes = Store(), Passes()
    for name in names:
        store.put_rollout(rollout(1, name))
    queue = WorkQueue(cast("Ports", type("P", (), {"store": store})()), passes)
    task = asyncio.create_task(queue.run())
    for name in names:
        for _ in range(3):
            queue.enqueue(("models", name))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])
    return passes


MEANWHILE: dict[str, tuple[bool, list[Event | None], int]] = {
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
                store.wrote(key, "ModelRollout", rollout(5))
                store.deleted(key, "Ingress", "iris-canary", "i1")

    queue = WorkQueue(cast("Ports", type("P", (), {"store": store})()), one_pass)
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
            store.wrote(
                key, "ModelRollout", claiming(2, "older", "new.example.com", "new.example.com")
            )

    queue = WorkQueue(cast("Ports", type("P", (), {"store": store})()), one_pass)
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
    queue = WorkQueue(cast("Ports", type("P", (), {"store": store})()), passes)
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
    queue = WorkQueue(cast("Ports", type("P", (), {"store": store})()), passes)
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


AT_REST: dict[str, tuple[dict[str, Any], dict[str, str], bool]] = {
    "promoted": ({"phase": "Promoted", "observedGeneration": 1}, {}, True),
    "rolled back, described by somebody": (
        {"phase": "RolledBack", "observedGeneration": 1},
        {"team": "flowers"},
        True,
    ),
    "on trial": ({"phase": "Trial", "observedGeneration": 1}, {}, False),
    "its spec has changed": ({"phase": "Promoted", "observedGeneration": 0}, {}, False),
    "the old revision is still to go": (
        {"phase": "Promoted", "observedGeneration": 1, "retiring": [{}]},
        {},
        False,
    ),
    "a command waits": (
        {"phase": "RolledBack", "observedGeneration": 1},
        {"rollouts.mlops.dev/retry": "3"},
        False,
    ),
    "nobody has seen it yet": ({}, {}, False),
}


@pytest.mark.parametrize("name", AT_REST.keys())
def test_at_rest_is_who_asks_for_nothing(name: str) -> None:
    status, annotations, expected = AT_REST[name]
    raw = rollout(1)
    raw["metadata"]["annotations"] = annotations
    assert at_rest({**raw, "status": status}) is expected


def test_rollouts_are_kept_small_and_given_back_whole() -> None:
    store = Store()
    wanted = []
    for n in range(50):
        raw = {
            **rollout(n + 1, f"m{n}"),
            "status": {
                "phase": "Promoted",
                "message": f"models:/iris/{n} is stable" * 20,
                "attempt": n,
            },
        }
        store.put_rollout(raw)
        wanted.append(raw)
    assert [store.rollout(("models", f"m{n}")) for n in range(50)] == wanted


def test_only_the_stable_services_endpoints_are_kept() -> None:
    def slice_of(service: str) -> dict[str, Any]:
        labels = {"kubernetes.io/service-name": service, "rollouts.mlops.dev/rollout": "iris"}
        return {
            "metadata": {
                "namespace": "models",
                "name": f"{service}-x",
                "uid": service,
                "resourceVersion": "1",
                "labels": labels,
            }
        }

    store = Store()
    assert not store.put_child("EndpointSlice", slice_of("iris-abc-candidate"))
    assert store.put_child("EndpointSlice", slice_of("iris"))
    assert [c.service for c in store.children(KEY)] == ["iris"]


async def test_wakes_are_merged_and_due_times_kept() -> None:
    passes = await engine_with("quiet", "ticking")
    assert passes.ran.count("quiet") == 1
    assert passes.ran.count("ticking") >= 3


async def test_a_broken_or_hanging_rollout_does_not_hold_up_the_others() -> None:
    passes = await engine_with("broken", "hanging", "ticking")
    assert passes.ran.count("ticking") >= 3
    assert 1 <= passes.ran.count("broken") <= 3
    assert passes.ran.count("hanging") == 1


async def test_turns_are_few_and_who_waits_outside_holds_none() -> None:
    turns, inside, most = Turns(at_once=2), 0, 0
    hanging = asyncio.Event()

    async def look(waits: bool) -> None:
        nonlocal inside, most
        await turns.acquire()
        try:
            if waits:
                async with turns.released():
                    await hanging.wait()
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1
        finally:
            turns.release()

    waiting = [asyncio.create_task(look(waits=True)) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*(look(waits=False) for _ in range(5))), 5)
    hanging.set()
    await asyncio.gather(*waiting)
    assert most == 2
    cancelled = asyncio.create_task(look(waits=True))
    hanging.clear()
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    await asyncio.wait_for(asyncio.gather(*(look(waits=False) for _ in range(3))), 5)
    assert most == 2


ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("folder", ["operator", "inference", "trainer"])
def test_no_package_file_shadows_the_standard_library(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()
    assert not (ROOT / "tests" / "operator").exists()
