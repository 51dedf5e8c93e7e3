"""Every revision of every object, as watches of the real API server saw it, held against the
invariants.

All kinds live in one etcd, so that their resourceVersions are one clock: what the cluster was at
each revision can be put together from the events in their order.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rollout_operator.desired.environment import signing_key
from rollout_operator.domain.api.names import APPLIED
from tests.support.api_client import AsyncApiClient
from tests.support.kinds import KINDS, Lists, Object

Place = tuple[str, str]
"""Kind and name."""
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
REVISION = "rollouts.mlops.dev/revision"
ROLLOUT = "rollouts.mlops.dev/rollout"

NEXT: dict[str, set[str]] = {
    "": {"Pending", "Starting", "Invalid"},
    "Pending": {"Starting", "Promoting", "Promoted", "RolledBack", "Invalid"},
    "Invalid": {"Pending", "Starting", "Promoting", "Promoted", "RolledBack"},
    "Starting": {"Trial", "RollingBack", "Pending", "Starting"},
    "Trial": {"Starting", "Promoting", "Shifting", "Switching", "RollingBack", "Pending"},
    "Promoting": {"Shifting", "Switching", "RollingBack", "Pending", "Starting"},
    "Shifting": {"Switching", "RollingBack", "Pending", "Starting"},
    "Switching": {"Settling", "Promoted", "RollingBack"},
    "Settling": {"Promoted"},
    "RollingBack": {"RolledBack", "Promoted", "Pending", "Starting"},
    "RolledBack": {"Pending", "Starting", "Promoting", "Promoted"},
    "Promoted": {"Pending", "Starting", "Promoting", "RolledBack", "Invalid"},
}
"""Which phase may follow which (docs/contributing/architecture.md)."""


@dataclass(frozen=True)
class Seen:
    """One event of a watch."""

    version: int
    kind: str
    deleted: bool
    raw: Object


@dataclass
class Audit:
    """Collects what happens in all namespaces."""

    api: AsyncApiClient
    seen: dict[str, dict[tuple[int, str, str, bool], Seen]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    _there: dict[str, dict[Place, Object]] = field(default_factory=lambda: defaultdict(dict))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> "Audit":
        for kind in KINDS:
            found, since = await self.api.list(kind)
            for one in found:
                self._there[one["metadata"]["namespace"]][kind, one["metadata"]["name"]] = one
            self._tasks.append(asyncio.create_task(self._follow(kind, since)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, kind: str, since: str) -> None:
        while True:
            async for event in self.api.watch(kind, since):
                assert event["type"] in {"ADDED", "MODIFIED", "DELETED"}, event
                raw, meta = event["object"], event["object"]["metadata"]
                since = meta["resourceVersion"]
                one = Seen(int(since), kind, event["type"] == "DELETED", raw)
                self.seen[meta["namespace"]][one.version, kind, meta["name"], one.deleted] = one
                there = self._there[meta["namespace"]]
                if one.deleted:
                    there.pop((kind, meta["name"]), None)
                else:
                    there[kind, meta["name"]] = raw

    def history(self, namespace: str, kind: str) -> list[Seen]:
        """What was seen of a kind in a namespace, in order."""
        return [one for (_, of, _, _), one in sorted(self.seen[namespace].items()) if of == kind]

    def there(self, namespaces: Iterable[str]) -> Lists:
        """What is in these namespaces as the watches last saw it: hundreds of stories may have
        ended in others meanwhile.
        """
        found: Lists = {kind: [] for kind in KINDS}
        for namespace in namespaces:
            for (kind, _), one in self._there[namespace].items():
                found[kind].append(one)
        return found

    async def caught_up(self, namespace: str) -> list[Seen]:
        """The events of a namespace in order, once everything that is there now has been seen."""
        there = {
            (int(o["metadata"]["resourceVersion"]), kind, o["metadata"]["name"])
            for kind in KINDS
            for o in (await self.api.list(kind, namespace))[0]
        }
        for _ in range(1200):
            if there <= {key[:3] for key in self.seen[namespace]}:
                break
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.05)
        else:
            raise AssertionError(f"the audit of {namespace} does not see what is there")
        return [one for _, one in sorted(self.seen[namespace].items())]


def broken(events: Iterable[Seen]) -> list[str]:
    """Every invariant that does not hold at some revision, with the revision."""
    found: list[str] = []
    state: dict[Place, Object] = {}
    before: Object = {}
    templates: dict[str, str] = {}
    entered: set[tuple[object, ...]] = set()
    for one in events:
        place = one.kind, one.raw["metadata"]["name"]
        if one.deleted:
            state.pop(place, None)
            before = {} if one.kind == "ModelRollout" else before
        else:
            state[place] = one.raw
        if one.kind == "ModelRollout" and not one.deleted:
            status = one.raw.get("status", {})
            found += [
                f"revision {one.version}: {said}"
                for said in (*_history(before, status), *_twice(one.raw, before, entered))
            ]
            before = status
        found += [
            f"revision {one.version}: {said}"
            for said in (*_routes(one, state), *_pods(one, state, templates))
        ]
    return found


def _history(before: Object, after: Object) -> Iterator[str]:
    """What may follow what in the status."""
    was, phase = (
        before.get("phase", "") if before.get("observedGeneration", -1) >= 0 else "",
        after.get("phase", ""),
    )
    if after.get("observedGeneration", -1) < 0:
        return
    if was != phase and phase not in NEXT[was]:
        yield f"phase {was or 'none'} was followed by {phase}"
    if after["attempt"] < before.get("attempt", 0):
        yield f"attempt {before['attempt']} was followed by {after['attempt']}"
    ended = [h["attempt"] for h in after.get("history", ())]
    if ended != sorted(set(ended), reverse=True):
        yield f"attempts {ended} in history"
    kept = [h for h in before.get("history", ()) if h not in after.get("history", ())]
    if kept and len(after["history"]) < 10:
        yield f"history lost {kept}"
    stable, was_stable = after.get("stable") or {}, before.get("stable") or {}
    if stable.get("revision") != was_stable.get("revision"):
        candidate = before.get("candidate") or {}
        if (
            candidate.get("revision") != stable.get("revision")
            or before.get("verdict") != "Promoted"
        ):
            yield (
                f"revision {stable.get('revision')} became stable from phase {was} with verdict"
                f" {before.get('verdict')}"
            )
    if (
        phase in {"Promoting", "Shifting", "Switching"}
        and was == "Trial"
        and any(g["measurement"] != "Pass" for g in after.get("gates", ()))
    ):
        yield f"promotion with gates {[g['measurement'] for g in after['gates']]}"


def _twice(rollout: Object, before: Object, entered: set[tuple[object, ...]]) -> Iterator[str]:
    """Decisions that were made a second time."""
    status = rollout.get("status", {})
    place = tuple(status.get(name) for name in ("phase", "attempt", "step", "setbacks"))
    if place == tuple(before.get(name) for name in ("phase", "attempt", "step", "setbacks")):
        return
    decision = rollout["metadata"]["uid"], rollout["metadata"]["generation"], *place
    if decision in entered:
        yield f"phase {place[0]}, attempt {place[1]}, step {place[2]} was entered a second time"
    entered.add(decision)


def _routes(one: Seen, state: dict[Place, Object]) -> Iterator[str]:
    """Where requests go at this revision."""
    rollouts = [o for (kind, _), o in state.items() if kind == "ModelRollout"]
    if not rollouts:
        # Its objects go by garbage collection, in any order: the rollout and its host are given up
        # together.
        return
    status = rollouts[0].get("status", {})
    for (kind, name), ingress in state.items():
        if kind != "Ingress":
            continue
        weight = int(ingress["metadata"].get("annotations", {}).get(WEIGHT, "100"))
        if weight == 0:
            continue
        service = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]
        if not (ready := list(_ready(service, state))):
            yield (
                f"Ingress {name} sends {weight} % of requests to {service}, which has no Ready pod"
            )
        if WEIGHT not in ingress["metadata"].get("annotations", {}):
            continue
        candidate = (status.get("candidate") or {}).get("revision")
        if (
            one.kind == "Ingress"
            and one.raw is ingress
            and (weight != status.get("weight") or ready != [candidate])
        ):
            yield (
                f"Ingress {name} got weight {weight} for {ready}; decided was"
                f" {status.get('weight')} for {candidate}"
            )


def _ready(service: str, state: dict[Place, Object]) -> Iterator[str]:
    """Revisions of the Deployments with Ready pods behind a Service."""
    if ("Service", service) not in state:
        return
    selector = state["Service", service]["spec"]["selector"].items()
    for (kind, _), one in state.items():
        if (
            kind == "Deployment"
            and selector <= one["spec"]["template"]["metadata"]["labels"].items()
            and one.get("status", {}).get("readyReplicas", 0)
        ):
            yield one["metadata"]["labels"][REVISION]


def _pods(one: Seen, state: dict[Place, Object], templates: dict[str, str]) -> Iterator[str]:
    """What pods there are at this revision."""
    if one.kind != "Deployment":
        return
    rollouts = {name for kind, name in state if kind == "ModelRollout"}
    if (
        not one.deleted
        and (of := one.raw["metadata"]["labels"][ROLLOUT]) in rollouts
        and ("NetworkPolicy", of) not in state
    ):
        yield f"Deployment {one.raw['metadata']['name']} was there without a NetworkPolicy"
    name, labels = one.raw["metadata"]["name"], one.raw["metadata"]["labels"]
    known = templates.setdefault(
        labels[REVISION], json.dumps(one.raw["spec"]["template"], sort_keys=True)
    )
    if known != json.dumps(one.raw["spec"]["template"], sort_keys=True):
        yield f"the pods of revision {labels[REVISION]} were changed"
    for (kind, _), rollout in state.items():
        if (
            kind == "ModelRollout"
            and ((rollout.get("status") or {}).get("stable") or {}).get("revision")
            == labels[REVISION]
        ):
            if one.deleted:
                yield f"Deployment {name} was deleted while it is stable"
            elif one.raw["spec"]["replicas"] < rollout["spec"].get("replicas", 1):
                yield (
                    f"Deployment {name} was scaled to {one.raw['spec']['replicas']} while it is"
                    " stable"
                )


def end_state(
    lists: dict[str, list[Object]], told: dict[str, Any], revisions: dict[str, str], namespace: str
) -> dict[str, Any]:
    """What is there at the end, without what differs between two runs that went well: names by
    chance, and times.

    revisions: the version of each revision, whose names depend on the rollout's uid, as its key of
    prediction ids does.
    """
    uids = {
        o["metadata"]["uid"]: f"uid of {kind}" for kind, objects in lists.items() for o in objects
    }
    kept = {
        f"{kind} {o['metadata']['name']}": {
            "metadata": {
                k: o["metadata"].get(k) for k in ("labels", "annotations", "ownerReferences")
            },
            **{
                k: {n: v for n, v in o[k].items() if n not in {"clusterIP", "clusterIPs"}}
                for k in ("spec", "status")
                if k in o
            },
            "endpoints": [e["targetRef"]["name"] for e in o.get("endpoints") or ()],
        }
        for kind, objects in lists.items()
        for o in objects
    }
    text = json.dumps({**kept, "registry": told}, sort_keys=True)
    for revision, version in revisions.items():
        text = text.replace(revision, f"revision-of-{version}")
    for uid, name in uids.items():
        text = text.replace(uid, name).replace(signing_key("", uid), f"key of {name}")
    found: dict[str, Any] = _timeless(json.loads(text.replace(namespace, "the-namespace")))
    return found


TIMES = {
    "at",
    "since",
    "readyAt",
    "acceptedAt",
    "seenAt",
    "phaseSince",
    "attemptSince",
    "stepSince",
    "started",
    "ended",
    "lastTransitionTime",
    "observedGeneration",
    # Of a drain.
    "seconds",
    # A hash of the manifest, in which the rollout's uid stands.
    APPLIED,
}


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        # What an attempt without a verdict had measured when somebody changed the spec is chance; a
        # verdict's evidence is not.
        chance = {*TIMES, "gates"} if value.get("verdict") in {"Superseded", "Cancelled"} else TIMES
        return {k: "a time" if k in chance else _timeless(v) for k, v in value.items()}
    if isinstance(value, str) and value.startswith('{"verdict"'):
        return _timeless(json.loads(value))
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def differences(ours: Any, theirs: Any, place: str = "") -> list[str]:
    """Where two end states differ, one line each; empty where they do not."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = sorted({*ours, *theirs})
        return [
            line
            for name in names
            for line in differences(ours.get(name), theirs.get(name), f"{place}/{name}")
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [
            line
            for n, (a, b) in enumerate(zip(ours, theirs, strict=True))
            for line in differences(a, b, f"{place}/{n}")
        ]
    return [] if ours == theirs else [f"{place}: {ours!r} and not {theirs!r}"]
