"""Acting: the decision is made durable, then the objects follow it, then it is told."""

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rollout_operator import metrics
from rollout_operator.controller.apply import (
    ObjectChange,
    WriteGuard,
    carry_out_or_make_room,
    changes,
    is_applied,
    with_replicas,
)
from rollout_operator.controller.inspection import have_pod_follow
from rollout_operator.controller.pass_memory import Rejection
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.raw_objects import Key, event_of, key_of
from rollout_operator.desired.build import build
from rollout_operator.desired.common import owner_of
from rollout_operator.desired.environment import model_environment, signing_key
from rollout_operator.domain.api.names import KIND
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.credentials import of_namespace
from rollout_operator.domain.feedback_stores import store_of
from rollout_operator.domain.last_spec import recalled
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.scaling import put_back, waits
from rollout_operator.domain.shadow import shadow_of
from rollout_operator.domain.verdicts import pending, pinned_by
from rollout_operator.errors import CallFailed, Foreign, Gone, Refused

log = logging.getLogger(__name__)

HOLD_UP_NOTHING = frozenset({"PodDisruptionBudget"})
"""Kinds that nothing rests on: where they are rejected, the rollout goes on, and is not looked at
less often.
"""


async def act(raw: dict[str, Any], seen: Observed, plan: Plan, ports: Ports) -> bool:
    """Make the decision durable first; then the objects follow it; then tell. Says whether that
    changed what the decision rests on.

    Raises CallFailed where a write did not succeed.
    """
    key, began = key_of(raw["metadata"]), time.monotonic()
    if decided := plan.status != seen.status:
        raw = await _write_status(key, raw, plan.status, ports)
        metrics.count(key, seen.status, plan.status)
    else:
        # A new process has shown nothing yet of a rollout at rest.
        metrics.show(key, plan.status)
    if ports.messenger is not None:
        ports.messenger.drop(key, plan.dropped)
        ports.messenger.follow(key, seen.uid, plan.status)
    guard = WriteGuard(
        raw, ports.store, ports.cluster, ports.memory, proven=began if decided else None
    )
    if (pinned := pinned_by(seen, plan.status)) is not None:
        ports.writeback.pin(key, pinned)
    report = pending(plan.status)
    if report is not None and not ports.writeback.knows(seen.uid, report.attempt):
        await guard.ensure_current()
        ports.writeback.write(key, seen.uid, report)
    spec = seen.spec or recalled(plan.status)
    try:
        accepted = spec is not None and await _have_objects_follow(
            guard, seen, spec, plan.status, ports
        )
        if spec is not None:
            took = timedelta(seconds=time.monotonic() - began)
            ports.memory.applied(key, plan.status, seen.now + took)
        if spec is not None and ports.shadows is not None:
            # After the objects: copies find the candidate's Service, and may leave the pods.
            shadow = shadow_of(spec, plan.status)
            signed_by = signing_key(ports.feedback_key, owner_of(raw).uid) if shadow else ""
            ports.shadows.follow(key, shadow, signed_by)
        if seen.spec is not None and (seen.inspection or plan.status.inspecting):
            await have_pod_follow(guard, seen, seen.spec, plan.status, ports)
    except CallFailed:
        # It is decided, and the next look has nothing to tell of it.
        await _post_events(raw, plan, ports)
        raise
    await _post_events(raw, plan, ports)
    return accepted


async def _write_status(
    key: Key, raw: dict[str, Any], status: Status, ports: Ports
) -> dict[str, Any]:
    """Write the status; returns the ModelRollout as it is then."""
    written = await ports.cluster.write_status(raw, status.to_api())
    ports.memory.wrote(key, event_of(KIND, written["metadata"]))
    ports.store.put_status_reply(written)
    ports.unseen_writes.wrote(key, int(written["metadata"]["resourceVersion"]))
    return written


async def _post_events(raw: dict[str, Any], plan: Plan, ports: Ports) -> None:
    key, status = key_of(raw["metadata"]), plan.status
    for event in plan.events:
        log.info("%s/%s: %s: %s", *key, event.reason, event.message)
        once = (status.attempt, status.phase, status.step, event.reason, status.phase_since)
        try:
            await ports.cluster.post_event(
                raw, event.kind, event.reason, event.message, "/".join(map(str, once))
            )
        except CallFailed as failure:
            log.warning("%s: Event not posted: %s", key[1], failure)


async def _have_objects_follow(
    guard: WriteGuard, seen: Observed, spec: Spec, status: Status, ports: Ports
) -> bool:
    """Have the objects follow the status; most looks find nothing changed since all was as it
    should be.

    Says whether an object was accepted that had been rejected: its own write wakes nobody, and the
    status still tells of the rejection.
    """
    key, version = guard.key, int(guard.seen["metadata"]["resourceVersion"])
    if ports.store.in_sync(key, version):
        return False
    differing = _differing(guard.seen, spec, status, ports)
    wanted = [c for c in differing if not _left_for_now(c, key, seen.now, ports)]
    if wanted:
        await guard.ensure_current()
    accepted = await _carry_out_all(wanted, guard, seen.now, ports)
    if not differing:
        ports.store.mark_in_sync(key, version)
        ports.memory.settle(key)
    return accepted


def _differing(
    raw: Mapping[str, Any], spec: Spec, status: Status, ports: Ports
) -> list[ObjectChange]:
    """What it takes for the objects to be as the status asks."""
    owner = owner_of(raw)
    environment = model_environment(ports.environment, ports.feedback_key, owner)
    manifests = build(
        owner,
        spec,
        status,
        environment,
        ports.gateways,
        egress=ports.egress,
        credentials=of_namespace(ports.credentials, owner.namespace),
        store=store_of(ports.feedback_stores, owner.namespace),
    )
    live = ports.store.objects((owner.namespace, owner.name))
    return changes(manifests, live, owner.uid, ports.store)


async def _carry_out_all(
    wanted: list[ObjectChange], guard: WriteGuard, now: datetime, ports: Ports
) -> bool:
    """Change what is to be changed, and remember what the API server rejects.

    Says whether it has what it rejected before, or rejects what nothing rests on for the first
    time: either is to be told.
    """
    key, memory = guard.key, ports.memory
    missing, told = False, bool(memory.rejection(key).message)
    for change in wanted:
        try:
            await carry_out_or_make_room(change, wanted, guard)
            _note_contest(change, key, now, ports)
        except (Refused, Gone) as failure:
            harmless = change.kind in HOLD_UP_NOTHING
            foreign = isinstance(failure, Foreign)
            memory.reject(key, Rejection(now, str(failure), foreign, harmless))
            if not harmless:
                raise
            missing = True
    return not told if missing else memory.accept(key)


def _left_for_now(change: ObjectChange, key: Key, now: datetime, ports: Ports) -> bool:
    """Whether nothing but the number of pods differs, which another sets again and again."""
    known, manifest = change.known, change.manifest
    if known is None or manifest is None or not known.scaler or change.autoscaled:
        return False
    contest = ports.memory.contests(key, now).get(change.name)
    if change.replicas is None or not waits(contest, change.replicas, now):
        return False
    as_it_is = "replicas" in manifest["spec"]
    scaled = with_replicas(manifest, known.wanted) if as_it_is else manifest
    return is_applied(known, scaled, ports.store)


def _note_contest(change: ObjectChange, key: Key, now: datetime, ports: Ports) -> None:
    """Remember it where the number of pods that another has set is ours again."""
    known, manifest = change.known, change.manifest
    replicas = change.replicas
    if known is None or manifest is None or replicas is None or change.autoscaled:
        return
    if not known.scaler or known.wanted == replicas or change.name in ports.memory.left(key):
        return
    before = ports.memory.contests(key, now).get(change.name)
    ports.memory.contest(key, change.name, put_back(before, known.scaler, replicas, now))
