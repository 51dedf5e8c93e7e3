"""What the watches have told: ModelRollouts and the objects they own, trimmed to what a reconcile
looks at.

Ten thousand rollouts at rest must fit beside the code: all is kept packed, and what an object says
is forgotten once it is known to say what it should.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json, to_json

from rollout_operator.controller.codec import Codec
from rollout_operator.controller.raw_objects import (
    Key,
    concerns,
    key_of,
    rollout_of,
)
from rollout_operator.desired.diff import comparable
from rollout_operator.domain.api.names import KIND
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.owned_object import OwnedObject
from rollout_operator.domain.places import Claimed, Place, places_of
from rollout_operator.domain.urgency import is_urgent

KEPT = (
    *("name", "namespace", "uid", "resourceVersion", "generation"),
    *("creationTimestamp", "deletionTimestamp"),
    *("labels", "annotations", "ownerReferences", "finalizers"),
)
"""Metadata of a ModelRollout that is kept: all but what the API server makes itself."""
MOST_TOMBSTONES = 1000
"""Deleted objects that are remembered: more than a process deletes while it waits for a reply."""
NEVER_APPLIED = frozenset({"EndpointSlice"})
"""Kinds that no manifest says anything about."""


@dataclass(slots=True)
class CachedObject(OwnedObject):
    """An owned object with what it takes to compare it with its manifest."""

    content: bytes = b""
    """What a manifest has a say in, as packed JSON; empty once it was found to be as applied."""
    content_hash: int = 0
    """Hash of that JSON."""
    applied_hash: int = 0
    """Hash of the manifest that it was found to say; 0: not compared yet."""

    def mark_applied(self, manifest_hash: int) -> None:
        """It says what the manifest of this hash says: nobody needs its content any more."""
        self.applied_hash, self.content = manifest_hash, b""


@dataclass(slots=True)
class CachedRollout:
    """A ModelRollout: what it takes to compare it, and the rest packed."""

    version: int
    """Its resourceVersion."""
    uid: str
    """From its metadata; a later ModelRollout of the same name has another."""
    packed: bytes
    """Metadata (KEPT), spec and status as JSON, encoded by Codec."""
    spec_places: tuple[Place, ...]
    """Where it is to answer by its spec."""
    former_places: tuple[Place, ...]
    """Where it still answers by routes that it keeps."""
    urgent: bool
    """Whether looks at it go before those that can wait."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it answers."""
        return self.spec_places + self.former_places


def content_json(kind: str, raw: Mapping[str, Any]) -> bytes:
    """The part of an object that a manifest has a say in, as JSON; empty for kinds without one."""
    return b"" if kind in NEVER_APPLIED else to_json(comparable(raw))


@dataclass
class Store:
    """The newest version of everything seen; older versions that arrive late are dropped."""

    gateways: str = ""
    """The namespace of the Gateways, "" for each rollout's own."""
    _rollouts: dict[Key, CachedRollout] = field(default_factory=dict)
    _objects: dict[Key, list[CachedObject]] = field(default_factory=lambda: defaultdict(list))
    """Of each rollout a handful: to look through them costs less than a dict of them."""
    _in_sync: dict[Key, int] = field(default_factory=dict)
    """The version of the ModelRollout that all objects are known to follow."""
    _claimed: Claimed[Key] = field(default_factory=Claimed)
    """Index: who answers where."""
    _tombstones: dict[str, int] = field(default_factory=dict)
    """Of the objects that were deleted last: the version at which that was, by uid."""
    _codec: Codec = field(default_factory=Codec)

    def put(self, kind: str, raw: Mapping[str, Any]) -> bool:
        """Keep an object of any watched kind, unless a newer version of it is known; says whether
        it tells anything new.
        """
        return self.put_rollout(raw) if kind == KIND else self.put_object(kind, raw)

    def put_rollout(self, raw: Mapping[str, Any]) -> bool:
        """Keep a ModelRollout, unless a newer version of it is known; says whether it was kept."""
        meta, status = raw["metadata"], raw.get("status") or {}
        key, version = key_of(meta), int(meta["resourceVersion"])
        known = self._rollouts.get(key)
        if known is not None and known.version >= version:
            return False
        kept = {k: meta[k] for k in KEPT if k in meta}
        text = to_json({"metadata": kept, "spec": raw.get("spec", {}), "status": status})
        if status.get("phase") in AT_REST:
            self._codec.learn(KIND, text)
        asked, former = places_of(raw, self.gateways)
        self._claimed.move(key, () if known is None else known.places, asked + former)
        self._rollouts[key] = CachedRollout(
            version,
            sys.intern(meta["uid"]),
            self._codec.encode(KIND, text),
            asked,
            former,
            is_urgent(status),
        )
        return True

    def put_object(self, kind: str, raw: Mapping[str, Any]) -> bool:
        """Keep an owned object, unless a newer version of it is known; says whether it tells
        anything new.

        Much of a status is nobody's business here: a PodDisruptionBudget's changes with every pod.
        """
        if not concerns(kind, raw["metadata"]):
            return False
        key, new = rollout_of(raw), CachedObject.read(kind, raw)
        known = self.find(key, kind, new.name)
        newest = max(-1 if known is None else known.version, self._tombstones.get(new.uid, -1))
        if new.version <= newest:
            return False
        self._keep_content(new, known, content_json(kind, raw))
        if known is not None:
            self._objects[key].remove(known)
        self._objects[key].append(new)
        if known is not None and replace(known, version=new.version) == new:
            return False
        self._in_sync.pop(key, None)
        return True

    def _keep_content(self, new: CachedObject, known: CachedObject | None, text: bytes) -> None:
        new.content_hash = hash(text)
        if (
            known is not None
            and known.applied_hash
            and (known.uid, known.content_hash) == (new.uid, new.content_hash)
        ):
            new.mark_applied(known.applied_hash)
        elif text:
            self._codec.learn(new.kind, text)
            new.content = self._codec.encode(new.kind, text)

    def put_status_reply(self, raw: Mapping[str, Any]) -> None:
        """Keep a ModelRollout as the reply to a write of its status has it; one that was told to be
        gone before the reply was read stays gone.
        """
        if key_of(raw["metadata"]) in self._rollouts:
            self.put_rollout(raw)

    def remove(
        self, kind: str, key: Key, name: str, uid: str, deleted_at: int | None = None
    ) -> bool:
        """Forget an object that was deleted, unless another of its name has taken its place; says
        whether it was known.

        deleted_at: its last version, where a watch told: a reply to a write from before, which is
        read later, brings nothing back.
        """
        if deleted_at is not None:
            self._tombstones[uid] = deleted_at
            if len(self._tombstones) > MOST_TOMBSTONES:
                del self._tombstones[next(iter(self._tombstones))]
        return (
            self._remove_rollout(key, uid) if kind == KIND else self._remove(kind, key, name, uid)
        )

    def _remove_rollout(self, key: Key, uid: str) -> bool:
        known = self._rollouts.get(key)
        if known is None or known.uid != uid:
            return False
        self._claimed.move(key, known.places, ())
        del self._rollouts[key]
        self._in_sync.pop(key, None)
        return True

    def _remove(self, kind: str, key: Key, name: str, uid: str) -> bool:
        known = self.find(key, kind, name)
        if known is None or known.uid != uid:
            return False
        self._objects[key].remove(known)
        self._in_sync.pop(key, None)
        if not self._objects[key]:
            del self._objects[key]
        return True

    def rollout(self, key: Key) -> dict[str, Any] | None:
        """The ModelRollout, a copy; None where there is none."""
        if (known := self._rollouts.get(key)) is None:
            return None
        raw: dict[str, Any] = from_json(self._codec.decode(KIND, known.packed))
        return raw

    def has(self, key: Key) -> bool:
        """Whether there is such a ModelRollout."""
        return key in self._rollouts

    def is_urgent(self, key: Key) -> bool:
        """Whether a look at this ModelRollout goes before those that can wait."""
        known = self._rollouts.get(key)
        return known is not None and known.urgent

    def count(self) -> int:
        """How many ModelRollouts are known."""
        return len(self._rollouts)

    def objects(self, key: Key) -> tuple[CachedObject, ...]:
        """Everything that carries the labels of the rollout."""
        return tuple(self._objects.get(key, ()))

    def find(self, key: Key, kind: str, name: str) -> CachedObject | None:
        """One object of the rollout; None where there is none."""
        objects = self._objects.get(key, ())
        return next((o for o in objects if o.kind == kind and o.name == name), None)

    def content(self, known: CachedObject) -> dict[str, Any] | None:
        """What a manifest has a say in of this object; None where that has been forgotten."""
        if not known.content:
            return None
        content: dict[str, Any] = from_json(self._codec.decode(known.kind, known.content))
        return content

    def version(self, kind: str, place: tuple[str, str], meta: Mapping[str, Any]) -> int:
        """The version known of the object with this metadata at (namespace, name); -1 for none."""
        known = (
            self._rollouts.get(place)
            if kind == KIND
            else self.find(rollout_of({"metadata": meta}), kind, place[1])
        )
        return -1 if known is None else known.version

    def known(self, kind: str, namespace: str) -> dict[tuple[str, str], tuple[str, Key]]:
        """Uid and rollout of every object of a kind, by (namespace, name); namespace "" for all."""
        if kind == KIND:
            return {k: (r.uid, k) for k, r in self._rollouts.items() if namespace in {"", k[0]}}
        return {
            (key[0], o.name): (o.uid, key)
            for key, objects in self._objects.items()
            for o in objects
            if o.kind == kind and namespace in {"", key[0]}
        }

    def mark_in_sync(self, key: Key, version: int) -> None:
        """Remember that the objects say what this version of the ModelRollout asks for: until one
        changes, they need not be compared.
        """
        self._in_sync[key] = version

    def in_sync(self, key: Key, version: int) -> bool:
        """Whether every object was found to be as this version of the ModelRollout asks, and none
        has changed since.
        """
        return self._in_sync.get(key) == version

    def spec_places(self, key: Key) -> tuple[Place, ...]:
        """Where a rollout is to answer by its spec."""
        known = self._rollouts.get(key)
        return known.spec_places if known is not None else ()

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
        if not (rivals := self._others(key, self.spec_places(key))):
            return None
        ages = {
            k: (raw["metadata"].get("creationTimestamp") or "", raw["metadata"]["uid"])
            for k in (key, *rivals)
            if (raw := self.rollout(k))
        }
        oldest = min(ages, key=lambda k: ages[k])
        return None if oldest == key else oldest
