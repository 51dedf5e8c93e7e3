"""Objects follow the status: what differs is applied, what should not be is deleted, and an old
read changes nothing.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.cache import Child, Key, Store, rollout_of
from rollout_operator.desired.common import Manifest
from rollout_operator.desired.diff import signed
from rollout_operator.domain.api.names import KIND
from rollout_operator.errors import Conflict, Foreign, Gone

DELETED_IN_ORDER = ("Ingress", "HTTPRoute", "Service", "Deployment", "NetworkPolicy")
"""Routes go before what they lead to. What is never unwanted once it is there (a
PodDisruptionBudget) is not among them.
"""


PROVEN_FOR = 3.0
"""Seconds for which a ModelRollout that was the newest is taken for the newest: a process may stand
still, and not know it.
"""


@dataclass(slots=True)
class WriteGuard:
    """The ModelRollout that a pass has its objects follow, and since when it is known to be the
    newest (none: not yet).
    """

    seen: Mapping[str, Any]
    store: Store
    cluster: Cluster
    proven: float | None = None
    clock: Callable[[], float] = time.monotonic

    async def ensure_current(self) -> None:
        """Raise Conflict where the ModelRollout has been written since it was seen: objects follow
        the newest status only.
        """
        asked = self.clock()
        if self.proven is not None and asked - self.proven < PROVEN_FOR:
            return
        meta = self.seen["metadata"]
        now = await self.cluster.read(KIND, meta["namespace"], meta["name"])
        if now["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            self.store.put_rollout(now)
            raise Conflict(f"{meta['namespace']}/{meta['name']} has been written since it was seen")
        self.proven = asked


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object to apply or, without a manifest, to delete; known: the object as it was seen, None
    for one to be created.
    """

    kind: str
    name: str
    known: Child | None
    manifest: Manifest | None


def changes(wanted: Iterable[Manifest], live: Iterable[Child], owner: str) -> list[ObjectChange]:
    """What differs from what is wanted: first what is to be applied, in the order given, then what
    is to be deleted.
    """
    known = {(c.kind, c.name): c for c in live}
    found, kept = list[ObjectChange](), set[tuple[str, str]]()
    for manifest in wanted:
        place = manifest["kind"], manifest["metadata"]["name"]
        kept.add(place)
        one = known.get(place)
        if one is None or one.deleting or not one.agrees(manifest):
            found.append(ObjectChange(*place, one, manifest))
    surplus = [
        c
        for p, c in known.items()
        if p not in kept and c.kind in DELETED_IN_ORDER and c.owner == owner and not c.deleting
    ]
    surplus.sort(key=lambda c: DELETED_IN_ORDER.index(c.kind))
    return [*found, *(ObjectChange(c.kind, c.name, c, None) for c in surplus)]


async def carry_out(change: ObjectChange, guard: WriteGuard) -> None:
    """Make one change; raises Conflict where the object is not as it was seen any more, and has it
    read anew then.
    """
    known, store, cluster = change.known, guard.store, guard.cluster
    key: Key = guard.seen["metadata"]["namespace"], guard.seen["metadata"]["name"]
    fence = None if known is None else (known.uid, known.version)
    try:
        if change.manifest is not None:
            store.applied(
                key,
                change.manifest,
                await cluster.apply(signed(change.manifest), fence, guard.ensure_current),
            )
        elif known is not None and fence is not None:
            await cluster.delete(change.kind, key[0], change.name, fence)
            store.deleted(key, change.kind, change.name, known.uid)
    except Conflict:
        if known is not None:
            store.forget(key, change.kind, change.name, known.uid)
        there = await refresh(change.kind, key[0], change.name, store, cluster)
        if known is None and there is not None and rollout_of(there) != key:
            # It would come to the same for ever, and nobody would know why.
            raise Foreign(
                f"{change.kind} {change.name} is there already and not this rollout's: rename or"
                " delete it"
            ) from None
        raise


async def refresh(
    kind: str, namespace: str, name: str, store: Store, cluster: Cluster
) -> Manifest | None:
    """Bring the store up to date about one object, whatever the watches told; None where it does
    not exist.
    """
    try:
        found = await cluster.read(kind, namespace, name)
    except Gone:
        return None
    store.put(kind, found)
    return found
