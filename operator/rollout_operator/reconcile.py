"""Observe, decide, act: one pass over one rollout."""

import asyncio
import hmac
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from rollout_operator import telemetry
from rollout_operator.cluster import Cluster
from rollout_operator.domain.decide import COMMANDS, READINESS_LOOK, Plan, decide, needs_measurement, needs_resolution
from rollout_operator.domain.names import GROUP, revision_name
from rollout_operator.domain.observed import Answer, Observed, Workload
from rollout_operator.domain.report import due
from rollout_operator.domain.schema import parse_duration
from rollout_operator.domain.spec import Metric, Spec
from rollout_operator.domain.status import Phase, Revision, Status
from rollout_operator.errors import CallFailed
from rollout_operator.liveness import Echoes
from rollout_operator.objects import Owner
from rollout_operator.objects.build import build
from rollout_operator.objects.drift import says
from rollout_operator.prometheus import Prometheus
from rollout_operator.registry import Registry
from rollout_operator.reporter import Reporter
from rollout_operator.store import Child, Key, Store, content

log = logging.getLogger(__name__)

ANSWER_AGE = 10.0
"""Oldest answer of Prometheus that a look may use, in seconds; with shorter intervals, the interval."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a pass reaches the world through."""

    store: Store
    cluster: Cluster
    prometheus: Prometheus
    registry: Registry
    reporter: Reporter
    image: str
    echoes: Echoes
    environment: Mapping[str, str]
    drain: timedelta
    feedback_key: str = ""


async def reconcile(key: Key, ports: Ports, now: datetime) -> datetime | None:
    """One pass; returns when to look again (None: when something changes). Raises CallFailed where a write did not succeed."""
    raw = ports.store.rollout(key)
    if raw is None or "deletionTimestamp" in raw["metadata"]:
        return None
    seen = await observe(raw, ports, now)
    plan = decide(seen)
    await act(raw, seen, plan, ports)
    return plan.look_at


async def observe(raw: Mapping[str, Any], ports: Ports, now: datetime) -> Observed:
    """Gather everything once."""
    meta = raw["metadata"]
    key = (meta["namespace"], meta["name"])
    status = Status.model_validate(raw["status"])
    spec, error = _spec(raw)
    children = [c for c in ports.store.children(key) if c.owner == meta["uid"] or c.kind == "EndpointSlice"]
    workloads = {c.revision: Workload(c.ready, c.wanted, c.trouble) for c in children if c.kind == "Deployment" and not c.deleting}
    resolution = None
    answers: dict[Metric, Answer] = {}
    baseline: dict[Metric, Answer] = {}
    if spec is not None:
        if needs_resolution(spec, status) and not spec.paused:
            resolution = await ports.registry.resolve(spec.model_uri)
        if needs_measurement(spec, status):
            answers = await _measurements(key, spec, status.candidate, ports, now)
            baseline = await _measurements(key, spec, status.stable, ports, now)
        await _explain(key, status, workloads, ports, now)
    return Observed(
        now=now,
        uid=meta["uid"],
        name=meta["name"],
        generation=meta["generation"],
        spec=spec,
        spec_error=error,
        status=status,
        image=ports.image,
        commands=_commands(meta.get("annotations") or {}),
        resolution=resolution,
        workloads=workloads,
        stable_endpoints=_stable_endpoints(meta["name"], status, children),
        answers=answers,
        baseline=baseline,
        reported=ports.reporter.told(meta["uid"]),
        drain=ports.drain,
    )


async def act(raw: dict[str, Any], seen: Observed, plan: Plan, ports: Ports) -> None:
    """Make the decision durable first; then the objects follow it; then tell."""
    if plan.status != seen.status:
        raw = await ports.cluster.write_status(raw, plan.status.to_api())
        ports.store.put_rollout(raw)
        ports.echoes.wrote((raw["metadata"]["namespace"], seen.name), int(raw["metadata"]["resourceVersion"]))
        _count(raw, seen.status, plan)
    if (report := due(plan.status)) is not None:
        ports.reporter.tell((raw["metadata"]["namespace"], seen.name), seen.uid, report)
    if seen.spec is not None:
        await _converge(raw, seen.spec, plan.status, ports)
    for note in plan.notes:
        log.info("%s/%s: %s: %s", raw["metadata"]["namespace"], seen.name, note.reason, note.message)
        once = f"{plan.status.attempt}/{plan.status.phase}/{plan.status.step}/{note.reason}/{plan.status.phase_since}"
        try:
            await ports.cluster.tell(raw, note.kind, note.reason, note.message, once)
        except CallFailed as failure:
            log.warning("%s: Event not posted: %s", seen.name, failure)


async def _converge(raw: Mapping[str, Any], spec: Spec, status: Status, ports: Ports) -> None:
    """Apply what differs, then delete what should not be."""
    meta = raw["metadata"]
    key, owner = (meta["namespace"], meta["name"]), Owner(meta["uid"], meta["name"], meta["namespace"])
    live = {(c.kind, c.name): c for c in ports.store.children(key)}
    wanted = build(owner, spec, status, {**ports.environment, **_feedback(ports.feedback_key, owner.uid)})
    for manifest in wanted:
        known = live.get((manifest["kind"], manifest["metadata"]["name"]))
        if known is not None and not known.deleting and says(known.content, content(manifest)):
            continue
        applied = await ports.cluster.apply(manifest, None if known is None else str(known.version))
        ports.store.put_child(manifest["kind"], applied)
    kept = {(m["kind"], m["metadata"]["name"]) for m in wanted}
    # Routes go before what they lead to.
    order = ("Ingress", "Service", "Deployment")
    surplus = [c for name, c in live.items() if name not in kept and c.kind in order and c.owner == owner.uid and not c.deleting]
    for one in sorted(surplus, key=lambda c: order.index(c.kind)):
        await ports.cluster.delete(one.kind, owner.namespace, one.name, one.uid)
        ports.store.forget(key, one.kind, one.name, one.uid)


def _feedback(key: str, uid: str) -> dict[str, str]:
    """The key by which all pods of one rollout sign and check prediction ids, and pods of no other."""
    return {"FEEDBACK_KEY": hmac.new(key.encode(), uid.encode(), sha256).hexdigest()} if key else {}


def _spec(raw: Mapping[str, Any]) -> tuple[Spec | None, str]:
    try:
        return Spec.model_validate(raw["spec"]), ""
    except ValidationError as invalid:
        first = invalid.errors()[0]
        return None, f"spec.{'.'.join(map(str, first['loc']))}: {first['msg']}."


def _commands(annotations: Mapping[str, str]) -> dict[str, str]:
    return {verb: annotations[f"{GROUP}/{verb}"] for verb in COMMANDS if f"{GROUP}/{verb}" in annotations}


async def _measurements(key: Key, spec: Spec, revision: Revision | None, ports: Ports, now: datetime) -> dict[Metric, Answer]:
    """The revision's series for every metric that a gate looks at."""
    if revision is None:
        return {}
    step = min(parse_duration(spec.analysis.interval).total_seconds(), ANSWER_AGE)
    tick = math.floor(now.timestamp() / step) * step
    metrics = sorted({gate.metric for gate in spec.analysis.gates})
    answers = await asyncio.gather(*(ports.prometheus.answer(m, key[0], revision.revision, tick) for m in metrics))
    return dict(zip(metrics, answers, strict=True))


async def _explain(key: Key, status: Status, workloads: dict[str, Workload], ports: Ports, now: datetime) -> None:
    """Where the candidate's pods are long in becoming Ready, ask them why."""
    candidate = status.candidate
    waits = status.phase in {Phase.STARTING, Phase.PROMOTING, Phase.SHIFTING}
    if candidate is None or not waits or now - (status.phase_since or now) < READINESS_LOOK:
        return
    known = workloads.get(candidate.revision)
    if known is None or known.trouble or known.ready >= candidate.replicas:
        return
    pods = await ports.cluster.pods(key[0], key[1], candidate.revision)
    workloads[candidate.revision] = Workload(known.ready, known.wanted, trouble(pods))


def trouble(pods: list[dict[str, Any]]) -> str:
    """What the pods themselves say is wrong, as one sentence; "" where they say nothing.

    A container's own last words (its termination message) come before what Kubernetes makes of them.
    """
    said: list[str] = []
    for pod in pods:
        status = pod.get("status", {})
        for container in status.get("containerStatuses", ()):
            for state in (container.get("state", {}), container.get("lastState", {})):
                ended = state.get("terminated") or {}
                if ended.get("message"):
                    return f"The pod says: {str(ended['message']).strip()[:400]}"
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason", "") not in {"", "ContainerCreating", "PodInitializing"}:
                said.append(f"{waiting['reason']}: {waiting.get('message', '')}"[:300])
        said += [
            f"{condition.get('reason', '')}: {condition.get('message', '')}"[:300]
            for condition in status.get("conditions", ())
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False"
        ]
    return said[0].rstrip(": ") if said else ""


def _stable_endpoints(name: str, status: Status, children: list[Child]) -> frozenset[str]:
    """Revisions of the Ready pods behind the stable Service; "?" stands for pods of none that is known."""
    known = [r.revision for r in (status.stable, status.candidate, *status.retiring) if r is not None]

    def revision(pod: str) -> str:
        return next((r for r in known if pod.startswith(f"{revision_name(name, r)}-")), "?")

    return frozenset(revision(pod) for c in children if c.kind == "EndpointSlice" and c.service == name for pod in c.endpoints)


def _count(raw: Mapping[str, Any], before: Status, plan: Plan) -> None:
    """The operator's own metrics, derived from a plan whose status has been written."""
    name, after = (raw["metadata"]["namespace"], raw["metadata"]["name"]), plan.status
    telemetry.WEIGHT.labels(*name).set(after.weight)
    for gate in after.gates:
        if gate.value is not None:
            telemetry.GATE_VALUE.labels(*name, gate.metric).set(gate.value)
    if before.phase is not after.phase or before.phase_since is None:
        if before.phase_since is not None:
            telemetry.PHASE.remove(*name, before.phase)
        telemetry.PHASE.labels(*name, after.phase).set(1)
        telemetry.TRANSITIONS.labels(after.phase, after.reason).inc()
    if after.history and after.history[:1] != before.history[:1]:
        telemetry.VERDICTS.labels(after.history[0].verdict, after.history[0].reason).inc()


def forget_metrics(key: Key) -> None:
    """Drop the series of a deleted rollout."""
    for phase in Phase:
        telemetry.PHASE.remove(*key, phase)
    telemetry.WEIGHT.remove(*key)
    for metric in Metric:
        telemetry.GATE_VALUE.remove(*key, metric)
