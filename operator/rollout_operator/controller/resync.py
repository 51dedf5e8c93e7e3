"""Finds what the watches missed: compares the store with lists of names and versions, and reads
only what differs.

Watches that fall silent are begun anew by kopf; an event that was lost, or a deletion within a gap,
is found here.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from rollout_operator import metrics
from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.cache import Store
from rollout_operator.controller.raw_objects import OPTIONAL_KINDS, Key, concerns, rollout_of
from rollout_operator.domain.api.names import KIND
from rollout_operator.errors import CallFailed, Gone, Refused

log = logging.getLogger(__name__)

OWNED_KINDS = (
    "Deployment",
    "Service",
    "Ingress",
    "HTTPRoute",
    "EndpointSlice",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
)


Drop = Callable[[Key, str], None]
"""Has a rollout, by key and uid, forgotten everywhere."""


async def resync(
    store: Store,
    cluster: Cluster,
    namespaces: tuple[str, ...],
    enqueue: Callable[[Key], None],
    gone: Drop,
) -> int:
    """One comparison; returns how many objects the watches had missed. Raises CallFailed where a
    list could not be read.
    """
    missed = 0
    for kind in (KIND, *OWNED_KINDS):
        for namespace in namespaces or ("",):
            # An API that is not installed (Gateway API's is no part of Kubernetes) has no objects
            # of ours.
            without = (Gone, Refused) if kind in OPTIONAL_KINDS else (Gone,)
            with contextlib.suppress(*without):
                missed += await _compare(kind, namespace, store, cluster, enqueue, gone)
    if missed:
        log.warning("The watches had missed %d changes; they are known now.", missed)
        metrics.MISSED_EVENTS.inc(missed)
    return missed


async def _compare(  # noqa: PLR0917
    kind: str,
    namespace: str,
    store: Store,
    cluster: Cluster,
    enqueue: Callable[[Key], None],
    gone: Drop,
) -> int:
    # What is known before the list is read can only be missing from it because it was deleted.
    known = store.known(kind, namespace)
    found: dict[tuple[str, str], str] = {}
    missed = 0
    async for meta in cluster.metadata(kind, namespace):
        place = (meta["namespace"], meta["name"])
        found[place] = meta["uid"]
        if concerns(kind, meta) and store.version(kind, place, meta) < int(meta["resourceVersion"]):
            missed += await _read(kind, place, store, cluster, enqueue)
    for place, (uid, key) in known.items():
        if found.get(place) == uid:
            continue
        missed += 1
        if kind == KIND:
            gone(key, uid)
        else:
            store.remove(kind, key, place[1], uid)
            enqueue(key)
    return missed


async def _read(
    kind: str,
    place: tuple[str, str],
    store: Store,
    cluster: Cluster,
    enqueue: Callable[[Key], None],
) -> int:
    try:
        raw: dict[str, Any] = await cluster.read(kind, *place)
    except Gone:
        return 0
    if not store.put(kind, raw):
        # The watch brought it in the meantime: late, not lost.
        return 0
    enqueue(place if kind == KIND else rollout_of(raw))
    return 1


async def every(seconds: float, once: Callable[[], Awaitable[object]]) -> None:
    """Run `once` in a fixed rhythm, until cancelled; a comparison that fails is left to the next
    one.
    """
    while True:
        await asyncio.sleep(seconds)
        try:
            await once()
        except CallFailed as failure:
            log.warning("Not compared with the API server: %s", failure)
