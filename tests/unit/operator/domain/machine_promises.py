"""What must hold after every step, whatever happens."""

import math
from dataclasses import replace
from datetime import timedelta

from rollout_operator.desired.common import Manifest
from rollout_operator.domain.api.analysis import OnFailure, OnNoEvidence
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.api.spec import Approval
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.last_spec import recalled
from rollout_operator.domain.machine.transitions import AT_REST, CANDIDATE_RUNS, ON_TRIAL
from tests.unit.operator.domain.machine_watch_promises import metric_of, wrongly_watched
from tests.unit.operator.domain.machine_world import (
    BY_SERVICE,
    ERRORS,
    GROWS,
    JUST_REFUSED,
    REJECTIONS,
    SPECS,
    State,
    accepted,
    answering,
    asked_for,
    chosen,
    claims,
    endpoints,
    lost,
    numbers,
    objects,
    resources,
    scaling,
    selected,
    taken_profile,
    unscaled,
    ways,
)

NEED_REQUESTS = ("labelled", "2 by errors", "2 watched by errors")
"""How specs are called whose gates nothing can be said of before requests come."""


def broken(before: State, event: str, after: State) -> str:  # noqa: C901, PLR0911, PLR0912 - a list of promises
    """Which promise does not hold after this step; "" where all do."""
    old, new, live = before.status, after.status, objects(after)
    canary = live.get("Ingress/iris-canary")
    weight = (
        int(canary["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"])
        if canary
        else by_gateway(live) or by_endpoints(live)
    )
    names = {m["metadata"]["name"] for m in live.values() if m["kind"] == "Deployment"}
    selecting = {
        n: m
        for n, m in live.items()
        if n.startswith("Service/") and (weight or n == "Service/iris")
    }
    if any(one.revision not in {n.removeprefix("iris-") for n in names} for one in after.late):
        return "requests go to pods that are gone: a replica of the router still sends them there"
    routed = frozenset[str]().union(*(selected(live, m) for m in selecting.values()))
    if event in {"deleted and made again", "somebody removes the status"}:
        return ""
    # What was well is given a while, when an object has only just been refused.
    spared = f"metric {JUST_REFUSED}" in event and old.phase in AT_REST
    if any(f"metric {said}" in event for said in REJECTIONS) and _ready(new) and not spared:
        return "it looks well while an object is refused"
    if event.startswith("look, ") and (why := _untold(before, new)):
        return why
    if (
        event.startswith("look, ")
        and lost(before)
        and not before.taken
        and (new.stable is None or new.stable.revision != answering(before))
    ):
        return "what answers is not stable any more, because the status was removed"
    if (
        event.startswith("look, ")
        and _ready(new)
        and (new.stable is None or new.stable.revision not in before.ready)
    ):
        return "it is Ready, and nothing serves"
    if event.startswith("look, ") and _ready(new) and (why := _not_as_asked(before, new)):
        return why
    model = SPECS[before.wanted].model_uri
    if (
        old.phase is Phase.PROMOTED
        and old.stable is not None
        and old.stable.uri == model
        and new.attempt > old.attempt
        and not new.returning
    ):
        return "an attempt begins with the model that is stable"
    if event.startswith("look, ") and (why := _unrouted(before, after)):
        return why
    if why := _wrongly_autoscaled(before, event, after):
        return why
    if _is_begun_anew(before, new):
        return "an attempt begins anew for what is under way"
    if event.startswith("look, ") and (why := _unproved(before, new)):
        return why
    if event.startswith("look, ") and (why := _unasked(before, new)):
        return why
    if new.attempt < old.attempt:
        return "the attempt number shrinks"
    if (
        weight
        and new.phase not in {Phase.TRIAL, Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING}
        and event.startswith("look, ")
    ):
        return f"weight {weight} in phase {new.phase}"
    if any(f"iris-{r}" not in names for r in routed):
        return "a Service that gets requests selects pods that have no Deployment"
    divides = by_endpoints(live) and event.startswith("look, ")
    if divides and not selected(live, live["Service/iris"]) <= {
        r.revision for r in (new.stable, new.candidate) if r is not None
    }:
        return "connections are divided with pods of a third revision"
    if event.startswith("look, ") and BY_SERVICE in asked_for(before):
        shifted = (old.phase, new.phase) == (Phase.SHIFTING, Phase.SWITCHING)
        there = endpoints(before)
        if shifted and old.candidate is not None and there != {old.candidate.revision}:
            return "it takes over, and the Service leads elsewhere"
    # How its pods run may change without a trial.
    stays = _model(new.stable) == _model(old.stable)
    goes_back = old.returning and new.phase is Phase.ROLLED_BACK
    if not stays and old.stable is not None and new.phase is not Phase.PROMOTED and not goes_back:
        return "stable changes outside of promotion"
    if new.phase is Phase.PROMOTED and old.phase is not Phase.PROMOTED and new.stable is None:
        return "promoted without stable"
    promoted = (
        new.phase in {Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING}
        and old.phase is Phase.TRIAL
        and new.attempt == old.attempt
    )
    by_itself = before.command not in {"promote", "skip"} and (
        SPECS[before.wanted].analysis.on_no_evidence is not OnNoEvidence.PROMOTE
    )
    if promoted and by_itself and any(g.measurement is not Measurement.PASS for g in new.gates):
        return "promoted without fresh proof"
    # Labelled gates need requests, and on the first deploy none can come yet.
    unmeasured = not new.gates and (
        not before.wanted.startswith(NEED_REQUESTS) or old.stable is not None
    )
    if promoted and unmeasured and by_itself:
        return "promoted without any measurement"
    if event.startswith("look, ") and (why := wrongly_watched(before, event, after)):
        return why
    if event.startswith("look, ") and (why := _held_back(before, new)):
        return why
    if event.startswith("look") and (why := _undecided(before, new) or _thawed(before, new)):
        return why
    if event.startswith("look, ") and (why := _misled_by_load(before, event, after)):
        return why
    if promoted and by_itself and old.stable is not None and old.weight == 0:
        return "promoted by copies alone"
    failed = (
        old.phase is Phase.TRIAL
        and ("metric bad" in event or "metric wrong" in event)
        and old.candidate is not None
    )
    goes = (
        SPECS[before.wanted].paused is False
        and SPECS[before.wanted].analysis.on_failure is OnFailure.ROLLBACK
    )
    if failed and new.weight > 0 and not before.command and goes and _measured(old, new):
        return "a failed gate leaves the weight"
    silent = (
        old.phase is Phase.TRIAL
        and not before.wanted.startswith("labelled")
        and metric_of(event) not in ERRORS
        and "metric" in event
        and not ("good" in event or "bad" in event)
    )
    if (
        silent
        and old.no_evidence_since is None
        and new.verdict is Verdict.ROLLED_BACK
        and not before.command
        and old.setbacks < 3
        and not _pods_stayed_away(before, new)
    ):
        return "rolled back for want of evidence before maxHold"
    if (
        old.stable is not None
        and f"iris-{old.stable.revision}" not in names
        and new.phase is not Phase.PROMOTED
    ):
        return "the stable pods are gone"
    return ""


def _held_back(before: State, new: Status) -> str:
    """Which promise about ways back does not hold after a look, whether the spec can be read or
    not; "" where all do.
    """
    old = before.status
    known = not before.taken or bool(old.last_spec)
    back = old.phase is Phase.ROLLING_BACK or old.returning
    began = max(filter(None, (old.phase_since, before.applied_at)), default=None)
    late = before.applied_at is not None and began is not None
    late = late and began is not None and before.now - began > timedelta(seconds=60)
    if back and known and late and (new.phase, new.phase_since) == (old.phase, old.phase_since):
        return "a way back lasts longer than progressDeadline"
    given = before.command == "abort" and "abort" not in old.handled_commands and known
    if given and old.phase in ON_TRIAL and not old.returning and new.weight:
        return "an abort leaves the weight"
    wanted = recalled(old) if before.taken else SPECS[before.wanted]
    if not given or old.phase is not Phase.PROMOTED or wanted is None or old.former is None:
        return ""
    pods, former = numbers(before), old.former.revision
    least = wanted.replicas if wanted.autoscaling is None else wanted.autoscaling.max
    asked = max(least, *(asked for asked, _ in pods.values()))
    there = former in before.ready and pods.get(former, (0, 0))[1] >= asked
    return "an abort in a watch is not obeyed" if there and not new.returning else ""


def _undecided(before: State, new: Status) -> str:
    """Which promise about what people decide does not hold after a look; "" where all do."""
    old, wanted = before.status, SPECS[before.wanted]
    required = wanted.strategy.approval is Approval.REQUIRED
    same = new.attempt == old.attempt
    approved, was = "approve" in new.handled_commands, "approve" in old.handled_commands
    if approved and not (was and same) and (before.command != "approve" or not same):
        return "it is approved, and nobody has approved this attempt"
    going = new.phase in {Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING}
    promoted = going and old.phase is Phase.TRIAL and same
    if promoted and required and not (was or before.command == "promote"):
        return "it is promoted, and nobody has approved it"
    if promoted and approved and not was:
        return "an approval is taken for the gates' word"
    again = old.approved_at is not None and not before.wanted.startswith("labelled")
    if promoted and again and new.reason is Reason.GATES_PASSED and before.now <= old.approved_at:  # type: ignore[operator]
        return "it is promoted by what was measured before it was approved"
    given_up = new.phase is Phase.ROLLING_BACK and new.reason is Reason.INCONCLUSIVE
    if given_up and old.approved_at is not None and old.no_evidence_since is None:
        return "what was approved is given up at once"
    if bool(new.approval_since) is not (new.reason is Reason.WAITING_FOR_APPROVAL):
        return "whether it waits for a person is not said"
    if new.approval_since is not None and (not required or approved) and not _held(before):
        return "a person is waited for who has nothing to say"
    return ""


def _thawed(before: State, new: Status) -> str:
    """Which promise about windows does not hold after a look; "" where all do."""
    old = before.status
    held = new.phase in {Phase.STARTING, Phase.TRIAL}
    if bool(new.frozen) is not (before.frozen and held):
        return "whether it is frozen is not said"
    paused = SPECS[before.wanted].paused and not before.taken
    if new.reason is Reason.FROZEN and not before.frozen and not paused:
        return "it waits for a window that is closed"
    if not before.frozen or old.phase not in {Phase.STARTING, Phase.TRIAL}:
        return ""
    if new.attempt == old.attempt and new.weight > old.weight:
        return "the weight goes up in a frozen window"
    going = new.phase in {Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING}
    if going and new.attempt == old.attempt:
        return "it is promoted in a frozen window"
    return ""


def _held(before: State) -> bool:
    """Whether a look changes nothing because the spec is not carried out, or paused."""
    wanted = SPECS[before.wanted]
    return before.taken or wanted.paused


def _misled_by_load(before: State, event: str, after: State) -> str:
    """Which promise about load does not hold after a look at a trial; "" where all do."""
    old, new = before.status, after.status
    known, wanted = old.candidate, SPECS[before.wanted]
    metric = metric_of(event)
    if (
        metric not in ERRORS
        or known is None
        or known.requested != wanted.model_uri
        or (old.phase, old.stable is None, old.halted) != (Phase.TRIAL, False, False)
        or (before.command, wanted.paused, old.paused_since) != ("", False, None)
        or (new.attempt, before.taken) != (old.attempt, False)
    ):
        return ""
    seen = any(g.overloaded_since is not None for g in old.gates)
    over = any(g.counted_from for g in old.gates)
    by_load = metric in {"wrong in both", GROWS} or (metric in {"wrong before", "right"} and seen)
    if by_load and new.reason is Reason.GATE_FAILED:
        return "a version fails by load alone"
    promoted = new.phase in {Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING}
    if metric in {"wrong in both", GROWS} and promoted:
        return "load passes a gate"
    scale_up = new.scale_up
    grows = scale_up is not None and (
        scale_up.until is None or before.now < scale_up.until + timedelta(seconds=30)
    )
    told = before.now > max(filter(None, (known.ready_at, old.step_since)))
    if metric == "wrong" and told and not grows and seen is over and new.weight > 0:
        return "load excuses a version that fails alone"
    return ""


def _pods_stayed_away(before: State, new: Status) -> bool:
    """Whether an autoscaler has not given what the next step needs for as long as pods may take: no
    evidence is wanting then.
    """
    since, strategy = before.status.grows_since, SPECS[before.wanted].strategy
    overdue = since is not None and before.now >= since + strategy.progress_deadline
    return overdue and new.reason is Reason.PROGRESS_DEADLINE_EXCEEDED


def _wrongly_autoscaled(before: State, event: str, after: State) -> str:
    """Which promise about the pods that autoscalers number does not hold; "" where all do."""
    old, new, live = before.status, after.status, objects(after)
    pods = {
        m["metadata"]["name"]: m["spec"].get("replicas")
        for m in live.values()
        if m["kind"] == "Deployment"
    }
    told = {
        m["metadata"]["name"]: m["spec"]
        for m in live.values()
        if m["kind"] == "HorizontalPodAutoscaler"
    }
    if {name for name, number in pods.items() if number is None} != told.keys():
        return "a number of pods is nobody's, or an autoscaler's and ours"
    if any(not 1 <= s["minReplicas"] <= s["maxReplicas"] for s in told.values()):
        return "an autoscaler is told what the API server refuses"
    scaled, stable = SPECS[before.wanted].autoscaling, old.stable
    if not event.startswith("look, ") or scaled is None or stable is None or before.taken:
        return ""
    asked = numbers(before)
    known = asked.get(new.stable.revision) if new.stable is not None else None
    if known is not None and new.replicas != known[0]:
        return "the scale subresource does not say how many pods there are"
    share = new.weight if new.phase is Phase.TRIAL else 100
    takes = new.weight > old.weight or (
        new.phase is Phase.SWITCHING and old.phase in {Phase.TRIAL, Phase.PROMOTING}
    )
    if not takes or new.candidate is None or stable.revision not in asked:
        return ""
    if scaling(live, stable.revision)["behavior"]["scaleDown"]["selectPolicy"] != "Disabled":
        return "stable may lose pods that a rollback would need"
    there = asked.get(new.candidate.revision, (0, 0))[1]
    ready = there if new.candidate.revision in before.ready else 0
    needed = min(scaled.max, math.ceil(asked[stable.revision][0] * share / 100))
    return f"{share} % of requests go to {ready} pods of {needed}" if ready < needed else ""


def _is_begun_anew(before: State, new: Status) -> bool:
    """Whether an attempt begins though the spec asks for what is under way, in whatever number."""
    old, wanted = before.status, SPECS[before.wanted]
    return (
        old.candidate is not None
        and old.phase in CANDIDATE_RUNS | {Phase.ROLLED_BACK}
        and new.attempt > old.attempt
        and not before.command.startswith("retry")
        and "@" not in wanted.model_uri
        and old.candidate.requested == wanted.model_uri
        and (old.candidate.resources, old.candidate.profile) == (wanted.resources, wanted.profile)
    )


def _model(stable: Revision | None) -> tuple[str, ...]:
    return (stable.revision, stable.uri, stable.digest) if stable is not None else ()


def _untold(before: State, new: Status) -> str:
    """What others do, and a look that ended does not say; "" where all is said."""
    if bool(new.scaled) != before.scaled:
        return "whether another sets the number of pods is not said"
    if bool(new.unscaled) != unscaled(before):
        return "whether an autoscaler has no metric is not said"
    if bool(new.affinity) != before.affinity:
        return "whether visitors stay where they came first is not said"
    if not before.taken and bool(new.shared) != bool(claims(before)):
        return "whether a route of nobody's is on the host is not said"
    return ""


def _files(revision: Revision | None) -> tuple[str, str]:
    return (revision.uri, revision.digest) if revision is not None else ("", "")


def _unproved(before: State, new: Status) -> str:
    """Which promise about proofs does not hold after a look; "" where all do."""
    old, tried = before.status, new.candidate
    if before.shown is None:
        return ""
    stable = {_files(old.stable)} | {(one.uri, one.digest) for one in old.promoted}
    revisions = {one.revision for one in old.history if one.verdict is Verdict.PROMOTED}
    begins = new.attempt > old.attempt and not new.returning and tried is not None
    if begins and tried is not None:
        proved = tried.uri == f"models:/iris/{before.shown}"
        again = _files(tried) == _files(old.candidate) and old.phase in CANDIDATE_RUNS
        was = _files(tried) in stable or tried.revision in revisions
        if not (proved or was or again):
            return "a version is tried that nobody has proved"
    asked = SPECS[before.wanted].model_uri
    here = {uri for uri, _ in stable}
    proved = asked == f"models:/iris/{before.shown}" or asked in here
    if proved and new.reason is Reason.PROMOTION_NOT_PROVED and old.reason is not new.reason:
        return "a proof is asked for that is there, or that is not needed"
    if new.stable is not None and _files(new.stable) not in {
        (one.uri, one.digest) for one in new.promoted
    }:
        return "what is stable is not remembered, and would need a proof to come back"
    return ""


def _unasked(before: State, new: Status) -> str:
    """Which promise about the operator's profiles does not hold after a look; "" where all do."""
    old, profile, asked = before.status, chosen(before), SPECS[before.wanted]
    tried = old.attempt == new.attempt and _model(old.candidate) == _model(new.candidate)
    if tried and _settings(old.candidate) != _settings(new.candidate):
        return "a candidate's pods are changed in its attempt"
    if _model(old.stable) != _model(new.stable) or old.stable is None or new.stable is None:
        return ""
    told = profile is not None and (profile.at_once or bool(taken_profile(before)))
    resized = old.stable.resources != new.stable.resources
    if _settings(old.stable) != _settings(new.stable):
        if asked.paused:
            return "a profile's change replaces pods in a pause"
        if not (told or resized):
            return "a profile's change replaces pods, and nobody has told so"
        return "" if new.attempt == old.attempt else "a profile's change begins an attempt"
    if profile is None or before.taken or new.phase not in AT_REST:
        return ""
    differs = new.stable.pod_settings != profile.settings
    if differs and told and not asked.paused:
        return "it was told to take the profile, and pods keep the former one"
    return "" if bool(new.outdated) is differs else "whether pods have the profile is not said"


def _settings(revision: Revision | None) -> str | None:
    return None if revision is None else revision.pod_settings


def by_gateway(live: dict[str, Manifest]) -> int:
    """The candidate's share of requests by HTTPRoutes, in percent."""
    shares = [
        m["spec"]["rules"][0]["backendRefs"] for m in live.values() if m["kind"] == "HTTPRoute"
    ]
    return max((backends[1]["weight"] for backends in shares if len(backends) > 1), default=0)


def by_endpoints(live: dict[str, Manifest]) -> int:
    """The same by a Service that selects pods of several revisions: half, whatever it is."""
    service = live.get("Service/iris")
    return 50 if service is not None and len(selected(live, service)) > 1 else 0


def _not_as_asked(before: State, new: Status) -> str:
    """Whether a look that ends Ready found pods of what is stable now that are not as the spec
    asks.
    """
    if new.stable is None or new.stable.requested != SPECS[before.wanted].model_uri:
        # What it asks for instead is begun with at the next look, which is at once.
        return ""
    given = resources(objects(before), new.stable.revision)
    as_asked = (
        given == SPECS[before.wanted].resources.to_api()
        and new.stable.revision not in before.former
    )
    return "" if as_asked else "it is Ready, and its pods are not as the spec asks"


def _unrouted(before: State, after: State) -> str:
    """Which promise about the ways by which requests come in does not hold after a look that led to
    these objects; "" where all do.
    """
    old, new = before.status, after.status
    asked, kept = asked_for(before), ways(replace(after, wanted=before.wanted))
    by_gateway_ = any(kind == "HTTPRoute" for kind, _ in asked)
    answers = asked <= kept and (before.gateway or not by_gateway_)
    if _ready(new) and not answers:
        return "it is Ready, and no route was accepted"
    came = accepted(before)
    if by_gateway_ and not before.leads:
        if old.stable is None and not came and new.stable is not None and asked & _led(old):
            return "promoted, and its route answers nobody"
        if _ready(new) and len(new.routes) > 1:
            return "it is Ready, and its route answers nobody"
    if _ready(new) and before.taken:
        return "it is Ready, and its host is another's"
    if old.stable is None:
        return ""
    # The Service is there in any case; it is a way where it is asked for.
    former = _led(old, accepted=True)
    led = former - ({BY_SERVICE} - asked)
    # What the spec of a taken host asks for is not acted on: only what was there can be taken away.
    if led & ways(before) - kept and not asked & came:
        return "a way is taken away before the new one is accepted and answers"
    # What began to answer since the last look is not known to.
    known = came & (led if former else came)
    return "no way is left by which requests come" if known and not came & kept else ""


def _led(status: Status, *, accepted: bool = False) -> set[tuple[str, str]]:
    """Kind and hosts of the routes that a status has; of all, or of the accepted ones."""
    return {
        (str(route.provider), name)
        for route in status.routes
        for name in route.answered or ("",)
        if not accepted or route.accepted_at is not None
    }


def _ready(status: Status) -> bool:
    return {c.type: c.status for c in status.conditions}["Ready"] == "True"


def _measured(old: Status, new: Status) -> bool:
    return any(g.measurement is Measurement.FAIL for g in new.gates) and new.attempt == old.attempt
