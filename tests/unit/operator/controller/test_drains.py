"""Routers are watched over real HTTP until they follow: a router that lags, one whose replicas lag
apart, several addresses, silence, TLS.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from rollout_operator.adapters.router_probe import Routers, router_session
from rollout_operator.controller.drains import Drains, Mark, Watched
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.drain import Question, follows
from rollout_operator.domain.observed import Followed
from rollout_operator.domain.route_probe import Way
from rollout_operator.errors import Gone
from tests.support.builders import START, at
from tests.support.loopback_router import Handler, Router

KEY = ("models", "iris")
WAY = Way(
    "models",
    "iris",
    Provider.HTTP_ROUTE,
    "iris.example.com",
    "/",
    False,
    ("public",),
    "gateways",
    frozenset({"old", "new"}),
    "public",
)
MARK: Mark = ("uid", Phase.SHIFTING, START)
APART = timedelta(seconds=1)
LATE = timedelta(seconds=3)
"""How long the phase is under way when it is first asked."""


def answer(revision: str) -> web.StreamResponse:
    return web.json_response({"status": "ready", "revision": revision})


def replica(lag: float) -> Iterator[str]:
    """Whose pods answer by a replica that follows after so many seconds."""
    clock = asyncio.get_running_loop().time
    follows = clock() + lag
    while True:
        yield "new" if clock() >= follows else "old"


def lagging(*lags: float) -> Handler:
    """A router whose replicas follow after so many seconds, and take turns."""
    turns: list[Iterator[Iterator[str]]] = []

    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        if not turns:
            turns.append(cycle([replica(lag) for lag in lags]))
        return answer(next(next(turns[0])))

    return handler


async def login(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=401)


async def none(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=503)


async def flapping(_: web.BaseRequest) -> web.StreamResponse:
    return answer("old" if asyncio.get_running_loop().time() % 1 < 0.5 else "new")


async def watched(
    router: Router, asked: Question, addresses: tuple[str, ...] = ("127.0.0.1",), lasts: float = 2.5
) -> Followed | None:
    """What is known of the routers when the rollout is woken; None where it never is."""
    woken, keys = asyncio.Event(), list[tuple[str, str]]()

    async def look(*_: str) -> dict[str, Any]:
        if not addresses:
            raise Gone("HTTP 404")
        listener = {"name": "web", "port": router.port, "protocol": "HTTP"}
        published = [{"type": "IPAddress", "value": value} for value in addresses]
        return {"spec": {"listeners": [listener]}, "status": {"addresses": published}}

    def wake(key: tuple[str, str]) -> None:
        keys.append(key)
        woken.set()

    async with router_session() as opened:
        drains = Drains(Routers(opened, look), wake, APART)
        for _ in range(2):
            # A second look begins nothing anew.
            drains.begin(KEY, Watched(MARK, (WAY,), asked, LATE, timedelta(seconds=lasts)))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), lasts + 0.5)
        found = drains.followed(KEY, MARK, (WAY,))
        assert drains.followed(KEY, ("uid", Phase.SHIFTING, at(1)), (WAY,)) is None
        await drains.close()
        assert drains.followed(KEY, MARK, (WAY,)) is None
    assert keys == ([KEY] if woken.is_set() else [])
    assert woken.is_set() is follows(asked, found, APART)
    return found if woken.is_set() else None


NEW = Question("new", 5)
ROUTERS: dict[str, tuple[Handler, tuple[str, ...], float | None]] = {
    "one that follows at once": (lagging(0), ("127.0.0.1",), 0.0),
    "one that lags": (lagging(1.5), ("127.0.0.1",), 1.5),
    # Each is asked every 0.6 s.
    "one whose replicas lag apart": (lagging(0, 0, 1.8), ("127.0.0.1",), 1.1),
    "one at two addresses": (lagging(0), ("127.0.0.1", "127.0.0.2"), 0.0),
    "one that never follows": (lagging(60), ("127.0.0.1",), None),
    "one that has followed, and goes back": (flapping, ("127.0.0.1",), None),
    "one that answers nobody": (none, ("127.0.0.1",), None),
    "one that asks for credentials": (login, ("127.0.0.1",), None),
    "one that is not there at its second address": (
        lagging(0),
        ("127.0.0.1", "203.0.113.1"),
        None,
    ),
    "one that nobody knows an address of": (lagging(0), (), None),
}


@pytest.mark.parametrize(("handler", "addresses", "lag"), ROUTERS.values(), ids=ROUTERS.keys())
async def test_a_router_is_known_to_follow(
    handler: Handler, addresses: tuple[str, ...], lag: float | None, tmp_path: Path
) -> None:
    async with Router(handler, tmp_path, "0.0.0.0") as router:
        found = await watched(router, NEW, addresses, 2.5 if lag is None else 30)
    if lag is None:
        assert found is None
    else:
        assert found is not None
        assert found.lag.total_seconds() >= LATE.total_seconds() + lag


async def test_a_rollback_is_asked_as_testers_ask_too(tmp_path: Path) -> None:
    """The router has followed for everybody but testers."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return answer("new" if request.headers.get("X-Model-Candidate") == "true" else "old")

    async with Router(handler, tmp_path) as router:
        assert await watched(router, Question("old", 5, as_tester=True)) is None
        assert await watched(router, Question("old", 5), lasts=30) is not None


@pytest.mark.parametrize(
    ("late", "lags"),
    [
        pytest.param(LATE, 1, id="asked from its beginning"),
        pytest.param(timedelta(hours=2), 0, id="asked by a process that has started in it"),
    ],
)
async def test_what_a_step_shows_wakes_nobody(late: timedelta, lags: int, tmp_path: Path) -> None:
    """It is taken up by the look at the end of the step."""
    woken = list[tuple[str, str]]()

    async def look(*_: str) -> dict[str, Any]:
        listener = {"name": "web", "port": router.port, "protocol": "HTTP"}
        published = [{"type": "IPAddress", "value": "127.0.0.1"}]
        return {"spec": {"listeners": [listener]}, "status": {"addresses": published}}

    mark, lasts = ("uid", Phase.TRIAL, at(0)), timedelta(seconds=30)
    async with Router(lagging(0), tmp_path) as router, router_session() as opened:
        drains = Drains(Routers(opened, look), woken.append, APART)
        way = replace(WAY, by=f"asked {late} late")
        step = Watched(mark, (way,), NEW, late, lasts, waited_for=False)
        drains.begin(KEY, step)
        # Enough answers, over long enough, and some time in which it stays known.
        await asyncio.sleep(APART.total_seconds() + 3)
        assert follows(NEW, drains.followed(KEY, mark, (way,)), APART)
        assert drains.followed(KEY, mark, (WAY, way)) is None
        await drains.close()
    assert woken == []
    told = {"provider": way.provider, "router": way.by}
    assert REGISTRY.get_sample_value("modelrollout_router_lag_seconds_count", told) == (
        lags or None
    )


async def test_a_redirect_to_tls_is_followed(tmp_path: Path) -> None:
    made: list[Router] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.secure:
            return answer("new")
        to = f"https://iris.example.com:{made[0].secure}/health/"
        return web.Response(status=308, headers={"Location": to})

    async with Router(handler, tmp_path) as router:
        made.append(router)
        assert await watched(router, NEW, lasts=30) is not None
        assert len([r for r in router.requests if not r.secure]) == 1


INGRESS = replace(WAY, provider=Provider.INGRESS, by="nginx", published=("192.0.2.1", "192.0.2.2"))
LATER: dict[str, tuple[tuple[Way, ...], bool]] = {
    "as it was": ((INGRESS,), True),
    "another host, and a version has gone": (
        (replace(INGRESS, host="new.example.com", revisions=frozenset({"new"})),),
        True,
    ),
    "an address less": ((replace(INGRESS, published=("192.0.2.2",)),), True),
    "another address": ((replace(INGRESS, published=("192.0.2.3",)),), False),
    "another class": ((replace(INGRESS, by="traefik"),), False),
    "a route more, of another class": (
        (replace(INGRESS, name="iris-1", by="traefik", published=()), INGRESS),
        False,
    ),
}


@pytest.mark.parametrize(("ways", "still"), LATER.values(), ids=LATER)
def test_what_one_router_has_shown_is_of_no_other(ways: tuple[Way, ...], still: bool) -> None:
    """A step of all requests may last for days, in which the spec asks for another class."""
    step = Watched(MARK, (INGRESS,), NEW, LATE, timedelta(seconds=30))
    assert step.asks(MARK, ways) is still
    assert not step.asks(("uid", Phase.SHIFTING, at(1)), ways)
