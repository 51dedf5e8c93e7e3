"""Routers are asked over real HTTP: whom, with what, and how little of an answer is taken."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rollout_operator.adapters.router_probe import Routers, router_session
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.observed import Heard
from rollout_operator.domain.route_probe import LONGEST, Way
from rollout_operator.errors import CallFailed, Gone, Refused
from scripts.cluster.apiserver import free_port
from tests.support.builders import at
from tests.support.loopback_router import Handler, Router

WAY = Way(
    "models",
    "iris",
    Provider.HTTP_ROUTE,
    "iris.example.com",
    "/v1",
    False,
    ("public",),
    "gateways",
    frozenset({"abc"}),
)
OURS = {"status": "ready", "revision": "abc"}
APART = timedelta(seconds=10)


async def heard(
    port: int, protocol: str = "HTTP", name: str = "public", others: tuple[str, ...] = ()
) -> Heard | None:
    """What is heard of a Gateway with one listener."""

    async def look(kind: str, namespace: str, asked: str) -> dict[str, Any]:
        assert (kind, namespace, asked) == ("Gateway", "gateways", name)
        listener = {"name": "web", "port": port, "protocol": protocol}
        return {
            "spec": {"listeners": [listener]},
            "status": {"addresses": [{"type": "IPAddress", "value": "127.0.0.1"}]},
        }

    async with router_session() as opened:
        return await Routers(opened, look).ask(replace(WAY, others=others), at(0), APART)


def asked(handler: Handler, folder: Path, protocol: str = "HTTP") -> tuple[Heard | None, Router]:
    async def once() -> tuple[Heard | None, Router]:
        async with Router(handler, folder) as router:
            return await heard(
                router.secure if protocol == "HTTPS" else router.port, protocol
            ), router

    return asyncio.run(once())


async def ours(_: web.BaseRequest) -> web.StreamResponse:
    return web.json_response(OURS, headers={"Set-Cookie": "a=b"})


def test_the_request_is_a_clients_and_carries_nothing_of_the_operators(tmp_path: Path) -> None:
    found, router = asked(ours, tmp_path)
    assert found == Heard()
    one = router.requests[0]
    assert (one.method, one.path, one.headers["Host"]) == ("GET", "/v1/health/", "iris.example.com")
    assert set(one.headers) == {
        "Host",
        "Accept",
        "Accept-Encoding",
        "Cache-Control",
        "User-Agent",
        "Connection",
    }


def test_every_host_of_a_route_must_lead_there(tmp_path: Path) -> None:
    """One host whose name leads elsewhere is trouble, though the others answer."""

    async def by_host(request: web.BaseRequest) -> web.StreamResponse:
        return await (unknown if request.headers["Host"] == "b.example.com" else ours)(request)

    async def once(*others: str) -> tuple[Heard | None, set[str]]:
        async with Router(by_host, tmp_path) as router:
            found = await heard(router.port, others=others)
            return found, {one.headers["Host"] for one in router.requests}

    found, asked_by = asyncio.run(once("a.example.com", "c.example.com"))
    assert found == Heard()
    assert asked_by == {"iris.example.com", "a.example.com", "c.example.com"}
    found, _ = asyncio.run(once("b.example.com"))
    assert found is not None
    assert "with Host b.example.com came back with HTTP 404" in found.said


def test_a_listener_with_tls_is_asked_whatever_its_certificate_says(tmp_path: Path) -> None:
    found, router = asked(ours, tmp_path, "HTTPS")
    assert found == Heard()
    assert router.requests[0].secure


def test_a_redirect_to_tls_is_followed_once_at_the_same_address(tmp_path: Path) -> None:
    made: list[Router] = []

    async def to_tls(request: web.BaseRequest) -> web.StreamResponse:
        if request.secure:
            return await ours(request)
        return web.Response(
            status=308,
            headers={"Location": f"https://iris.example.com:{made[0].secure}/v1/health/"},
        )

    async def once() -> Heard | None:
        async with Router(to_tls, tmp_path) as router:
            made.append(router)
            return await heard(router.port)

    assert asyncio.run(once()) == Heard()
    assert [r.secure for r in made[0].requests] == [False, True]


async def unknown(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=404, text="404 page not found")


async def login(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/"})


async def endless(request: web.BaseRequest) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" " * 4096)


async def late(_: web.BaseRequest) -> web.StreamResponse:
    return web.json_response(text=" " * LONGEST + '{"revision": "abc"}')


async def packed(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"\x1f\x8b" + b"\0" * 100, headers={"Content-Encoding": "gzip"})


async def hangs(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError


ANSWERS: dict[str, tuple[Handler, str | None]] = {
    "a router that does not know the host": (unknown, "came back with HTTP 404"),
    "somebody else's page first": (login, None),
    "an answer without end": (endless, "came back with HTTP 200"),
    "what stands after 64 KiB": (late, "came back with HTTP 200"),
    "what claims to be packed": (packed, "came back with HTTP 200"),
    "a router that hangs": (hangs, "got no answer: nothing within 3 s"),
}


@pytest.mark.parametrize(("handler", "said"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_comes_back_is_told(handler: Handler, said: str | None, tmp_path: Path) -> None:
    found, router = asked(handler, tmp_path)
    assert router.requests, "it was asked"
    if said is None:
        assert found is None
    else:
        assert found is not None
        assert said in found.said


def test_who_refuses_the_connection_is_told_with_what_helps() -> None:
    found = asyncio.run(heard(free_port()))
    assert found is not None
    assert not found.reached
    assert "connection refused" in found.said
    assert "networkPolicy.egressPorts" in found.said


FAILURES: dict[str, tuple[Exception, bool]] = {
    "no such Gateway": (Gone("HTTP 404"), False),
    "no right to read it": (Refused("HTTP 403"), False),
    "an API server that does not answer": (CallFailed("HTTP 503"), True),
}


@pytest.mark.parametrize(("failure", "told"), FAILURES.values(), ids=FAILURES.keys())
def test_a_gateway_that_cannot_be_read(failure: Exception, told: bool) -> None:
    async def look(*_: str) -> dict[str, Any]:
        raise failure

    async def once() -> Heard | None:
        async with router_session() as opened:
            return await Routers(opened, look).ask(WAY, at(0), APART)

    found = asyncio.run(once())
    assert (found is not None) is told
    assert found is None or (not found.reached and "could not be read" in found.said)


@pytest.mark.parametrize(
    ("seconds", "asked"),
    [
        pytest.param((0, 3, 9.9, 10, 12), 2, id="as long as it is to be"),
        pytest.param((0, -3600, -3593), 2, id="but not until a clock that was set back is there"),
    ],
)
def test_a_router_is_left_alone_in_between(seconds: tuple[float, ...], asked: int) -> None:
    looks: list[str] = []

    async def look(*asked: str) -> dict[str, Any]:
        looks.append(asked[0])
        return {}

    async def once() -> None:
        async with router_session() as opened:
            routers = Routers(opened, look)
            for second in seconds:
                await routers.ask(WAY, at(second), APART)
                assert routers.fresh(WAY, at(second), APART)

    asyncio.run(once())
    assert len(looks) == asked


BY_INGRESS = replace(WAY, provider=Provider.INGRESS, published=("192.0.2.1", "lb.example.com"))


@pytest.mark.parametrize(
    ("way", "read", "addresses"),
    [
        pytest.param(BY_INGRESS, [], BY_INGRESS.published, id="that a watch has told"),
        pytest.param(replace(BY_INGRESS, published=()), [], (), id="that nobody publishes"),
        pytest.param(
            replace(BY_INGRESS, published=None),
            ["Ingress"],
            ("192.0.2.9",),
            id="that none has told",
        ),
        pytest.param(
            replace(BY_INGRESS, provider=Provider.HTTP_ROUTE), ["Gateway"], (), id="of a Gateway"
        ),
    ],
)
def test_an_address_is_read_where_no_watch_has_told_it(
    way: Way, read: list[str], addresses: tuple[str, ...]
) -> None:
    looks: list[str] = []

    async def look(kind: str, namespace: str, name: str) -> dict[str, Any]:
        looks.append(kind)
        return {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}

    async def once() -> tuple[str, ...]:
        async with router_session() as opened:
            doors = await Routers(opened, look).doors(way)
        return tuple(door.address for door in doors)

    assert asyncio.run(once()) == addresses
    assert looks == read
