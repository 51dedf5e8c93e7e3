"""`decide` explored breadth first over an abstract cluster: in every state the promises hold, and every path comes to rest.

A state is what is durable (the status), what the cluster has (the objects as last applied, which pods are Ready) and what is
asked for (the spec, one command). Time is relative: two states that differ only in when they happen are one.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rollout_operator.domain.decide import AT_REST, Plan, decide, needs_resolution
from rollout_operator.domain.observed import MetricsUnreachable, NotFound, Observed, RegistryUnreachable, Resolution, Workload
from rollout_operator.domain.spec import Metric, Spec
from rollout_operator.domain.status import Measurement, Phase, Status, Verdict
from rollout_operator.objects import Manifest, Owner
from rollout_operator.objects.build import build
from tests.unit.engine.builders import START, UID, accuracy, observed, on_trial, resolved, revision, spec

OWNER = Owner(UID, "iris", "models")
MOST_STATES = 20_000
SPECS: dict[str, Spec] = {
    "1": spec("models:/iris/1"),
    "2": spec("models:/iris/2"),
    "paused": spec("models:/iris/2", paused=True),
    "lost": spec("models:/iris/999"),
}
METRICS = ("good", "bad", "none", "down")


@dataclass(frozen=True)
class State:
    """One state of the world; `ready`: revisions whose pods are Ready; `live`: the status that the objects were applied by."""

    status: Status
    live: Status
    ready: frozenset[str]
    wanted: str
    command: str
    now: datetime

    def key(self) -> str:
        """The state without its place in time, in steps of 5 s, and without texts."""

        def relative(value: Any, name: str = "") -> Any:
            if name in {"message", "conditions", "history", "attempt", "rejected", "attemptSince", "since", "at", "observedGeneration"}:
                return None
            if isinstance(value, dict):
                return {k: relative(v, k) for k, v in value.items()}
            if isinstance(value, list):
                return [relative(v) for v in value]
            if isinstance(value, str) and value.endswith("Z") and "T" in value:
                return min(round((self.now - datetime.fromisoformat(value)).total_seconds() / 5), 20)
            return value

        parts = [relative(self.status.to_api()), relative(self.live.to_api()), sorted(self.ready), self.wanted, self.command]
        return json.dumps([*parts, [r.revision for r in self.status.rejected]], sort_keys=True)


def objects(state: State) -> dict[str, Manifest]:
    """What the cluster has."""
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in build(OWNER, SPECS[state.wanted], state.live, {})}


def look(state: State, metric: str, registry: str) -> Plan:
    """One look of the operator at this state."""
    wanted, status = SPECS[state.wanted], state.status
    resolution: Resolution | None = None
    if needs_resolution(wanted, status):
        version = wanted.model_uri.rsplit("/", 1)[1]
        resolution = RegistryUnreachable("down") if registry == "down" else NotFound("no") if version == "999" else resolved(int(version))
    running = {m["metadata"]["labels"]["rollouts.mlops.dev/revision"]: m["spec"]["replicas"] for m in deployments(state)}
    answering = objects(state).get("Service/iris")
    selected = answering["spec"]["selector"]["rollouts.mlops.dev/revision"] if answering else ""
    answers: dict[Metric, Any] = {}
    if metric == "down":
        answers = {Metric.ACCURACY: MetricsUnreachable("down")}
    elif metric != "none":
        answers = dict(accuracy({"good": 0.9, "bad": 0.5}[metric], (state.now - START).total_seconds()))
    return decide(
        observed(
            (state.now - START).total_seconds(),
            spec=wanted,
            status=status,
            resolution=resolution,
            commands={state.command: str(status.attempt)} if state.command else {},
            workloads={r: Workload(n if r in state.ready else 0, n) for r, n in running.items()},
            stable_endpoints=frozenset({selected} & state.ready),
            answers=answers,
        )
    )


def deployments(state: State) -> list[Manifest]:
    return [m for m in objects(state).values() if m["kind"] == "Deployment"]


def steps(state: State) -> Iterator[tuple[str, State]]:
    """Everything that can happen next."""
    for metric in METRICS if state.status.phase is Phase.TRIAL else ("none",):
        for registry in ("up", "down") if needs_resolution(SPECS[state.wanted], state.status) else ("up",):
            plan = look(state, metric, registry)
            yield f"look, metric {metric}, registry {registry}", replace(state, status=plan.status, live=plan.status)
            # Killed between the write of the status and the objects.
            if plan.status != state.status:
                yield f"look and die, metric {metric}", replace(state, status=plan.status)
    for seconds in (5, 31, 61):
        yield f"{seconds} s pass", replace(state, now=state.now + timedelta(seconds=seconds))
    for one in {m["metadata"]["labels"]["rollouts.mlops.dev/revision"] for m in deployments(state)}:
        yield f"pods of {one} change", replace(state, ready=state.ready ^ {one})
    for wanted in SPECS:
        if wanted != state.wanted:
            yield f"the spec asks for {wanted}", replace(state, wanted=wanted)
    for command in ("", "abort", "promote", "skip", "retry"):
        if command != state.command:
            yield f"command {command or 'removed'}", replace(state, command=command)


def broken(before: State, event: str, after: State) -> str:  # noqa: C901, PLR0911 - a list of promises, one after the other
    """Which promise does not hold after this step; "" where all do."""
    old, new, live = before.status, after.status, objects(after)
    canary = live.get("Ingress/iris-canary")
    weight = int(canary["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"]) if canary else 0
    names = {m["metadata"]["name"] for m in live.values() if m["kind"] == "Deployment"}
    routed = {s["spec"]["selector"]["rollouts.mlops.dev/revision"] for n, s in live.items() if n.startswith("Service/")}
    if new.attempt < old.attempt:
        return "the attempt number shrinks"
    if weight and new.phase not in {Phase.TRIAL, Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING} and event.startswith("look, "):
        return f"weight {weight} in phase {new.phase}"
    if any(f"iris-{r}" not in names for r in routed):
        return "a Service selects pods that have no Deployment"
    if new.stable != old.stable and old.stable is not None and new.phase is not Phase.PROMOTED:
        return "stable changes outside of promotion"
    if new.phase is Phase.PROMOTED and old.phase is not Phase.PROMOTED and new.stable is None:
        return "promoted without stable"
    promoted = new.phase is Phase.PROMOTING and old.phase is Phase.TRIAL
    if promoted and before.command not in {"promote", "skip"} and any(g.measurement is not Measurement.PASS for g in new.gates):
        return "promoted without fresh proof"
    if promoted and not new.gates and before.command not in {"promote", "skip"}:
        return "promoted without any measurement"
    failed = old.phase is Phase.TRIAL and "metric bad" in event and old.candidate is not None
    if failed and new.weight > 0 and not before.command and SPECS[before.wanted].paused is False and _measured(old, new):
        return "a failed gate leaves the weight"
    silent = old.phase is Phase.TRIAL and ("metric none" in event or "metric down" in event)
    if silent and old.no_evidence_since is None and new.verdict is Verdict.ROLLED_BACK and not before.command and old.setbacks < 3:
        return "rolled back for want of evidence before maxHold"
    if old.stable is not None and f"iris-{old.stable.revision}" not in names and new.phase is not Phase.PROMOTED:
        return "the stable pods are gone"
    return ""


def _measured(old: Status, new: Status) -> bool:
    return any(g.measurement is Measurement.FAIL for g in new.gates) and new.attempt == old.attempt


def beginnings() -> list[State]:
    """A new object, and every phase of a second version's way: what breadth alone would reach late."""
    first = State(Status(), Status(), frozenset(), "1", "", START)
    v1, v2 = revision(1, promoted=True), revision(2, replicas=1, ready_at=START)
    ready = frozenset({v1.revision, v2.revision})
    phases = (Phase.STARTING, Phase.TRIAL, Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING, Phase.SETTLING, Phase.ROLLING_BACK)
    weights = {Phase.TRIAL: 50, Phase.PROMOTING: 50, Phase.SHIFTING: 100, Phase.SWITCHING: 100}
    found = [first]
    for phase in phases:
        status = on_trial(phase=phase, stable=v1, candidate=v2, step=1, weight=weights.get(phase, 0))
        found.append(State(status, status, ready, "2", "", START))
    return found


def explore(most: int) -> tuple[int, list[str]]:
    """Breadth first from a new object; returns how many distinct states were seen and every promise broken."""
    seeds = beginnings()
    seen, queue = {s.key() for s in seeds}, deque(seeds)
    violations: list[str] = []
    while queue and len(seen) < most and len(violations) < 5:
        state = queue.popleft()
        for event, after in steps(state):
            if why := broken(state, event, after):
                violations.append(f"{why}: in {state.status.phase} after '{event}'")
            if (key := after.key()) not in seen:
                seen.add(key)
                queue.append(after)
    return len(seen), violations


def test_the_promises_hold_in_every_state() -> None:
    states, violations = explore(MOST_STATES)
    assert violations == []
    assert states >= MOST_STATES


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("wanted", ["1", "2", "lost"])
@pytest.mark.parametrize("ready", [True, False], ids=["pods become Ready", "pods never become Ready"])
def test_every_path_comes_to_rest(metric: str, wanted: str, ready: bool) -> None:
    """From each of many states, with nothing changing any more, the engine comes to rest in bounded time and stays there."""
    seeds = beginnings()
    seen, queue, tried = {s.key() for s in seeds}, deque(seeds), 0
    while queue and tried < 40:
        state = queue.popleft()
        tried += 1
        rest = settle(replace(state, wanted=wanted, command=""), metric, ready)
        assert rest.status.phase in AT_REST, f"{state.status.phase} never ends: {rest.status.phase}"
        for _, after in steps(state):
            if (key := after.key()) not in seen:
                seen.add(key)
                queue.append(after)


def settle(state: State, metric: str, ready: bool) -> State:
    for _ in range(400):
        revisions = {m["metadata"]["labels"]["rollouts.mlops.dev/revision"] for m in deployments(state)}
        state = replace(state, ready=frozenset(revisions) if ready else frozenset())
        plan = look(state, metric, "up")
        resting = plan.status == state.status and plan.status.phase in AT_REST and not plan.status.retiring
        due = max(plan.look_at or state.now, state.now + timedelta(seconds=0.01))
        state = replace(state, status=plan.status, live=plan.status, now=due)
        if resting:
            break
    return state


REAL = decide


def ignores_failure(seen: Observed) -> Plan:
    """Planted: a failed gate is taken for a passed one."""
    good = {m: tuple(replace(s, value=0.9) for s in a) if isinstance(a, tuple) else a for m, a in seen.answers.items()}
    plan = REAL(replace(seen, answers=good))
    return replace(plan, status=plan.status.model_copy(update={"gates": REAL(seen).status.gates}))


def promotes_without_evidence(seen: Observed) -> Plan:
    """Planted: silence promotes."""
    plan = REAL(seen)
    silent = seen.status.phase is Phase.TRIAL and plan.status.phase is Phase.TRIAL and seen.status.step == 1
    return replace(plan, status=plan.status.model_copy(update={"phase": Phase.PROMOTING})) if silent else plan


def keeps_the_weight(seen: Observed) -> Plan:
    """Planted: rolling back leaves the weight."""
    plan = REAL(seen)
    rolls = plan.status.phase is Phase.ROLLING_BACK
    return replace(plan, status=plan.status.model_copy(update={"weight": 10})) if rolls else plan


def forgets_attempts(seen: Observed) -> Plan:
    """Planted: a supersession starts counting anew."""
    plan = REAL(seen)
    new = plan.status.attempt > 1 and plan.status.attempt > seen.status.attempt
    return replace(plan, status=plan.status.model_copy(update={"attempt": 0})) if new else plan


def switches_early(seen: Observed) -> Plan:
    """Planted: the candidate is called stable when it is only about to be."""
    plan = REAL(seen)
    early = plan.status.phase is Phase.SHIFTING
    return replace(plan, status=plan.status.model_copy(update={"stable": plan.status.candidate})) if early else plan


@pytest.mark.parametrize("planted", [ignores_failure, promotes_without_evidence, keeps_the_weight, forgets_attempts, switches_early])
def test_a_planted_bug_is_caught(planted: Callable[[Observed], Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "decide", planted)
    _, violations = explore(MOST_STATES)
    assert violations
