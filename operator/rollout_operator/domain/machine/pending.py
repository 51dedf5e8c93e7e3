"""Before the trial: which revision is asked for, and whether its pods become Ready."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Inspecting, Revision, Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.gates.watched_gate import without_watch
from rollout_operator.domain.machine.decision import (
    BLANK,
    EventToPost,
    Plan,
    candidate_of,
    clip,
    enter,
    pods,
    workload_of,
)
from rollout_operator.domain.machine.hold import keep_from_first_step
from rollout_operator.domain.machine.rollback import roll_back, roll_back_if_overdue
from rollout_operator.domain.machine.schedule import (
    INVALID_RETRY,
    READINESS_LOOK,
    REGISTRY_RETRY,
    wait,
)
from rollout_operator.domain.machine.sizes import candidate_replicas, full_size, step_replicas
from rollout_operator.domain.machine.trial import enter_step
from rollout_operator.domain.observed import (
    DigestMissing,
    NotFound,
    NotReady,
    Observed,
    RegistryUnreachable,
    Resolved,
    Unpinned,
)
from rollout_operator.domain.revision import revision_of, same_model, serves
from rollout_operator.domain.signature_compat import incompatibility

INSPECT_LOOK = timedelta(seconds=1)
"""Between two looks at the pod that inspects, in the beginning."""
INSPECT_SOON = timedelta(seconds=20)
"""Most pods have ended by then."""
INSPECT_AGAIN = timedelta(minutes=10)
"""After which what could not be served is looked at once more: files may have been mended."""
FETCH_AGAIN = timedelta(seconds=30)
"""The same where the files were not read at all."""


def resolve(observed: Observed, spec: Spec) -> Plan:
    """Begin with the revision that is asked for. What is stable already needs no registry."""
    stable = observed.status.stable
    if stable is not None and serves(stable, spec) and "@" not in spec.model_uri:
        return enter(
            observed, Phase.PROMOTED, Reason.ALREADY_STABLE, f"{stable.uri} is stable.", **BLANK
        )
    match observed.resolution:
        case None:
            return enter(
                observed,
                Phase.PENDING,
                Reason.RESOLVING,
                f"Resolving {spec.model_uri}.",
                requeue_at=observed.now,
            )
        case RegistryUnreachable(message):
            return enter(
                observed,
                Phase.PENDING,
                Reason.REGISTRY_UNREACHABLE,
                message,
                requeue_at=observed.now + REGISTRY_RETRY,
            )
        case NotFound(message):
            return _invalid(observed, Reason.MODEL_VERSION_NOT_FOUND, message)
        case NotReady(message):
            return _invalid(observed, Reason.MODEL_VERSION_NOT_READY, message)
        case DigestMissing(message):
            return _invalid(observed, Reason.DIGEST_MISSING, message)
        case Unpinned() as unpinned:
            return inspect(observed, spec, unpinned)
        case Resolved() as resolved:
            return _try(observed, spec, resolved)
    assert_never(observed.resolution)


def _try(observed: Observed, spec: Spec, resolved: Resolved) -> Plan:
    """Begin with what the registry has, unless stable's clients could not ask it."""
    stable = observed.status.stable
    if (
        stable is not None
        and not spec.allow_signature_change
        and (unfit := incompatibility(stable.signature, resolved.signature))
    ):
        message = (
            f"{resolved.uri} does not fit the requests that {stable.uri} gets: {unfit} "
            "Set allowSignatureChange: true to roll it out all the same."
        )
        return _invalid(observed, Reason.SIGNATURE_INCOMPATIBLE, message)
    settings = observed.profile.settings if observed.profile is not None else None
    candidate = revision_of(resolved, spec, observed.uid, observed.image, observed.now, settings)
    return begin(observed, spec, candidate)


def inspect(observed: Observed, spec: Spec, unpinned: Unpinned) -> Plan:
    """Have the files of a version without a digest looked at, then go on as if the registry had
    said it. What cannot be served is not looked at again at once.
    """
    now, known, found = observed.now, observed.status.inspecting, observed.inspection
    if lacks := _lacks_proof(observed, unpinned.uri):
        return _invalid(observed, Reason.PROMOTION_NOT_PROVED, lacks, inspecting=None)
    if known is None or known.uri != unpinned.uri or _is_due_again(known, now):
        return _look_at(observed, Inspecting(uri=unpinned.uri, since=now))
    if known.message:
        return _cannot_serve(observed, known)
    if found is None or found.uri != known.uri:
        return _look_at(observed, known)
    if found.ended and found.digest and not found.trouble:
        resolved = Resolved(
            unpinned.uri, unpinned.version, found.digest, unpinned.run, found.signature
        )
        plan = _try(observed, spec, resolved)
        told = EventToPost(
            "Normal", Reason.INSPECTED, clip(f"{known.uri} has {found.digest}: {found.summary}.")
        )
        return replace(plan, events=(told, *plan.events))
    trouble = found.trouble
    if not found.ended:
        if now - known.since < spec.strategy.progress_deadline:
            return _look_at(observed, known, trouble)
        trouble = f"the pod did not end within {spec.strategy.progress_deadline}. {trouble}".strip()
    message = clip(f"{unpinned.uri} cannot be served: {trouble or 'its pod said nothing'}")
    return _cannot_serve(
        observed, known.model_copy(update={"message": message, "digest": found.digest})
    )


def _is_due_again(known: Inspecting, now: datetime) -> bool:
    """Whether what could not be served, or not even fetched, is looked at once more."""
    return bool(known.message) and now - known.since >= (
        INSPECT_AGAIN if known.digest else FETCH_AGAIN
    )


def _look_at(observed: Observed, inspecting: Inspecting, trouble: str = "") -> Plan:
    message = f"Looking at the files of {inspecting.uri}: it carries no digest. {trouble}".strip()
    waited = observed.now - inspecting.since
    return enter(
        observed,
        Phase.PENDING,
        Reason.INSPECTING,
        message,
        requeue_at=observed.now + (INSPECT_LOOK if waited < INSPECT_SOON else READINESS_LOOK),
        inspecting=inspecting,
    )


def _cannot_serve(observed: Observed, inspecting: Inspecting) -> Plan:
    return _invalid(observed, Reason.MODEL_CANNOT_SERVE, inspecting.message, inspecting=inspecting)


def _invalid(observed: Observed, reason: Reason, message: str, **changes: Any) -> Plan:
    again = observed.now + INVALID_RETRY
    return enter(observed, Phase.INVALID, reason, message, requeue_at=again, **changes)


def begin(observed: Observed, spec: Spec, candidate: Revision) -> Plan:
    """Start the attempt for `candidate`, unless its outcome is known already."""
    status = observed.status
    if status.stable is not None and same_model(candidate, status.stable):
        stable = status.stable.model_copy(update={"requested": spec.model_uri})
        message = f"{stable.uri} is stable."
        return enter(
            observed,
            Phase.PROMOTED,
            Reason.ALREADY_STABLE,
            message,
            **BLANK | {"stable": stable},
        )
    candidate = _named_as_its_pods(status, candidate)
    rejected = next((r for r in status.rejected if r.revision == candidate.revision), None)
    if rejected is not None:
        message = (
            f"{rejected.uri} was rolled back before ({rejected.message}) Annotate"
            " rollouts.mlops.dev/retry to try it again."
        )
        return enter(
            observed,
            Phase.ROLLED_BACK,
            Reason.REJECTED_BEFORE,
            message,
            **BLANK | {"candidate": candidate},
        )
    # What is halted was proved when its attempt began, and its pods run.
    halted = status.candidate is not None and same_model(candidate, status.candidate)
    if not halted and (lacks := _lacks_proof(observed, candidate.uri, candidate)):
        return _invalid(observed, Reason.PROMOTION_NOT_PROVED, lacks)
    return _start_attempt(observed, spec, candidate)


def _lacks_proof(observed: Observed, uri: str, candidate: Revision | None = None) -> str:
    """Why a version may not be tried before it is proved, as a sentence; "" where it may, or where
    it was promoted here before: to go back there needs no proof.

    candidate: with its digest and its name; None where its files are yet to be looked at.
    """
    demand, status = observed.proof, observed.status
    if demand is None:
        return ""
    digest = candidate.digest if candidate is not None else ""
    known = [(one.uri, one.digest) for one in status.promoted]
    if status.stable is not None:
        known.append((status.stable.uri, status.stable.digest))
    if any(known_uri == uri and digest in {"", of} for known_uri, of in known):
        return ""
    # Of before a proof was demanded; a revision is named by its digest, too.
    before = [ended for ended in status.history if ended.verdict is Verdict.PROMOTED]
    if any(
        ended.uri == uri and (candidate is None or ended.revision == candidate.revision)
        for ended in before
    ):
        return ""
    return demand.lacks(uri, digest, observed.now)


def _named_as_its_pods(status: Status, candidate: Revision) -> Revision:
    """The candidate, called as its pods are where they still run, and with what their profile said:
    they may have been given these resources in place, and the profile may have changed since.
    """
    alike = (
        r
        for r in status.retiring
        if same_model(r, candidate)
        and (r.resources, r.profile) == (candidate.resources, candidate.profile)
    )
    running = next(alike, None)
    if running is None:
        return candidate
    return candidate.model_copy(
        update={"revision": running.revision, "pod_settings": running.pod_settings}
    )


def _start_attempt(observed: Observed, spec: Spec, candidate: Revision) -> Plan:
    """A new attempt: a trial, or none where it was stable before and its pods still run."""
    status = observed.status
    running = next((r for r in status.retiring if r.revision == candidate.revision), None)
    fresh = BLANK | {
        "attempt": status.attempt + 1,
        "attempt_since": observed.now,
        "drains": (),
        "watch": None,
        "evidence": without_watch(status.evidence),
        "retiring": tuple(r for r in status.retiring if r.revision != candidate.revision),
    }
    if (
        running is not None
        and running.promoted
        and status.stable is not None
        and workload_of(observed, candidate).ready >= full_size(observed, spec)
    ):
        restored = candidate.model_copy(
            update={
                "promoted": True,
                "ready_at": observed.now,
                "buckets": running.buckets,
                "replicas": full_size(observed, spec),
            }
        )
        message = f"Restoring {candidate.uri}: it was stable before and its pods still run."
        return enter(
            observed, Phase.PROMOTING, Reason.RESTORED, message, **fresh | {"candidate": restored}
        )
    candidate = candidate.model_copy(update={"replicas": step_replicas(observed, spec, 0)})
    return enter(
        observed,
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
        _waiting_for(candidate),
        **fresh | {"candidate": candidate},
    )


def _waiting_for(candidate: Revision) -> str:
    return (
        f"Waiting for {pods(candidate.replicas)} of {candidate.uri}, revision {candidate.revision}."
    )


def _in_the_way(observed: Observed, spec: Spec) -> str:
    """Which revisions, beside the two of the trial, a Service that divides connections would
    select; "" for none.
    """
    if spec.traffic.provider is not Provider.NONE or observed.status.stable is None:
        return ""
    two = {observed.status.stable.revision, candidate_of(observed).revision}
    return ", ".join(sorted(observed.workloads.keys() - two))


def starting(observed: Observed, spec: Spec) -> Plan:
    """Wait for the candidate's pods; then its trial begins."""
    candidate, status = candidate_of(observed), observed.status
    replicas = max(candidate.replicas, candidate_replicas(observed, spec, candidate))
    candidate = candidate.model_copy(update={"replicas": replicas})
    workload = workload_of(observed, candidate)
    if workload.ready >= candidate.replicas and (others := _in_the_way(observed, spec)):
        message = f"{candidate.uri} is Ready. Waiting for the pods of {others} to go."
        return wait(observed, spec, Reason.WAITING_FOR_PODS, message)
    if (
        workload.ready >= candidate.replicas
        and status.stable is not None
        and observed.freeze.active
    ):
        return keep_from_first_step(observed)
    if workload.ready < candidate.replicas and status.reason is Reason.FROZEN:
        # It was Ready, and pods went while it was kept waiting: they are waited for anew.
        return enter(
            observed,
            Phase.STARTING,
            Reason.WAITING_FOR_PODS,
            _waiting_for(candidate),
            phase_since=observed.now,
        )
    if workload.ready >= candidate.replicas:
        ready = candidate.model_copy(update={"ready_at": observed.now})
        step = (status.step or 0) if status.stable is not None else None
        return enter_step(observed, spec, step, candidate=ready)
    if workload.lasting and workload.ready == 0:
        # Where one pod serves them, the files can be served.
        message = f"{candidate.uri} cannot be served: {workload.trouble}"
        return roll_back(observed, Reason.MODEL_CANNOT_SERVE, message)
    if (late := roll_back_if_overdue(observed, spec)) is not None:
        return late
    message = f"{_waiting_for(candidate)} {workload.trouble}".strip()
    return wait(observed, spec, Reason.WAITING_FOR_PODS, message)
