"""An abstract cluster that `decide` is explored in: its states, and all that can happen next.

A state is what is durable (the status), what the cluster has (the objects as last applied, wholly
or in part, which pods are Ready, how many labels there are) and what is asked for (the spec, one
command). Time is relative: two states that differ only in when they happen are one. A write that
fails, or that is refused because another came first, leaves the state as it is; a write whose reply
is lost is the operator's death after it.
"""

import json
import marshal
import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from hashlib import blake2b
from typing import Any

from rollout_operator.desired.build import build
from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.deployment import served_by
from rollout_operator.desired.service import stable_of
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.api_types import ApiModel
from rollout_operator.domain.api.names import COMMAND_REASON, GROUP, POD_SETTINGS, REVISION
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.drain import WAITS, question, waits_since
from rollout_operator.domain.machine.commands import commanded
from rollout_operator.domain.machine.redirect import needs_resolution
from rollout_operator.domain.machine.trial import needs_measurement
from rollout_operator.domain.observed import (
    Claim,
    DigestMissing,
    Followed,
    Heard,
    Inspection,
    MetricsUnreachable,
    NotFound,
    NotReady,
    Observed,
    RegistryUnreachable,
    Resolution,
    Resolved,
    Series,
    Unpinned,
    Workload,
)
from rollout_operator.domain.profiles import Chosen, settings_hash
from rollout_operator.domain.route import asked_now
from rollout_operator.domain.route_trouble import Ways
from rollout_operator.domain.windows import NEVER, Freeze
from tests.support.builders import (
    START,
    UID,
    accuracy,
    observed,
    resolved,
    spec,
)
from tests.support.proofs import shown
from tests.unit.operator.domain.machine_router import Late, ages, follows_later, heard_of, led

OWNER = Owner(UID, "iris", "models")
GATEWAY = {
    "host": "iris.example.com",
    "provider": "HTTPRoute",
    "parentRefs": [{"name": "public"}],
    "removalDelay": "30s",
}
INSIDE = {"provider": "None", "removalDelay": "30s"}
"""Callers inside the cluster: the Service itself divides connections."""
MORE_MEMORY = {"requests": {"cpu": "100m", "memory": "1Gi"}}


FULL = [{"weight": 10, "hold": "5s"}, {"weight": 100, "hold": "5s"}]
"""Steps by which a candidate has its full size on trial, and nothing is left to shift."""


SCALING = {"min": 2, "max": 8, "metric": "cpu", "target": 70}


def _labelled(version: int = 2, *, more: dict[str, Any] | None = None, **gate: Any) -> Spec:
    """A version on trial by labels, which takes 10 to 40 of them."""
    known = {"metric": "accuracy", "min": 0.7, "evidence": "Labelled"}
    gates = [{**known, "minSamples": 10, "maxSamples": 40, **gate}]
    return spec(
        f"models:/iris/{version}",
        strategy__advanceOn="Evidence",
        analysis={"interval": "5s", "maxHold": "40s", "gates": gates, **(more or {})},
    )


def _labelled_by_approval() -> Spec:
    """The same, and a person decides at last."""
    raw = _labelled().to_api()
    raw["strategy"]["approval"] = "Required"
    return Spec.model_validate(raw)


def _full(wanted: Spec) -> Spec:
    """The same with steps up to all requests."""
    raw = wanted.to_api()
    raw["strategy"]["steps"] = FULL
    return Spec.model_validate(raw)


def _copied() -> Spec:
    """A version on trial by answers to copies, which takes 10 to 40 of them; its first step gives
    it nothing else, its last one no copies.
    """
    raw = _labelled().to_api()
    raw["strategy"]["steps"] = [
        {"weight": 0, "shadow": 100, "hold": "5s"},
        {"weight": 10, "shadow": 50, "hold": "5s"},
        {"weight": 50, "hold": "5s"},
    ]
    gate = {
        "metric": "disagreement",
        "max": 0.3,
        "minSamples": 10,
        "maxSamples": 40,
        "designEffect": 1,
    }
    raw["analysis"]["gates"] = [gate]
    return Spec.model_validate(raw)


def _watched(wanted: Spec) -> Spec:
    """The same, watched after its promotion."""
    raw = wanted.to_api()
    raw["strategy"]["watch"] = "60s"
    return Spec.model_validate(raw)


SURE = [{"metric": "accuracy", "min": 0.7, "minSamples": 200}]
"""A value of so many labels is no chance, where it fails."""

SPECS: dict[str, Spec] = {
    "1": spec("models:/iris/1"),
    "1 with more memory": spec("models:/iris/1", resources=MORE_MEMORY),
    "2": spec("models:/iris/2"),
    "paused": spec("models:/iris/2", paused=True),
    "lost": spec("models:/iris/999"),
    "1 elsewhere": spec(
        "models:/iris/1", traffic={"host": "new.example.com", "removalDelay": "30s"}
    ),
    "1 by Gateway": spec("models:/iris/1", traffic=GATEWAY),
    "1 on a host more": spec(
        "models:/iris/1",
        traffic={
            "host": "iris.example.com",
            "hosts": ["new.example.com"],
            "removalDelay": "30s",
        },
    ),
    "labelled": _labelled(),
    "2 autoscaled": spec("models:/iris/2", autoscaling=SCALING),
    "2 inside": spec("models:/iris/2", traffic=INSIDE),
    "2 watched": spec("models:/iris/2", strategy__watch="60s", analysis__gates=SURE),
    "2 by approval": spec("models:/iris/2", strategy__approval="Required"),
}
"""What the spec can ask for near a beginning."""
NEAR = tuple(SPECS)
SPECS |= {
    "2 by errors": spec("models:/iris/2", analysis__gates=[{"metric": "errorRate", "max": 0.01}]),
    "1 inside": spec("models:/iris/1", traffic=INSIDE),
    "1 with a pod more": spec("models:/iris/1", replicas=3),
    "1 autoscaled": spec("models:/iris/1", autoscaling=SCALING),
    "2 autoscaled, of three pods at most": spec(
        "models:/iris/2", autoscaling=SCALING | {"min": 1, "max": 3}
    ),
    "3 autoscaled, in silence": spec(
        "models:/iris/3", autoscaling=SCALING, analysis__onNoEvidence="Promote"
    ),
    "2 by Gateway": spec("models:/iris/2", traffic=GATEWAY),
    "2 to the full": _full(SPECS["2"]),
    "1 by approval": spec("models:/iris/1", strategy__approval="Required"),
    "labelled by approval": _labelled_by_approval(),
    "3 in silence by approval": spec(
        "models:/iris/3", strategy__approval="Required", analysis__onNoEvidence="Promote"
    ),
    "3, which halts": spec(
        "models:/iris/3", analysis__onFailure="Pause", analysis__onNoEvidence="Pause"
    ),
    "3 in silence": spec("models:/iris/3", analysis__onNoEvidence="Promote"),
    "3 in silence to the full": _full(spec("models:/iris/3", analysis__onNoEvidence="Promote")),
    "4, which takes other requests": spec("models:/iris/4"),
    "5": spec("models:/iris/5"),
    "an alias": spec("models:/iris@champion"),
    "1 with more memory, paused": spec("models:/iris/1", resources=MORE_MEMORY, paused=True),
    "labelled, which halts": _labelled(more={"onNoEvidence": "Pause", "onFailure": "Pause"}),
    "labelled in silence": _labelled(more={"onNoEvidence": "Promote"}),
    "labelled in silence to the full": _full(_labelled(more={"onNoEvidence": "Promote"})),
    "2 watched by Gateway": spec(
        "models:/iris/2", traffic=GATEWAY, analysis__gates=SURE, strategy__watch="60s"
    ),
    "2 watched inside": spec(
        "models:/iris/2", traffic=INSIDE, analysis__gates=SURE, strategy__watch="60s"
    ),
    "2 watched and autoscaled": spec(
        "models:/iris/2", autoscaling=SCALING, analysis__gates=SURE, strategy__watch="60s"
    ),
    "2 watched, paused": spec(
        "models:/iris/2", analysis__gates=SURE, strategy__watch="60s", paused=True
    ),
    "2 watched by errors": spec(
        "models:/iris/2",
        analysis__gates=[{"metric": "errorRate", "max": 0.01}],
        strategy__watch="60s",
    ),
    "labelled, watched": _watched(_labelled()),
    "labelled by copies": _copied(),
    "labelled slowly": _labelled(more={"maxHold": "5s"}, maxSamples=2000),
}
"""What walks ask for beside that."""
INSPECTED = ("nothing yet", "runs", "serves", "cannot serve", "was not read")
"""What can be known of the files of a version without a digest."""
REGISTRY = ("up", "down", "not ready", "no digest", "not asked", *INSPECTED)
"""What the registry can say; not asked: the spec has changed while the answers were waited for."""
REPORTED: dict[str, float | None] = {"good": 0.9, "bad": 0.5, "NaN": math.nan, "above 1": 1.01}
ERRORS = {
    "right": ((1000, 0), (1000, 0), 0),
    "wrong": ((1000, 500), (1000, 0), 0),
    "wrong in both": ((1000, 500), (1000, 500), 0),
    "wrong before": ((1000, 0), (1000, 0), 500),
    "wrong while it grows": ((1000, 500), (1000, 0), 0),
}
"""Requests and errors of the candidate and of stable, lately; the candidate's errors before."""
GROWS = "wrong while it grows"
"""What scales the candidate has asked for a pod more, which is not Ready."""
REFUSED = "refused"
"""The metric is good, but the API server does not have an object of the rollout."""
JUST_REFUSED = "just refused"
"""The same, since a moment ago."""
NAME_TAKEN = "name taken"
"""The same, because another's object has the name."""
CANNOT_SERVE = "the model's files cannot be served"
"""What pods say that wait for their first answer."""
REJECTIONS = (REFUSED, JUST_REFUSED, NAME_TAKEN)
METRICS = (*REPORTED, "none", "down", "two series", "stale", "future", "not asked", *REJECTIONS)
LABELS = {
    "right answers": (12, 0),
    "few right answers": (6, 0),
    "wrong answers": (0, 6),
    "mixed answers": (14, 6),
    "no new label": (0, 0),
}
"""Labels that come in between two looks; the sums are bounded by maxSamples."""


@dataclass(frozen=True)
class State:
    """One state of the world."""

    status: Status
    live: Status
    """The status that the objects were applied by."""
    ready: frozenset[str]
    """Revisions whose pods are Ready."""
    wanted: str
    """What the spec asks for."""
    command: str
    now: datetime
    half: tuple[Status, ...] = ()
    """Statuses by which only the first of the objects was applied before the operator died, one for
    each object.
    """
    labels: tuple[int, int] = (0, 0)
    """Right and wrong ones of version 2 so far."""
    gateway: bool = False
    """Whether the Gateway accepts HTTPRoutes."""
    leads: bool = True
    """Whether its router leads requests by them to the pods."""
    taken: bool = False
    """Whether an older rollout answers on the host."""
    former: frozenset[str] = frozenset()
    """Revisions whose pods are of a former template of their Deployment."""
    foreign: str = ""
    """Whether an Ingress of nobody's is on the host: "older" or "younger" than ours."""
    affinity: bool = False
    """Whether a webhook has visitors stay where they came first."""
    scaled: bool = False
    """Whether another sets the number of pods."""
    profile: str = ""
    """The pool that the profile names in the operator's configuration; "" where none is known."""
    takes_profile: bool = False
    """Whether it is annotated that pods of stable are to have the profile as it is."""
    champion: int = 2
    """The version that the alias names."""
    reported: int = 0
    """The last attempt whose verdict the registry was told."""
    blind: bool = False
    """Whether the rollout's own autoscalers have no metric."""
    late: tuple[Late, ...] = ()
    """What the router's replicas lag behind."""
    applied: tuple[Phase, datetime | None, datetime] | None = None
    """The phase, its beginning, and when this process first had all objects as it asks."""

    frozen_until: datetime | None = None
    """When a window closes that is open, by itself; None where none is."""
    shown: int | None = None
    """The version whose proof the rollout shows, 0 for none; None where none is demanded."""
    given: tuple[tuple[str, int, int], ...] = ()
    """Of revisions whose pods an autoscaler numbers: how many it asks for, and how many of them are
    there.
    """

    @property
    def frozen(self) -> bool:
        """Whether nothing may go further now."""
        return self.frozen_until is not None and self.now < self.frozen_until

    @property
    def applied_at(self) -> datetime | None:
        """When this process first had all objects as the phase asks; None for not yet."""
        phase, since, at = self.applied or (None, None, None)
        return at if (phase, since) == (self.status.phase, self.status.phase_since) else None

    def key(self) -> int:
        """The state without its place in time, in steps of 5 s, and without texts and what a
        revision's name stands for; the same in every process.
        """
        looked_at = self.status.inspecting
        age = (self.now - looked_at.since).total_seconds() if looked_at is not None else 0
        parts = (
            frozen(self.status, self.now),
            None if self.live is self.status else frozen(self.live, self.now),
            tuple(frozen(half, self.now) for half in self.half),
            tuple(r.revision for r in self.status.rejected),
            tuple(sorted(self.ready)),
            tuple(sorted(self.former)),
            (self.wanted, self.command, self.labels, self.foreign),
            (self.gateway, self.leads, self.taken, self.scaled, self.affinity, self.champion),
            (self.profile, self.takes_profile, self.given, self.blind),
            (self.shown, tuple(one.uri for one in self.status.promoted)),
            self._frozen_for(),
            self.reported > self.status.reported,
            (ages(self.late, self.now), self._since_applied()),
            (looked_at.uri, bool(looked_at.message), bool(looked_at.digest), min(age // 15, 41))
            if looked_at is not None
            else (),
        )
        # Version 2 has no references, which would depend on who else has the same object.
        return int.from_bytes(blake2b(marshal.dumps(parts, 2), digest_size=8).digest(), "big")

    def _frozen_for(self) -> int:
        """In steps of 5 s."""
        if self.frozen_until is None or not self.frozen:
            return 0
        return math.ceil((self.frozen_until - self.now).total_seconds() / 5)

    def _since_applied(self) -> int:
        """In steps of 5 s, where anything rests on it."""
        if not (self.status.retiring or self.status.phase in WAITS) or self.applied_at is None:
            return -1
        return min(round((self.now - self.applied_at).total_seconds() / 5), 3)


LEFT_OUT = frozenset(
    [
        "selector",
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
        "drains",
        "frozen",
        "frozen_until",
        "by",
    ]
)


KEPT = 20_000
"""How much is remembered of what was computed a moment ago."""
_frozen: dict[tuple[int, datetime], tuple[Status, Any]] = {}
_objects: dict[tuple[Any, ...], tuple[Any, dict[str, Manifest]]] = {}


def frozen(status: Status, now: datetime) -> Any:
    """A status as a tuple, times as ages in steps of 5 s, all ages above 100 s alike."""
    place = (id(status), now)
    if place not in _frozen:
        if len(_frozen) > KEPT:
            _frozen.clear()
        # With the status itself, so that no other gets its id.
        _frozen[place] = (status, _freeze(status, now))
    return _frozen[place][1]


def _freeze(value: Any, now: datetime) -> Any:
    if isinstance(value, ApiModel):
        return tuple(_freeze(v, now) for k, v in value.__dict__.items() if k not in LEFT_OUT)
    if isinstance(value, tuple):
        return tuple(_freeze(v, now) for v in value)
    if isinstance(value, datetime):
        return min(round((now - value).total_seconds() / 5), 20)
    return str(value) if isinstance(value, Enum) else value


def objects(state: State) -> dict[str, Manifest]:
    """What the cluster has."""
    place = (id(state.live), state.wanted, *map(id, state.half))
    if place not in _objects:
        if len(_objects) > KEPT:
            _objects.clear()
        wanted = SPECS[state.wanted]
        there = [*build(OWNER, wanted, state.live, {})]
        there += [m for half in state.half for m in build(OWNER, wanted, half, {})[:1]]
        named = {f"{m['kind']}/{m['metadata']['name']}": m for m in there}
        _objects[place] = ((state.live, state.half), named)
    return _objects[place][1]


def routes(live: dict[str, Manifest]) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """The routes among these objects that lead to the stable Service: kind and hosts, by kind and
    name.
    """
    found = {}
    for one in live.values():
        name, spec_ = one["metadata"]["name"], one["spec"]
        if one["kind"] == "HTTPRoute":
            found["HTTPRoute", name] = {("HTTPRoute", host) for host in spec_["hostnames"]}
        elif one["kind"] == "Ingress" and not name.endswith("-canary"):
            found["Ingress", name] = {("Ingress", rule["host"]) for rule in spec_["rules"]}
    return found


def ways(state: State) -> set[tuple[str, str]]:
    """Kind and host of each way by which requests can come: by a route, or where the spec asks for
    no other, by the Service itself.
    """
    live = objects(state)
    found = set[tuple[str, str]]().union(*routes(live).values())
    inside = asked_for(state) == {BY_SERVICE} and "Service/iris" in live
    return found | ({BY_SERVICE} if inside else set())


BY_SERVICE = ("None", "")


def accepted(state: State) -> set[tuple[str, str]]:
    """Kind and host of the routes by which requests come; where an older Ingress of nobody's is on
    the host, they all go to that.
    """
    foreign = {("Ingress", "iris.example.com")} if state.foreign == "older" else set()
    return {
        (kind, host)
        for kind, host in ways(state)
        if kind != "HTTPRoute" or (state.gateway and state.leads)
    } - foreign


def asked_for(state: State) -> set[tuple[str, str]]:
    """Kind and hosts of the route that the spec asks for."""
    traffic = SPECS[state.wanted].traffic
    return {(str(traffic.provider), name) for name in traffic.names or ("",)}


def errors(
    state: State, lately: tuple[int, int], before: tuple[int, int] = (1000, 0)
) -> tuple[Series, ...]:
    """Counters of requests and errors, and what they had before the window."""
    moment, (requests, wrong) = state.now.timestamp(), lately
    return (
        Series("ml_request_count_total", "a", moment, before[0] + requests, first=before[0]),
        Series("ml_request_errors_total", "a", moment, before[1] + wrong, first=before[1]),
    )


def errors_of_candidate(state: State, metric: str) -> tuple[Series, ...]:
    """The same of the candidate: load has left it errors, and what came since stands on top."""
    ours, _, wrong = ERRORS[metric]
    loaded = next((g for g in state.status.gates if g.overloaded_since is not None), None)
    if loaded is None:
        return errors(state, ours, (1000, wrong))
    if not loaded.counted_from:
        return errors(state, ours, (1000, 500))
    (pod,) = loaded.counted_from
    return errors(state, ours, (round(pod.total), round(pod.total - pod.good)))


def answer(state: State, metric: str) -> Any:
    """What Prometheus says of the candidate."""
    seconds = (state.now - START).total_seconds()
    if metric == "down":
        return MetricsUnreachable("down")
    if metric == "not asked":
        return None
    if metric in ERRORS:
        return errors_of_candidate(state, metric)
    if metric in LABELS:
        moment, (right, wrong) = state.now.timestamp(), state.labels
        return (
            Series("ml_feedback_total", "a", moment, right, outcome="correct"),
            Series("ml_feedback_total", "a", moment, wrong, outcome="wrong"),
            Series("ml_predictions_total", "a", moment, right + wrong),
        )
    series = {
        "none": (),
        **dict.fromkeys(REJECTIONS, accuracy(0.9, seconds)[Metric.ACCURACY]),
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


def baseline(state: State, metric: str, wanted: Spec) -> dict[Metric, Any]:
    """What Prometheus says of stable, where a gate looks at that."""
    if metric in ERRORS:
        return {Metric.ERROR_RATE: errors(state, ERRORS[metric][1])}
    if asks_for(wanted) is not Metric.DISAGREEMENT:
        return {}
    if metric not in LABELS or state.status.candidate is None:
        return {Metric.DISAGREEMENT: answer(state, metric if metric == "down" else "none")}
    of, moment = state.status.candidate.revision, state.now.timestamp()
    counts = zip(("same", "different"), state.labels, strict=True)
    return {
        Metric.DISAGREEMENT: tuple(
            Series("ml_shadow_total", "s", moment, n, outcome=outcome, candidate=of)
            for outcome, n in counts
        )
    }


SIGNATURES = {
    version: json.dumps({"inputs": json.dumps([{"name": name, "type": "double"}])})
    for version, name in ((1, "petal"), (2, "petal"), (3, "petal"), (4, "sepal"), (5, "petal"))
}


def versioned(version: int) -> Resolved:
    """What the registry says of a version, with what goes into it."""
    return replace(resolved(version), signature=SIGNATURES[version])


def resolution_of(state: State, registry: str) -> Resolution | None:
    """What the registry says where it is asked."""
    wanted = SPECS[state.wanted]
    if registry == "not asked" or wanted.paused or not needs_resolution(wanted, state.status):
        return None
    others: dict[str, Resolution] = {
        "down": RegistryUnreachable("down"),
        "not ready": NotReady("no"),
        "no digest": DigestMissing("no"),
    }
    if registry in others:
        return others[registry]
    version = wanted.model_uri.removeprefix("models:/iris/")
    if version == "999":
        return NotFound("no")
    there = versioned(state.champion if "@" in wanted.model_uri else int(version))
    return Unpinned(there.uri, there.version) if registry in INSPECTED else there


def inspection_of(state: State, registry: str) -> Inspection | None:
    """What became of the pod that looks at the files of a version without a digest."""
    looked_at = state.status.inspecting
    if looked_at is None or registry not in INSPECTED[1:]:
        return None
    there = versioned(int(looked_at.uri.rsplit("/", 1)[1]))
    ended = Inspection(there.uri, ended=True, digest=there.digest, signature=there.signature)
    return {
        "runs": Inspection(there.uri),
        "serves": ended,
        "cannot serve": replace(ended, trouble="The model is a pickle."),
        "was not read": replace(ended, digest="", trouble="It could not be fetched."),
    }[registry]


def chosen(state: State) -> Chosen | None:
    """The profile as it is configured; pods get what is changed in it at once where it is "b"."""
    if not state.profile:
        return None
    settings = json.dumps({"nodeSelector": {"pool": state.profile}})
    return Chosen(settings=settings, at_once=state.profile == "b")


def taken_profile(state: State) -> str:
    """The hash that is annotated, of the profile as it is; "" for none."""
    profile = chosen(state)
    return settings_hash(profile.settings) if profile is not None and state.takes_profile else ""


def claims(state: State) -> tuple[Claim, ...]:
    """The routes of nobody's where the spec asks for one."""
    if not state.foreign or ("Ingress", "iris.example.com") not in asked_for(state):
        return ()
    age = timedelta(days=1 if state.foreign == "older" else -1)
    return (Claim("Ingress", "web/site", START - age),)


def workloads_of(state: State, metric: str) -> dict[str, Workload]:
    """The Deployments, with how many of their pods are as the status asks, and what those say that
    are not Ready.
    """
    live, status = objects(state), state.status
    workloads = {
        r: Workload(there if r in state.ready else 0, asked)
        for r, (asked, there) in numbers(state).items()
    }
    if metric == GROWS and status.candidate is not None and status.candidate.revision in workloads:
        # As often as it is looked at: whoever scales has asked for one more than ever.
        most = max(w.wanted for w in workloads.values())
        most = max(most, status.scale_up.wanted if status.scale_up is not None else 0)
        grown = workloads[status.candidate.revision]
        workloads[status.candidate.revision] = replace(grown, wanted=most + 1)
    compared = status.phase is not Phase.PROMOTED or status.shortage is not None
    if metric == CANNOT_SERVE:
        said = {"trouble": "DigestMismatch", "lasting": True}
        workloads = {r: replace(w, **said) if not w.ready else w for r, w in workloads.items()}  # type: ignore[arg-type]
    for of in filter(None, (status.stable, status.candidate)):
        if (workload := workloads.get(of.revision)) is not None:
            as_asked = not compared or template(live, of.revision) == asked_of(of)
            current = workload.ready if as_asked and of.revision not in state.former else 0
            workloads[of.revision] = replace(workload, current=current)
    return workloads


def answering(state: State) -> str:
    """The revision that the stable Service leads to; "" where there is none."""
    service = objects(state).get("Service/iris")
    return stable_of(service) if service else ""


def endpoints(state: State) -> frozenset[str]:
    """The revisions with Ready pods behind the stable Service."""
    live = objects(state)
    if "Service/iris" not in live:
        return frozenset()
    return selected(live, live["Service/iris"]) & state.ready


def selected(live: dict[str, Manifest], service: Manifest) -> frozenset[str]:
    """The revisions whose pods a Service selects: those of its name, or all that have a
    Deployment.
    """
    if (one := service["spec"]["selector"].get(REVISION)) is not None:
        return frozenset({one})
    return frozenset(
        m["metadata"]["labels"][REVISION] for m in live.values() if m["kind"] == "Deployment"
    )


def lost(state: State) -> bool:
    """Whether somebody has removed the status of a rollout that answers."""
    status = state.status
    there = f"Deployment/iris-{answering(state)}" in objects(state)
    return there and not (status.attempt or status.stable is not None)


def recovered(state: State) -> Revision | None:
    """What the Deployment of what answers says that it serves, where the status is lost."""
    return _served(state, answering(state)) if lost(state) else None


def also_running(state: State) -> tuple[Revision, ...]:
    """What the other Deployments say then."""
    others = sorted(numbers(state).keys() - {answering(state)}) if lost(state) else ()
    return tuple(filter(None, (_served(state, other) for other in others)))


def _served(state: State, revision: str) -> Revision | None:
    there = objects(state)[f"Deployment/iris-{revision}"]
    dated = there["metadata"] | {"creationTimestamp": START.isoformat()}
    numbered = there["spec"] | {"replicas": numbers(state)[revision][0]}
    return served_by({**there, "metadata": dated, "spec": numbered})


def observe(state: State, metric: str, registry: str) -> Observed:
    """What the operator sees of this state."""
    wanted, status = SPECS[state.wanted], state.status
    rejected = "HTTP 403 no quota is left" if metric in REJECTIONS else ""
    lasting = "" if metric == JUST_REFUSED else rejected
    profile = chosen(state)
    there = routes(objects(state))
    found = Ways(
        "iris",
        wanted.traffic,
        status,
        {place: "" if place[0] == "Ingress" or state.gateway else "none" for place in there},
        claims(state),
        dict.fromkeys(there, START),
        endpoints=endpoints(state),
    )
    unaccepted = found.asked_for(lasting)
    # An Ingress here publishes no address; a Gateway does.
    route = asked_now(wanted.traffic, status)
    asked = route is not None and not unaccepted and route.provider is Provider.HTTP_ROUTE
    annotations = annotated(state)
    needed = needs_measurement(wanted, status)
    return observed(
        (state.now - START).total_seconds(),
        spec=None if state.taken else wanted,
        spec_error="an older rollout answers there" if state.taken else "",
        status=status,
        resolution=resolution_of(state, registry),
        inspection=inspection_of(state, registry),
        commands=commanded(annotations),
        freeze=freeze(state),
        command_reason=annotations.get(COMMAND_REASON, ""),
        workloads=workloads_of(state, metric),
        stable_endpoints=endpoints(state),
        answers={asks_for(wanted): answer(state, metric)} if needed else {},
        baseline=baseline(state, metric, wanted) if needed else {},
        asked_at=state.now if needed else None,
        claims=claims(state),
        api_rejection=lasting,
        api_rejection_now=rejected,
        name_taken=metric == NAME_TAKEN,
        affinity="a cookie keeps them" if state.affinity else "",
        scaled="an autoscaler sets it" if state.scaled else "",
        applied_at=state.applied_at,
        followed=followed(state) if asked_all(state) else None,
        unscaled="no metric" if unscaled(state) else "",
        profile=profile,
        proof=None if state.shown is None else shown(state.shown),
        take_profile=taken_profile(state),
        route_trouble=lasting or found.in_use(),
        unaccepted=unaccepted,
        heard=(Heard() if state.leads else Heard("HTTP 404")) if asked else None,
        reported=frozenset({state.reported} - {0}),
        recovered=recovered(state),
        also_running=also_running(state),
    )


STALE = " of the attempt before"
"""How a command is called whose annotation speaks of another attempt than the one under way."""


def annotated(state: State) -> dict[str, str]:
    """The annotations by which it is commanded, and why."""
    stale = state.command.endswith(STALE)
    attempt = state.status.attempt - stale
    verbs = state.command.removesuffix(STALE).split(" and ") if state.command else []
    found = {f"{GROUP}/{verb}": str(attempt) for verb in verbs if verb not in {"pause", "resume"}}
    return {**found, COMMAND_REASON: f"{verbs[0]} {attempt}: so"} if verbs else {}


def freeze(state: State) -> Freeze:
    """What the windows say."""
    if not state.frozen:
        return NEVER
    return Freeze(active=True, until=state.frozen_until, why="a window")


def asked_all(state: State) -> bool:
    """Whether every router can be asked: an Ingress here publishes no address."""
    ways = [r for r in state.status.routes if r.accepted_at is not None]
    by_gateway = all(r.provider is Provider.HTTP_ROUTE for r in ways)
    return bool(ways) and by_gateway and state.gateway and state.leads


def followed(state: State) -> Followed | None:
    """How the router answers in a phase that waits for it, or in a step of all requests."""
    asked = question(SPECS[state.wanted], state.status)
    if asked is None:
        return None
    since = waits_since(state.status) or state.now
    return heard_of(asked, state.late, led(objects(state)), since, state.now)


def asks_for(wanted: Spec) -> Metric:
    """The metric of the spec's one gate."""
    return wanted.analysis.gates[0].metric


def resources(live: dict[str, Manifest], revision: str) -> Any:
    """What the Deployment of a revision gives its pods; None where there is no such Deployment."""
    one = live.get(f"Deployment/iris-{revision}")
    return (
        one["spec"]["template"]["spec"]["containers"][0]["resources"] if one is not None else None
    )


def template(live: dict[str, Manifest], revision: str) -> tuple[Any, ...]:
    """What makes pods of a revision: resources, and what the profile said; () where there is no
    Deployment.
    """
    there = live.get(f"Deployment/iris-{revision}")
    if there is None:
        return ()
    marks = there["spec"]["template"]["metadata"].get("annotations") or {}
    return resources(live, revision), marks.get(POD_SETTINGS)


def asked_of(revision: Revision) -> tuple[Any, ...]:
    """The same as the status asks for it."""
    settings = revision.pod_settings
    return revision.resources.to_api(), None if settings is None else settings_hash(settings)


def applied(before: State, after: State) -> State:
    """The state after all objects were applied: pods of a template that differs are of a former
    one.
    """
    there, now = objects(before), objects(after)
    names = {m["metadata"]["labels"]["rollouts.mlops.dev/revision"] for m in deployments(after)}
    stayed = {r for r in names if template(there, r)}
    changed = {r for r in stayed if template(there, r) != template(now, r)}
    # What a Gateway does not take over, its router is not told either.
    by_gateway = any(m["kind"] == "HTTPRoute" for m in there.values())
    told = after.gateway or not by_gateway
    late = follows_later(after.late, led(there) if told else frozenset(), led(now), after.now)
    # A Deployment that is left to an autoscaler keeps the pods that it has.
    kept = {r: n for r, n in numbers(before).items() if r in stayed}
    given = tuple((r, *kept[r]) for r in sorted(kept) if scaling(now, r))
    former = (after.former & stayed) | changed
    return noted(replace(after, former=former, late=late, given=given))


def noted(state: State) -> State:
    """The state with when the objects were as its phase asks."""
    if state.applied_at is not None:
        return state
    return replace(state, applied=(state.status.phase, state.status.phase_since, state.now))


def numbers(state: State) -> dict[str, tuple[int, int]]:
    """By revision, the pods that its Deployment asks for, and how many of them are there, Ready or
    not.
    """
    live, given = objects(state), {r: (asked, there) for r, asked, there in state.given}
    found = {}
    for one in deployments(state):
        revision = one["metadata"]["labels"]["rollouts.mlops.dev/revision"]
        fixed = one["spec"].get("replicas")
        least = scaling(live, revision)["minReplicas"] if fixed is None else fixed
        found[revision] = (least, least) if fixed else given.get(revision, (least, least))
    return found


def unscaled(state: State) -> bool:
    """Whether an autoscaler of the rollout's own has no metric."""
    return state.blind and any(name.startswith("Horizontal") for name in objects(state))


def scaling(live: dict[str, Manifest], revision: str) -> Any:
    """What the autoscaler of a revision is told; {} where it has none."""
    return live.get(f"HorizontalPodAutoscaler/iris-{revision}", {}).get("spec", {})


def deployments(state: State) -> list[Manifest]:
    return [m for m in objects(state).values() if m["kind"] == "Deployment"]
