"""What is read anew while a phase waits, and what is not."""

import asyncio
from typing import Any, cast

import pytest

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.cache import CachedObject, Store
from rollout_operator.controller.missed_events import look_closer
from rollout_operator.domain.api.names import revision_name
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.rollout import Rollout
from tests.support.builders import at, on_trial, revision
from tests.unit.operator.raw_objects import KEY, deployment, rollout

CANDIDATE = revision(2)
NAME = revision_name(KEY[1], CANDIDATE.revision)
READS = list[tuple[str, str]]


class Reads:
    """An API server that notes what is read, and has what the store has."""

    def __init__(self) -> None:
        self.made: READS = []

    async def read(self, kind: str, _: str, name: str) -> dict[str, Any]:
        self.made.append((kind, name))
        return pods(2, version=99)

    async def endpoint_slices(self, _: str, service: str) -> list[dict[str, Any]]:
        self.made.append(("EndpointSlice", service))
        return []


def pods(ready: int, version: int = 1) -> dict[str, Any]:
    """The candidate's Deployment with so many pods Ready, all of its template."""
    made = deployment(version, ready)
    made["metadata"] |= {"name": NAME, "generation": 1}
    made["status"] |= {"replicas": ready, "updatedReplicas": ready, "observedGeneration": 1}
    return made


def known(kind: str, **fields: Any) -> CachedObject:
    """An object of the rollout as the watches have told of it."""
    made: dict[str, Any] = {
        "name": KEY[1],
        "uid": "o1",
        "version": 1,
        "owner": "u1",
        "revision": "",
    }
    return CachedObject(kind=kind, deleting=False, **(made | fields))


def endpoints(of: str) -> CachedObject:
    """The slice of the stable Service, with one pod of that Deployment."""
    return known("EndpointSlice", service=KEY[1], endpoints=(f"{of}-6f7d8-0",))


def waiting(phase: Phase) -> Rollout:
    """A candidate of two pods in this phase since the start."""
    status = on_trial(phase=phase, phase_since=at(0), candidate=CANDIDATE)
    return Rollout(rollout(1), spec=None, error="", status=status)


DEPLOYMENT, SLICES = ("Deployment", NAME), ("EndpointSlice", KEY[1])
STABLE = revision_name(KEY[1], revision(1).revision)
REFUSED = known("HTTPRoute", trouble="the Gateway has not taken it")

LOOKS: dict[str, tuple[Phase, float, int | None, list[CachedObject], READS]] = {
    "a moment ago: nothing": (Phase.STARTING, 9.9, 0, [], []),
    "long without pods": (Phase.STARTING, 10, 0, [], [DEPLOYMENT]),
    "long with too few": (Phase.PROMOTING, 10, 1, [], [DEPLOYMENT]),
    "long, of which no event came": (Phase.STARTING, 10, None, [], [DEPLOYMENT]),
    "a window holds it, and its pods are there": (Phase.STARTING, 3600, 2, [], []),
    "the pods are there: only the drain is waited for": (Phase.SHIFTING, 10, 2, [], []),
    "the route is not accepted": (Phase.SHIFTING, 10, 2, [REFUSED], [("HTTPRoute", KEY[1])]),
    "the route is accepted": (Phase.SHIFTING, 10, 2, [known("HTTPRoute")], []),
    "no endpoints of the stable Service": (Phase.SWITCHING, 10, 2, [], [SLICES]),
    "endpoints of the former": (Phase.SWITCHING, 10, 2, [endpoints(STABLE)], [SLICES]),
    "endpoints of both": (Phase.SWITCHING, 10, 2, [endpoints(STABLE), endpoints(NAME)], [SLICES]),
    "its endpoints alone: only the drain": (Phase.SWITCHING, 10, 2, [endpoints(NAME)], []),
    "its endpoints, and pods lost": (Phase.SWITCHING, 10, 1, [endpoints(NAME)], [DEPLOYMENT]),
    "on trial and lost, at once": (Phase.TRIAL, 0, 0, [], [DEPLOYMENT]),
    "on trial with one left": (Phase.TRIAL, 60, 1, [], []),
    "lost while it takes over, at once": (Phase.SHIFTING, 0, 0, [], [DEPLOYMENT]),
    "at rest": (Phase.PROMOTED, 60, 0, [], []),
}


@pytest.mark.parametrize(
    ("phase", "seconds", "ready", "objects", "made"), LOOKS.values(), ids=LOOKS
)
def test_only_what_is_waited_for_is_read_anew(
    phase: Phase, seconds: float, ready: int | None, objects: list[CachedObject], made: READS
) -> None:
    store, api = Store(), Reads()
    if ready is not None:
        store.put_object("Deployment", pods(ready))
    asyncio.run(look_closer(waiting(phase), objects, store, cast("Cluster", api), at(seconds)))
    assert api.made == made
    if DEPLOYMENT in made:
        assert [o.ready for o in store.objects(KEY)] == [2], "what was read counts"
