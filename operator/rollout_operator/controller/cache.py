"""What the watches have told: ModelRollouts and the objects they own, trimmed to what the engine
looks at.

Ten thousand rollouts at rest must fit beside the code: all is kept compressed, and what an object
says is forgotten once it is known to say what it should.
"""

import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json

from rollout_operator.desired.common import Manifest
from rollout_operator.desired.diff import made_of, matches, owned
from rollout_operator.desired.http_route import unaccepted
from rollout_operator.desired.routes import ROUTERS
from rollout_operator.domain.api.names import APPLIED, FIELD_MANAGER, GROUP, KIND, REVISION, ROLLOUT
from rollout_operator.domain.places import Claimed, Place, places_of
from rollout_operator.domain.scaling import Contest

KEPT = (
    *(
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
    ),
    *("labels", "annotations", "ownerReferences", "finalizers"),
)
"""Metadata of a ModelRollout that is kept: all but what the API server makes itself."""
Key = tuple[str, str]
"""Namespace and name of a ModelRollout."""
Event = tuple[str, str, int | str]
"""What a watch tells: kind, name, and the version of the object as it is now, or the uid of one
that was deleted.
"""
SERVICE = "kubernetes.io/service-name"
CONTROLLERS = "deployment.kubernetes.io/"
MOST_ENDED = 1000
"""Deleted objects that are remembered: more than a process deletes while it waits for a reply."""

UNSAID = frozenset({"EndpointSlice"})
"""Kinds that no manifest says anything about."""
AT_REST = frozenset({"Promoted", "RolledBack", "Invalid"})


def at_rest(raw: Mapping[str, Any]) -> bool:
    """Whether a ModelRollout asks for nothing: its last word is about what its spec asks for, and
    nobody has commanded anything.
    """
    meta, status = raw["metadata"], raw.get("status") or {}
    spoken = (
        status.get("phase") in AT_REST
        and status.get("observedGeneration") == meta["generation"]
        and not status.get("retiring")
    )
    return spoken and not any(name.startswith(GROUP) for name in meta.get("annotations") or ())


def pack(text: bytes, likeness: bytes) -> bytes:
    """Compress a text by its likeness to another one of its kind: a third of what it would be by
    itself, which is a third of the text.
    """
    squeezing = zlib.compressobj(zdict=likeness)
    return squeezing.compress(text) + squeezing.flush()


def unpack(packed: bytes, likeness: bytes) -> bytes:
    """The text."""
    return zlib.decompressobj(zdict=likeness).decompress(packed)


@dataclass(slots=True)
class Child:
    """An object that belongs to a rollout.

    ready and wanted: pods, for Deployments; scaler: who has set their number, if another than we;
    updated: Ready pods of the template as it is now, at least; endpoints: names of the Ready pods,
    for EndpointSlices; service: the Service that a slice belongs to; trouble: what its controller
    says is wrong; created: when that was, for routes. content: labels, annotations, owner
    references and spec as JSON, packed; empty once it was found to say what the manifest of hash
    `agreed` says (0: not compared yet); mark: the hash of the JSON.
    """

    kind: str
    name: str
    uid: str
    version: int
    owner: str
    revision: str
    deleting: bool
    content: bytes
    likeness: bytes
    mark: int
    ready: int = 0
    wanted: int = 0
    scaler: str = ""
    updated: int = 0
    trouble: str = ""
    endpoints: tuple[str, ...] = ()
    service: str = ""
    agreed: int = 0
    created: datetime | None = None

    def agrees(self, manifest: Manifest) -> bool:
        """Whether the object says everything that the manifest says, or is what admission made of
        it.
        """
        wanted = hash(to_json(manifest))
        if self.agreed == wanted:
            return True
        if not self.content:
            # Another manifest than the one that it agreed with: what it says has been forgotten,
            # and is applied anew.
            return False
        live, told = from_json(unpack(self.content, self.likeness)), content(manifest)
        if not matches(live, told) and not made_of(live, manifest, told):
            return False
        self.agreed, self.content = wanted, b""
        return True


def content(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an object that a manifest has a say in."""
    meta = raw.get("metadata", {})
    kept = {k: meta[k] for k in ("labels", "annotations", "ownerReferences") if k in meta}
    # What a Deployment's controller notes there for itself is no change of the object.
    if notes := {
        k: v for k, v in kept.pop("annotations", {}).items() if not k.startswith(CONTROLLERS)
    }:
        kept["annotations"] = notes
    said = {"metadata": kept, "spec": raw.get("spec", {})}
    # Who owns what tells only together with what was applied.
    return {**said, "owned": owned(raw)} if APPLIED in notes else said


def _scaler(meta: Mapping[str, Any]) -> str:
    """The field manager that owns `spec.replicas` in our place; "" where we do, or nobody.

    Who sets it to another number takes it from all who owned it before; who sets the same shares it
    with them.
    """
    entries = meta.get("managedFields") or ()
    owners = [
        str(e.get("manager", ""))
        for e in entries
        if "f:replicas" in ((e.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return "" if FIELD_MANAGER in owners or not owners else owners[-1]


def _updated(meta: Mapping[str, Any], status: Mapping[str, Any]) -> int:
    """Ready pods of a Deployment's template as it is now: those that are left when all pods of
    former ones are Ready.
    """
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        return 0
    pods, updated, ready = (
        int(status.get(name, 0)) for name in ("replicas", "updatedReplicas", "readyReplicas")
    )
    return max(0, ready - max(0, pods - updated))


def child(kind: str, raw: Mapping[str, Any], likeness: bytes = b"") -> Child:
    """Trim an object as the API server has it; likeness: what another one of its kind says, as
    JSON.
    """
    meta, status = raw["metadata"], raw.get("status") or {}
    owners = [o["uid"] for o in meta.get("ownerReferences", ()) if o.get("controller")]
    labels = meta.get("labels") or {}
    ready = {
        e["targetRef"]["name"]
        for e in raw.get("endpoints") or ()
        if e.get("targetRef")
        and e.get("conditions", {}).get("ready")
        and not e["conditions"].get("terminating")
    }
    stuck = [
        c.get("message", "")
        for c in status.get("conditions", ())
        if c.get("type") == "ReplicaFailure" and c.get("status") == "True"
    ]
    told = b"" if kind in UNSAID else to_json(content(raw))
    made = meta.get("creationTimestamp")
    return Child(
        kind=kind,
        # The same text once for all objects of a rollout: half of them are called like it.
        name=sys.intern(meta["name"]),
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        owner=sys.intern(owners[0]) if owners else "",
        revision=sys.intern(labels.get(REVISION, "")),
        deleting="deletionTimestamp" in meta,
        content=pack(told, likeness) if told else told,
        likeness=likeness,
        mark=hash(told),
        ready=status.get("readyReplicas", 0) if kind == "Deployment" else 0,
        wanted=raw.get("spec", {}).get("replicas", 0) if kind == "Deployment" else 0,
        scaler=sys.intern(_scaler(meta)) if kind == "Deployment" else "",
        updated=_updated(meta, status) if kind == "Deployment" else 0,
        trouble=unaccepted(raw) if kind == "HTTPRoute" else stuck[0] if stuck else "",
        endpoints=tuple(sorted(ready)),
        service=labels.get(SERVICE, ""),
        created=datetime.fromisoformat(made) if made and kind in ROUTERS else None,
    )


def concerns(kind: str, meta: Mapping[str, Any]) -> bool:
    """Whether anybody looks at the object: of EndpointSlices, those of the stable Service, which is
    called like its rollout.
    """
    labels = meta.get("labels") or {}
    return kind != "EndpointSlice" or labels.get(SERVICE) == labels.get(ROLLOUT)


def key_of(meta: Mapping[str, Any]) -> Key:
    """The key of the ModelRollout with this metadata; the same texts for all that keep it."""
    return sys.intern(meta["namespace"]), sys.intern(meta["name"])


def event_of(kind: str, meta: Mapping[str, Any]) -> Event:
    """What a watch tells of an object that is there, by its metadata."""
    return kind, meta["name"], int(meta["resourceVersion"])


def rollout_of(raw: Mapping[str, Any]) -> Key:
    """The rollout that an owned object names in its labels."""
    meta = raw["metadata"]
    return sys.intern(meta.get("namespace", "")), sys.intern(
        (meta.get("labels") or {}).get(ROLLOUT, "")
    )


@dataclass(slots=True)
class _Kept:
    """A ModelRollout: what it takes to compare it, and the rest as JSON, packed."""

    version: int
    uid: str
    packed: bytes
    likeness: bytes
    asked: tuple[Place, ...]
    former: tuple[Place, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it answers."""
        return self.asked + self.former


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the API server said against an object, and since when; foreign: another's has its name;
    harmless: nothing rests on it.
    """

    since: datetime
    message: str
    foreign: bool = False
    harmless: bool = False

    def told(self, before: datetime) -> str:
        """The message, where it is of `before` or older; another's object does not go by itself,
        and is told at once.
        """
        return self.message if self.since <= before or self.foreign else ""


NOT_REFUSED = Refusal(datetime.min.replace(tzinfo=UTC), "")


@dataclass
class Store:
    """The newest version of everything seen; older versions that arrive late are dropped.

    gateways: the namespace of the Gateways, "" for each rollout's own.
    """

    gateways: str = ""
    _rollouts: dict[Key, _Kept] = field(default_factory=dict)
    _refusals: dict[Key, Refusal] = field(default_factory=dict)
    _contests: dict[Key, dict[str, Contest]] = field(default_factory=dict)
    """By the name of the Deployment."""
    _children: dict[Key, list[Child]] = field(default_factory=lambda: defaultdict(list))
    """Of each rollout a handful: to look through them costs less than a dict of them."""
    _settled: dict[Key, int] = field(default_factory=dict)
    _likeness: dict[str, bytes] = field(default_factory=dict)
    """By kind: the JSON of the first one that is as most will be."""
    _claimed: Claimed[Key] = field(default_factory=Claimed)
    _own: dict[Key, set[Event]] = field(default_factory=lambda: defaultdict(set))
    _ended: dict[str, int] = field(default_factory=dict)
    """Of the objects that were deleted last: the version at which that was, by uid."""

    def put_rollout(self, raw: Mapping[str, Any]) -> bool:
        """Keep a ModelRollout, unless a newer version of it is known; says whether it was kept."""
        meta, status = raw["metadata"], raw.get("status") or {}
        key, version = key_of(meta), int(meta["resourceVersion"])
        known = self._rollouts.get(key)
        if known is not None and known.version >= version:
            return False
        text = to_json(
            {
                "metadata": {k: meta[k] for k in KEPT if k in meta},
                "spec": raw.get("spec", {}),
                "status": status,
            }
        )
        likeness = (
            self._like(KIND, text)
            if status.get("phase") in AT_REST
            else self._likeness.get(KIND, b"")
        )
        asked, former = places_of(raw, self.gateways)
        self._claimed.move(key, () if known is None else known.places, asked + former)
        self._rollouts[key] = _Kept(
            version, sys.intern(meta["uid"]), pack(text, likeness), likeness, asked, former
        )
        return True

    def asked(self, key: Key) -> tuple[Place, ...]:
        """Where a rollout is to answer by its spec."""
        known = self._rollouts.get(key)
        return known.asked if known is not None else ()

    def rivals(self, key: Key) -> tuple[Key, ...]:
        """The other rollouts that claim to answer where this one does."""
        known = self._rollouts.get(key)
        return self._others(key, known.places) if known is not None else ()

    def _others(self, key: Key, places: tuple[Place, ...]) -> tuple[Key, ...]:
        return tuple(k for k in self._claimed.meeting(places) if k != key)

    def claimants(self, places: Iterable[int]) -> tuple[Key, ...]:
        """The rollouts that claim to answer at one of these places, by whatever listener."""
        return self._claimed.at(places)

    def taken_by(self, key: Key) -> Key | None:
        """The oldest other rollout that answers where the spec of this one would, if it is older;
        None where the place is this one's.
        """
        if not (rivals := self._others(key, self.asked(key))):
            return None
        ages = {
            k: (raw["metadata"].get("creationTimestamp") or "", raw["metadata"]["uid"])
            for k in (key, *rivals)
            if (raw := self.rollout(k))
        }
        oldest = min(ages, key=lambda k: ages[k])
        return None if oldest == key else oldest

    def drop_rollout(self, raw: Mapping[str, Any]) -> None:
        """Forget a deleted ModelRollout, unless another of the same name has taken its place."""
        meta = raw["metadata"]
        self.drop(KIND, key_of(meta), meta["name"], meta["uid"])

    def put_child(self, kind: str, raw: Mapping[str, Any]) -> bool:
        """Keep an owned object, unless a newer version of it is known; says whether it tells
        anything new.

        Much of a status is nobody's business here: a PodDisruptionBudget's changes with every pod.
        """
        if not concerns(kind, raw["metadata"]):
            return False
        key, likeness = (
            rollout_of(raw),
            (
                b""
                if kind in UNSAID
                else self._likeness.get(kind) or self._like(kind, to_json(content(raw)))
            ),
        )
        new = child(kind, raw, likeness)
        known = self._child(key, kind, new.name)
        if new.version <= max(-1 if known is None else known.version, self._ended.get(new.uid, -1)):
            return False
        if known is not None and known.agreed and known.mark == new.mark and known.uid == new.uid:
            new.agreed, new.content = known.agreed, b""
        if known is not None:
            self._children[key].remove(known)
        self._children[key].append(new)
        if known is not None and replace(known, version=new.version) == new:
            return False
        self._settled.pop(key, None)
        return True

    def _like(self, kind: str, text: bytes) -> bytes:
        return self._likeness.setdefault(kind, text)

    def _child(self, key: Key, kind: str, name: str) -> Child | None:
        return next(
            (c for c in self._children.get(key, ()) if c.kind == kind and c.name == name), None
        )

    def put(self, kind: str, raw: Mapping[str, Any]) -> bool:
        """Keep an object of any watched kind, unless a newer version of it is known; says whether
        it tells anything new.
        """
        return self.put_rollout(raw) if kind == KIND else self.put_child(kind, raw)

    def wrote(self, key: Key, kind: str, raw: Mapping[str, Any]) -> None:
        """Keep what this process has just written itself; a ModelRollout that was told to be gone
        before the reply was read stays gone.
        """
        if kind == KIND and key not in self._rollouts:
            return
        self._own[key].add(event_of(kind, raw["metadata"]))
        self.put(kind, raw)

    def applied(self, key: Key, manifest: Manifest, raw: Mapping[str, Any]) -> None:
        """Keep what the API server made of a manifest that this process has just applied.

        Where admission has changed it (a mirror for the image, a sidecar), it is what this cluster
        makes of the manifest: to apply it again would come to the same, for ever.
        """
        kind = manifest["kind"]
        self.wrote(key, kind, raw)
        known = self._child(key, kind, manifest["metadata"]["name"])
        if known is not None and kind not in UNSAID and known.mark == hash(to_json(content(raw))):
            known.agreed, known.content = hash(to_json(manifest)), b""

    def deleted(self, key: Key, kind: str, name: str, uid: str) -> None:
        """Forget what this process has just deleted itself."""
        self._own[key].add((kind, name, uid))
        self.forget(key, kind, name, uid)

    def own(self, key: Key) -> set[Event]:
        """What this process wrote since it was last asked: a watch may tell of it before the API
        server answers, and it is no news.
        """
        return self._own.pop(key, set())

    def drop(self, kind: str, key: Key, name: str, uid: str) -> None:
        """Forget an object of any watched kind that was deleted."""
        if kind != KIND:
            self.forget(key, kind, name, uid)
        elif (known := self._rollouts.get(key)) is not None and known.uid == uid:
            self._claimed.move(key, known.places, ())
            del self._rollouts[key]
            self._settled.pop(key, None)
            self._contests.pop(key, None)
            self.accept(key)

    def version(self, kind: str, place: tuple[str, str], meta: Mapping[str, Any]) -> int:
        """The version known of the object with this metadata, at this (namespace, name); -1 for
        none.
        """
        if kind == KIND:
            known = self._rollouts.get(place)
            return -1 if known is None else known.version
        one = self._child(rollout_of({"metadata": meta}), kind, place[1])
        return -1 if one is None else one.version

    def known(self, kind: str, namespace: str) -> dict[tuple[str, str], tuple[str, Key]]:
        """Uid and rollout of every known object of a kind, by (namespace, name); namespace "" for
        all.
        """
        if kind == KIND:
            return {k: (r.uid, k) for k, r in self._rollouts.items() if namespace in {"", k[0]}}
        return {
            (key[0], child.name): (child.uid, key)
            for key, of_rollout in self._children.items()
            for child in of_rollout
            if child.kind == kind and namespace in {"", key[0]}
        }

    def drop_child(self, kind: str, raw: Mapping[str, Any]) -> bool:
        """Forget a deleted object, unless another of the same name has taken its place; says
        whether it was known.
        """
        key, meta = rollout_of(raw), raw["metadata"]
        # The reply to a write from before may be read only now, and brings nothing back.
        self._ended[meta["uid"]] = int(meta["resourceVersion"])
        if len(self._ended) > MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        return self.forget(key, kind, meta["name"], meta["uid"])

    def forget(self, key: Key, kind: str, name: str, uid: str) -> bool:
        """Forget an object that was deleted; says whether it was known."""
        known = self._child(key, kind, name)
        if found := known is not None and known.uid == uid:
            self._children[key].remove(known)
            self._settled.pop(key, None)
            if not self._children[key]:
                del self._children[key]
        return found

    def refuse(self, key: Key, said: Refusal) -> None:
        """Remember that the API server does not have an object of the rollout; it counts from the
        first time.
        """
        before = self._refusals.get(key)
        self._refusals[key] = said if before is None else replace(said, since=before.since)

    def refusal(self, key: Key) -> Refusal:
        """What the API server says against an object of the rollout; NOT_REFUSED where it says
        nothing.
        """
        return self._refusals.get(key, NOT_REFUSED)

    def accept(self, key: Key) -> bool:
        """Every object of the rollout is as it should be;
        says whether one was refused until now.
        """
        return self._refusals.pop(key, None) is not None

    def contest(self, key: Key, deployment: str, contest: Contest) -> None:
        """Remember that the number of pods was put back."""
        self._contests.setdefault(key, {})[deployment] = contest

    def contests(self, key: Key, now: datetime) -> Mapping[str, Contest]:
        """The Deployments of the rollout whose number of pods another has set lately, by name."""
        if key not in self._contests:
            return {}
        left = {name: one for name, one in self._contests[key].items() if now < one.over}
        self._contests[key] = left
        if not left:
            del self._contests[key]
        return left

    def settle(self, key: Key, version: int) -> None:
        """Remember that the objects say what this version of the ModelRollout asks for: until one
        changes, they need not be compared.
        """
        self._settled[key] = version

    def settled(self, key: Key, version: int) -> bool:
        """Whether every object was found to be as this version of the ModelRollout asks, and none
        has changed since.
        """
        return self._settled.get(key) == version

    def rollout(self, key: Key) -> dict[str, Any] | None:
        """The ModelRollout, a copy; None where there is none."""
        if (known := self._rollouts.get(key)) is None:
            return None
        found: dict[str, Any] = from_json(unpack(known.packed, known.likeness))
        return found

    def count(self) -> int:
        """How many ModelRollouts are known."""
        return len(self._rollouts)

    def has(self, key: Key) -> bool:
        """Whether there is such a ModelRollout."""
        return key in self._rollouts

    def rollouts(self) -> Iterable[Key]:
        """Every ModelRollout known."""
        return tuple(self._rollouts)

    def children(self, key: Key) -> tuple[Child, ...]:
        """Everything that carries the labels of the rollout."""
        return tuple(self._children.get(key, ()))
