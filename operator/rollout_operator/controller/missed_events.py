"""What is waited for and long in coming is read anew: an event may be missing, or late."""

from collections.abc import Iterable
from datetime import datetime

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.apply import refresh
from rollout_operator.controller.cache import CachedObject, Store
from rollout_operator.controller.pod_status import waits_long
from rollout_operator.controller.raw_objects import key_of
from rollout_operator.domain.api.names import revision_name
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.observe import stable_endpoints
from rollout_operator.domain.rollout import Rollout

SERVING = frozenset({Phase.TRIAL, Phase.SHIFTING})
"""Phases in which the loss of all pods is a setback."""


async def look_closer(
    rollout: Rollout,
    objects: Iterable[CachedObject],
    store: Store,
    cluster: Cluster,
    now: datetime,
) -> None:
    """Ask the API server itself where pods are long in becoming Ready, or seem to be lost. What the
    watches have told to be as it should be is not asked for: then nothing but time is waited for.

    objects: the rollout's own; the store is told what is read. Raises CallFailed.
    """
    key, status = key_of(rollout.raw["metadata"]), rollout.status
    if (candidate := status.candidate) is None:
        return
    objects, name = tuple(objects), revision_name(key[1], candidate.revision)
    pods = store.find(key, "Deployment", name)
    lost = status.phase in SERVING and (pods is None or not pods.ready)
    long = waits_long(status, now)
    if lost or (long and (pods is None or pods.updated < candidate.replicas)):
        await refresh("Deployment", key[0], name, store, cluster)
    if not long:
        return
    for route in [o.name for o in objects if o.kind == "HTTPRoute" and o.trouble]:
        await refresh("HTTPRoute", key[0], route, store, cluster)
    selected = stable_endpoints(key[1], status, objects)
    if status.phase is Phase.SWITCHING and selected != {candidate.revision}:
        for endpoint_slice in await cluster.endpoint_slices(*key):
            store.put("EndpointSlice", endpoint_slice)
