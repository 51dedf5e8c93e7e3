"""Objects follow the status: what differs is applied, what should not be is deleted, and an old
read changes nothing.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.cache import CachedObject, Store, content_json
from rollout_operator.controller.pass_memory import PassMemory
from rollout_operator.controller.raw_objects import Key, event_of, key_of, rollout_of
from rollout_operator.desired.common import Manifest
from rollout_operator.desired.diff import comparable, left_over, made_of, matches, signed
from rollout_operator.domain.api.names import KIND
from rollout_operator.domain.owned_object import AUTOSCALER
from rollout_operator.errors import Conflict, Foreign, Gone, Refused

DELETED_IN_ORDER = (
    *(AUTOSCALER, "Ingress", "HTTPRoute", "Service", "Deployment"),
    "NetworkPolicy",
)
"""Routes go before what they lead to. What is never unwanted once it is there (a
PodDisruptionBudget) is not among them.
"""
PROVEN_FOR = 0.5
"""Seconds for which a ModelRollout that was the newest is taken for the newest: a process may stand
still, and not know it.
"""


@dataclass(slots=True)
class WriteGuard:
    """Lets a reconcile write only as long as the ModelRollout that it decided on is the newest."""

    seen: Mapping[str, Any]
    """The ModelRollout that the objects are to follow."""
    store: Store
    """Told of every object that was written, deleted or read anew."""
    cluster: Cluster
    """The API server that is read and written."""
    memory: PassMemory
    """Told of each write, so that its watch event is no news."""
    proven: float | None = None
    """When it was last known to be the newest, by `clock`; None: not yet."""
    clock: Callable[[], float] = time.monotonic
    """Monotonic time in seconds."""

    @property
    def key(self) -> Key:
        """The ModelRollout's key."""
        return key_of(self.seen["metadata"])

    async def ensure_current(self) -> None:
        """Raise Conflict where the ModelRollout has been written since it was seen: objects follow
        the newest status only.
        """
        now = self.clock()
        if self.proven is not None and now - self.proven < PROVEN_FOR:
            return
        meta = self.seen["metadata"]
        live = await self.cluster.read(KIND, meta["namespace"], meta["name"])
        if live["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            self.store.put_rollout(live)
            raise Conflict(f"{meta['namespace']}/{meta['name']} has been written since it was seen")
        self.proven = now


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object to apply or to delete."""

    kind: str
    """As in the manifest, Deployment for example."""
    name: str
    """Within the ModelRollout's namespace."""
    known: CachedObject | None
    """The object as it was seen; None for one to be created."""
    manifest: Manifest | None
    """What is to be applied; None for an object to be deleted."""
    replicas: int | None = None
    """Of a Deployment: the pods that it is to have; None where it says nothing of them."""
    autoscaled: bool = False
    """Whether an autoscaler of the rollout's own has set their number until now."""


def with_replicas(manifest: Manifest, replicas: int) -> Manifest:
    """The manifest of a Deployment with this number of pods. One that is left to an autoscaler
    needs it, too: a number that we have once sent, and leave out, becomes 1.
    """
    return {**manifest, "spec": {**manifest["spec"], "replicas": replicas}}


def changes(
    wanted: Iterable[Manifest], live: Iterable[CachedObject], owner: str, store: Store
) -> list[ObjectChange]:
    """What differs from what is wanted: first what is to be applied, in the order given, then what
    is to be deleted; but an autoscaler goes before the number that it has set is set otherwise.

    owner: uid of the ModelRollout; objects of a former one of its name are not deleted.
    """
    wanted, by_name = list(wanted), {(o.kind, o.name): o for o in live}
    least = {
        m["metadata"]["name"]: int(m["spec"]["minReplicas"])
        for m in wanted
        if m["kind"] == AUTOSCALER
    }
    to_apply, kept = list[ObjectChange](), set[tuple[str, str]]()
    for manifest in wanted:
        place = manifest["kind"], manifest["metadata"]["name"]
        kept.add(place)
        known = by_name.get(place)
        there = known is not None and not known.deleting
        if place[0] != "Deployment":
            if known is None or not there or not is_applied(known, manifest, store):
                to_apply.append(ObjectChange(*place, known, manifest))
            continue
        # An autoscaler leaves a Deployment of no pods alone.
        now = known.wanted if known is not None and there else 0
        replicas = manifest["spec"].get("replicas", now or least.get(place[1]))
        if known is None or not there or not now or not is_applied(known, manifest, store):
            autoscaled = (AUTOSCALER, place[1]) in by_name and now > 0
            to_apply.append(ObjectChange(*place, known, manifest, replicas, autoscaled))
    surplus = [
        o
        for place, o in by_name.items()
        if place not in kept and o.kind in DELETED_IN_ORDER and o.owner == owner and not o.deleting
    ]
    surplus.sort(key=lambda o: DELETED_IN_ORDER.index(o.kind))
    deleted = [ObjectChange(o.kind, o.name, o, None) for o in surplus]
    before = [change for change in deleted if change.kind == AUTOSCALER]
    return [*before, *to_apply, *(change for change in deleted if change.kind != AUTOSCALER)]


def is_applied(known: CachedObject, manifest: Manifest, store: Store) -> bool:
    """Whether the object says everything that the manifest says, or is what admission made of it.

    What says so is remembered by the hash of the manifest, and its content forgotten. For another
    manifest it is then applied anew.
    """
    manifest_hash = hash(to_json(manifest))
    if known.applied_hash == manifest_hash:
        return True
    if (live := store.content(known)) is None:
        return False
    wanted = comparable(manifest)
    alike = matches(live, wanted) and not left_over(live, manifest)
    if not alike and not made_of(live, manifest, wanted):
        return False
    known.mark_applied(manifest_hash)
    return True


def keep_applied(key: Key, manifest: Manifest, reply: Mapping[str, Any], store: Store) -> None:
    """Keep what the API server made of a manifest that this process has just applied.

    Where admission has changed it (a mirror for the image, a sidecar), it is what this cluster
    makes of the manifest: to apply it again would come to the same, for ever.
    """
    kind = manifest["kind"]
    store.put_object(kind, reply)
    known = store.find(key, kind, manifest["metadata"]["name"])
    if known is not None and known.content_hash == hash(content_json(kind, reply)):
        known.mark_applied(hash(to_json(manifest)))


async def carry_out(change: ObjectChange, guard: WriteGuard) -> None:
    """Make one change; raises Conflict where the object is not as it was seen any more, and has it
    read anew then.
    """
    known, store, cluster, key = change.known, guard.store, guard.cluster, guard.key
    fence = None if known is None else (known.uid, known.version)
    try:
        if change.manifest is not None:
            sent = signed(change.manifest)
            if change.replicas is not None:
                # Signed without it: what an autoscaler sets makes no other manifest.
                sent = with_replicas(sent, change.replicas)
            reply = await cluster.apply(sent, fence, guard.ensure_current)
            guard.memory.wrote(key, event_of(change.kind, reply["metadata"]))
            keep_applied(key, change.manifest, reply, store)
        elif known is not None and fence is not None:
            await cluster.delete(change.kind, key[0], change.name, fence)
            guard.memory.wrote(key, (change.kind, change.name, known.uid))
            if change.kind == AUTOSCALER:
                guard.memory.leave(key, change.name)
            store.remove(change.kind, key, change.name, known.uid)
    except Conflict:
        if known is not None:
            store.remove(change.kind, key, change.name, known.uid)
        live = await refresh(change.kind, key[0], change.name, store, cluster)
        if known is None and live is not None and rollout_of(live) != key:
            # It would come to the same for ever, and nobody would know why.
            raise Foreign(
                f"{change.kind} {change.name} is there already and not this rollout's: rename or"
                " delete it"
            ) from None
        raise


async def carry_out_or_make_room(
    change: ObjectChange, to_come: Iterable[ObjectChange], guard: WriteGuard
) -> None:
    """Make one change; raises as `carry_out` does.

    Where an Ingress is refused, those that are to go go first: nginx' webhook lets no two have the
    same host, and what takes a host over from a former route would be refused for ever.
    """
    try:
        await carry_out(change, guard)
    except Refused:
        former = [c for c in to_come if c.manifest is None and c.kind == change.kind == "Ingress"]
        if change.manifest is None or not former:
            raise
        for one in former:
            await carry_out(one, guard)
        await carry_out(change, guard)


async def refresh(
    kind: str, namespace: str, name: str, store: Store, cluster: Cluster
) -> Manifest | None:
    """Bring the store up to date about one object, whatever the watches told; None where it does
    not exist.
    """
    try:
        live = await cluster.read(kind, namespace, name)
    except Gone:
        return None
    store.put(kind, live)
    return live
