"""`decide` explored breadth first over an abstract cluster: in every state the promises hold, and
every path comes to rest.

A state is what is durable (the status), what the cluster has (the objects as last applied, wholly
or in part, which pods are Ready, how many labels there are) and what is asked for (the spec, one
command). Time is relative: two states that differ only in when they happen are one. A write that
fails, or that is refused because another came first, leaves the state as it is; a write whose reply
is lost is the operator's death after it.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollout_operator.desired.build import build
from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.domain.api.analysis import Metric, OnFailure
from rollout_operator.domain.api.api_types import ApiModel
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Measurement, Phase, Route, Status, Verdict
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.machine.redirect import needs_resolution
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.observed import (
    Heard,
    MetricsUnreachable,
    NotFound,
    Observed,
    RegistryUnreachable,
    Resolution,
    Series,
    Workload,
)
from rollout_operator.domain.route import Ways, asked_now
from tests.support.builders import (
    START,
    UID,
    accuracy,
    observed,
    on_trial,
    resolved,
    revision,
    spec,
)

OWNER = Owner(UID, "iris", "models")
ROOT = Path(__file__).parents[4]
MOST_STATES = 50_000
ENOUGH_FOR_A_PLANTED_BUG = 20_000
SPECS: dict[str, Spec] = {
    "1": spec("models:/iris/1"),
    "1 with more memory": spec(
        "models:/iris/1", resources={"requests": {"cpu": "100m", "memory": "1Gi"}}
    ),
    "2": spec("models:/iris/2"),
    "paused": spec("models:/iris/2", paused=True),
    "lost": spec("models:/iris/999"),
    "1 elsewhere": spec(
        "models:/iris/1", traffic={"host": "new.example.com", "removalDelay": "30s"}
    ),
    "1 by Gateway": spec(
        "models:/iris/1",
        traffic={
            "host": "iris.example.com",
            "provider": "HTTPRoute",
            "parentRefs": [{"name": "public"}],
            "removalDelay": "30s",
        },
    ),
    "labelled": spec(
        "models:/iris/2",
        strategy__advanceOn="Evidence",
        analysis={
            "interval": "5s",
            "maxHold": "40s",
            "gates": [
                {
                    "metric": "accuracy",
                    "min": 0.7,
                    "evidence": "Labelled",
                    "minSamples": 10,
                    "maxSamples": 40,
                }
            ],
        },
    ),
}
REPORTED: dict[str, float | None] = {"good": 0.9, "bad": 0.5, "NaN": math.nan, "above 1": 1.01}
REFUSED = "refused"
"""The metric is good, but the API server does not have an object of the rollout."""
METRICS = (*REPORTED, "none", "down", "two series", "stale", "future", REFUSED)
LABELS = {
    "right answers": (12, 0),
    "wrong answers": (0, 6),
    "mixed answers": (14, 6),
    "no new label": (0, 0),
}
"""Labels that come in between two looks; the sums are bounded by maxSamples."""


@dataclass(frozen=True)
class State:
    """One state of the world.

    ready: revisions whose pods are Ready; live: the status that the objects were applied by; half:
    statuses by which only the first of the objects was applied before the operator died, one for
    each object; labels: right and wrong ones of version 2 so far; gateway: whether the Gateway
    accepts HTTPRoutes; leads: whether its router leads requests by them to the pods; taken: whether
    an older rollout answers on the host; former: revisions whose pods are of a former template of
    their Deployment.
    """

    status: Status
    live: Status
    ready: frozenset[str]
    wanted: str
    command: str
    now: datetime
    half: tuple[Status, ...] = ()
    labels: tuple[int, int] = (0, 0)
    gateway: bool = False
    leads: bool = True
    taken: bool = False
    former: frozenset[str] = frozenset()

    def key(self) -> int:
        """The state without its place in time, in steps of 5 s, and without texts and what a
        revision's name stands for.
        """
        live = None if self.live is self.status else frozen(self.live, self.now)
        half = frozen(self.half, self.now)
        rejected = tuple(r.revision for r in self.status.rejected)
        around = (
            self.ready,
            self.wanted,
            self.command,
            self.labels,
            self.gateway,
            self.leads,
            self.taken,
            self.former,
        )
        parts = (frozen(self.status, self.now), live, half, around, rejected)
        return hash(parts)


LEFT_OUT = frozenset(
    [
        "message",
        "conditions",
        "history",
        "attempt",
        "rejected",
        "attempt_since",
        "since",
        "at",
        "observed_generation",
        "image",
        "digest",
        "signature",
        "run",
        "uri",
        "requested",
        "version",
        "eta",
        "cohorts",
    ]
)


def frozen(value: Any, now: datetime) -> Any:
    """A value of status as a tuple, times as ages in steps of 5 s, all ages above 100 s alike."""
    if isinstance(value, ApiModel):
        return tuple(frozen(v, now) for k, v in value.__dict__.items() if k not in LEFT_OUT)
    if isinstance(value, tuple):
        return tuple(frozen(v, now) for v in value)
    if isinstance(value, datetime):
        return min(round((now - value).total_seconds() / 5), 20)
    return value


def objects(state: State) -> dict[str, Manifest]:
    """What the cluster has."""
    found = {
        f"{m['kind']}/{m['metadata']['name']}": m
        for m in build(OWNER, SPECS[state.wanted], state.live, {})
    }
    first = [m for half in state.half for m in build(OWNER, SPECS[state.wanted], half, {})[:1]]
    return found | {f"{m['kind']}/{m['metadata']['name']}": m for m in first}


def routes(live: dict[str, Manifest]) -> dict[tuple[str, str], tuple[str, str]]:
    """The routes among these objects that lead to the stable Service: kind and host, by kind and
    name.
    """
    found = {}
    for one in live.values():
        if one["kind"] == "HTTPRoute":
            found["HTTPRoute", one["metadata"]["name"]] = ("HTTPRoute", one["spec"]["hostnames"][0])
        elif one["kind"] == "Ingress" and not one["metadata"]["name"].endswith("-canary"):
            found["Ingress", one["metadata"]["name"]] = ("Ingress", one["spec"]["rules"][0]["host"])
    return found


def accepted(state: State) -> set[tuple[str, str]]:
    """Kind and host of the routes by which requests come."""
    return {
        (kind, host)
        for kind, host in routes(objects(state)).values()
        if kind == "Ingress" or (state.gateway and state.leads)
    }


def asked_for(state: State) -> tuple[str, str]:
    """Kind and host of the route that the spec asks for."""
    return str(SPECS[state.wanted].traffic.provider), SPECS[state.wanted].traffic.host


def first_object(state: State, status: Status) -> str:
    """The object that is applied first by this status."""
    return next(
        (
            f"{m['kind']}/{m['metadata']['name']}"
            for m in build(OWNER, SPECS[state.wanted], status, {})
        ),
        "",
    )


def answer(state: State, metric: str) -> Any:
    """What Prometheus says of the candidate."""
    seconds = (state.now - START).total_seconds()
    if metric == "down":
        return MetricsUnreachable("down")
    if metric in LABELS:
        moment, (right, wrong) = state.now.timestamp(), state.labels
        return (
            Series("ml_feedback_total", "a", moment, right, outcome="correct"),
            Series("ml_feedback_total", "a", moment, wrong, outcome="wrong"),
            Series("ml_predictions_total", "a", moment, right + wrong),
        )
    series = {
        "none": (),
        REFUSED: accuracy(0.9, seconds)[Metric.ACCURACY],
        "two series": (
            accuracy(0.9, seconds)[Metric.ACCURACY] + accuracy(0.9, seconds)[Metric.ACCURACY]
        ),
        "stale": accuracy(0.9, seconds - 31)[Metric.ACCURACY],
        "future": accuracy(0.9, seconds + 60)[Metric.ACCURACY],
    }
    return (
        series[metric]
        if metric in series
        else accuracy(REPORTED[metric] or 0.0, seconds)[Metric.ACCURACY]
    )


def look(state: State, metric: str, registry: str) -> Plan:
    """One look of the operator at this state."""
    wanted, status = SPECS[state.wanted], state.status
    resolution: Resolution | None = None
    if needs_resolution(wanted, status):
        version = wanted.model_uri.rsplit("/", 1)[1]
        resolution = (
            RegistryUnreachable("down")
            if registry == "down"
            else NotFound("no")
            if version == "999"
            else resolved(int(version))
        )
    live = objects(state)
    running = {
        m["metadata"]["labels"]["rollouts.mlops.dev/revision"]: m["spec"]["replicas"]
        for m in deployments(state)
    }
    workloads = {r: Workload(n if r in state.ready else 0, n) for r, n in running.items()}
    compared = status.phase is not Phase.PROMOTED or status.shortage is not None
    for one in filter(None, (status.stable, status.candidate)):
        if (known := workloads.get(one.revision)) is not None:
            as_asked = not compared or resources(live, one.revision) == one.resources.to_api()
            workloads[one.revision] = replace(
                known, current=known.ready if as_asked and one.revision not in state.former else 0
            )
    ways = Ways(
        "iris",
        wanted.traffic,
        status,
        {
            place: "" if how[0] == "Ingress" or state.gateway else "none"
            for place, how in routes(live).items()
        },
    )
    trouble = "HTTP 403 no quota is left" if metric == REFUSED else ""
    answering = live.get("Service/iris")
    selected = answering["spec"]["selector"]["rollouts.mlops.dev/revision"] if answering else ""
    refused = ways.asked_for(trouble)
    # An Ingress here publishes no address; a Gateway does.
    route = asked_now(wanted.traffic, status)
    asked = route is not None and not refused and route.provider is Provider.HTTP_ROUTE
    return decide(
        observed(
            (state.now - START).total_seconds(),
            spec=None if state.taken else wanted,
            spec_error="an older rollout answers there" if state.taken else "",
            status=status,
            resolution=resolution,
            commands={state.command: str(status.attempt)} if state.command else {},
            workloads=workloads,
            stable_endpoints=frozenset({selected} & state.ready),
            answers={Metric.ACCURACY: answer(state, metric)},
            api_rejection=trouble,
            route_trouble=trouble or ways.in_use(),
            unaccepted=refused,
            heard=(Heard() if state.leads else Heard("HTTP 404")) if asked else None,
        )
    )


def resources(live: dict[str, Manifest], revision: str) -> Any:
    """What the Deployment of a revision gives its pods; None where there is no such Deployment."""
    one = live.get(f"Deployment/iris-{revision}")
    return (
        one["spec"]["template"]["spec"]["containers"][0]["resources"] if one is not None else None
    )


def applied(before: State, after: State) -> State:
    """The state after all objects were applied: pods of a template that differs are of a former
    one.
    """
    there, now = objects(before), objects(after)
    names = {m["metadata"]["labels"]["rollouts.mlops.dev/revision"] for m in deployments(after)}
    stayed = {r for r in names if resources(there, r) is not None}
    changed = {r for r in stayed if resources(there, r) != resources(now, r)}
    return replace(after, former=(after.former & stayed) | changed)


def deployments(state: State) -> list[Manifest]:
    return [m for m in objects(state).values() if m["kind"] == "Deployment"]


def measured(state: State) -> Iterator[tuple[str, State]]:
    """Everything that the metrics can say at a look; the labels that go with it."""
    if state.status.phase is not Phase.TRIAL:
        yield from (("none", state), (REFUSED, state))
    elif state.wanted != "labelled":
        yield from ((metric, state) for metric in METRICS)
    else:
        for metric, (right, wrong) in LABELS.items():
            more = (state.labels[0] + right, state.labels[1] + wrong)
            yield metric, replace(state, labels=more) if sum(more) <= 60 else state
        yield "down", state


def steps(state: State) -> Iterator[tuple[str, State]]:
    """Everything that can happen next."""
    for metric, seen in measured(state):
        for registry in (
            ("up", "down") if needs_resolution(SPECS[state.wanted], state.status) else ("up",)
        ):
            yield from looked(state, seen, metric, registry)
    yield from around(state)


def looked(state: State, seen: State, metric: str, registry: str) -> Iterator[tuple[str, State]]:
    """What follows from one look: all that was decided is done, or the operator dies on the way."""
    plan = look(seen, metric, registry)
    yield (
        f"look, metric {metric}, registry {registry}",
        applied(state, replace(seen, status=plan.status, live=plan.status, half=())),
    )
    if plan.status != state.status:
        # What was applied before a death stays, until it is applied otherwise.
        others = (
            h for h in state.half if first_object(state, h) != first_object(state, plan.status)
        )
        half = (*others, plan.status)
        yield f"look and die, metric {metric}", replace(seen, status=plan.status)
        yield (
            f"look and die after one object, metric {metric}",
            replace(seen, status=plan.status, half=half),
        )


def around(state: State) -> Iterator[tuple[str, State]]:
    """Everything that can happen while the operator does not look."""
    for seconds in (5, 31, 61):
        yield f"{seconds} s pass", replace(state, now=state.now + timedelta(seconds=seconds))
    for one in sorted(
        {m["metadata"]["labels"]["rollouts.mlops.dev/revision"] for m in deployments(state)}
    ):
        yield f"pods of {one} change", replace(state, ready=state.ready ^ {one})
    for one in sorted(state.former):
        yield f"pods of {one} are replaced", replace(state, former=state.former - {one})
    for wanted in SPECS:
        if wanted != state.wanted:
            yield f"the spec asks for {wanted}", replace(state, wanted=wanted)
    for command in ("", "abort", "promote", "skip", "retry"):
        if command != state.command:
            yield f"command {command or 'removed'}", replace(state, command=command)
    yield "the Gateway comes or goes", replace(state, gateway=not state.gateway)
    yield "the Gateway's router leads there, or not", replace(state, leads=not state.leads)
    yield "an older rollout comes or goes", replace(state, taken=not state.taken)
    yield (
        "deleted and made again",
        State(Status(), Status(), frozenset(), state.wanted, "", state.now),
    )


def broken(before: State, event: str, after: State) -> str:  # noqa: C901, PLR0911, PLR0912 - a list of promises, one after the other
    """Which promise does not hold after this step; "" where all do."""
    old, new, live = before.status, after.status, objects(after)
    canary = live.get("Ingress/iris-canary")
    weight = (
        int(canary["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"])
        if canary
        else by_gateway(live)
    )
    names = {m["metadata"]["name"] for m in live.values() if m["kind"] == "Deployment"}
    answering = {
        n: m
        for n, m in live.items()
        if n.startswith("Service/") and (weight or n == "Service/iris")
    }
    routed = {m["spec"]["selector"]["rollouts.mlops.dev/revision"] for m in answering.values()}
    if event == "deleted and made again":
        return ""
    if (
        f"metric {REFUSED}" in event
        and {c.type: c.status for c in new.conditions}["Ready"] == "True"
    ):
        return "it looks well while an object is refused"
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
    if new.stable != old.stable and old.stable is not None and new.phase is not Phase.PROMOTED:
        return "stable changes outside of promotion"
    if new.phase is Phase.PROMOTED and old.phase is not Phase.PROMOTED and new.stable is None:
        return "promoted without stable"
    promoted = (
        new.phase in {Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING} and old.phase is Phase.TRIAL
    )
    if (
        promoted
        and before.command not in {"promote", "skip"}
        and any(g.measurement is not Measurement.PASS for g in new.gates)
    ):
        return "promoted without fresh proof"
    # Labelled gates need requests, and on the first deploy none can come yet.
    unmeasured = not new.gates and (before.wanted != "labelled" or old.stable is not None)
    if promoted and unmeasured and before.command not in {"promote", "skip"}:
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
        and before.wanted != "labelled"
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
    if asked[0] == "HTTPRoute" and not before.leads:
        if (
            old.stable is None
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
    came = accepted(before)
    if led - kept and asked not in came:
        return "a way is taken away before the new one is accepted and answers"
    return "no way is left by which requests come" if came and not came & kept else ""


def _ready(status: Status) -> bool:
    return {c.type: c.status for c in status.conditions}["Ready"] == "True"


def _measured(old: Status, new: Status) -> bool:
    return any(g.measurement is Measurement.FAIL for g in new.gates) and new.attempt == old.attempt


def beginnings() -> list[State]:
    """A new object, and every phase of a second version's way:
    what breadth alone would reach late.
    """
    first = State(Status(), Status(), frozenset(), "1", "", START)
    v1, v2 = revision(1, promoted=True), revision(2, replicas=1, ready_at=START)
    ready = frozenset({v1.revision, v2.revision})
    phases = (
        Phase.STARTING,
        Phase.TRIAL,
        Phase.PROMOTING,
        Phase.SHIFTING,
        Phase.SWITCHING,
        Phase.SETTLING,
        Phase.ROLLING_BACK,
    )
    weights = {Phase.TRIAL: 50, Phase.PROMOTING: 50, Phase.SHIFTING: 100, Phase.SWITCHING: 100}
    way = Route(
        name="iris",
        provider=Provider.INGRESS,
        host="iris.example.com",
        path="/",
        ingress_class_name="nginx",
        since=START,
        accepted_at=START,
    )
    at_rest = Status(phase=Phase.PROMOTED, phase_since=START, attempt=1, stable=v1, routes=(way,))
    found = [first, State(at_rest, at_rest, ready, "1", "", START)]
    for phase in phases:
        status = on_trial(
            phase=phase,
            stable=v1,
            candidate=v2,
            step=1,
            weight=weights.get(phase, 0),
            routes=(way,),
        )
        found += [State(status, status, ready, wanted, "", START) for wanted in ("2", "labelled")]
    asked = way.model_copy(
        update={
            "provider": Provider.HTTP_ROUTE,
            "ingress_class_name": "",
            "parents": ("public",),
            "accepted_at": None,
        }
    )
    waiting = at_rest.model_copy(update={"routes": (asked, way)})
    to_gateway = State(waiting, waiting, ready, "1 by Gateway", "", START)
    v1 = v1.model_copy(update={"promoted": False, "ready_at": START})
    opening = on_trial(
        phase=Phase.SWITCHING,
        attempt=1,
        stable=None,
        candidate=v1,
        step=None,
        weight=0,
        routes=(asked,),
    )
    first = State(opening, opening, ready, "1 by Gateway", "", START, gateway=True, leads=False)
    return [
        *found,
        replace(to_gateway, status=at_rest, live=at_rest),
        to_gateway,
        replace(to_gateway, gateway=True, leads=False),
        first,
    ]


def explore(most: int) -> tuple[int, int, list[str]]:
    """Breadth first: how many distinct states were seen, within how many steps of a beginning all
    of them, every promise broken.
    """
    seeds = beginnings()
    seen, queue, depth = {s.key() for s in seeds}, deque((s, 0) for s in seeds), 0
    violations: list[str] = []
    while queue and len(seen) < most and len(violations) < 5:
        state, depth = queue.popleft()
        for event, after in steps(state):
            if why := broken(state, event, after):
                violations.append(f"{why}: in {state.status.phase} after '{event}'")
            if (key := after.key()) not in seen:
                seen.add(key)
                queue.append((after, depth + 1))
    return len(seen), depth, violations


def test_the_promises_hold_in_every_state_near_a_beginning() -> None:
    states, depth, violations = explore(MOST_STATES)
    assert violations == []
    assert states >= MOST_STATES
    told = " ".join((ROOT / "docs" / "operations" / "reliability.md").read_text().split())
    assert f"{MOST_STATES:,} distinct states" in told
    assert f"all within {depth} steps of {len(beginnings())} beginnings" in told


@pytest.mark.parametrize("metric", ["good", "bad", "none", "down"])
@pytest.mark.parametrize("wanted", ["1", "2", "lost"])
@pytest.mark.parametrize(
    "ready", [True, False], ids=["pods become Ready", "pods never become Ready"]
)
def test_every_path_comes_to_rest(metric: str, wanted: str, ready: bool) -> None:
    """From each of many states, with nothing changing any more, the engine comes to rest in bounded
    time and stays there.

    What an older rollout on the host holds is held as long as that is there; it is looked at
    without.
    """
    seeds = beginnings()
    seen, queue, tried = {s.key() for s in seeds}, deque(seeds), 0
    while queue and tried < 40:
        state = queue.popleft()
        tried += 1
        rest = settle(replace(state, wanted=wanted, command="", taken=False), metric, ready)
        assert rest.status.phase in AT_REST, f"{state.status.phase} never ends: {rest.status.phase}"
        for _, after in steps(state):
            if (key := after.key()) not in seen:
                seen.add(key)
                queue.append(after)


def settle(state: State, metric: str, ready: bool) -> State:
    for _ in range(400):
        revisions = {
            m["metadata"]["labels"]["rollouts.mlops.dev/revision"] for m in deployments(state)
        }
        state = replace(
            state, ready=frozenset(revisions) if ready else frozenset(), former=frozenset()
        )
        plan = look(state, metric, "up")
        resting = (
            plan.status == state.status
            and plan.status.phase in AT_REST
            and not plan.status.retiring
        )
        due = max(plan.requeue_at or state.now, state.now + timedelta(seconds=0.01))
        state = replace(state, status=plan.status, live=plan.status, now=due)
        if resting:
            break
    return state


REAL = decide


def ignores_failure(seen: Observed) -> Plan:
    """Planted: a failed gate is taken for a passed one."""
    good = {
        m: tuple(replace(s, value=0.9) for s in a) if isinstance(a, tuple) else a
        for m, a in seen.answers.items()
    }
    plan = REAL(replace(seen, answers=good))
    return replace(plan, status=plan.status.model_copy(update={"gates": REAL(seen).status.gates}))


def promotes_without_evidence(seen: Observed) -> Plan:
    """Planted: silence promotes."""
    plan = REAL(seen)
    silent = (
        seen.status.phase is Phase.TRIAL
        and plan.status.phase is Phase.TRIAL
        and seen.status.step == 1
    )
    return (
        replace(plan, status=plan.status.model_copy(update={"phase": Phase.PROMOTING}))
        if silent
        else plan
    )


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
    return (
        replace(plan, status=plan.status.model_copy(update={"stable": plan.status.candidate}))
        if early
        else plan
    )


def takes_promoted_for_ready(seen: Observed) -> Plan:
    """Planted: what was promoted once is Ready for ever."""
    full = {r: replace(w, ready=w.wanted, current=w.wanted) for r, w in seen.workloads.items()}
    plan, blind = REAL(seen), REAL(replace(seen, workloads=full))
    return blind if plan.status.phase is Phase.PROMOTED is blind.status.phase else plan


def takes_former_pods_for_new_ones(seen: Observed) -> Plan:
    """Planted: pods that are Ready count, of whatever template they are."""
    return REAL(
        replace(seen, workloads={r: replace(w, current=None) for r, w in seen.workloads.items()})
    )


def tries_what_is_stable(seen: Observed) -> Plan:
    """Planted: other resources make another model."""
    plan = REAL(seen)
    before, after = seen.status.stable, plan.status.stable
    tried = before is not None and after is not None and before.resources != after.resources
    return (
        replace(plan, status=plan.status.model_copy(update={"attempt": plan.status.attempt + 1}))
        if tried
        else plan
    )


def takes_every_route_for_accepted(seen: Observed) -> Plan:
    """Planted: what the router says of the route is not looked at."""
    return REAL(replace(seen, unaccepted=""))


def leaves_the_former_way(seen: Observed) -> Plan:
    """Planted: the former way goes as soon as the spec asks for another."""
    plan = REAL(seen)
    return replace(plan, status=plan.status.model_copy(update={"routes": plan.status.routes[:1]}))


def takes_accepted_for_answering(seen: Observed) -> Plan:
    """Planted: the former way goes though the new one, accepted, answers nobody."""
    return REAL(replace(seen, heard=None))


def looks_well_on_a_taken_host(seen: Observed) -> Plan:
    """Planted: that an older rollout answers there is not said."""
    return REAL(replace(seen, spec_error=""))


PLANTED = (
    takes_former_pods_for_new_ones,
    tries_what_is_stable,
    takes_every_route_for_accepted,
    leaves_the_former_way,
    takes_accepted_for_answering,
    looks_well_on_a_taken_host,
    takes_promoted_for_ready,
    ignores_failure,
    promotes_without_evidence,
    keeps_the_weight,
    forgets_attempts,
    switches_early,
)


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_bug_is_caught(
    planted: Callable[[Observed], Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "decide", planted)
    *_, violations = explore(ENOUGH_FOR_A_PLANTED_BUG)
    assert violations
