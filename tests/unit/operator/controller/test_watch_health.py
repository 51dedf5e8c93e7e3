"""Whether the watch is heard: both orders of a write's reply and of its event,
and what is logged.
"""

import logging
from typing import Any

import pytest

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.watch_health import LONGEST_UNSEEN, OVERDUE, Health, UnseenWrites
from rollout_operator.process import Shell
from rollout_operator.settings import Settings

KEY = ("ns", "iris")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


ORDERS = {
    "reply before event": ([("wrote", 5), ("seen", 5)], False),
    "event before reply": ([("seen", 5), ("wrote", 5)], False),
    "a newer event before the reply": ([("seen", 7), ("wrote", 5)], False),
    "an older event comes late": ([("seen", 5), ("seen", 4), ("wrote", 5)], False),
    "two writes, the first reply read last": (
        [("wrote", 6), ("seen", 5), ("wrote", 5), ("seen", 6)],
        False,
    ),
    "a write that changed nothing": ([("seen", 5), ("wrote", 5), ("wrote", 5)], False),
    "gone before the reply is read": ([("seen", 4), ("forget", 0), ("wrote", 5)], False),
    "gone while its write waits": ([("wrote", 5), ("forget", 0)], False),
    "the reply only": ([("wrote", 5)], True),
    "only an older version comes": ([("seen", 4), ("wrote", 5)], True),
    "made anew under the same name": ([("forget", 0), ("seen", 8), ("wrote", 9)], True),
}


@pytest.mark.parametrize(("story", "deaf"), ORDERS.values(), ids=ORDERS.keys())
def test_a_write_is_waited_for_until_the_watch_brings_it(
    story: list[tuple[str, int]], deaf: bool
) -> None:
    clock = Clock()
    unseen_writes = UnseenWrites(clock)
    for verb, version in story:
        if verb == "forget":
            unseen_writes.forget(KEY)
        else:
            getattr(unseen_writes, verb)(KEY, version)
    assert not unseen_writes.trouble()
    clock.now = LONGEST_UNSEEN + 1
    assert bool(unseen_writes.trouble()) is deaf


def test_what_makes_healthz_say_503_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    unseen_writes = UnseenWrites(clock)
    health = Health(lambda: "", unseen_writes.trouble)
    unseen_writes.wrote(KEY, 5)
    with caplog.at_level(logging.INFO):
        for clock.now in (121.0, 126.0, 131.0):
            assert "ns/iris" in health.trouble()
        unseen_writes.seen(KEY, 5)
        assert not health.trouble()
        assert not health.trouble()
    logged = [(r.levelname, r.getMessage()) for r in caplog.records]
    assert [level for level, _ in logged] == ["ERROR", "INFO"]
    assert "version 5" in logged[0][1]


class Answering(Cluster):
    """An API server that has one ModelRollout with these labels."""

    def __init__(self, **labels: str) -> None:
        self.labels = labels

    async def read(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        return {
            "metadata": {"namespace": namespace, "name": name, "uid": "u", "labels": self.labels}
        }


@pytest.mark.parametrize(
    ("shard", "deaf"),
    [("a", True), ("b", False)],
    ids=["still of this shard", "of another shard now"],
)
async def test_what_waits_is_asked_after(shard: str, deaf: bool) -> None:
    """No watch tells this process that another operator has the rollout now, if that is between two
    lists.
    """
    clock = Clock()
    shell = Shell(Settings("image", "http://prometheus", "http://mlflow", shard="a"), clock)
    meta = {
        "namespace": KEY[0],
        "name": KEY[1],
        "uid": "u",
        "resourceVersion": "4",
        "generation": 1,
    }
    shell.told(None, {"metadata": meta, "spec": {}})
    shell.unseen_writes.wrote(KEY, 5)
    clock.now = OVERDUE + 1
    await shell.ask_after(Answering(**{"rollouts.mlops.dev/shard": shard}))
    clock.now = LONGEST_UNSEEN + 1
    assert bool(shell.health.trouble()) is deaf
    assert shell.store.has(KEY) is deaf
