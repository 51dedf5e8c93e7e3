"""Where a route is asked, and what counts as an answer of its rollout."""

import json
from typing import Any

import pytest

from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.observed import Heard
from rollout_operator.domain.route_probe import Door, Way, doors, of_all, of_one, read

INGRESS = Way(
    "models",
    "iris",
    Provider.INGRESS,
    "iris.example.com",
    "/",
    False,
    (),
    "models",
    frozenset({"abc"}),
)
SECURE = Way(
    "models",
    "iris",
    Provider.INGRESS,
    "iris.example.com",
    "/",
    True,
    (),
    "models",
    frozenset({"abc"}),
)
GATEWAY = Way(
    "models",
    "iris",
    Provider.HTTP_ROUTE,
    "iris.example.com",
    "/v1/",
    False,
    ("public",),
    "models",
    frozenset({"abc"}),
)


def ingress(*entries: dict[str, str]) -> dict[str, Any]:
    return {"status": {"loadBalancer": {"ingress": list(entries)}}}


def gateway(*listeners: tuple[str, int, str, str | None], **address: str) -> dict[str, Any]:
    made = [
        {"name": n, "port": port, "protocol": protocol, **({"hostname": h} if h else {})}
        for n, port, protocol, h in listeners
    ]
    return {"spec": {"listeners": made}, "status": {"addresses": [address] if address else []}}


WEB, TLS = ("web", 8000, "HTTP", None), ("tls", 443, "HTTPS", "*.example.com")
DOORS = {
    "an Ingress without an address": (INGRESS, {"status": {}}, "", []),
    "an Ingress with an address": (
        INGRESS,
        ingress({"ip": "10.0.0.1"}),
        "",
        ["http://10.0.0.1:80/health/"],
    ),
    "an Ingress with a certificate": (
        SECURE,
        ingress({"hostname": "lb.example.net"}),
        "",
        ["https://lb.example.net:443/health/"],
    ),
    "an address of IPv6": (
        INGRESS,
        ingress({"ip": "fd00::1"}),
        "",
        ["http://[fd00::1]:80/health/"],
    ),
    "a Gateway without an address": (GATEWAY, gateway(WEB), "", []),
    "a listener, and the usual port of a Service before it": (
        GATEWAY,
        gateway(WEB, value="10.0.0.1"),
        "",
        ["http://10.0.0.1:8000/v1/health/", "http://10.0.0.1:80/v1/health/"],
    ),
    "the listener that is meant": (
        GATEWAY,
        gateway(WEB, TLS, value="10.0.0.1"),
        "tls",
        ["https://10.0.0.1:443/v1/health/"],
    ),
    "a listener of another host": (
        GATEWAY,
        gateway(("other", 80, "HTTP", "*.example.net"), value="10.0.0.1"),
        "",
        [],
    ),
    "a listener that speaks no HTTP": (
        GATEWAY,
        gateway(("tcp", 80, "TCP", None), value="10.0.0.1"),
        "",
        [],
    ),
    "an address of a kind of its own": (
        GATEWAY,
        gateway(WEB, value="x", type="example.com/name"),
        "",
        [],
    ),
}


@pytest.mark.parametrize(("way", "router", "listener", "urls"), DOORS.values(), ids=DOORS.keys())
def test_where_a_route_is_asked(
    way: Way, router: dict[str, Any], listener: str, urls: list[str]
) -> None:
    assert [door.url(way) for door in doors(way, router, listener)] == urls


OURS = json.dumps({"status": "ready", "revision": "abc"}).encode()
THEIRS = json.dumps({"status": "ready", "revision": "of another rollout"}).encode()
DOOR = Door("10.0.0.1", 80, False)
TO_TLS = "https://iris.example.com/health/"
ANSWERS: dict[str, tuple[int, str, bytes, Heard | Door | str | None]] = {
    "a pod of the rollout": (200, "", OURS, Heard()),
    "one that only begins": (503, "", OURS, Heard()),
    "a pod of another rollout": (200, "", THEIRS, "HTTP 200, and not from a pod"),
    "the router's own": (404, "", b"404 page not found", "HTTP 404"),
    "no endpoints": (503, "", b"<html>", "HTTP 503"),
    "JSON that is no object": (200, "", b"[1]", "HTTP 200"),
    "brackets without end": (200, "", b"[" * 60_000, "HTTP 200"),
    "a revision that is no text": (200, "", b'{"revision": ["abc"]}', "HTTP 200"),
    "TLS is asked for": (308, TO_TLS, b"", Door("10.0.0.1", 443, True)),
    "TLS at another port": (
        301,
        "https://iris.example.com:8443/",
        b"",
        Door("10.0.0.1", 8443, True),
    ),
    "another host": (302, "https://login.example.com/", b"", None),
    "another address": (302, "https://169.254.169.254/", b"", None),
    "credentials are asked for": (401, "", b"", None),
    "nobody is let in": (403, "", b"", None),
}


@pytest.mark.parametrize(
    ("status", "location", "body", "expected"), ANSWERS.values(), ids=ANSWERS.keys()
)
def test_what_an_answer_says(
    status: int, location: str, body: bytes, expected: Heard | Door | str | None
) -> None:
    found = read(INGRESS, DOOR, status, location, body)
    if isinstance(expected, str):
        assert isinstance(found, Heard)
        assert found.reached
        assert expected in found.said
        assert "GET http://10.0.0.1:80/health/ with Host iris.example.com" in found.said
    else:
        assert found == expected


GOOD, BAD, FAR = Heard(), Heard("HTTP 404"), Heard("refused", reached=False)
TOGETHER: dict[str, tuple[list[Heard | None], Heard | None, Heard | None]] = {
    "nothing to ask": ([], None, None),
    "one answers": ([FAR, BAD, GOOD], GOOD, FAR),
    "one is reached": ([FAR, BAD], BAD, FAR),
    "none is reached": ([FAR], FAR, FAR),
    "one asks for credentials": ([None, BAD], None, BAD),
    "one answers, and one asks for credentials": ([None, GOOD], GOOD, GOOD),
}


@pytest.mark.parametrize(("heard", "one", "every"), TOGETHER.values(), ids=TOGETHER.keys())
def test_one_door_is_enough_and_no_router_may_be_silent(
    heard: list[Heard | None], one: Heard | None, every: Heard | None
) -> None:
    assert of_one(heard) == one
    assert of_all(heard) == every
