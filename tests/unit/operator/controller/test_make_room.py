"""An Ingress that takes a host over from a former one, where nginx' webhook is there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.apply import WriteGuard, carry_out_or_make_room, changes
from rollout_operator.controller.cache import Store
from rollout_operator.controller.pass_memory import PassMemory
from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.ingress import stable_ingress
from rollout_operator.errors import Refused
from tests.support.builders import UID, spec
from tests.support.ingress_nginx import refused
from tests.unit.operator.raw_objects import KEY, rollout

OWNER = Owner(UID, "iris", "models")


def ingress(name: str, *hosts: str) -> Manifest:
    return stable_ingress(OWNER, name, spec(traffic={"hosts": list(hosts)}).traffic)


@dataclass
class Nginx:
    """An API server with the webhook of ingress-nginx."""

    there: dict[str, Manifest] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    async def apply(
        self,
        manifest: Manifest,
        known: tuple[str, int] | None,
        ensure_current: Callable[[], Awaitable[None]],
    ) -> Manifest:
        name = manifest["metadata"]["name"]
        if why := refused(manifest, self.there):
            self.said.append(f"{name} refused")
            raise Refused(why)
        self.said.append(f"{name} applied")
        self.there[name] = live(manifest, 9)
        return self.there[name]

    async def delete(self, kind: str, namespace: str, name: str, known: tuple[str, int]) -> None:
        if self.there.pop(name, None) is not None:
            self.said.append(f"{name} deleted")


def live(manifest: Manifest, version: int) -> Manifest:
    meta = manifest["metadata"]
    made = {
        "uid": meta["name"],
        "resourceVersion": str(version),
        "creationTimestamp": "2026-11-23T12:00:00Z",
    }
    return {**manifest, "metadata": {**meta, **made}}


A, B, FOREIGN = "a.example.com", "b.example.com", "c.example.com"
ROOM: dict[str, tuple[list[Manifest], list[Manifest], list[str]]] = {
    "the host of a former one": (
        [ingress("iris", A), ingress("iris-1", B)],
        [ingress("iris-1", A, B)],
        ["iris-1 refused", "iris deleted", "iris-1 applied"],
    ),
    "another host": (
        [ingress("iris", A), ingress("iris-1", B)],
        [ingress("iris-1", B, "d.example.com")],
        ["iris-1 applied", "iris deleted"],
    ),
    "the host of somebody else's": (
        [ingress("iris", A), ingress("iris-1", B)],
        [ingress("iris", A), ingress("iris-1", B, FOREIGN)],
        ["iris-1 refused", "and raised"],
    ),
}


@pytest.mark.parametrize(("before", "after", "said"), ROOM.values(), ids=ROOM.keys())
async def test_a_host_is_taken_over(
    before: list[Manifest], after: list[Manifest], said: list[str]
) -> None:
    store, nginx = Store(), Nginx({"foreign": ingress("foreign", FOREIGN)})
    store.put_rollout(rollout(9))
    for one in before:
        nginx.there[one["metadata"]["name"]] = live(one, 1)
        store.put_object("Ingress", live(one, 1))
    guard = WriteGuard(
        rollout(9), store, cast("Cluster", nginx), PassMemory(), 100.0, lambda: 100.0
    )
    wanted = changes(after, store.objects(KEY), UID, store)
    found: list[Any] = nginx.said
    try:
        for change in wanted:
            await carry_out_or_make_room(change, wanted, guard)
    except Refused:
        found.append("and raised")
    assert found == said
