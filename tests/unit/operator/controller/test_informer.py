"""What the operator may not list holds up nobody who does not have it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import pytest

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.cache import Store
from rollout_operator.controller.informer import Informer
from rollout_operator.controller.raw_objects import Key, WatchEvent
from rollout_operator.controller.resync import OWNED_KINDS, resync
from rollout_operator.errors import CallFailed, Refused

FORBIDDEN = "HTTP 403 horizontalpodautoscalers.autoscaling is forbidden"


class Role:
    """A cluster whose role leaves one kind out."""

    def __init__(self, lacks: str, failure: Exception) -> None:
        self.lacks, self.failure = lacks, failure
        self.compared = list[str]()

    async def pages(
        self, kind: str, namespace: str, foreign: bool
    ) -> AsyncIterator[tuple[list[object], str]]:
        if kind == self.lacks:
            raise self.failure
        yield [], "1"

    async def watch(
        self, kind: str, namespace: str, since: str, foreign: bool
    ) -> AsyncIterator[object]:
        await asyncio.Event().wait()
        yield kind

    async def metadata(self, kind: str, namespace: str) -> AsyncIterator[object]:
        if kind == self.lacks:
            raise self.failure
        self.compared.append(kind)
        nothing: tuple[object, ...] = ()
        for one in nothing:
            yield one


def woken(key: Key, event: WatchEvent | None = None) -> None:
    raise AssertionError(f"there is nothing of which {key} is to be told, not {event}")


async def is_listed(kind: str, failure: Exception) -> bool:
    """Whether the start goes on though this kind cannot be listed."""
    informer = Informer(kind, "", Store(), cast("Cluster", Role(kind, failure)), woken)
    task = asyncio.create_task(informer.run())
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return informer.listed.is_set()


@pytest.mark.parametrize(
    ("kind", "failure", "goes_on"),
    [
        pytest.param(
            "HorizontalPodAutoscaler",
            Refused(FORBIDDEN),
            True,
            id="autoscalers that the role leaves out",
        ),
        pytest.param(
            "HorizontalPodAutoscaler",
            CallFailed("HTTP 503"),
            False,
            id="autoscalers that could not be read just now",
        ),
        pytest.param(
            "Deployment", Refused(FORBIDDEN), False, id="Deployments, which each rollout has"
        ),
    ],
)
def test_the_start_waits_for_what_each_rollout_has(
    kind: str, failure: Exception, goes_on: bool
) -> None:
    assert asyncio.run(is_listed(kind, failure)) is goes_on


def test_the_comparison_leaves_out_what_the_role_leaves_out() -> None:
    role = Role("HorizontalPodAutoscaler", Refused(FORBIDDEN))

    def dropped(key: Key, uid: str) -> None:
        raise AssertionError(f"{key} {uid} was never there")

    missed = asyncio.run(resync(Store(), cast("Cluster", role), (), woken, dropped))
    assert missed == 0
    assert set(role.compared) >= set(OWNED_KINDS) - {"HorizontalPodAutoscaler"}
