"""The routers behind one interface: the routes of a rollout, whatever kind of router splits its
requests.
"""

from collections.abc import Callable, Mapping

from rollout_operator.desired.common import Gateways, Manifest, Owner, Split
from rollout_operator.desired.http_route import http_route
from rollout_operator.desired.ingress import canary_ingress, stable_ingress
from rollout_operator.domain.api.traffic import Provider, Traffic

Router = Callable[[Owner, str, Traffic, Split, Gateways], list[Manifest]]


def _ingresses(
    owner: Owner, name: str, traffic: Traffic, split: Split, _: Gateways
) -> list[Manifest]:
    stable = stable_ingress(owner, name, traffic)
    return (
        [stable]
        if split.candidate is None
        else [stable, canary_ingress(owner, name, traffic, split)]
    )


def _http_route(
    owner: Owner, name: str, traffic: Traffic, split: Split, gateways: Gateways
) -> list[Manifest]:
    return [http_route(owner, name, traffic, split, gateways)]


def _nothing(_: Owner, __: str, ___: Traffic, ____: Split, _____: Gateways) -> list[Manifest]:
    return []


ROUTERS: Mapping[Provider, Router] = {
    Provider.INGRESS: _ingresses,
    Provider.HTTP_ROUTE: _http_route,
    Provider.NONE: _nothing,
}


def routes(
    owner: Owner, name: str, traffic: Traffic, split: Split, gateways: Gateways
) -> list[Manifest]:
    """One way by which a host leads to the rollout's Services, by objects of this name, in the
    order in which they are applied.
    """
    return ROUTERS[traffic.provider](owner, name, traffic, split, gateways)
