"""What the benchmarks read of routes, and which routers they know."""

from typing import Any

import pytest

from rollout_operator.desired.common import NO_GATEWAYS, Owner, Split
from rollout_operator.desired.http_route import http_route
from rollout_operator.desired.ingress import canary_ingress
from tests.bench.routed import ROUTERS, share_of
from tests.support.builders import UID, spec

OWNER = Owner(UID, "iris", "models")
GATEWAY = {"provider": "HTTPRoute", "host": "iris.example.com", "parentRefs": [{"name": "public"}]}
BY_GATEWAY = spec(traffic=GATEWAY).traffic


def routed(split: Split) -> Any:
    return http_route(OWNER, "iris", BY_GATEWAY, split, NO_GATEWAYS)


SHARES = {
    "a canary Ingress": (
        canary_ingress(OWNER, "iris", spec().traffic, Split("v2", 10)),
        ("v2", 10),
    ),
    "an HTTPRoute on trial": (routed(Split("v2", 10)), ("v2", 10)),
    "an HTTPRoute at 100 %": (routed(Split("v2", 100)), ("v2", 100)),
    "an HTTPRoute without a candidate": (routed(Split()), None),
}


@pytest.mark.parametrize(("route", "share"), SHARES.values(), ids=SHARES.keys())
def test_the_candidates_share_is_read_as_the_operator_writes_it(
    route: Any, share: tuple[str, int] | None
) -> None:
    assert share_of("iris", route) == share


def test_each_router_says_its_version_and_where_its_routes_are() -> None:
    for router in ROUTERS.values():
        assert any(word[0].isdigit() for word in router.title.split()), router.title
        assert router.routes.format("ns").endswith(("/ns/ingresses", "/ns/httproutes"))
        assert bool(router.gateway) == (router.provider == "HTTPRoute")
