"""Observing: everything that a decision rests on, gathered once."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from rollout_operator.controller.apply import is_applied
from rollout_operator.controller.cache import CachedObject
from rollout_operator.controller.external_queries import Answers, Query, ask, cached, query_for
from rollout_operator.controller.inspection import inspection
from rollout_operator.controller.missed_events import look_closer
from rollout_operator.controller.pod_status import with_pods_trouble
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.raw_objects import Key, key_of
from rollout_operator.controller.routes import (
    REJECTED_AFTER,
    follow_routers,
    held_up,
    route_query,
    ways,
)
from rollout_operator.desired.build import fixed
from rollout_operator.desired.common import owner_of
from rollout_operator.desired.deployment import deployment, served_by
from rollout_operator.desired.environment import model_environment
from rollout_operator.desired.service import stable_of
from rollout_operator.domain.api.names import revision_name
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.credentials import of_namespace
from rollout_operator.domain.feedback_stores import store_of
from rollout_operator.domain.machine.trial import measured
from rollout_operator.domain.observe import observe as observe_objects
from rollout_operator.domain.observed import Claim, Observed, Workload
from rollout_operator.domain.owned_object import AUTOSCALER
from rollout_operator.domain.promotion_proof import demanded
from rollout_operator.domain.rollout import Rollout
from rollout_operator.domain.scaling import sentence
from rollout_operator.domain.session_affinity import sentence as affinity_sentence
from rollout_operator.errors import Gone

log = logging.getLogger(__name__)


async def gather(key: Key, ports: Ports, now: datetime) -> tuple[Rollout, Answers] | None:
    """The rollout with what is said outside of it; None where it is gone.

    It is read again after every wait, and nothing of it held meanwhile: a thousand may wait for one
    answer.
    """
    asked, answers = Query(), Answers()
    while (raw := ports.store.rollout(key)) is not None:
        if "deletionTimestamp" in raw["metadata"]:
            return None
        taken = ports.store.taken_by(key)
        rollout = Rollout.read(
            raw,
            ports.gateways.mirrors,
            taken,
            ports.profiles,
            ports.annotations,
            ports.windows,
            ports.metrics,
        )
        route = route_query(rollout, _objects(rollout, ports), ports, now)
        query = query_for(raw["metadata"]["uid"], rollout.spec, rollout.status, now, route)
        known = answers if query == asked else cached(query, ports.prometheus, ports.routers)
        if known is not None:
            return rollout, known
        del raw, rollout
        async with ports.turns.released():
            answers = await ask(query, ports.registry, ports.prometheus, ports.routers)
            asked = query
    return None


async def observe(rollout: Rollout, answers: Answers, ports: Ports, now: datetime) -> Observed:
    """Gather everything once. Raises CallFailed."""
    spec, status, key = rollout.acted_by, rollout.status, key_of(rollout.raw["metadata"])
    await look_closer(rollout, _objects(rollout, ports), ports.store, ports.cluster, now)
    objects = _objects(rollout, ports)
    seen = observe_objects(
        rollout,
        objects,
        now,
        ports.image,
        ports.drain,
        names_verified=ports.names_verified,
    )
    rejection = ports.memory.rejection(key)
    rejected = held_up(rejection, now)
    workloads, trouble, unaccepted = seen.workloads, rejected, ""
    claims: tuple[Claim, ...] = ()
    if spec is not None:
        routes = ways(rollout, spec, objects, ports)
        trouble, unaccepted = rejected or routes.in_use(), routes.asked_for(rejected)
        claims = routes.claims
        workloads = _with_current_pods(rollout, objects, workloads, ports)
        workloads = await with_pods_trouble(key, status, workloads, ports.cluster, now)
    drains = ports.drains
    running = await _recovered(rollout, objects, ports)
    return replace(
        seen,
        applied_at=ports.memory.applied_at(key, status),
        followed=follow_routers(rollout, ports, now),
        apart=drains.apart if drains is not None else seen.apart,
        resolution=answers.resolution,
        proof=demanded(ports.proof_rules, rollout.raw["metadata"]),
        workloads=workloads,
        route_trouble=trouble,
        unaccepted=unaccepted,
        heard=answers.heard,
        uncopied=ports.shadows.trouble(key) if ports.shadows is not None else "",
        differences=(
            ports.shadows.differences(key, status.attempt_since)
            if ports.shadows is not None
            else ()
        ),
        claims=claims,
        api_rejection=rejection.lasting(now - REJECTED_AFTER),
        api_rejection_now=rejection.message,
        name_taken=rejection.foreign,
        affinity=_affinity(rollout, objects),
        scaled=_scaled(key, rollout, objects, ports, now),
        answers=answers.of(*key, measured(status)),
        asked_at=answers.asked_at,
        baseline=answers.of(*key, status.stable),
        reported=ports.writeback.written(seen.uid),
        outbox=ports.messenger.outbox(seen.uid, key[0]) if ports.messenger is not None else None,
        recovered=running[0] if running else None,
        also_running=tuple(running[1:]),
        inspection=await inspection(owner_of(rollout.raw), rollout, ports),
    )


def _objects(rollout: Rollout, ports: Ports) -> list[CachedObject]:
    """The rollout's own objects, and none of a former one of its name; slices belong to their
    Service.
    """
    meta = rollout.raw["metadata"]
    return [
        o
        for o in ports.store.objects(key_of(meta))
        if o.owner == meta["uid"] or o.kind == "EndpointSlice"
    ]


def _with_current_pods(
    rollout: Rollout,
    objects: list[CachedObject],
    workloads: Mapping[str, Workload],
    ports: Ports,
) -> Mapping[str, Workload]:
    """See which pods are of the template as it is: others answer well, but are on their way out,
    and those to come may never come.

    The template must be the one that the status asks for, too. What acting has found in sync is so,
    and what is promoted and lacks nothing has been seen to be so: neither is compared at every
    look.
    """
    status, owner, meta = rollout.status, owner_of(rollout.raw), rollout.raw["metadata"]
    spec = rollout.acted_by
    in_sync = ports.store.in_sync(key_of(meta), int(meta["resourceVersion"]))
    rests = status.phase is Phase.PROMOTED and status.shortage is None
    current = dict(workloads)
    for revision in filter(None, (status.stable, status.candidate)):
        if (known := workloads.get(revision.revision)) is None:
            continue
        name = revision_name(owner.name, revision.revision)
        pods = [o for o in objects if (o.kind, o.name) == ("Deployment", name) and not o.deleting]
        if not (in_sync or rests):
            # Of whatever number of pods: how many there are is counted.
            environment = model_environment(ports.environment, ports.feedback_key, owner)
            given = of_namespace(ports.credentials, owner.namespace)
            replicas = known.wanted if spec is None else fixed(spec, known.wanted)
            kept = store_of(ports.feedback_stores, owner.namespace)
            manifest = deployment(owner, revision, replicas, environment, given, store=kept)
            pods = [o for o in pods if is_applied(o, manifest, ports.store)]
        updated = next((o.updated for o in pods), 0)
        current[revision.revision] = replace(known, current=updated)
    return current


def _scaled(
    key: Key, rollout: Rollout, objects: list[CachedObject], ports: Ports, now: datetime
) -> str:
    """Who else sets the number of a Deployment's pods, or did lately, as a sentence; "" for
    nobody.
    """
    status, wanted = rollout.status, dict[str, int]()
    for revision in (*status.retiring, *filter(None, (status.stable, status.candidate))):
        wanted[revision.revision] = revision.replicas
    if rollout.spec is not None and status.stable is not None:
        wanted[status.stable.revision] = rollout.spec.replicas
    if rollout.spec is not None and rollout.spec.autoscaling is not None:
        wanted = {r.revision: r.replicas for r in status.retiring}
    ours = {o.name for o in objects if o.kind == AUTOSCALER} | ports.memory.left(key)
    for o in objects:
        if o.kind != "Deployment" or not o.scaler or o.name in ours:
            continue
        if o.wanted != wanted.get(o.revision, o.wanted):
            return sentence(o.name, o.scaler, wanted[o.revision])
    lately = ports.memory.contests(key, now)
    return next((sentence(name, c.manager, c.wanted) for name, c in lately.items()), "")


def _affinity(rollout: Rollout, objects: list[CachedObject]) -> str:
    """What keeps visitors where they came first, as a sentence; as it was where the spec cannot be
    read.
    """
    if rollout.spec is None:
        return rollout.status.affinity
    found = [(o.kind, o.name, o.affinity) for o in objects if not o.deleting]
    return affinity_sentence(found, rollout.spec.traffic.provider)


async def _recovered(rollout: Rollout, objects: list[CachedObject], ports: Ports) -> list[Revision]:
    """What the stable Service leads to, then whatever else runs, where the status says nothing at
    all though there is such a Service: somebody has removed it.

    Without this a rollout would begin anew, as one that has never answered anybody, and its routes
    would go. Raises CallFailed.
    """
    (namespace, name), status = key_of(rollout.raw["metadata"]), rollout.status
    began = status.attempt or status.stable is not None
    if began or not any((o.kind, o.name) == ("Service", name) and not o.deleting for o in objects):
        return []
    try:
        service = await ports.cluster.read("Service", namespace, name)
        selected = revision_name(name, stable_of(service))
    except (Gone, KeyError):
        return []
    stable = await _served(namespace, selected, objects, ports)
    if stable is None:
        return []
    others = sorted(
        o.name for o in objects if o.kind == "Deployment" and o.name != selected and not o.deleting
    )
    found = [await _served(namespace, other, objects, ports) for other in others]
    log.warning(
        "%s/%s: the status is gone; by its Service and Deployment, %s is stable",
        namespace,
        name,
        stable.uri,
    )
    return [stable, *filter(None, found)]


async def _served(
    namespace: str, name: str, objects: list[CachedObject], ports: Ports
) -> Revision | None:
    """What a Deployment of the rollout serves; None where it is gone, another's, or does not say.
    Raises CallFailed.
    """
    try:
        live = await ports.cluster.read("Deployment", namespace, name)
    except Gone:
        return None
    ours = any(o.kind == "Deployment" and o.uid == live["metadata"]["uid"] for o in objects)
    return served_by(live) if ours else None
