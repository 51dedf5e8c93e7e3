"""Observe, decide, act: one pass over one rollout."""

import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from rollout_operator import metrics
from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.adapters.model_registry import ModelRegistry
from rollout_operator.adapters.prometheus import Prometheus
from rollout_operator.adapters.router_probe import Routers
from rollout_operator.controller.apply import ObjectChange, WriteGuard, carry_out, changes, refresh
from rollout_operator.controller.cache import Child, Key, Refusal, Store, key_of
from rollout_operator.controller.concurrency import Turns
from rollout_operator.controller.external_queries import (
    Answers,
    Query,
    RouteQuery,
    ask,
    cached,
    query_for,
)
from rollout_operator.controller.foreign_routes import Claims
from rollout_operator.controller.verdict_writeback import VerdictWriteback
from rollout_operator.controller.watch_health import UnseenWrites
from rollout_operator.desired.build import build
from rollout_operator.desired.common import NO_GATEWAYS, Gateways, Owner
from rollout_operator.desired.deployment import deployment, served_by
from rollout_operator.desired.routes import ROUTERS
from rollout_operator.domain.api.names import KIND, REVISION, SHARD, revision_name
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Phase, Revision, Status
from rollout_operator.domain.egress import DNS, Egress
from rollout_operator.domain.machine.decide import READINESS_LOOK, Plan, commanded, decide
from rollout_operator.domain.observed import Claim, Observed, Workload
from rollout_operator.domain.places import answers_at
from rollout_operator.domain.route import Ways, asked_apart, asked_now
from rollout_operator.domain.route_probe import Way
from rollout_operator.domain.scaling import put_back, sentence, waits
from rollout_operator.domain.verdicts import Report, after, pending
from rollout_operator.errors import CallFailed, Foreign, Gone, Refused

log = logging.getLogger(__name__)

REFUSED_AFTER = timedelta(seconds=10)
"""How long an object must have been refused before it is said: a webhook may be restarting, or an
API only just being installed.
"""


WAITING = frozenset({Phase.STARTING, Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING})
"""Phases that wait for pods or endpoints."""
HOLD_UP_NOTHING = frozenset({"PodDisruptionBudget"})
"""Kinds that nothing rests on: where they are refused, the rollout goes on, and is not looked at
less often.
"""
SERVING = frozenset({Phase.TRIAL, Phase.SHIFTING})
"""Phases in which the loss of all pods is a setback."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a pass reaches the world through; routers: None where routes are not asked."""

    store: Store
    cluster: Cluster
    prometheus: Prometheus
    registry: ModelRegistry
    writeback: VerdictWriteback
    image: str
    unseen_writes: UnseenWrites
    environment: Mapping[str, str]
    drain: timedelta
    feedback_key: str = ""
    gateways: Gateways = NO_GATEWAYS
    egress: Egress | None = (DNS,)
    turns: Turns = field(default_factory=Turns)
    claims: Claims = field(default_factory=Claims)
    routers: Routers | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A ModelRollout as the store has it; error: what is wrong with its spec,
    where that is None.
    """

    raw: dict[str, Any]
    spec: Spec | None
    error: str
    status: Status

    @classmethod
    def of(cls, raw: dict[str, Any], gateways: Gateways, taken: Key | None = None) -> "Rollout":
        """Read it; taken: an older rollout that answers where this one would."""
        spec, error = _spec(raw, gateways)
        if spec is not None and taken is not None:
            where = f"{spec.traffic.host}{spec.traffic.path}"
            spec, error = (
                None,
                (
                    f"spec.traffic: {where} is answered by the older ModelRollout"
                    f" {'/'.join(taken)}: take another host or path."
                ),
            )
        return cls(raw, spec, error, Status.model_validate(raw["status"]))

    def query(self, now: datetime, route: RouteQuery | None) -> Query:
        """What the registry, Prometheus and its router must be asked about it."""
        return query_for(self.raw["metadata"]["uid"], self.spec, self.status, now, route)


async def reconcile(key: Key, ports: Ports, now: datetime) -> datetime | None:
    """One pass; returns when to look again (None: when something changes). Raises CallFailed where
    a write did not succeed.
    """
    found = await _answered(key, ports, now)
    if found is None:
        return None
    rollout, answers = found
    seen = await observe(rollout, answers, ports, now)
    plan = decide(seen)
    news = await act(rollout.raw, seen, plan, ports)
    contests = ports.store.contests(key, now).values()
    looks = (
        plan.requeue_at,
        *(moment for c in contests for moment in (c.due, c.over) if moment > now),
    )
    return now if news else min(filter(None, looks), default=None)


async def _answered(key: Key, ports: Ports, now: datetime) -> tuple[Rollout, Answers] | None:
    """The rollout with what is said outside of it; None where it is gone.

    It is read again after every wait, and nothing of it held meanwhile: a thousand may wait for one
    answer.
    """
    asked, answers = Query(), Answers()
    while (raw := ports.store.rollout(key)) is not None and "deletionTimestamp" not in raw[
        "metadata"
    ]:
        rollout = Rollout.of(raw, ports.gateways, ports.store.taken_by(key))
        wanted = rollout.query(now, _asking(rollout, ports, now))
        known = answers if wanted == asked else cached(wanted, ports.prometheus, ports.routers)
        if known is not None:
            return rollout, known
        del raw, rollout
        async with ports.turns.released():
            asked, answers = (
                wanted,
                await ask(wanted, ports.registry, ports.prometheus, ports.routers),
            )
    return None


def _asking(rollout: Rollout, ports: Ports, now: datetime) -> RouteQuery | None:
    """The route that is to be asked whether it leads to the rollout's pods: accepted, and something
    rests on its answer.
    """
    spec, status, key = rollout.spec, rollout.status, key_of(rollout.raw["metadata"])
    if ports.routers is None or spec is None or (route := asked_now(spec.traffic, status)) is None:
        return None
    children = _children(rollout, ports)
    refused = _held_up(ports.store.refusal(key), now)
    if _ways(rollout, spec, children, ports).asked_for(refused) or not _stable_endpoints(
        key[1], status, children
    ):
        return None
    revisions = frozenset(_revisions(status))
    gateways, tls = ports.gateways.namespace or key[0], spec.traffic.tls_secret is not None
    way = Way(
        key[0],
        route.name,
        route.provider,
        route.host,
        route.path,
        tls,
        route.parents,
        gateways,
        revisions,
    )
    return RouteQuery(way, now, asked_apart(route, now))


def _children(rollout: Rollout, ports: Ports) -> list[Child]:
    """The rollout's own objects, and none of a former one of its name; slices belong to their
    Service.
    """
    meta = rollout.raw["metadata"]
    return [
        c
        for c in ports.store.children(key_of(meta))
        if c.owner == meta["uid"] or c.kind == "EndpointSlice"
    ]


def _revisions(status: Status) -> list[str]:
    """Every revision that has pods, or had some a moment ago."""
    return [
        r.revision for r in (status.stable, status.candidate, *status.retiring) if r is not None
    ]


def _ways(rollout: Rollout, spec: Spec, children: list[Child], ports: Ports) -> Ways:
    routes = [c for c in children if c.kind in ROUTERS and not c.deleting]
    there = {(c.kind, c.name): c.trouble for c in routes}
    made = {(c.kind, c.name): c.created for c in routes if c.created is not None}
    key = key_of(rollout.raw["metadata"])
    claims = ports.claims.at(ports.store.asked(key))
    return Ways(key[1], spec.traffic, rollout.status, there, claims, made, _rivals(key, ports))


def _rivals(key: Key, ports: Ports) -> tuple[Claim, ...]:
    """The routes that other rollouts have where this one is to answer.

    One that has lost its place to this one keeps them until it moves.
    """
    store, gateways, found = ports.store, ports.gateways.namespace, list[Claim]()
    asked = store.asked(key)
    for other in store.rivals(key):
        there = [c for c in store.children(other) if c.created is not None and not c.deleting]
        made = {(c.kind, c.name): c.created for c in there}
        for way in ((store.rollout(other) or {}).get("status") or {}).get("routes") or ():
            kind, name = way.get("provider", ""), way.get("name", "")
            if (kind, name) in made and answers_at(asked, way, gateways or other[0]):
                found.append(Claim(kind, f"{other[0]}/{name}", made[kind, name], "/".join(other)))
    return tuple(found)


def _held_up(refusal: Refusal, now: datetime) -> str:
    """What the API server has for some time said against an object that something rests on."""
    return "" if refusal.harmless else refusal.told(now - REFUSED_AFTER)


async def observe(rollout: Rollout, answers: Answers, ports: Ports, now: datetime) -> Observed:
    """Gather everything once."""
    raw, spec, status = rollout.raw, rollout.spec, rollout.status
    meta = raw["metadata"]
    key = key_of(meta)
    await _look_closer(key, status, ports, now)
    children = _children(rollout, ports)
    workloads = {
        c.revision: Workload(c.ready, c.wanted, c.trouble)
        for c in children
        if c.kind == "Deployment" and not c.deleting
    }
    refusal = ports.store.refusal(key)
    held_up = _held_up(refusal, now)
    ways = _ways(rollout, spec, children, ports) if spec is not None else None
    if spec is not None:
        _look_at_templates(rollout, children, workloads, ports)
        await _explain(key, status, workloads, ports, now)
    return Observed(
        now=now,
        uid=meta["uid"],
        name=meta["name"],
        generation=meta["generation"],
        spec=spec,
        spec_error=rollout.error,
        status=status,
        image=ports.image,
        commands=commanded(meta.get("annotations") or {}),
        resolution=answers.resolution,
        workloads=workloads,
        stable_endpoints=_stable_endpoints(meta["name"], status, children),
        route_trouble=held_up or (ways.in_use() if ways is not None else ""),
        unaccepted=ways.asked_for(held_up) if ways is not None else "",
        heard=answers.heard,
        claims=ways.claims if ways is not None else (),
        api_rejection=refusal.told(now - REFUSED_AFTER),
        api_rejection_now=refusal.message,
        name_taken=refusal.foreign,
        scaled=_scaled(key, rollout, children, ports, now),
        answers=answers.of(key[0], status.candidate),
        baseline=answers.of(key[0], status.stable),
        reported=ports.writeback.written(meta["uid"]),
        drain=ports.drain,
        recovered=await _recovered(rollout, children, ports),
    )


def _look_at_templates(
    rollout: Rollout, children: list[Child], workloads: dict[str, Workload], ports: Ports
) -> None:
    """See which pods are of the template as it is: others answer well, but are on their way out,
    and those to come may never come.

    The template must be the one that the status asks for, too. What is promoted and lacks nothing
    has been seen to be so, and is not compared at every look.
    """
    status = rollout.status
    compared = status.phase is not Phase.PROMOTED or status.shortage is not None
    owner = _owner(rollout.raw)
    for revision in filter(None, (status.stable, status.candidate)):
        if (known := workloads.get(revision.revision)) is None:
            continue
        name = revision_name(owner.name, revision.revision)
        found = [c for c in children if (c.kind, c.name) == ("Deployment", name) and not c.deleting]
        if compared:
            # Of whatever number of pods: how many there are is counted.
            manifest = deployment(owner, revision, known.wanted, _environment(owner, ports))
            found = [c for c in found if c.agrees(manifest)]
        workloads[revision.revision] = replace(known, current=next((c.updated for c in found), 0))


def _scaled(key: Key, rollout: Rollout, children: list[Child], ports: Ports, now: datetime) -> str:
    """Who else sets the number of a Deployment's pods, or did lately, as a sentence;
    "" for nobody.
    """
    status, asked = rollout.status, dict[str, int]()
    for revision in (*status.retiring, *filter(None, (status.stable, status.candidate))):
        asked[revision.revision] = revision.replicas
    if rollout.spec is not None and status.stable is not None:
        asked[status.stable.revision] = rollout.spec.replicas
    for one in children:
        if (
            one.kind == "Deployment"
            and one.scaler
            and one.wanted != asked.get(one.revision, one.wanted)
        ):
            return sentence(one.name, one.scaler, asked[one.revision])
    lately = ports.store.contests(key, now)
    return next((sentence(name, one.manager, one.wanted) for name, one in lately.items()), "")


async def _recovered(rollout: Rollout, children: list[Child], ports: Ports) -> Revision | None:
    """What the stable Service leads to, where the status says nothing at all though there is one:
    somebody has removed it.

    Without this a rollout would begin anew, as one that has never answered anybody, and its routes
    would go. Raises CallFailed.
    """
    (namespace, name), status = key_of(rollout.raw["metadata"]), rollout.status
    began = status.attempt or status.stable is not None
    if began or not any((c.kind, c.name) == ("Service", name) and not c.deleting for c in children):
        return None
    try:
        service = await ports.cluster.read("Service", namespace, name)
        live = await ports.cluster.read(
            "Deployment", namespace, revision_name(name, service["spec"]["selector"][REVISION])
        )
    except (Gone, KeyError):
        return None
    if not any(c.kind == "Deployment" and c.uid == live["metadata"]["uid"] for c in children):
        return None
    found = served_by(live)
    if found is not None:
        log.warning(
            "%s/%s: the status is gone; by its Service and Deployment, %s is stable",
            namespace,
            name,
            found.uri,
        )
    return found


async def act(raw: dict[str, Any], seen: Observed, plan: Plan, ports: Ports) -> bool:
    """Make the decision durable first; then the objects follow it; then tell. Says whether that
    changed what the decision rests on.
    """
    key = key_of(raw["metadata"])
    asked = time.monotonic()
    if decided := plan.status != seen.status:
        raw = await ports.cluster.write_status(raw, plan.status.to_api())
        ports.store.wrote(key, KIND, raw)
        ports.unseen_writes.wrote(key, int(raw["metadata"]["resourceVersion"]))
        metrics.count(key, seen.status, plan.status)
    else:
        # A new process has shown nothing yet of a rollout at rest.
        metrics.show(key, plan.status)
    guard = WriteGuard(raw, ports.store, ports.cluster, proven=asked if decided else None)
    if (report := pending(plan.status)) is not None and not ports.writeback.knows(
        seen.uid, report.attempt
    ):
        await guard.ensure_current()
        ports.writeback.write(key, seen.uid, report)
    try:
        accepted = seen.spec is not None and await _converge(
            guard, seen, seen.spec, plan.status, ports
        )
    except CallFailed:
        # It is decided, and the next look has nothing to tell of it.
        await _tell(raw, plan, ports)
        raise
    await _tell(raw, plan, ports)
    return accepted


async def _tell(raw: dict[str, Any], plan: Plan, ports: Ports) -> None:
    key = key_of(raw["metadata"])
    for event in plan.events:
        log.info("%s/%s: %s: %s", *key, event.reason, event.message)
        once = f"{plan.status.attempt}/{plan.status.phase}/{plan.status.step}/{event.reason}/{plan.status.phase_since}"
        try:
            await ports.cluster.post_event(raw, event.kind, event.reason, event.message, once)
        except CallFailed as failure:
            log.warning("%s: Event not posted: %s", key[1], failure)


async def _converge(
    guard: WriteGuard, seen: Observed, spec: Spec, status: Status, ports: Ports
) -> bool:
    """Have the objects follow the status; most looks find nothing changed since all was as it
    should be.

    Says whether an object was accepted that had been refused: its own write wakes nobody, and the
    status still tells of the refusal.
    """
    meta = guard.seen["metadata"]
    key, version = (meta["namespace"], seen.name), int(meta["resourceVersion"])
    if ports.store.settled(key, version):
        return False
    asked = _wanted(guard.seen, spec, status, ports)
    wanted = [change for change in asked if not _left_for_now(change, key, seen.now, ports)]
    if wanted:
        await guard.ensure_current()
    accepted = await _carry_out(wanted, guard, seen.now, ports)
    if not asked:
        ports.store.settle(key, version)
    return accepted


async def _carry_out(
    wanted: list[ObjectChange], guard: WriteGuard, now: datetime, ports: Ports
) -> bool:
    """Change what is to be changed, and remember what the API server will not have.

    Says whether it has what it refused before, or refuses what nothing rests on for the first time:
    either is to be told.
    """
    key = guard.seen["metadata"]["namespace"], guard.seen["metadata"]["name"]
    missing, known = False, bool(ports.store.refusal(key).message)
    for change in wanted:
        try:
            await carry_out(change, guard)
            _put_back(change, key, now, ports)
        except (Refused, Gone) as failure:
            harmless = change.kind in HOLD_UP_NOTHING
            ports.store.refuse(
                key, Refusal(now, str(failure), isinstance(failure, Foreign), harmless)
            )
            if not harmless:
                raise
            missing = True
    return not known if missing else ports.store.accept(key)


def _left_for_now(change: ObjectChange, key: Key, now: datetime, ports: Ports) -> bool:
    """Whether nothing but the number of pods differs, which another sets again and again."""
    known, manifest = change.known, change.manifest
    if known is None or manifest is None or not known.scaler:
        return False
    if not waits(
        ports.store.contests(key, now).get(change.name), manifest["spec"]["replicas"], now
    ):
        return False
    return known.agrees({**manifest, "spec": {**manifest["spec"], "replicas": known.wanted}})


def _put_back(change: ObjectChange, key: Key, now: datetime, ports: Ports) -> None:
    """Remember it where the number of pods that another has set is ours again."""
    known, manifest = change.known, change.manifest
    if (
        known is None
        or manifest is None
        or not known.scaler
        or known.wanted == manifest["spec"]["replicas"]
    ):
        return
    before = ports.store.contests(key, now).get(change.name)
    ports.store.contest(
        key, change.name, put_back(before, known.scaler, manifest["spec"]["replicas"], now)
    )


def _wanted(raw: Mapping[str, Any], spec: Spec, status: Status, ports: Ports) -> list[ObjectChange]:
    owner = _owner(raw)
    manifests = build(
        owner, spec, status, _environment(owner, ports), ports.gateways, egress=ports.egress
    )
    return changes(manifests, ports.store.children((owner.namespace, owner.name)), owner.uid)


def _owner(raw: Mapping[str, Any]) -> Owner:
    meta = raw["metadata"]
    return Owner(
        meta["uid"], meta["name"], meta["namespace"], (meta.get("labels") or {}).get(SHARD, "")
    )


def _environment(owner: Owner, ports: Ports) -> dict[str, str]:
    """The operator's configuration of this rollout's model servers."""
    return {**ports.environment, "FEEDBACK_KEY": signing_key(ports.feedback_key, owner.uid)}


async def verdicts_after(cluster: Cluster, key: Key, uid: str, attempt: int) -> list[Report]:
    """Verdicts about a rollout after an attempt, as the API server has it now; none where it is
    gone. Raises CallFailed.
    """
    try:
        raw = await cluster.read(KIND, *key)
    except Gone:
        return []
    return (
        after(Status.model_validate(raw["status"]), attempt)
        if raw["metadata"]["uid"] == uid
        else []
    )


def signing_key(secret: str, uid: str) -> str:
    """The key by which all pods of one rollout sign and check prediction ids, and pods of no other.

    Without a secret it rests on the rollout's uid alone: clients cannot know that, whoever may read
    ModelRollouts can.
    """
    return hmac.new(secret.encode(), uid.encode(), sha256).hexdigest()


def _spec(raw: Mapping[str, Any], gateways: Gateways) -> tuple[Spec | None, str]:
    try:
        spec = Spec.model_validate(raw["spec"])
    except ValidationError as invalid:
        first = invalid.errors()[0]
        return None, f"spec.{'.'.join(map(str, first['loc']))}: {first['msg']}."
    if spec.traffic.mirror_percent is not None and not gateways.mirrors:
        return (
            None,
            (
                "spec.traffic.mirrorPercent: the Gateways here are not known to mirror; leave it"
                " out, or set the operator's GATEWAY_MIRRORS."
            ),
        )
    return spec, ""


def _waits_long(status: Status, now: datetime) -> bool:
    return status.phase in WAITING and now - (status.phase_since or now) >= READINESS_LOOK


async def _look_closer(key: Key, status: Status, ports: Ports, now: datetime) -> None:
    """Ask the API server itself where pods are long in becoming Ready, or seem to be lost: an event
    may be missing, or late.
    """
    if status.candidate is None:
        return
    name = revision_name(key[1], status.candidate.revision)
    ready = any(
        c.kind == "Deployment" and c.name == name and c.ready for c in ports.store.children(key)
    )
    long = _waits_long(status, now)
    if long or (status.phase in SERVING and not ready):
        await refresh("Deployment", key[0], name, ports.store, ports.cluster)
    if long:
        for route in [c.name for c in ports.store.children(key) if c.kind == "HTTPRoute"]:
            await refresh("HTTPRoute", key[0], route, ports.store, ports.cluster)
    if long and status.phase is Phase.SWITCHING:
        for one in await ports.cluster.endpoint_slices(*key):
            ports.store.put("EndpointSlice", one)


async def _explain(
    key: Key, status: Status, workloads: dict[str, Workload], ports: Ports, now: datetime
) -> None:
    """Where pods are long in becoming Ready, the candidate's or those of what is promoted, ask them
    why.
    """
    short = status.shortage
    if short is not None and status.stable is not None:
        if short.stalled or now - short.since < READINESS_LOOK:
            return
        about, wanted = status.stable, short.wanted
    elif status.candidate is not None and _waits_long(status, now):
        about, wanted = status.candidate, status.candidate.replicas
    else:
        return
    known = workloads.get(about.revision)
    if known is None or known.trouble or min(known.ready, known.as_asked) >= wanted:
        return
    pods = await ports.cluster.pods(key[0], key[1], about.revision)
    workloads[about.revision] = replace(known, trouble=trouble(pods))


def trouble(pods: list[dict[str, Any]]) -> str:
    """What the pods themselves say is wrong, as one sentence; "" where they say nothing.

    A container's own last words (its termination message) come before what Kubernetes makes of
    them.
    """
    said: list[str] = []
    for pod in pods:
        status = pod.get("status", {})
        for container in status.get("containerStatuses", ()):
            for state in (container.get("state", {}), container.get("lastState", {})):
                ended = state.get("terminated") or {}
                if ended.get("message"):
                    return f"The pod says: {str(ended['message']).strip()[:400]}"
                if ended.get("reason") == "OOMKilled":
                    return (
                        f"OOMKilled: the model needs more memory than {_limit(pod, container)}:"
                        " raise spec.resources.limits.memory"
                    )
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason", "") not in {"", "ContainerCreating", "PodInitializing"}:
                said.append(f"{waiting['reason']}: {waiting.get('message', '')}"[:300])
        said += [
            f"{condition.get('reason', '')}: {condition.get('message', '')}"[:300]
            for condition in status.get("conditions", ())
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False"
        ]
    return said[0].rstrip(": ") if said else ""


def _limit(pod: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """What a container may take of memory, in words."""
    found = (
        c for c in pod.get("spec", {}).get("containers", ()) if c["name"] == container.get("name")
    )
    limit = next((c.get("resources", {}).get("limits", {}).get("memory") for c in found), None)
    return f"its limit of {limit}" if limit else "the node had"


def _stable_endpoints(name: str, status: Status, children: list[Child]) -> frozenset[str]:
    """Revisions of the Ready pods behind the stable Service; "?" stands for pods of none that is
    known.
    """
    known = _revisions(status)

    def revision(pod: str) -> str:
        return next((r for r in known if pod.startswith(f"{revision_name(name, r)}-")), "?")

    return frozenset(
        revision(pod)
        for c in children
        if c.kind == "EndpointSlice" and c.service == name
        for pod in c.endpoints
    )
