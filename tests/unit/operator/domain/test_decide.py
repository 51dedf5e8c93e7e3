"""The engine's transitions, one row each, and whole stories from first deploy to rollback."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rollout_operator.desired.build import build
from rollout_operator.desired.common import Owner
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.api.names import REVISION
from rollout_operator.domain.api.route_status import Drain
from rollout_operator.domain.api.spec import Amounts, Resources
from rollout_operator.domain.api.status import Attempt, PromotedVersion, Rejected, Revision, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.machine.schedule import beat
from rollout_operator.domain.machine.sizes import trial_replicas
from rollout_operator.domain.machine.trial import MAX_SETBACKS
from rollout_operator.domain.observed import (
    APART,
    DRAIN,
    DigestMissing,
    Followed,
    MetricsUnreachable,
    NotFound,
    NotReady,
    Observed,
    RegistryUnreachable,
    Resolved,
    Series,
    Unpinned,
    Workload,
)
from tests.support.builders import (
    DIGEST,
    START,
    UID,
    accuracy,
    at,
    observed,
    on_trial,
    ready,
    resolved,
    revision,
    spec,
)
from tests.support.proofs import promoted, shown

V1, V2, V3 = (revision(v) for v in (1, 2, 3))
TO_2 = spec("models:/iris/2")
SEEN = Followed(answers=20, stretch=APART, lag=timedelta(seconds=1))
SHIFTED = Drain(phase=Phase.SHIFTING, seconds=6.2, known=True, answers=26, lag=1)
GOOD = accuracy(0.93, 21)
BAD = accuracy(0.62, 3)


def test_what_is_at_rest_must_not_look_well_while_an_object_is_refused() -> None:
    said = "PATCH …/ingresses/iris: HTTP 403 exceeded quota"
    plan = decide(
        observed(
            40,
            spec=spec("models:/iris/1"),
            status=promoted_1(),
            workloads=ready(V1),
            api_rejection=said,
            route_trouble=said,
        )
    )
    by_type = {c.type: c for c in plan.status.conditions}
    assert (plan.status.phase, plan.status.api_rejection) == (Phase.PROMOTED, said)
    assert (by_type["Ready"].status, by_type["Stalled"].status, by_type["Stalled"].reason) == (
        "False",
        "True",
        Reason.OBJECT_REFUSED,
    )
    assert said in by_type["Stalled"].message
    assert plan.requeue_at is not None, (
        "it is looked at again, so that the sentence goes when the trouble does"
    )
    after = decide(
        observed(80, spec=spec("models:/iris/1"), status=plan.status, workloads=ready(V1))
    )
    assert {c.type: c.status for c in after.status.conditions}["Ready"] == "True"
    assert (after.status.api_rejection, after.requeue_at) == ("", None)


def test_a_refused_object_holds_the_trial_and_is_no_evidence() -> None:
    said = "PATCH …/ingresses/iris-canary: HTTP 400 denied by a webhook"
    plan = decide(trial(21, answers=GOOD, api_rejection=said, route_trouble=said))
    assert (plan.status.phase, plan.status.step, plan.status.reason) == (
        Phase.TRIAL,
        0,
        Reason.WAITING_FOR_EVIDENCE,
    )
    assert said in plan.status.message
    assert not plan.status.api_rejection


def test_a_way_back_whose_weight_cannot_be_written_says_that_a_person_is_needed() -> None:
    said = "PATCH …/httproutes/iris: HTTP 404, not JSON"
    going_back = on_trial(phase=Phase.ROLLING_BACK, verdict=Verdict.ROLLED_BACK)
    refused = {"applied_at": None, "route_trouble": said, "api_rejection": said}
    plan = decide(trial(900, status=going_back, **refused))
    stalled = {c.type: c for c in plan.status.conditions}["Stalled"]
    assert (plan.status.phase, stalled.status, stalled.reason) == (
        Phase.ROLLING_BACK,
        "True",
        Reason.OBJECT_REFUSED,
    )
    assert said in stalled.message
    assert plan.requeue_at is not None, "it is tried again, and the sentence goes with the trouble"
    after = decide(trial(960, status=plan.status, applied_at=at(900)))
    assert (after.status.phase, after.status.api_rejection) == (Phase.ROLLED_BACK, "")


def trial(now: float, **changes: Any) -> Observed:
    """A look at the trial of version 2, whose pods are Ready."""
    return observed(
        now, **({"spec": TO_2, "status": on_trial(), "workloads": ready(V1, V2)} | changes)
    )


def promoted_1(**changes: Any) -> Status:
    """Version 1 is stable and nothing is under way."""
    values: dict[str, Any] = {
        "phase": Phase.PROMOTED,
        "phase_since": START,
        "attempt": 1,
        "stable": V1,
        "observed_generation": 1,
    }
    return Status(**(values | changes))


def ended(attempt: int, verdict: Verdict) -> Attempt:
    return Attempt(
        attempt=attempt,
        uri="models:/iris/1",
        revision=V1.revision,
        verdict=verdict,
        reason="GatesPassed",
        message="",
        started=at(-9),
        ended=at(-1),
    )


def rolled_back(**changes: Any) -> Status:
    """Version 2 was rolled back; version 1 is stable."""
    rejected = Rejected(
        revision=V2.revision,
        uri=V2.uri,
        reason="GateFailed",
        message="accuracy 0.62 is below 0.7.",
        at=START,
    )
    values: dict[str, Any] = {
        "phase": Phase.ROLLED_BACK,
        "attempt": 2,
        "stable": V1,
        "candidate": V2,
        "rejected": (rejected,),
    }
    return Status(**(values | {"phase_since": START} | changes))


def all_requests(**more: Any) -> Observed:
    """After 46 s a candidate of full size whose last step gives it all requests, for 6 s now."""
    ready_at = V2.model_copy(update={"ready_at": START})
    return trial(
        46,
        spec=spec("models:/iris/2", strategy__steps=[{"weight": 100, "hold": "2s"}]),
        status=on_trial(weight=100, step_since=at(40), candidate=ready_at),
        answers=accuracy(0.93, 45),
        **more,
    )


TRANSITIONS = {
    "a new rollout waits for its pods": (
        observed(0, resolution=resolved(1)),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "a registry that is down holds a new rollout": (
        observed(0, resolution=RegistryUnreachable("refused")),
        Phase.PENDING,
        Reason.REGISTRY_UNREACHABLE,
    ),
    "a version that does not exist is invalid": (
        observed(0, resolution=NotFound("no")),
        Phase.INVALID,
        Reason.MODEL_VERSION_NOT_FOUND,
    ),
    "a version still registering is not rolled out": (
        observed(0, resolution=NotReady("pending")),
        Phase.INVALID,
        Reason.MODEL_VERSION_NOT_READY,
    ),
    "a version without digest is refused": (
        observed(0, resolution=DigestMissing("none")),
        Phase.INVALID,
        Reason.DIGEST_MISSING,
    ),
    "a version that nobody has proved is not tried": (
        observed(0, resolution=resolved(1), proof=shown(2)),
        Phase.INVALID,
        Reason.PROMOTION_NOT_PROVED,
    ),
    "a version that shows its proof is": (
        observed(0, resolution=resolved(1), proof=shown(1)),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "a proof that comes late is taken": (
        observed(
            99,
            status=Status(phase=Phase.INVALID, phase_since=START),
            resolution=resolved(1),
            proof=shown(1),
        ),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "files that nobody has proved are not even looked at": (
        observed(0, resolution=Unpinned("models:/iris/1", "1"), proof=shown(0)),
        Phase.INVALID,
        Reason.PROMOTION_NOT_PROVED,
    ),
    "files are looked at whose version is proved": (
        observed(0, resolution=Unpinned("models:/iris/1", "1"), proof=shown(1)),
        Phase.PENDING,
        Reason.INSPECTING,
    ),
    "a trial does not lose its proof": (
        trial(8, proof=shown(0)),
        Phase.TRIAL,
        Reason.MEASURING,
    ),
    "what was rolled back is tried again by its proof alone": (
        observed(
            8,
            status=rolled_back(),
            spec=TO_2,
            commands={"retry": "2"},
            resolution=resolved(2),
            proof=shown(0),
        ),
        Phase.INVALID,
        Reason.PROMOTION_NOT_PROVED,
    ),
    "what is halted was proved when it began": (
        trial(
            8,
            status=on_trial(halted=True, reason=Reason.GATE_FAILED),
            commands={"retry": "2"},
            proof=shown(0),
        ),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "another version in mid-trial ends it, and is not tried without a proof": (
        observed(
            8,
            status=on_trial(),
            spec=spec("models:/iris/3"),
            resolution=resolved(3),
            proof=shown(2),
        ),
        Phase.INVALID,
        Reason.PROMOTION_NOT_PROVED,
    ),
    "what was stable comes back without a proof": (
        observed(
            8,
            status=promoted_1(
                stable=revision(2, promoted=True),
                promoted=(PromotedVersion(uri=V1.uri, digest=V1.digest),),
            ),
            spec=spec("models:/iris/1"),
            resolution=resolved(1),
            proof=shown(0),
        ),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "what was stable before proofs were demanded does, too": (
        observed(
            8,
            status=promoted_1(stable=revision(2, promoted=True), history=promoted(1).history),
            spec=spec("models:/iris/1"),
            resolution=resolved(1),
            proof=shown(0),
        ),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "other files of that version do not": (
        observed(
            8,
            status=promoted_1(
                stable=revision(2, promoted=True),
                promoted=(PromotedVersion(uri=V1.uri, digest=DIGEST),),
            ),
            spec=spec("models:/iris/1"),
            resolution=resolved(1),
            proof=shown(0),
        ),
        Phase.INVALID,
        Reason.PROMOTION_NOT_PROVED,
    ),
    "an alias that leads to what is stable needs no proof": (
        observed(
            8,
            spec=spec("models:/iris@champion"),
            status=promoted_1(),
            resolution=resolved(1),
            proof=shown(0),
        ),
        Phase.PROMOTED,
        Reason.ALREADY_STABLE,
    ),
    "an invalid version that appears is tried": (
        observed(99, status=Status(phase=Phase.INVALID, phase_since=START), resolution=resolved(1)),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "pods that are not Ready are waited for": (
        observed(5, status=on_trial(phase=Phase.STARTING), spec=TO_2),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "Ready pods start the trial": (
        trial(5, status=on_trial(phase=Phase.STARTING, step=None)),
        Phase.TRIAL,
        Reason.MEASURING,
    ),
    "pods never Ready roll back at the deadline": (
        observed(60, status=on_trial(phase=Phase.STARTING), spec=TO_2),
        Phase.ROLLING_BACK,
        Reason.PROGRESS_DEADLINE_EXCEEDED,
    ),
    "files that no pod can serve are not waited for": (
        observed(
            5,
            status=on_trial(phase=Phase.STARTING),
            spec=TO_2,
            workloads={V2.revision: Workload(0, 1, "DigestMismatch", lasting=True)},
        ),
        Phase.ROLLING_BACK,
        Reason.MODEL_CANNOT_SERVE,
    ),
    "a first deploy does not wait for them either": (
        observed(
            5,
            status=on_trial(phase=Phase.STARTING, stable=None, step=None),
            spec=TO_2,
            workloads={V2.revision: Workload(0, 2, "The model is a pickle.", lasting=True)},
        ),
        Phase.ROLLING_BACK,
        Reason.MODEL_CANNOT_SERVE,
    ),
    "one pod that serves them proves the other wrong": (
        observed(
            5,
            status=on_trial(phase=Phase.STARTING, candidate=V2.model_copy(update={"replicas": 2})),
            spec=TO_2,
            workloads={V2.revision: Workload(1, 2, "DigestMismatch", lasting=True)},
        ),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "a good measurement before the hold is over holds": (
        trial(19, answers=accuracy(0.93, 18)),
        Phase.TRIAL,
        Reason.MEASURING,
    ),
    "a good measurement after the hold moves on": (
        trial(22, answers=GOOD),
        Phase.TRIAL,
        Reason.MEASURING,
    ),
    "a failed gate rolls back before the hold is over": (
        trial(4, answers=BAD),
        Phase.ROLLING_BACK,
        Reason.GATE_FAILED,
    ),
    "a failed gate pauses where the spec says so": (
        trial(4, answers=BAD, spec=spec("models:/iris/2", analysis__onFailure="Pause")),
        Phase.TRIAL,
        Reason.GATE_FAILED,
    ),
    "no evidence after the hold waits": (trial(25), Phase.TRIAL, Reason.WAITING_FOR_EVIDENCE),
    "Prometheus down after the hold waits": (
        trial(25, answers={Metric.ACCURACY: MetricsUnreachable("refused")}),
        Phase.TRIAL,
        Reason.WAITING_FOR_EVIDENCE,
    ),
    "no evidence for maxHold rolls back": (
        trial(66, status=on_trial(no_evidence_since=at(25))),
        Phase.ROLLING_BACK,
        Reason.NO_EVIDENCE,
    ),
    "no evidence for maxHold pauses where the spec says so": (
        trial(
            66,
            status=on_trial(no_evidence_since=at(25)),
            spec=spec("models:/iris/2", analysis__onNoEvidence="Pause"),
        ),
        Phase.TRIAL,
        Reason.NO_EVIDENCE,
    ),
    "no evidence for maxHold goes on where the spec says so": (
        trial(
            66,
            status=on_trial(no_evidence_since=at(25), step=1),
            spec=spec("models:/iris/2", analysis__onNoEvidence="Promote"),
        ),
        Phase.PROMOTING,
        Reason.NO_EVIDENCE,
    ),
    "evidence of the step before does not count": (
        trial(46, status=on_trial(step=1, step_since=at(25)), answers=accuracy(0.93, 24)),
        Phase.TRIAL,
        Reason.WAITING_FOR_EVIDENCE,
    ),
    "the last step promotes": (
        trial(46, status=on_trial(step=1, step_since=at(25)), answers=accuracy(0.93, 45)),
        Phase.PROMOTING,
        Reason.GATES_PASSED,
    ),
    "lost pods take the weight away": (
        trial(10, workloads={V2.revision: Workload(0, 1)}),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "pods lost too often roll back": (
        trial(10, workloads={}, status=on_trial(setbacks=MAX_SETBACKS)),
        Phase.ROLLING_BACK,
        Reason.UNSTABLE,
    ),
    "a full-size candidate gets all requests": (
        trial(5, status=on_trial(phase=Phase.PROMOTING, candidate=V2)),
        Phase.SHIFTING,
        Reason.GATES_PASSED,
    ),
    "a candidate that does not reach full size rolls back": (
        trial(
            60, status=on_trial(phase=Phase.PROMOTING, candidate=V2), workloads=ready(V2, count=1)
        ),
        Phase.ROLLING_BACK,
        Reason.PROGRESS_DEADLINE_EXCEEDED,
    ),
    "shifting waits for the routers": (
        trial(9, status=on_trial(phase=Phase.SHIFTING, candidate=V2)),
        Phase.SHIFTING,
        Reason.GATES_PASSED,
    ),
    "shifting ends in the switch": (
        trial(10, status=on_trial(phase=Phase.SHIFTING, candidate=V2)),
        Phase.SWITCHING,
        Reason.GATES_PASSED,
    ),
    "a candidate lost while shifting rolls back": (
        trial(5, status=on_trial(phase=Phase.SHIFTING, candidate=V2), workloads=ready(V1)),
        Phase.ROLLING_BACK,
        Reason.UNSTABLE,
    ),
    "the switch waits for endpoints": (
        trial(
            20,
            status=on_trial(phase=Phase.SWITCHING, candidate=V2),
            stable_endpoints=frozenset({V1.revision, V2.revision}),
        ),
        Phase.SWITCHING,
        Reason.GATES_PASSED,
    ),
    "a switch without endpoints goes back": (
        trial(
            60,
            status=on_trial(phase=Phase.SWITCHING, candidate=V2),
            stable_endpoints=frozenset({"?"}),
        ),
        Phase.ROLLING_BACK,
        Reason.PROGRESS_DEADLINE_EXCEEDED,
    ),
    "the right endpoints end the switch": (
        trial(
            20,
            status=on_trial(phase=Phase.SWITCHING, candidate=V2),
            stable_endpoints=frozenset({V2.revision}),
        ),
        Phase.PROMOTED,
        Reason.GATES_PASSED,
    ),
    "a Gateway is waited for after the switch": (
        trial(
            20,
            spec=spec(
                "models:/iris/2",
                traffic={
                    "provider": "HTTPRoute",
                    "host": "a.b",
                    "parentRefs": [{"name": "public"}],
                },
            ),
            status=on_trial(phase=Phase.SWITCHING, candidate=V2),
            stable_endpoints=frozenset({V2.revision}),
        ),
        Phase.SETTLING,
        Reason.GATES_PASSED,
    ),
    "a full-size candidate that has all requests already is switched to": (
        trial(
            46,
            spec=spec("models:/iris/2", strategy__steps=[{"weight": 100, "hold": "20s"}]),
            status=on_trial(weight=100, candidate=V2.model_copy(update={"ready_at": START})),
            answers=accuracy(0.93, 45),
        ),
        Phase.SWITCHING,
        Reason.GATES_PASSED,
    ),
    "one that is seen to get all requests is switched to before the drain is over": (
        all_requests(followed=SEEN),
        Phase.SWITCHING,
        Reason.GATES_PASSED,
    ),
    "one that was not seen to gets them for as long as the drain": (
        all_requests(),
        Phase.SHIFTING,
        Reason.GATES_PASSED,
    ),
    "a full-size candidate with a share gets all requests": (
        trial(
            46,
            spec=spec("models:/iris/2", strategy__steps=[{"weight": 50, "hold": "20s"}]),
            status=on_trial(weight=50, candidate=V2.model_copy(update={"ready_at": START})),
            answers=accuracy(0.93, 45),
        ),
        Phase.SHIFTING,
        Reason.GATES_PASSED,
    ),
    "all requests are seen to go there before the drain is over": (
        trial(6, status=on_trial(phase=Phase.SHIFTING, weight=100), followed=SEEN),
        Phase.SWITCHING,
        Reason.GATES_PASSED,
    ),
    "too few were seen to": (
        trial(
            6,
            status=on_trial(phase=Phase.SHIFTING, weight=100),
            followed=replace(SEEN, answers=19),
        ),
        Phase.SHIFTING,
        Reason.GATES_PASSED,
    ),
    "all were seen to, and the Gateway has not accepted it": (
        trial(
            6,
            status=on_trial(phase=Phase.SHIFTING, weight=100),
            followed=SEEN,
            route_trouble="the Gateway has not taken the HTTPRoute over yet",
        ),
        Phase.SHIFTING,
        Reason.GATES_PASSED,
    ),
    "nobody sees the stable Service": (
        trial(
            6,
            status=on_trial(phase=Phase.SWITCHING, weight=100),
            stable_endpoints=frozenset({V2.revision}),
            followed=SEEN,
        ),
        Phase.SWITCHING,
        Reason.GATES_PASSED,
    ),
    "the stable Service, for as long as routers lagged and 5 s": (
        trial(
            8,
            status=on_trial(phase=Phase.SWITCHING, weight=100, drains=(SHIFTED,)),
            stable_endpoints=frozenset({V2.revision}),
        ),
        Phase.PROMOTED,
        Reason.GATES_PASSED,
    ),
    "the canary route, for as long as routers lagged and 5 s": (
        trial(6, status=on_trial(phase=Phase.SETTLING, drains=(SHIFTED,))),
        Phase.PROMOTED,
        Reason.GATES_PASSED,
    ),
    "no request is seen to go to what is rolled back": (
        trial(
            6,
            status=on_trial(phase=Phase.ROLLING_BACK, verdict=Verdict.ROLLED_BACK),
            followed=SEEN,
        ),
        Phase.ROLLED_BACK,
        Reason.GATE_FAILED,
    ),
    "settling ends in promotion": (
        trial(10, status=on_trial(phase=Phase.SETTLING)),
        Phase.PROMOTED,
        Reason.GATES_PASSED,
    ),
    "rolling back drains first": (
        trial(9, status=on_trial(phase=Phase.ROLLING_BACK, verdict=Verdict.ROLLED_BACK)),
        Phase.ROLLING_BACK,
        Reason.GATE_FAILED,
    ),
    "a new process drains from its own first look": (
        trial(
            600,
            status=on_trial(phase=Phase.ROLLING_BACK, verdict=Verdict.ROLLED_BACK),
            applied_at=None,
        ),
        Phase.ROLLING_BACK,
        Reason.GATE_FAILED,
    ),
    "and until the drain is over since then": (
        trial(
            609,
            status=on_trial(phase=Phase.ROLLING_BACK, verdict=Verdict.ROLLED_BACK),
            applied_at=at(600),
        ),
        Phase.ROLLING_BACK,
        Reason.GATE_FAILED,
    ),
    "a drained candidate is rolled back": (
        trial(10, status=on_trial(phase=Phase.ROLLING_BACK, verdict=Verdict.ROLLED_BACK)),
        Phase.ROLLED_BACK,
        Reason.GATE_FAILED,
    ),
    "a drained candidate that was cancelled leaves stable": (
        trial(
            10,
            status=on_trial(
                phase=Phase.ROLLING_BACK,
                verdict=Verdict.CANCELLED,
                reason=Reason.RETURNED_TO_STABLE,
            ),
            spec=spec(),
        ),
        Phase.PROMOTED,
        Reason.RETURNED_TO_STABLE,
    ),
    "a new version on a promoted rollout starts": (
        observed(0, spec=TO_2, status=promoted_1(), resolution=resolved(2)),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "a version changed mid-trial starts anew": (
        trial(5, spec=spec("models:/iris/3"), resolution=resolved(3)),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "a version changed mid-trial to none voids the trial": (
        trial(5, spec=spec("models:/iris/999"), resolution=NotFound("no")),
        Phase.INVALID,
        Reason.MODEL_VERSION_NOT_FOUND,
    ),
    "a version changed while the registry is down voids the trial": (
        trial(5, spec=spec("models:/iris/3"), resolution=RegistryUnreachable("refused")),
        Phase.PENDING,
        Reason.REGISTRY_UNREACHABLE,
    ),
    "back to stable mid-trial cancels": (
        trial(5, spec=spec()),
        Phase.ROLLING_BACK,
        Reason.RETURNED_TO_STABLE,
    ),
    "a version changed during the switch waits": (
        trial(5, spec=spec("models:/iris/3"), status=on_trial(phase=Phase.SWITCHING)),
        Phase.SWITCHING,
        Reason.GATES_PASSED,
    ),
    "a re-sync of a rejected version does nothing": (
        trial(99, status=rolled_back()),
        Phase.ROLLED_BACK,
        Reason.RESOLVING,
    ),
    "a rejected version asked for again is refused at once": (
        observed(
            99,
            spec=TO_2,
            status=promoted_1(rejected=rolled_back().rejected),
            resolution=resolved(2),
        ),
        Phase.ROLLED_BACK,
        Reason.REJECTED_BEFORE,
    ),
    "back to stable after a rollback is promoted": (
        observed(99, spec=spec(), status=rolled_back()),
        Phase.PROMOTED,
        Reason.RETURNED_TO_STABLE,
    ),
    "back to stable from an invalid version needs no registry": (
        observed(99, spec=spec(), status=promoted_1(phase=Phase.INVALID), resolution=None),
        Phase.PROMOTED,
        Reason.ALREADY_STABLE,
    ),
    "an alias that names the stable version changes nothing": (
        observed(
            5, spec=spec("models:/iris@champion"), status=promoted_1(), resolution=resolved(1)
        ),
        Phase.PROMOTED,
        Reason.ALREADY_STABLE,
    ),
    "an alias that moves starts a rollout": (
        observed(
            5,
            spec=spec("models:/iris@champion"),
            status=promoted_1(stable=V1.model_copy(update={"requested": "models:/iris@champion"})),
            resolution=resolved(2),
        ),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "a retired stable version whose pods still run is restored": (
        observed(
            5,
            spec=spec("models:/iris/1"),
            status=promoted_1(stable=V2, retiring=(V1.model_copy(update={"promoted": True}),)),
            resolution=resolved(1),
            workloads=ready(V1, V2),
        ),
        Phase.PROMOTING,
        Reason.RESTORED,
    ),
    "abort rolls back": (trial(5, commands={"abort": "2"}), Phase.ROLLING_BACK, Reason.ABORTED),
    "abort of another attempt does nothing": (
        trial(5, commands={"abort": "1"}, answers=GOOD),
        Phase.TRIAL,
        Reason.MEASURING,
    ),
    "abort is stronger than promote": (
        trial(5, commands={"promote": "2", "abort": "2"}),
        Phase.ROLLING_BACK,
        Reason.ABORTED,
    ),
    "abort after the switch is too late": (
        trial(5, status=on_trial(phase=Phase.SETTLING), commands={"abort": "2"}),
        Phase.SETTLING,
        Reason.GATES_PASSED,
    ),
    "promote promotes": (
        trial(5, commands={"promote": "2"}),
        Phase.PROMOTING,
        Reason.PROMOTED_BY_COMMAND,
    ),
    "retry tries the rejected version again": (
        observed(
            99, spec=TO_2, status=rolled_back(), commands={"retry": "2"}, resolution=resolved(2)
        ),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "retry asks the registry again": (
        observed(99, spec=TO_2, status=rolled_back(), commands={"retry": "2"}),
        Phase.PENDING,
        Reason.RESOLVING,
    ),
    "retry of a halted attempt begins anew": (
        trial(9, status=on_trial(halted=True), commands={"retry": "2"}),
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
    ),
    "a halted attempt stays": (
        trial(999, status=on_trial(halted=True), answers=BAD),
        Phase.TRIAL,
        Reason.MEASURING,
    ),
    "paused holds a failing trial": (
        trial(5, spec=spec("models:/iris/2", paused=True), answers=BAD),
        Phase.TRIAL,
        Reason.MEASURING,
    ),
}


BY_THE_OBJECTS = V1.model_copy(update={"requested": "models:/iris/1", "promoted": True})
REMOVED = {
    "its model is asked for": (
        observed(9, spec=spec(), recovered=BY_THE_OBJECTS),
        Phase.PROMOTED,
        1,
    ),
    "its model is asked for by an alias": (
        observed(
            9, spec=spec("models:/iris@champion"), recovered=BY_THE_OBJECTS, resolution=resolved(1)
        ),
        Phase.PROMOTED,
        1,
    ),
    "amounts as the API server writes them": (
        observed(
            9,
            spec=spec(),
            recovered=BY_THE_OBJECTS.model_copy(
                update={"resources": Resources(requests=Amounts(cpu="0.1"))}
            ),
            resolution=resolved(1),
        ),
        Phase.PROMOTED,
        1,
    ),
    "another model is asked for": (
        observed(9, spec=TO_2, recovered=BY_THE_OBJECTS, resolution=resolved(2)),
        Phase.STARTING,
        2,
    ),
    "the registry is away": (
        observed(9, spec=TO_2, recovered=BY_THE_OBJECTS, resolution=RegistryUnreachable("down")),
        Phase.PENDING,
        1,
    ),
    "the spec is bad": (
        observed(9, spec=None, spec_error="bad", recovered=BY_THE_OBJECTS),
        Phase.PENDING,
        1,
    ),
    "the registry was told of three attempts": (
        observed(
            9,
            spec=TO_2,
            recovered=BY_THE_OBJECTS,
            resolution=resolved(2),
            reported=frozenset({1, 2, 3}),
        ),
        Phase.STARTING,
        4,
    ),
}


@pytest.mark.parametrize(("look", "phase", "attempt"), REMOVED.values(), ids=REMOVED.keys())
def test_a_status_that_somebody_removed_is_made_from_the_objects(
    look: Observed, phase: Phase, attempt: int
) -> None:
    status = decide(look).status
    assert status.stable is not None
    assert (status.stable.revision, status.phase, status.attempt) == (V1.revision, phase, attempt)
    again = decide(replace(look, status=status, recovered=None)).status
    assert (again.stable, again.attempt, again.phase) == (status.stable, attempt, phase)


def test_what_else_runs_when_the_status_was_removed_retires() -> None:
    """A router may still send requests to the candidate, and to stable by the candidate's Service:
    whose the requests were is not known any more.
    """
    look = observed(9, spec=spec(), recovered=BY_THE_OBJECTS, also_running=(V2,), applied_at=None)
    status = decide(look).status
    assert status.stable is not None
    (kept,) = status.retiring
    assert (kept.revision, kept.since, kept.promoted) == (V2.revision, look.now, False)
    own = {
        m["spec"]["selector"][REVISION]
        for m in build(Owner(UID, "iris", "models"), spec(), status, {})
        if m["kind"] == "Service" and m["metadata"]["name"] != "iris"
    }
    assert own == {V1.revision, V2.revision}
    later = observed(49, spec=spec(), status=status, applied_at=look.now)
    assert decide(later).status.retiring == ()


TOO_LATE = {
    "promote after an abort": (
        rolled_back(reason=Reason.ABORTED),
        "promote",
        "To promote it all the same, annotate retry first",
    ),
    "skip after a rollback": (
        rolled_back(),
        "skip",
        "To skip it all the same, annotate retry first",
    ),
    "abort after the promotion": (
        promoted_1(attempt=2, stable=V2),
        "abort",
        "write the version before into spec.modelUri",
    ),
}


@pytest.mark.parametrize(("status", "verb", "told"), TOO_LATE.values(), ids=TOO_LATE.keys())
def test_a_command_that_comes_too_late_says_once_what_helps(
    status: Status, verb: str, told: str
) -> None:
    plan = decide(
        observed(99, spec=TO_2, status=status, commands={verb: "2"}, workloads=ready(V1, V2))
    )
    assert (plan.status.phase, plan.status.attempt) == (status.phase, 2)
    assert told in plan.status.message
    assert [(n.kind, told in n.message) for n in plan.events] == [("Warning", True)]
    again = decide(
        observed(100, spec=TO_2, status=plan.status, commands={verb: "2"}, workloads=ready(V1, V2))
    )
    assert (again.status, again.events) == (plan.status, ())


def test_anothers_object_in_the_way_is_told_at_once_and_goes_on_when_it_is_gone() -> None:
    said = "Service iris is there already and not this rollout's: rename or delete it"
    status = Status(phase=Phase.SWITCHING, phase_since=START, attempt=1, candidate=V1)
    told = decide(
        observed(
            1,
            status=status,
            workloads=ready(V1),
            api_rejection=said,
            name_taken=True,
            route_trouble=said,
        )
    ).status
    stalled = next(c for c in told.conditions if c.type == "Stalled")
    assert (told.phase, stalled.status, stalled.reason) == (
        Phase.SWITCHING,
        "True",
        Reason.OBJECT_REFUSED,
    )
    assert said in stalled.message
    assert not decide(observed(2, status=told, workloads=ready(V1))).status.api_rejection


def test_who_goes_back_to_stable_after_a_rollback_sees_no_figures_of_the_rejected_version() -> None:
    failed = decide(trial(5, answers=BAD)).status
    ended = decide(observed(60, spec=TO_2, status=failed, workloads=ready(V1))).status
    assert [(g.revision, g.measurement) for g in ended.gates] == [
        (V2.revision, Measurement.FAIL)
    ], "they explain the rollback"
    back = decide(observed(99, spec=spec(), status=ended, workloads=ready(V1))).status
    assert (back.phase, back.reason, back.candidate, back.gates) == (
        Phase.PROMOTED,
        Reason.RETURNED_TO_STABLE,
        None,
        (),
    )
    assert (back.history, back.rejected) == (ended.history, ended.rejected)
    assert [g.measurement for g in back.history[0].gates] == [Measurement.FAIL]


@pytest.mark.parametrize(("look", "phase", "reason"), TRANSITIONS.values(), ids=TRANSITIONS.keys())
def test_one_look_leads_to(look: Observed, phase: Phase, reason: Reason) -> None:
    status = decide(look).status
    assert (status.phase, status.reason) == (phase, reason)
    assert status.observed_generation == look.generation
    if status.phase is not Phase.TRIAL and status.phase not in {
        Phase.SHIFTING,
        Phase.SWITCHING,
        Phase.PROMOTING,
    }:
        assert status.weight == 0 or status.phase is look.status.phase


@pytest.mark.parametrize(("look", "phase", "reason"), TRANSITIONS.values(), ids=TRANSITIONS.keys())
def test_a_decision_once_made_is_not_made_again(
    look: Observed, phase: Phase, reason: Reason
) -> None:
    """Deciding anew from a decision that is durable, at the same moment, never adds a second
    attempt or history entry for it.
    """
    first = decide(look)
    again = decide(
        Observed(**{**{f: getattr(look, f) for f in look.__slots__}, "status": first.status})
    )
    assert again.status.attempt == first.status.attempt
    assert len(again.status.history) <= len(first.status.history) + (
        again.status.phase is not first.status.phase
    )


DRAINS: dict[str, tuple[Observed, Drain]] = {
    "it was seen in the step of all requests": (
        all_requests(followed=SEEN),
        Drain(phase=Phase.TRIAL, seconds=6, known=True, answers=20, lag=1),
    ),
    "it was seen": (
        trial(6, status=on_trial(phase=Phase.SHIFTING, weight=100), followed=SEEN),
        Drain(phase=Phase.SHIFTING, seconds=6, known=True, answers=20, lag=1),
    ),
    "the time was over": (
        trial(
            11,
            status=on_trial(phase=Phase.ROLLING_BACK, verdict=Verdict.ROLLED_BACK),
            followed=replace(SEEN, answers=7),
        ),
        Drain(phase=Phase.ROLLING_BACK, seconds=11, known=False, answers=7),
    ),
    "nobody could be asked": (
        trial(10, status=on_trial(phase=Phase.SETTLING)),
        Drain(phase=Phase.SETTLING, seconds=10, known=False),
    ),
}


@pytest.mark.parametrize(("look", "drain"), DRAINS.values(), ids=DRAINS.keys())
def test_what_a_drain_was_stands_in_status_until_the_next_attempt(
    look: Observed, drain: Drain
) -> None:
    ended = decide(look).status
    assert ended.drains == (drain,)
    rests = Phase.PROMOTED if ended.candidate is None else Phase.ROLLED_BACK
    after = replace(
        look,
        status=ended.model_copy(update={"phase": rests}),
        spec=spec("models:/iris/3"),
        resolution=resolved(3),
    )
    assert decide(after).status.attempt == ended.attempt + 1
    assert decide(after).status.drains == ()


def test_a_supersession_keeps_the_old_pods_and_remembers_the_attempt() -> None:
    status = decide(trial(5, spec=spec("models:/iris/3"), resolution=resolved(3))).status
    assert status.weight == 0
    assert status.attempt == 3
    assert [r.revision for r in status.retiring] == [V2.revision]
    assert [(h.attempt, h.verdict) for h in status.history] == [(2, Verdict.SUPERSEDED)]
    assert status.stable == on_trial().stable, "the baseline stays the last promoted revision"


def test_a_supersession_during_a_rollback_keeps_its_verdict() -> None:
    failing = on_trial(
        phase=Phase.ROLLING_BACK,
        verdict=Verdict.ROLLED_BACK,
        reason=Reason.GATE_FAILED,
        message="bad",
        weight=0,
    )
    status = decide(
        trial(5, spec=spec("models:/iris/3"), status=failing, resolution=resolved(3))
    ).status
    assert [(h.verdict, h.reason) for h in status.history] == [(Verdict.ROLLED_BACK, "GateFailed")]
    assert [r.revision for r in status.rejected] == [V2.revision]


def test_skip_moves_one_step_only() -> None:
    first = decide(trial(5, commands={"skip": "2"}))
    assert (first.status.step, first.status.weight) == (1, 50)
    second = decide(trial(6, status=first.status, commands={"skip": "2"}))
    assert second.status.step == 1


def test_ready_is_what_serves_now() -> None:
    """Three pods are asked for; a quota allows one, is raised, and at last a node is lost."""
    asked = spec("models:/iris/1", replicas=3)
    quota = Workload(1, 3, 'pods "x" is forbidden: exceeded quota: q')
    status = promoted_1()
    stages: list[tuple[float, Workload, tuple[str, str, str], str]] = [
        (0, Workload(3, 3), ("True", "False", "False"), "Restored"),
        (1, quota, ("False", "True", "False"), "exceeded quota"),
        (60, quota, ("False", "True", "False"), "1 of 3 pods"),
        (61, quota, ("False", "False", "True"), "exceeded quota"),
        (70, Workload(2, 3), ("False", "False", "True"), "2 of 3 pods"),
        (71, Workload(3, 3), ("True", "False", "False"), "Restored"),
        (80, Workload(0, 3), ("False", "True", "False"), "0 of 3 pods"),
    ]
    for second, workload, truth, _ in stages:
        plan = decide(
            observed(second, spec=asked, status=status, workloads={V1.revision: workload})
        )
        status = plan.status
        told = {c.type: c for c in status.conditions}
        assert tuple(told[kind].status for kind in ("Ready", "Reconciling", "Stalled")) == truth, (
            second
        )
    for second, workload, _, sentence in stages[1:3]:
        plan = decide(
            observed(second, spec=asked, status=promoted_1(), workloads={V1.revision: workload})
        )
        assert sentence in {c.type: c for c in plan.status.conditions}["Ready"].message
        assert {c.reason for c in plan.status.conditions} >= {"PodsNotReady"}
        assert plan.requeue_at == at(second + 10)


def test_a_stable_deployment_that_is_gone_is_not_ready() -> None:
    plan = decide(observed(1, status=promoted_1(), spec=spec("models:/iris/1")))
    assert {c.type: c.status for c in plan.status.conditions}["Ready"] == "False"
    assert plan.status.phase is Phase.PROMOTED


def test_a_digest_that_was_mended_is_the_one_that_is_retried() -> None:
    asked = decide(observed(99, spec=TO_2, status=rolled_back(), commands={"retry": "2"})).status
    mended = replace(resolved(2), digest="sha256:" + "f" * 64)
    begun = decide(
        observed(100, spec=TO_2, status=asked, commands={"retry": "2"}, resolution=mended)
    ).status
    assert begun.phase is Phase.STARTING
    assert begun.attempt == asked.attempt + 1
    assert begun.candidate is not None
    assert begun.candidate.digest == mended.digest


def test_a_pause_moves_the_clocks() -> None:
    held = decide(trial(10, spec=spec("models:/iris/2", paused=True)))
    assert held.status.paused_since == at(10)
    going = decide(trial(110, status=held.status)).status
    assert (going.phase_since, going.step_since, going.paused_since) == (at(100), at(100), None)


@pytest.mark.parametrize(
    ("uri", "paused_since"),
    {
        "aborted while paused": ("models:/iris/2", None),
        "held in mid-rollback by an older operator": ("models:/iris/2", at(1)),
        "asked for another version meanwhile": ("models:/iris/3", None),
    }.values(),
    ids=[
        "aborted while paused",
        "held in mid-rollback by an older operator",
        "asked for another version meanwhile",
    ],
)
def test_a_pause_does_not_hold_a_rollback(uri: str, paused_since: datetime | None) -> None:
    paused = spec(uri, paused=True)
    rolling = decide(
        trial(5, spec=spec("models:/iris/2", paused=True), commands={"abort": "2"})
    ).status
    status = rolling.model_copy(update={"paused_since": paused_since})
    for second in (6, 7, 600, 601):
        status = decide(trial(second, spec=paused, status=status)).status
        if status.phase is Phase.ROLLED_BACK:
            break
    assert (status.phase, status.weight, status.candidate and status.candidate.uri) == (
        Phase.ROLLED_BACK,
        0,
        "models:/iris/2",
    )
    assert [h.verdict for h in status.history] == [Verdict.ROLLED_BACK]


def test_twenty_superseded_attempts_do_not_flush_the_promotions() -> None:
    status = on_trial(history=(ended(1, Verdict.PROMOTED),))
    for attempt in range(2, 22):
        wanted = revision(attempt, replicas=1)
        status = status.model_copy(
            update={"phase": Phase.TRIAL, "attempt": attempt, "candidate": wanted}
        )
        asked = spec(f"models:/iris/{attempt + 1}")
        status = decide(
            trial(attempt, spec=asked, status=status, resolution=resolved(attempt + 1))
        ).status
    assert [h.attempt for h in status.history] == [21, 20, 19, 18, 17, 16, 15, 14, 13, 1]
    assert status.history[-1].verdict is Verdict.PROMOTED


def test_no_evidence_does_not_mark_the_version_bad() -> None:
    rolling = decide(trial(66, status=on_trial(no_evidence_since=at(25))))
    ended = decide(trial(66 + DRAIN.total_seconds(), status=rolling.status))
    assert ended.status.phase is Phase.ROLLED_BACK
    assert not ended.status.rejected


def test_unchanged_measurements_write_nothing() -> None:
    first = decide(trial(6, answers=accuracy(0.93, 5)))
    second = decide(trial(11, status=first.status, answers=accuracy(0.93, 10)))
    assert second.status == first.status


def test_a_step_with_the_figures_of_the_one_before_writes_nothing_of_its_own() -> None:
    long = spec(
        "models:/iris/2", strategy__steps=[{"weight": weight, "hold": "90s"} for weight in (10, 50)]
    )
    first = decide(trial(8, spec=long, answers=accuracy(0.93, 7)))
    second = decide(trial(91, spec=long, status=first.status, answers=accuracy(0.93, 90)))
    assert (second.status.step, "accuracy 0.93" in second.status.message) == (1, True)
    assert (
        decide(trial(120, spec=long, status=second.status, answers=accuracy(0.93, 119))).status
        == second.status
    )
    assert (
        decide(trial(120, spec=long, status=second.status, answers=accuracy(0.94, 119)))
        .status.gates[0]
        .value
        == 0.94
    )


NEWS = {
    "the first value of a trial": (8, accuracy(0.93, 7), True),
    "the first value just before the step ends": (12, accuracy(0.93, 11), False),
    "no value yet": (8, {Metric.ACCURACY: ()}, False),
    "Prometheus that is down": (8, {Metric.ACCURACY: MetricsUnreachable("refused")}, True),
}


@pytest.mark.parametrize(("now", "answers", "written"), NEWS.values(), ids=NEWS.keys())
def test_figures_are_written_when_they_are_news(now: float, answers: Any, written: bool) -> None:
    begun = decide(
        trial(0, status=on_trial(phase=Phase.STARTING, step=None, step_since=None))
    ).status
    told = decide(trial(now, status=begun, answers=answers)).status
    assert (told != begun) is written
    assert bool(told.gates) is written


def test_trouble_that_is_over_does_not_stand_in_the_status_for_ever() -> None:
    """Prometheus was down; now it answers, and knows nothing: that is told within a minute, and not
    before every look.
    """
    long = spec("models:/iris/2", strategy__steps=[{"weight": 10, "hold": "10m"}])
    status = decide(
        trial(10, spec=long, answers={Metric.ACCURACY: MetricsUnreachable("refused")})
    ).status
    assert [g.measurement for g in status.gates] == [Measurement.UNREACHABLE]
    seen = []
    for second in range(15, 80, 5):
        plan = decide(trial(second, spec=long, status=status, answers={Metric.ACCURACY: ()}))
        status = plan.status
        seen.append(status.gates[0].measurement)
    assert seen[-1] is Measurement.NO_EVIDENCE


def test_a_value_that_wanders_is_written_once_a_minute() -> None:
    long = spec("models:/iris/2", strategy__steps=[{"weight": 10, "hold": "10m"}])
    status, writes = on_trial(), 0
    for second in range(5, 305, 5):
        after = decide(
            trial(
                second, spec=long, status=status, answers=accuracy(0.8 + second / 3000, second - 1)
            )
        ).status
        writes, status = writes + (after != status), after
    assert writes in {5, 6}


def test_looks_of_many_rollouts_are_spread_over_the_interval() -> None:
    slow = spec(
        "models:/iris/2", strategy__steps=[{"weight": 10, "hold": "10m"}], analysis__interval="32s"
    )
    looks = {
        decide(trial(5, uid=f"u{n}", spec=slow, answers=accuracy(0.93, 4))).requeue_at
        for n in range(100)
    }
    assert len(looks) == 4, "one group for each beat of 8 s"


@pytest.mark.parametrize(
    ("interval", "seconds"), [("1s", 1), ("5s", 1), ("15s", 2), ("16s", 4), ("1m", 8), ("1h", 8)]
)
def test_the_beat_of_an_interval(interval: str, seconds: float) -> None:
    assert beat(spec(analysis__interval=interval)) == seconds


@pytest.mark.parametrize(
    ("replicas", "weights", "has_stable", "pods"),
    [
        (2, (10, 50), True, 1),
        (10, (10, 50), True, 5),
        (10, (5,), True, 1),
        (3, (100,), True, 3),
        (4, (10,), False, 4),
    ],
)
def test_a_candidate_has_pods_for_its_greatest_weight(
    replicas: int, weights: tuple[int, ...], has_stable: bool, pods: int
) -> None:
    wanted = spec(replicas=replicas, strategy__steps=[{"weight": w} for w in weights])
    assert trial_replicas(wanted, has_stable) == pods


@dataclass
class Story:
    """Plays time against `decide`: looks whenever asked to, with pods Ready after `startup`
    seconds.
    """

    good: dict[int, float]
    startup: float = 3
    now: float = 0
    status: Status = field(default_factory=Status)
    phases: list[str] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    decisions: list[Plan] = field(default_factory=list)

    def look(self, uri: str) -> datetime | None:
        wanted = spec(uri)
        candidate, stable = self.status.candidate, self.status.stable
        running = [r for r in (candidate, stable, *self.status.retiring) if r is not None]
        started = (
            self.status.attempt_since is not None
            and (at(self.now) - self.status.attempt_since).total_seconds() >= self.startup
        )
        workloads = {
            r.revision: Workload(r.replicas if r is not candidate or started else 0, r.replicas)
            for r in running
        }
        answering = candidate if self.status.phase in {Phase.SWITCHING, Phase.SETTLING} else stable
        version = int(candidate.version) if candidate else 0
        plan = decide(
            observed(
                self.now,
                spec=wanted,
                status=self.status,
                resolution=resolved(int(uri.rsplit("/", 1)[1])),
                workloads=workloads,
                stable_endpoints=frozenset({answering.revision} if answering else ()),
                answers=accuracy(self.good[version], self.now) if version else {},
            )
        )
        if plan.status.phase is not self.status.phase:
            self.phases.append(plan.status.phase.value)
        if plan.status.weight != self.status.weight:
            self.weights.append(plan.status.weight)
        self.status = plan.status
        self.decisions.append(plan)
        return plan.requeue_at

    def play(self, uri: str, seconds: float) -> Status:
        end = self.now + seconds
        while self.now < end:
            requeue_at = self.look(uri)
            soon = (
                self.now + 1
                if self.status.phase in {Phase.STARTING, Phase.SWITCHING, Phase.PROMOTING}
                else end
            )
            due = (requeue_at - START).total_seconds() if requeue_at else end
            self.now = max(self.now + 0.001, min(due, soon))
        return self.status


def test_a_story_from_first_deploy_to_rollback() -> None:
    story = Story(good={1: 0.9, 2: 0.95, 3: 0.5})
    first = story.play("models:/iris/1", 60)
    assert story.phases == ["Starting", "Trial", "Switching", "Promoted"]
    assert story.weights == []
    assert first.stable is not None
    assert first.stable.version == "1"

    story.phases.clear()
    second = story.play("models:/iris/2", 200)
    assert story.phases == ["Starting", "Trial", "Promoting", "Shifting", "Switching", "Promoted"]
    assert story.weights == [10, 50, 100, 0]
    assert second.stable is not None
    assert second.stable.version == "2"
    assert second.retiring == ()
    assert [g.measurement for g in second.gates] == [Measurement.PASS]

    story.phases.clear()
    story.weights.clear()
    third = story.play("models:/iris/3", 60)
    assert story.phases == ["Starting", "Trial", "RollingBack", "RolledBack"]
    assert story.weights == [10, 0]
    assert third.stable is not None
    assert third.stable.version == "2"
    assert [h.verdict for h in third.history] == [
        Verdict.ROLLED_BACK,
        Verdict.PROMOTED,
        Verdict.PROMOTED,
    ]
    assert "0.5 is below 0.7" in third.message
    assert "iris/3" in third.message


def test_resolved_is_what_begins_an_attempt() -> None:
    resolution = Resolved(uri="models:/iris/7", version="7", digest="sha256:" + "b" * 64, run="r")
    status = decide(observed(0, spec=spec("models:/iris@champion"), resolution=resolution)).status
    assert status.candidate is not None
    assert (status.candidate.requested, status.candidate.uri, status.candidate.digest) == (
        "models:/iris@champion",
        "models:/iris/7",
        resolution.digest,
    )


INVALIDATED = {
    "promoted": (promoted_1(), spec("models:/iris/1")),
    "on trial": (on_trial(), TO_2),
    "being promoted": (on_trial(phase=Phase.SHIFTING, reason=Reason.PROMOTED_BY_COMMAND), TO_2),
    "being rolled back": (
        on_trial(
            phase=Phase.ROLLING_BACK,
            reason=Reason.GATE_FAILED,
            weight=0,
            verdict=Verdict.ROLLED_BACK,
        ),
        TO_2,
    ),
}


@pytest.mark.parametrize("name", INVALIDATED.keys())
def test_a_spec_that_cannot_be_read_holds_everything_and_leaves_nothing_behind(name: str) -> None:
    status, right = INVALIDATED[name]
    wrong = decide(observed(5, spec=None, spec_error="spec.replicas: no", status=status)).status
    (stalled,) = [c for c in wrong.conditions if c.type == "Stalled"]
    assert (stalled.status, stalled.reason, stalled.message) == (
        "True",
        Reason.INVALID_SPEC,
        "spec.replicas: no",
    )
    assert (wrong.phase, wrong.reason, wrong.weight) == (status.phase, status.reason, status.weight)
    again, never = (
        decide(observed(6, spec=right, status=s, workloads=ready(V1, V2))).status
        for s in (wrong, status)
    )
    assert again.model_copy(update={"conditions": ()}) == never.model_copy(
        update={"conditions": ()}
    )
    assert [(c.type, c.status, c.reason) for c in again.conditions] == [
        (c.type, c.status, c.reason) for c in never.conditions
    ]


@pytest.mark.parametrize("alias", ["latest", "LATEST", "Latest"])
def test_an_object_from_before_at_latest_was_refused_is_not_followed(alias: str) -> None:
    with pytest.raises(
        ValueError, match="whatever version anybody registered last: set an alias of your own"
    ):
        spec(f"models:/iris@{alias}")


@pytest.mark.parametrize("stable", [None, V1], ids=["a first deploy", "beside stable"])
def test_a_version_without_metrics_json_is_told_by_an_event_once_its_step_is_due(
    stable: Revision | None,
) -> None:
    """It waited without a word for maxHold."""
    status, told = (
        on_trial(phase=Phase.STARTING, stable=stable, step=None, step_since=None, weight=0),
        [],
    )
    for second in range(5, 45, 5):
        answer = (Series("ml_predictions_total", "a", at(second - 1).timestamp(), 0),)
        served = tuple(
            Series("ml_feedback_total", "a", s.at, 0, outcome=o)
            for s in answer
            for o in ("correct", "wrong")
        )
        plan = decide(trial(second, status=status, answers={Metric.ACCURACY: (*answer, *served)}))
        told += [(second, note.reason) for note in plan.events if "no metrics.json" in note.message]
        status = plan.status
    assert [reason for _, reason in told] == [Reason.LABELS_TOO_SLOW]
    assert told[0][0] <= 30
    assert "no metrics.json" in status.message
    assert status.reason is Reason.WAITING_FOR_EVIDENCE


LARGER = {"requests": {"cpu": "100m", "memory": "1Gi"}}
BY_ALIAS = {"requested": "models:/iris@champion"}
V1_LARGER = V1.model_copy(update={"resources": spec(resources=LARGER).resources})
RESIZED = {
    "at rest": (
        observed(9, spec=spec(resources=LARGER), status=promoted_1(), workloads=ready(V1)),
        Phase.PROMOTED,
        1,
    ),
    "at rest, and the registry is away": (
        observed(
            9,
            spec=spec("models:/iris@champion", resources=LARGER),
            status=promoted_1(stable=V1.model_copy(update=BY_ALIAS)),
            workloads=ready(V1),
            resolution=RegistryUnreachable("down"),
        ),
        Phase.PROMOTED,
        1,
    ),
    "together with an alias that names what is stable": (
        observed(
            9,
            spec=spec("models:/iris@champion", resources=LARGER),
            status=promoted_1(),
            workloads=ready(V1),
            resolution=resolved(1),
        ),
        Phase.PROMOTED,
        1,
    ),
    "with the way back to stable": (
        observed(9, spec=spec(resources=LARGER), status=rolled_back(), workloads=ready(V1)),
        Phase.PROMOTED,
        2,
    ),
    "while the candidate became stable": (
        trial(
            10, status=on_trial(phase=Phase.SETTLING), spec=spec("models:/iris/2", resources=LARGER)
        ),
        Phase.PROMOTED,
        2,
    ),
    "on trial": (
        trial(5, spec=spec("models:/iris/2", resources=LARGER), resolution=resolved(2)),
        Phase.STARTING,
        3,
    ),
    "on trial by an alias, and the registry is away": (
        trial(
            5,
            spec=spec("models:/iris@champion", resources=LARGER),
            status=on_trial(
                stable=V1.model_copy(update=BY_ALIAS), candidate=V2.model_copy(update=BY_ALIAS)
            ),
            resolution=RegistryUnreachable("down"),
        ),
        Phase.PENDING,
        2,
    ),
    "after the version was rolled back": (
        trial(
            99,
            spec=spec("models:/iris/2", resources=LARGER),
            status=rolled_back(),
            resolution=resolved(2),
        ),
        Phase.STARTING,
        3,
    ),
}


@pytest.mark.parametrize(("look", "phase", "attempt"), RESIZED.values(), ids=RESIZED.keys())
def test_other_resources_are_no_other_model_but_another_attempt_where_one_is_made(
    look: Observed, phase: Phase, attempt: int
) -> None:
    """What is promoted keeps revision and Deployment, and is not called Ready before its pods have
    them.
    """
    status = decide(look).status
    assert look.spec is not None
    assert (status.phase, status.attempt) == (phase, attempt)
    truth = {c.type: c.status for c in status.conditions}
    if phase is not Phase.PROMOTED:
        assert truth["Ready"] == "Unknown"
        return
    assert status.stable is not None
    served = look.status.candidate if look.status.phase is Phase.SETTLING else look.status.stable
    assert served is not None
    assert (status.stable.revision, status.stable.resources) == (
        served.revision,
        look.spec.resources,
    )
    assert (truth["Ready"], truth["Reconciling"], truth["Stalled"]) == ("False", "True", "False")
    full = {status.stable.revision: Workload(2, 2, current=2)}
    after = decide(replace(look, now=at(20), status=status, workloads=full)).status
    assert (after.phase, after.attempt, after.stable, after.shortage) == (
        phase,
        attempt,
        status.stable,
        None,
    )
    assert {c.type: c.status for c in after.conditions}["Ready"] == "True"


def test_pods_are_replaced_one_by_one_and_all_must_be_before_it_is_ready() -> None:
    look = observed(0, spec=spec(resources=LARGER), status=promoted_1(), workloads=ready(V1))
    for second, now, told in (
        (
            0,
            Workload(2, 2),
            (
                "0 of 2 pods of models:/iris/1 are Ready as the spec asks; the former ones answer"
                " until then."
            ),
        ),
        (
            1,
            Workload(2, 2, current=0),
            (
                "0 of 2 pods of models:/iris/1 are Ready as the spec asks; the former ones answer"
                " until then."
            ),
        ),
        (
            2,
            Workload(2, 2, current=1),
            (
                "1 of 2 pods of models:/iris/1 are Ready as the spec asks; the former ones answer"
                " until then."
            ),
        ),
        (
            61,
            Workload(2, 2, "Unschedulable: no", 1),
            "1 of 2 pods of models:/iris/1 are Ready as the spec asks; the former ones",
        ),
    ):
        plan = decide(replace(look, now=at(second), workloads={V1.revision: now}))
        look = replace(look, status=plan.status)
        assert plan.status.shortage is not None
        assert plan.status.shortage.message.startswith(told)
        assert plan.requeue_at is not None or plan.status.shortage.stalled
    truth = {c.type: (c.status, c.message) for c in look.status.conditions}
    assert truth["Stalled"][0] == "True"
    assert "Unschedulable: no" in truth["Stalled"][1]
    again = decide(replace(look, now=at(70), spec=spec()))
    assert again.status.shortage is not None
    assert (again.status.shortage.since, again.status.shortage.stalled) == (
        at(70),
        False,
    ), "a new change has its own deadline"


def test_a_pause_at_rest_holds_pods_with_other_resources_back() -> None:
    look = observed(
        0, spec=spec(resources=LARGER, paused=True), status=promoted_1(), workloads=ready(V1)
    )
    held = decide(look).status
    assert (held.stable, held.paused_since) == (V1, at(0))
    truth = {c.type: (c.status, c.reason) for c in held.conditions}
    assert (truth["Ready"], truth["Reconciling"]) == (
        ("False", Reason.PAUSED),
        ("True", Reason.PAUSED),
    )
    assert decide(replace(look, now=at(99), status=held)).status == held
    back = decide(replace(look, now=at(99), status=held, spec=spec(paused=True))).status
    assert (back.paused_since, {c.type: c.status for c in back.conditions}["Ready"]) == (
        None,
        "True",
    )
    going = decide(replace(look, now=at(99), status=held, spec=spec(resources=LARGER))).status
    assert (going.stable, going.paused_since, going.attempt) == (V1_LARGER, None, 1)


def test_a_version_that_was_given_other_resources_in_place_is_restored_by_its_pods() -> None:
    retired = V1_LARGER.model_copy(update={"promoted": True})
    look = observed(
        5,
        spec=spec(resources=LARGER),
        status=promoted_1(stable=V2, retiring=(retired,)),
        resolution=resolved(1),
    )
    status = decide(replace(look, workloads=ready(V1, V2))).status
    assert status.candidate is not None
    assert (status.phase, status.reason, status.candidate.revision) == (
        Phase.PROMOTING,
        Reason.RESTORED,
        V1.revision,
    )


def test_a_rollout_whose_status_was_removed_is_not_ready_before_its_pods_were_compared() -> None:
    """Its pods may be of a former template: a status that says nothing cannot tell."""
    lost = observed(5, status=Status(), workloads=ready(V1), recovered=V1)
    plan = decide(lost)
    assert plan.status.stable == V1
    assert {c.type: c.status for c in plan.status.conditions}["Ready"] == "False"
    compared = {V1.revision: Workload(2, 2, current=2)}
    after = decide(observed(5, status=plan.status, workloads=compared))
    assert {c.type: c.status for c in after.status.conditions}["Ready"] == "True"


SIZES: dict[str, tuple[Phase, dict[str, Any], int]] = {
    "on trial it has those for its share": (Phase.TRIAL, {}, 3),
    "so it has before": (Phase.STARTING, {}, 3),
    "a first deploy has all": (Phase.STARTING, {"stable": None, "step": None}, 6),
    "while it takes over it has all": (Phase.PROMOTING, {}, 6),
    "once it gets all requests it stays as large as it was": (Phase.SHIFTING, {"weight": 100}, 1),
    "a rollback scales nothing": (Phase.ROLLING_BACK, {"weight": 0}, 1),
}


@pytest.mark.parametrize(("phase", "changes", "pods"), SIZES.values(), ids=SIZES.keys())
def test_a_candidate_follows_an_autoscaler(
    phase: Phase, changes: dict[str, Any], pods: int
) -> None:
    asked = spec("models:/iris/2", replicas=6, strategy__steps=[{"weight": 10}, {"weight": 50}])
    status = on_trial(phase=phase, **changes)
    plan = decide(observed(1, spec=asked, status=status, workloads=ready(V1)))
    assert plan.status.candidate is not None
    assert plan.status.candidate.replicas == pods
    assert plan.status.replicas == 6
    assert plan.status.selector == "rollouts.mlops.dev/rollout=iris,rollouts.mlops.dev/revision"
