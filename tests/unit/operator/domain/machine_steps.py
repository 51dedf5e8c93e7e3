"""All that can happen next to the abstract cluster, and where explorations begin."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from rollout_operator.domain import verdicts
from rollout_operator.domain.api.route_status import Route
from rollout_operator.domain.api.status import Attempt, Inspecting, Rejected, Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.machine.redirect import needs_resolution
from rollout_operator.domain.machine.transitions import PROMOTION, ROLLBACK
from tests.support.builders import START, on_trial, revision
from tests.unit.operator.domain.machine_world import (
    CANNOT_SERVE,
    JUST_REFUSED,
    LABELS,
    METRICS,
    NAME_TAKEN,
    REFUSED,
    REGISTRY,
    SIGNATURES,
    SPECS,
    State,
    applied,
    deployments,
    objects,
)

COMMANDS = ("", "abort", "promote", "skip", "retry", "retry and forget-evidence")
Look = Callable[[State, str, str], Plan]
"""One look of the operator: at a state, with what the metrics and the registry say."""
Event = tuple[str, State]
OFTEN = {
    " pass": 50,
    "pods of": 16,
    "the spec": 6,
    "command ": 5,
    "Gateway": 2,
    "older rollout": 0.4,
    "nobody": 0.8,
    "scales": 0.6,
    "told": 2,
    "the profile": 0.8,
    "take-profile": 0.6,
    "alias": 0.5,
    "removes": 0.1,
    "deleted": 0.2,
}
"""How likely what happens is, by a word of the event."""


def metrics_at(state: State) -> Iterator[Event]:
    """Everything that the metrics can say at a look; the labels that go with it."""
    if state.status.phase is not Phase.TRIAL:
        yield from ((metric, state) for metric in ("none", REFUSED, JUST_REFUSED, NAME_TAKEN))
        if state.status.phase is Phase.STARTING:
            yield CANNOT_SERVE, state
    elif not state.wanted.startswith("labelled"):
        yield from ((metric, state) for metric in METRICS)
    else:
        most = SPECS[state.wanted].analysis.gates[0].max_samples * 3 // 2
        for metric, (right, wrong) in LABELS.items():
            more = (state.labels[0] + right, state.labels[1] + wrong)
            yield metric, replace(state, labels=more) if sum(more) <= most else state
        yield "down", state


def steps(state: State, look: Look, specs: tuple[str, ...]) -> Iterator[Event]:
    """Everything that can happen next, where the spec can ask for these."""
    asked = needs_resolution(SPECS[state.wanted], state.status)
    for metric, seen in metrics_at(state):
        for said in REGISTRY if asked else ("up",):
            yield from looked(state, seen, (metric, said), look)
    yield from around(state, specs)


def looked(state: State, seen: State, said: tuple[str, str], look: Look) -> Iterator[Event]:
    """What follows from one look: all that was decided is done, or the operator dies on the way."""
    metric, registry = said
    plan = look(seen, metric, registry)
    done = replace(seen, status=plan.status, live=plan.status, half=())
    yield f"look, metric {metric}, registry {registry}", applied(state, done)
    if plan.status != state.status:
        # What was applied before a death stays, until it is applied otherwise.
        first = _first_object(state, plan.status)
        others = (h for h in state.half if _first_object(state, h) != first)
        yield f"look and die, metric {metric}", replace(seen, status=plan.status)
        yield (
            f"look and die after one object, metric {metric}",
            replace(seen, status=plan.status, half=(*others, plan.status)),
        )


def _first_object(state: State, status: Status) -> str:
    """The object that is applied first by this status."""
    return next(iter(objects(replace(state, live=status, half=()))), "")


def around(  # noqa: C901 - a list of events
    state: State, specs: tuple[str, ...]
) -> Iterator[Event]:
    """Everything that can happen while the operator does not look."""
    for seconds in (5, 31, 61):
        yield f"{seconds} s pass", replace(state, now=state.now + timedelta(seconds=seconds))
    for revision_ in sorted(revisions(state)):
        yield f"pods of {revision_} change", replace(state, ready=state.ready ^ {revision_})
    for revision_ in sorted(state.former):
        yield f"pods of {revision_} are replaced", replace(state, former=state.former - {revision_})
    for wanted in specs:
        if wanted != state.wanted:
            yield f"the spec asks for {wanted}", replace(state, wanted=wanted)
    for command in COMMANDS:
        if command != state.command:
            yield f"command {command or 'removed'}", replace(state, command=command)
    yield "the Gateway comes or goes", replace(state, gateway=not state.gateway)
    yield "the Gateway's router leads there, or not", replace(state, leads=not state.leads)
    yield "an older rollout comes or goes", replace(state, taken=not state.taken)
    for foreign in ("", "older", "younger"):
        if foreign != state.foreign:
            yield f"a route of nobody's is {foreign or 'gone'}", replace(state, foreign=foreign)
    for profile in ("", "a", "b"):
        if profile != state.profile:
            yield f"the profile is {profile or 'unknown'}", replace(state, profile=profile)
    yield "take-profile, or not", replace(state, takes_profile=not state.takes_profile)
    yield "the alias moves", replace(state, champion=3 - state.champion)
    yield "another scales, or stops", replace(state, scaled=not state.scaled)
    if (verdict := verdicts.pending(state.status)) is not None:
        yield "the registry is told", replace(state, reported=verdict.attempt)
    yield "somebody removes the status", replace(state, status=Status())
    yield (
        "deleted and made again",
        State(Status(), Status(), frozenset(), state.wanted, "", state.now),
    )


def revisions(state: State) -> frozenset[str]:
    """The revisions that have pods, Ready or not."""
    return frozenset(
        m["metadata"]["labels"]["rollouts.mlops.dev/revision"] for m in deployments(state)
    )


def happens(
    dice: random.Random, state: State, look: Look, specs: tuple[str, ...] = tuple(SPECS)
) -> Event:
    """One of the things that can happen next, and what follows from it."""
    if dice.random() < 0.55:
        metrics = [*metrics_at(state)]
        metric, seen = metrics[0] if dice.random() < 0.6 else dice.choice(metrics)
        registry = "up" if dice.random() < 0.9 else dice.choice(REGISTRY)
        events = [*looked(state, seen, (metric, registry), look)]
        return events[0] if dice.random() < 0.9 else dice.choice(events)
    if revisions(state) != state.ready and dice.random() < 0.4:
        return "all pods become Ready", replace(state, ready=revisions(state))
    events = [*around(state, specs)]
    kinds = {word: [e for e in events if word in e[0]] for word in OFTEN}
    words = [word for word in OFTEN if kinds[word]]
    (word,) = dice.choices(words, [OFTEN[word] for word in words])
    return dice.choice(kinds[word])


WAY = Route(
    name="iris",
    provider=Provider.INGRESS,
    host="iris.example.com",
    path="/",
    ingress_class_name="nginx",
    since=START,
    accepted_at=START,
)
ASKED = WAY.model_copy(
    update={
        "provider": Provider.HTTP_ROUTE,
        "ingress_class_name": "",
        "parents": ("public",),
        "accepted_at": None,
    }
)
V1, V2, V3, V5 = (revision(n, signature=SIGNATURES[n]) for n in (1, 2, 3, 5))
STABLE = V1.model_copy(update={"promoted": True})
CANDIDATE = V2.model_copy(update={"replicas": 1, "ready_at": START})
ENDED = Attempt(
    attempt=1,
    uri=V3.uri,
    revision=V3.revision,
    verdict=Verdict.ROLLED_BACK,
    reason="GateFailed",
    message="It failed.",
    started=START,
    ended=START,
)
BEFORE = {
    "history": (ENDED,) * 9 + (ENDED.model_copy(update={"verdict": Verdict.SUPERSEDED}),),
    "retiring": (V5.model_copy(update={"promoted": True}),),
    "rejected": (
        Rejected(
            revision=V3.revision, uri=V3.uri, reason="GateFailed", message="It failed.", at=START
        ),
    ),
}
"""Ten attempts, a version that was stable a moment ago, and one that was rolled back."""
ON_THE_WAY = {
    Phase.STARTING: (0, (Reason.WAITING_FOR_PODS,)),
    Phase.TRIAL: (50, (Reason.MEASURING,)),
    Phase.PROMOTING: (50, PROMOTION),
    Phase.SHIFTING: (100, PROMOTION),
    Phase.SWITCHING: (100, PROMOTION),
    Phase.SETTLING: (0, PROMOTION),
    Phase.ROLLING_BACK: (0, ROLLBACK),
}
"""The weight of each phase of a second version's way, and its reasons."""
VERDICTS = {
    Phase.STARTING: None,
    Phase.TRIAL: None,
    Phase.ROLLING_BACK: Verdict.ROLLED_BACK,
}
"""Of the others it is Promoted."""


def beginnings() -> list[State]:
    """A new object, a rollout at rest, and every phase of a second version's way with each of its
    reasons: what breadth alone would reach late.
    """
    rest = Status(
        phase=Phase.PROMOTED,
        phase_since=START,
        attempt=1,
        stable=STABLE,
        routes=(WAY,),
        reason=Reason.GATES_PASSED,
    )
    ready = frozenset({V1.revision, V2.revision, V5.revision})
    found = [State(Status(), Status(), frozenset(), "1", "", START)]
    found += [_state(rest, ready, "1"), _state(rest.model_copy(update=BEFORE), ready, "1")]
    for phase, (weight, reasons) in ON_THE_WAY.items():
        for reason in sorted(reasons):
            status = on_trial(
                phase=phase,
                stable=STABLE,
                candidate=CANDIDATE,
                step=1,
                weight=weight,
                routes=(WAY,),
                reason=reason,
                verdict=VERDICTS.get(phase, Verdict.PROMOTED),
            )
            found.append(_state(status, ready, "2"))
        past = _state(status.model_copy(update=BEFORE), ready, "2")
        found += [past, replace(past, champion=1), _state(status, ready, "labelled")]
    return [*found, *_to_the_full(ready), *_by_gateway(rest, ready), *_at_an_end(ready)]


def _state(status: Status, ready: frozenset[str], wanted: str) -> State:
    return State(status, status, ready, wanted, "", START)


def _to_the_full(ready: frozenset[str]) -> Iterator[State]:
    """A candidate of full size with all requests, for each reason; one that has lost its pods
    again and again.
    """
    for reason in sorted(PROMOTION - {Reason.RESTORED}):
        status = on_trial(
            phase=Phase.PROMOTING,
            stable=STABLE,
            candidate=CANDIDATE.model_copy(update={"replicas": 2}),
            step=1,
            step_since=START - timedelta(minutes=1),
            weight=100,
            routes=(WAY,),
            reason=reason,
        )
        yield _state(status, ready, "2 to the full")
        tried = status.model_copy(update={"phase": Phase.TRIAL, "verdict": None})
        yield _state(tried, ready, "2 to the full")
        yield _state(tried.model_copy(update={"step_since": START}), ready, "2 to the full")
    first = on_trial(stable=STABLE, candidate=CANDIDATE, routes=(WAY,))
    yield _state(first, ready, "labelled")
    lost = on_trial(stable=STABLE, candidate=CANDIDATE, routes=(WAY,), setbacks=3)
    yield _state(lost, frozenset({V1.revision}), "2")


def _by_gateway(rest: Status, ready: frozenset[str]) -> Iterator[State]:
    """On the way to a Gateway, and a first deploy by one whose router does not lead there."""
    waiting = rest.model_copy(update={"routes": (ASKED, WAY)})
    to_gateway = _state(waiting, ready, "1 by Gateway")
    yield replace(to_gateway, status=rest, live=rest)
    yield to_gateway
    yield replace(to_gateway, gateway=True, leads=False)
    opening = on_trial(
        phase=Phase.SWITCHING,
        attempt=1,
        stable=None,
        candidate=V1.model_copy(update={"ready_at": START}),
        step=None,
        weight=0,
        routes=(ASKED,),
        reason=Reason.GATES_PASSED,
    )
    yield replace(_state(opening, ready, "1 by Gateway"), gateway=True, leads=False)


def _at_an_end(ready: frozenset[str]) -> Iterator[State]:
    """Rolled back, invalid and pending, with what was before."""
    for phase, reason, wanted in (
        (Phase.ROLLED_BACK, Reason.GATE_FAILED, "2"),
        (Phase.INVALID, Reason.MODEL_VERSION_NOT_FOUND, "lost"),
        (Phase.PENDING, Reason.REGISTRY_UNREACHABLE, "2"),
    ):
        status = on_trial(
            phase=phase,
            stable=STABLE,
            candidate=CANDIDATE if phase is Phase.ROLLED_BACK else None,
            step=None,
            weight=0,
            routes=(WAY,),
            reason=reason,
            **BEFORE,
        )
        past = _state(status, ready, wanted)
        yield from (past, replace(past, champion=1))
        if phase is not Phase.ROLLED_BACK:
            for message, digest in (("", ""), ("It cannot be served.", V2.digest)):
                looked_at = Inspecting(uri=V2.uri, since=START, message=message, digest=digest)
                yield _state(status.model_copy(update={"inspecting": looked_at}), ready, "2")
