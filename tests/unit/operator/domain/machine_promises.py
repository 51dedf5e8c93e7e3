"""What must hold after every step, whatever happens."""

from rollout_operator.desired.common import Manifest
from rollout_operator.domain.api.analysis import OnFailure, OnNoEvidence
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase, Verdict
from rollout_operator.domain.machine.transitions import AT_REST
from tests.unit.operator.domain.machine_world import (
    JUST_REFUSED,
    REJECTIONS,
    SPECS,
    State,
    accepted,
    answering,
    asked_for,
    claims,
    lost,
    objects,
    resources,
    routes,
)


def broken(before: State, event: str, after: State) -> str:  # noqa: C901, PLR0911, PLR0912 - a list of promises
    """Which promise does not hold after this step; "" where all do."""
    old, new, live = before.status, after.status, objects(after)
    canary = live.get("Ingress/iris-canary")
    weight = (
        int(canary["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"])
        if canary
        else by_gateway(live)
    )
    names = {m["metadata"]["name"] for m in live.values() if m["kind"] == "Deployment"}
    selecting = {
        n: m
        for n, m in live.items()
        if n.startswith("Service/") and (weight or n == "Service/iris")
    }
    routed = {m["spec"]["selector"]["rollouts.mlops.dev/revision"] for m in selecting.values()}
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
    ):
        return "an attempt begins with the model that is stable"
    if event.startswith("look, ") and (why := _unrouted(before, after, live)):
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
    # How its pods run may change without a trial.
    stays = _model(new.stable) == _model(old.stable)
    if not stays and old.stable is not None and new.phase is not Phase.PROMOTED:
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
        not before.wanted.startswith("labelled") or old.stable is not None
    )
    if promoted and unmeasured and by_itself:
        return "promoted without any measurement"
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
        and "metric" in event
        and not ("good" in event or "bad" in event)
    )
    if (
        silent
        and old.no_evidence_since is None
        and new.verdict is Verdict.ROLLED_BACK
        and not before.command
        and old.setbacks < 3
    ):
        return "rolled back for want of evidence before maxHold"
    if (
        old.stable is not None
        and f"iris-{old.stable.revision}" not in names
        and new.phase is not Phase.PROMOTED
    ):
        return "the stable pods are gone"
    return ""


def _model(stable: Revision | None) -> tuple[str, ...]:
    return (stable.revision, stable.uri, stable.digest) if stable is not None else ()


def _untold(before: State, new: Status) -> str:
    """What others do, and a look that ended does not say; "" where all is said."""
    if bool(new.scaled) != before.scaled:
        return "whether another sets the number of pods is not said"
    if not before.taken and bool(new.shared) != bool(claims(before)):
        return "whether a route of nobody's is on the host is not said"
    return ""


def by_gateway(live: dict[str, Manifest]) -> int:
    """The candidate's share of requests by HTTPRoutes, in percent."""
    shares = [
        m["spec"]["rules"][-1]["backendRefs"] for m in live.values() if m["kind"] == "HTTPRoute"
    ]
    return max((backends[1]["weight"] for backends in shares if len(backends) > 1), default=0)


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


def _unrouted(before: State, after: State, live: dict[str, Manifest]) -> str:
    """Which promise about the ways by which requests come in does not hold after a look that led to
    these objects; "" where all do.
    """
    old, new = before.status, after.status
    asked, kept = asked_for(before), set(routes(live).values())
    answers = asked in kept and (asked[0] == "Ingress" or before.gateway)
    if _ready(new) and not answers:
        return "it is Ready, and no route was accepted"
    came = accepted(before)
    if asked[0] == "HTTPRoute" and not before.leads:
        if (
            old.stable is None
            and not came
            and new.stable is not None
            and asked in {(str(r.provider), r.host) for r in old.routes}
        ):
            return "promoted, and its route answers nobody"
        if _ready(new) and len(new.routes) > 1:
            return "it is Ready, and its route answers nobody"
    if _ready(new) and before.taken:
        return "it is Ready, and its host is another's"
    if old.stable is None:
        return ""
    led = {
        ("HTTPRoute" if r.provider == "HTTPRoute" else "Ingress", r.host)
        for r in old.routes
        if r.accepted_at is not None
    }
    if led - kept and asked not in came:
        return "a way is taken away before the new one is accepted and answers"
    # What began to answer since the last look is not known to.
    known = came & (led or came)
    return "no way is left by which requests come" if known and not came & kept else ""


def _ready(status: Status) -> bool:
    return {c.type: c.status for c in status.conditions}["Ready"] == "True"


def _measured(old: Status, new: Status) -> bool:
    return any(g.measurement is Measurement.FAIL for g in new.gates) and new.attempt == old.attempt
