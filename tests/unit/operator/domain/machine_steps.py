"""All that can happen next to the abstract cluster, and where explorations begin."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rollout_operator.domain import verdicts
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.gate_results import GateStatus, Measurement, PodCounts
from rollout_operator.domain.api.route_status import Route
from rollout_operator.domain.api.status import (
    Attempt,
    Inspecting,
    PromotedVersion,
    Rejected,
    Revision,
    Status,
    Watch,
)
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.last_spec import remembered
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.machine.redirect import needs_resolution
from rollout_operator.domain.machine.transitions import PROMOTION, RETURN, ROLLBACK
from rollout_operator.domain.machine.watch import is_measured
from tests.support.builders import START, on_trial, revision
from tests.unit.operator.domain.machine_router import Late, later, quicker_follows, slower_follows
from tests.unit.operator.domain.machine_world import (
    CANNOT_SERVE,
    ERRORS,
    JUST_REFUSED,
    LABELS,
    METRICS,
    NAME_TAKEN,
    REFUSED,
    REGISTRY,
    SIGNATURES,
    SPECS,
    STALE,
    State,
    applied,
    deployments,
    noted,
    numbers,
    objects,
    observe,
    scaling,
)

COMMANDS = (
    "",
    "abort",
    "promote",
    "skip",
    "retry",
    "retry and forget-evidence",
    "approve",
    f"approve{STALE}",
    "pause",
)
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
    "a webhook": 0.4,
    "the autoscaler": 8,
    "the metric of": 0.6,
    "told": 2,
    "replica": 6,
    "window": 3,
    "the profile": 0.8,
    "take-profile": 0.6,
    "alias": 0.5,
    "a proof": 4,
    "removes": 0.1,
    "deleted": 0.2,
}
"""How likely what happens is, by a word of the event."""


def metrics_at(state: State) -> Iterator[Event]:
    """Everything that the metrics can say at a look; the labels that go with it."""
    wanted = SPECS[state.wanted]
    if state.status.phase is not Phase.TRIAL and not is_measured(wanted, state.status):
        yield from ((metric, state) for metric in ("none", REFUSED, JUST_REFUSED, NAME_TAKEN))
        if state.status.phase is Phase.STARTING:
            yield CANNOT_SERVE, state
    elif state.wanted in {"2 by errors", "2 watched by errors"}:
        yield from ((metric, state) for metric in (*ERRORS, "none", "down"))
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
        died = replace(seen, status=plan.status, applied=None)
        yield f"look and die, metric {metric}", died
        yield (
            f"look and die after one object, metric {metric}",
            replace(died, half=(*others, plan.status)),
        )


def _first_object(state: State, status: Status) -> str:
    """The object that is applied first by this status."""
    return next(iter(objects(replace(state, live=status, half=()))), "")


def around(  # noqa: C901, PLR0912 - a list of events
    state: State, specs: tuple[str, ...]
) -> Iterator[Event]:
    """Everything that can happen while the operator does not look."""
    for seconds in (5, 31, 61):
        now = state.now + timedelta(seconds=seconds)
        yield f"{seconds} s pass", replace(state, now=now, late=later(state.late, now))
    yield from _replicas(state)
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
    if state.frozen:
        yield "the window is taken away", replace(state, frozen_until=None)
    else:
        yield "a window opens", replace(state, frozen_until=state.now + timedelta(seconds=61))
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
    if state.shown is not None:
        for version in (0, 1, 2, 5):
            if version != state.shown:
                yield f"a proof comes, or goes: of {version}", replace(state, shown=version)
    yield "the alias moves", replace(state, champion=3 - state.champion)
    yield "a webhook keeps visitors, or not", replace(state, affinity=not state.affinity)
    yield from autoscaled(state)
    yield "the metric of autoscalers goes or comes", replace(state, blind=not state.blind)
    yield "another scales, or stops", replace(state, scaled=not state.scaled)
    if (verdict := verdicts.pending(state.status)) is not None:
        yield "the registry is told", replace(state, reported=verdict.attempt)
    yield "somebody removes the status", replace(state, status=Status())
    yield (
        "deleted and made again",
        State(Status(), Status(), frozenset(), state.wanted, "", state.now, shown=state.shown),
    )


def _replicas(state: State) -> Iterator[Event]:
    """The router's replicas follow, each in its own time."""
    if any(one.quick is None for one in state.late):
        known = quicker_follows(state.late, state.now)
        yield "the quicker replica of the router follows", replace(state, late=known)
    if any(one.quick is not None for one in state.late):
        yield (
            "the slower replica of the router follows",
            replace(state, late=slower_follows(state.late)),
        )


def autoscaled(state: State) -> Iterator[Event]:
    """What the autoscalers do: each follows what it is told at least, or its metric, and what it
    asks for comes later.
    """
    for revision_, (asked, there) in sorted(numbers(state).items()):
        told = scaling(objects(state), revision_)
        if not told:
            continue
        least, most = told["minReplicas"], told["maxReplicas"]
        shrinks = told["behavior"]["scaleDown"]["selectPolicy"] != "Disabled"
        if asked < least:
            yield _given(state, revision_, "follows what it is told", least, there)
        if asked < most:
            yield _given(state, revision_, "goes up", min(most, 2 * asked), there)
        if asked > least and shrinks:
            yield _given(state, revision_, "goes down", least, least)
        if there < asked:
            yield _given(state, revision_, "has what it asked for", asked, asked)


def _given(state: State, of: str, what: str, asked: int, there: int) -> Event:
    others = (one for one in state.given if one[0] != of)
    given = tuple(sorted([*others, (of, asked, there)]))
    return f"the autoscaler of {of} {what}", replace(state, given=given)


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
SERVICE = WAY.model_copy(update={"provider": Provider.NONE, "host": "", "ingress_class_name": ""})
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


def _on_the_way(phase: Phase, **changes: Any) -> Status:
    """A second version, in this phase of its way."""
    usual = {
        "stable": STABLE,
        "candidate": CANDIDATE,
        "step": 1,
        "weight": ON_THE_WAY[phase][0],
        "routes": (WAY,),
        "reason": min(ON_THE_WAY[phase][1]),
        "verdict": VERDICTS.get(phase, Verdict.PROMOTED),
    }
    return on_trial(phase=phase, **usual | changes)


def beginnings() -> list[State]:
    """Where walks begin, and what neither they nor breadth reach for sure."""
    return [*demanding(), *walk_beginnings(), *_seldom()]


def walk_beginnings() -> list[State]:
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
    ready = READY
    found = [State(Status(), Status(), frozenset(), "1", "", START)]
    found += [_state(rest, ready, "1"), _state(rest.model_copy(update=BEFORE), ready, "1")]
    for phase, (_, reasons) in ON_THE_WAY.items():
        for reason in sorted(reasons):
            status = _on_the_way(phase, reason=reason)
            found.append(_state(status, ready, "2"))
        past = _state(status.model_copy(update=BEFORE), ready, "2")
        found += [past, replace(past, champion=1), _state(status, ready, "labelled")]
    return [
        *found,
        *_to_the_full(ready),
        *_by_gateway(rest, ready),
        *_inside(rest, ready),
        *_at_an_end(ready),
        *_watched(rest, ready),
        *_removed(ready),
    ]


def demanding() -> list[State]:
    """Where a proof is demanded: a new object, and every phase that may be left for what has none;
    versions that were stable before, by what is remembered, and by history alone.
    """
    known = _known(V1, V5)
    again = ENDED.model_copy(
        update={"uri": V2.uri, "revision": V2.revision, "verdict": Verdict.PROMOTED}
    )
    rest = {"candidate": None, "step": None, "weight": 0, "routes": (WAY,), "stable": STABLE}
    found = [State(Status(), Status(), frozenset(), "1", "", START, shown=0)]
    for phase, reason, changes, wanted in (
        (Phase.PROMOTED, Reason.GATES_PASSED, known, "1"),
        (Phase.PROMOTED, Reason.GATES_PASSED, {"history": (again,)}, "2"),
        (Phase.PROMOTED, Reason.GATES_PASSED, {"stable": PROMOTED, **_known(V2, V1)}, "1"),
        (Phase.PENDING, Reason.REGISTRY_UNREACHABLE, known, "1"),
        (Phase.INVALID, Reason.PROMOTION_NOT_PROVED, known, "1"),
        (Phase.ROLLED_BACK, Reason.GATE_FAILED, {"candidate": CANDIDATE, **known}, "1"),
    ):
        status = on_trial(phase=phase, reason=reason, **rest | changes)
        found.append(replace(_state(status, READY, wanted), shown=0))
    under_way = (_state(_on_the_way(phase, **known), READY, "2") for phase in ON_THE_WAY)
    return [*found, *(replace(state, shown=0) for state in under_way)]


def _known(*versions: Revision) -> dict[str, Any]:
    """These were stable, as status remembers it."""
    return {"promoted": tuple(PromotedVersion(uri=one.uri, digest=one.digest) for one in versions)}


def _seldom() -> Iterator[State]:
    """The end of an overload, a halt, steps of copies, a failing watch whose former pods are not
    there.

    No walk begins here: which ways the dice take would change with each that is added.
    """
    before = START - timedelta(minutes=1)
    first = on_trial(stable=STABLE, candidate=CANDIDATE, routes=(WAY,))
    warm = CANDIDATE.model_copy(update={"ready_at": before})
    pod = PodCounts(pod="a", good=500, total=1000, at=before.timestamp())
    over = GateStatus(
        metric=Metric.ERROR_RATE,
        threshold=0.01,
        measurement=Measurement.NO_EVIDENCE,
        revision=CANDIDATE.revision,
        at=before,
        overloaded_since=before,
        counted_from=(pod,),
    )
    last = {"step": 1, "step_since": before, "weight": 50, "gates": (over,), "candidate": warm}
    yield _state(first.model_copy(update=last), READY, "2 by errors")
    halted = {"halted": True, "reason": Reason.GATE_FAILED}
    yield _state(first.model_copy(update=halted), READY, "labelled, which halts")
    copied = {"step": 0, "step_since": before, "weight": 0, "candidate": warm}
    yield _state(first.model_copy(update=copied), READY, "labelled by copies")
    yield _state(
        first.model_copy(update={**copied, "step": 1, "weight": 10}), READY, "labelled by copies"
    )
    watched = next(s for s in walk_beginnings() if s.wanted == "2 watched")
    lonely = replace(watched, ready=frozenset({V2.revision}))
    yield replace(lonely, now=START + timedelta(seconds=5))
    yield replace(lonely, wanted="1", command="abort")
    yield from _waiting_to_return(lonely)
    yield from _unread(watched)
    *_, in_vain = _waiting_to_return(lonely)
    known = {"last_spec": remembered(SPECS[in_vain.wanted])}
    status = in_vain.status.model_copy(update=known)
    in_vain = replace(in_vain, status=status, live=status, taken=True)
    yield in_vain
    yield replace(in_vain, command="abort")
    yield from _approved()
    kept = _state(_on_the_way(Phase.STARTING, reason=Reason.FROZEN), READY, "2")
    yield replace(kept, taken=True)
    yield _counting()
    skipped = {"reason": Reason.PROMOTED_BY_COMMAND, "handled_commands": ("skip",)}
    ends = _state(_on_the_way(Phase.SETTLING, **skipped), READY, "2 watched")
    yield replace(ends, now=START + timedelta(seconds=61))


def _counting() -> State:
    """A watch that has counted its first labels."""
    state = next(s for s in walk_beginnings() if s.wanted == "labelled, watched")
    for right in (6, 12):
        now = state.now + timedelta(seconds=5)
        state = replace(state, labels=(right, 0), now=now)
        status = decide(observe(state, "few right answers", "up")).status
        state = replace(state, status=status, live=status)
    return replace(state, now=now + timedelta(seconds=5))


def _approved() -> Iterator[State]:
    """A last step that a person has approved a moment ago, after which its gates have to pass once
    more: one whose last sample is of before, and one that no label can decide any more.
    """
    given = _on_the_way(
        Phase.TRIAL,
        reason=Reason.MEASURING,
        handled_commands=("approve",),
        approved_at=START,
        step_since=START - timedelta(minutes=1),
    )
    yield _state(given, READY, "2 by approval")
    later_on = _state(given, READY, "labelled by approval")
    yield replace(later_on, labels=(32, 10), now=START + timedelta(seconds=5))


def _unread(watched: State) -> Iterator[State]:
    """What cannot be read any more in the middle of a trial, of a watch, and of ways back."""
    trial = _on_the_way(Phase.TRIAL)
    shifting = _on_the_way(Phase.SHIFTING, reason=Reason.GATES_PASSED)
    back = _on_the_way(Phase.ROLLING_BACK)
    commanded = [_state(trial, READY, "2"), _state(shifting, READY, "2"), watched]
    found = [replace(state, command="abort") for state in commanded]
    found.append(_state(back, READY, "2"))
    returns = (s for s in walk_beginnings() if s.wanted == "2 watched" and s.status.returning)
    found += [state for state in returns if V1.revision in state.ready]
    (waiting, *_) = _waiting_to_return(watched)
    found.append(waiting)
    for state in found:
        known = {"last_spec": remembered(SPECS[state.wanted])}
        status = state.status.model_copy(update=known)
        for seconds in (5, 65):
            now = START + timedelta(seconds=seconds)
            there = replace(state, status=status, live=status, taken=True, now=now)
            yield replace(there, late=later(there.late, now))


def _waiting_to_return(lonely: State) -> Iterator[State]:
    """What has failed in its watch and waits for the former pods: within its time, after it, and
    when that has taken too long.
    """
    failed = GateStatus(
        metric=Metric.ACCURACY,
        threshold=0.7,
        measurement=Measurement.FAIL,
        revision=V2.revision,
        at=START,
    )
    seen = lonely.status.watch
    waits = seen and seen.model_copy(update={"waits": "It waits."})
    status = lonely.status.model_copy(update={"gates": (failed,), "watch": waits})
    for seconds in (55, 61, 121):
        now = START + timedelta(seconds=seconds)
        yield replace(lonely, status=status, live=status, now=now)


def _state(status: Status, ready: frozenset[str], wanted: str) -> State:
    return noted(State(status, status, ready, wanted, "", START))


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
    yield from _autoscaled(ready)
    yield from _waiting_for_a_person(ready)
    yield from _frozen(ready)
    first = on_trial(stable=STABLE, candidate=CANDIDATE, routes=(WAY,))
    yield _state(first, ready, "labelled")
    yield _state(first, ready, "2 by errors")
    before = START - timedelta(minutes=1)
    warm = CANDIDATE.model_copy(update={"ready_at": before})
    measured = first.model_copy(update={"step_since": before, "candidate": warm})
    yield _state(measured, ready, "2 by errors")
    lost = on_trial(stable=STABLE, candidate=CANDIDATE, routes=(WAY,), setbacks=3)
    yield _state(lost, frozenset({V1.revision}), "2")


def _waiting_for_a_person(ready: frozenset[str]) -> Iterator[State]:
    """A last step whose gates have passed, which a person is to approve, or has approved."""
    status = _on_the_way(
        Phase.TRIAL,
        reason=Reason.WAITING_FOR_APPROVAL,
        approval_since=START,
        step_since=START - timedelta(minutes=1),
    )
    yield _state(status, ready, "2 by approval")
    yield _state(status, ready, "labelled by approval")
    given = {"approval_since": None, "reason": Reason.MEASURING, "handled_commands": ("approve",)}
    yield _state(status.model_copy(update=given), ready, "2 by approval")


def _frozen(ready: frozenset[str]) -> Iterator[State]:
    """A candidate that is Ready, and a step that is over, while a window is open."""
    until = START + timedelta(seconds=61)
    over = {"step_since": START - timedelta(minutes=1)}
    for phase, changes in (
        (Phase.STARTING, {}),
        (Phase.TRIAL, over),
        (Phase.TRIAL, {"step": 0, **over}),
    ):
        status = _on_the_way(phase, **changes)
        yield replace(_state(status, ready, "2"), frozen_until=until)
    yield replace(_state(status, ready, "labelled"), frozen_until=until)
    kept = _on_the_way(Phase.STARTING, reason=Reason.FROZEN)
    yield replace(_state(kept, ready, "2"), frozen_until=until)


def _autoscaled(ready: frozenset[str]) -> Iterator[State]:
    """A first step with a pod beside six of stable, and the promotion of what three of its pods
    were tried by.
    """
    first = on_trial(stable=STABLE, candidate=CANDIDATE, routes=(WAY,))
    given = ((V1.revision, 6, 6), (V2.revision, 1, 1))
    yield replace(_state(first, ready, "2 autoscaled"), given=tuple(sorted(given)))
    shown = {"step": 1, "weight": 50, "candidate": CANDIDATE.model_copy(update={"replicas": 3})}
    last = first.model_copy(update=shown)
    given = ((V1.revision, 6, 6), (V2.revision, 3, 3))
    yield replace(_state(last, ready, "2 autoscaled"), given=tuple(sorted(given)))
    going = last.model_copy(
        update={"phase": Phase.PROMOTING, "reason": Reason.GATES_PASSED, "verdict": "Promoted"}
    )
    yield replace(_state(going, ready, "2 autoscaled"), given=tuple(sorted(given)))


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
    there = ASKED.model_copy(update={"accepted_at": START})
    for phase, weight in ((Phase.TRIAL, 50), (Phase.SHIFTING, 100), (Phase.SETTLING, 0)):
        asked = on_trial(
            phase=phase,
            stable=STABLE,
            candidate=CANDIDATE,
            step=1,
            weight=weight,
            routes=(there,),
            verdict=VERDICTS.get(phase, Verdict.PROMOTED),
        )
        yield replace(_state(asked, ready, "2 by Gateway"), gateway=True)
    back = on_trial(
        phase=Phase.ROLLING_BACK,
        stable=STABLE,
        candidate=CANDIDATE,
        step=1,
        weight=0,
        routes=(there,),
        verdict=Verdict.ROLLED_BACK,
    )
    taken_back = replace(_state(back, ready, "2 by Gateway"), gateway=True)
    # The quicker replica of the router has followed, and the slower one has not.
    yield replace(taken_back, late=(Late(V2.revision, START, START),))
    # The operator has died before any object was written, and only now is there another.
    trial = back.model_copy(update={"phase": Phase.TRIAL, "weight": 50, "verdict": None})
    minute = START + timedelta(minutes=1)
    yield replace(taken_back, live=trial, applied=None, now=minute)


def _inside(rest: Status, ready: frozenset[str]) -> Iterator[State]:
    """Where the Service divides connections: at rest, and on the way of a second version, alone and
    with a third that still runs.
    """
    inside = rest.model_copy(update={"routes": (SERVICE,)})
    yield _state(inside, ready, "1 inside")
    for phase in (Phase.STARTING, Phase.TRIAL, Phase.SHIFTING, Phase.ROLLING_BACK):
        passed = {"reason": Reason.GATES_PASSED} if phase is Phase.SHIFTING else {}
        for retiring in ((), BEFORE["retiring"]):
            status = _on_the_way(phase, routes=(SERVICE,), retiring=retiring, **passed)
            yield _state(status, ready, "2 inside")
    # The operator died before the Service was given to the candidate alone.
    shifting = status.model_copy(
        update={"phase": Phase.SHIFTING, "weight": 100, "reason": Reason.GATES_PASSED}
    )
    alone = shifting.model_copy(update={"retiring": (), "verdict": Verdict.PROMOTED})
    before = alone.model_copy(update={"phase": Phase.TRIAL, "weight": 50, "verdict": None})
    late = START + timedelta(seconds=31)
    yield replace(_state(alone, ready, "2 inside"), live=before, now=late)


READY = frozenset({V1.revision, V2.revision, V5.revision})
FORMER = STABLE.model_copy(update={"since": START})
PROMOTED = V2.model_copy(update={"promoted": True, "ready_at": START - timedelta(minutes=1)})


def _watched(rest: Status, ready: frozenset[str]) -> Iterator[State]:
    """A second version in its watch; and on the way back from it, for each reason."""
    seen = Watch(former=V1.revision, since=START, until=START + timedelta(seconds=60))
    promoted = {"attempt": 2, "stable": PROMOTED, "retiring": (FORMER,), "watch": seen}
    well = rest.model_copy(update=promoted)
    there = ASKED.model_copy(update={"accepted_at": START})
    by = {
        "2 watched": WAY,
        "2 watched, paused": WAY,
        "2 watched and autoscaled": WAY,
        "2 watched by errors": WAY,
        "labelled, watched": WAY,
        "2 watched inside": SERVICE,
        "2 watched by Gateway": there,
    }
    for wanted, way in by.items():
        gateway = way is there
        state = _state(well.model_copy(update={"routes": (way,)}), ready, wanted)
        yield replace(state, gateway=gateway)
        yield replace(state, gateway=gateway, ready=frozenset({V2.revision}))
        if SPECS[wanted].paused:
            yield replace(state, now=START + timedelta(seconds=5))
        if SPECS[wanted].autoscaling is not None:
            yield replace(state, given=((V2.revision, 6, 6),))
        for phase, weight in ((Phase.SHIFTING, 100), (Phase.SWITCHING, 100), (Phase.SETTLING, 0)):
            if wanted not in {"2 watched", "2 watched by Gateway", "2 watched inside"}:
                continue
            for reason in sorted(RETURN):
                back = on_trial(
                    phase=phase,
                    attempt=3,
                    stable=PROMOTED,
                    candidate=FORMER,
                    step=None,
                    weight=weight,
                    routes=(way,),
                    watch=seen,
                    reason=reason,
                    verdict=Verdict.RETURNED,
                )
                state = replace(_state(back, ready, wanted), gateway=gateway)
                yield state
                yield replace(state, ready=frozenset({V2.revision}))


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


def _removed(ready: frozenset[str]) -> Iterator[State]:
    """Whose status was removed a moment ago, in mid-trial and in a takeover, and whose spec asks
    for what is stable by its Service.
    """
    for phase, wanted in ((Phase.TRIAL, "1"), (Phase.SWITCHING, "2")):
        passed = {"reason": Reason.GATES_PASSED} if phase is Phase.SWITCHING else {}
        status = _on_the_way(phase, **passed)
        there = _state(status, ready, wanted)
        yield replace(there, status=Status(), applied=None)
