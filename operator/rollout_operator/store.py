"""What the watches have told: ModelRollouts and the objects they own, trimmed to what the engine looks at."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollout_operator.domain.names import KIND, REVISION, ROLLOUT

Key = tuple[str, str]
"""Namespace and name of a ModelRollout."""


@dataclass(frozen=True, slots=True)
class Child:
    """An object that belongs to a rollout.

    content: labels, annotations, owner references and spec; ready and wanted: pods, for Deployments; endpoints: names of
    the Ready pods, for EndpointSlices; service: the Service that a slice belongs to.
    """

    kind: str
    name: str
    uid: str
    version: int
    owner: str
    revision: str
    deleting: bool
    content: Mapping[str, Any]
    ready: int = 0
    wanted: int = 0
    trouble: str = ""
    endpoints: frozenset[str] = frozenset()
    service: str = ""


def content(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an object that a manifest has a say in."""
    meta = raw.get("metadata", {})
    kept = {k: meta[k] for k in ("labels", "annotations", "ownerReferences") if k in meta}
    return {"metadata": kept, "spec": raw.get("spec", {})}


def child(kind: str, raw: Mapping[str, Any]) -> Child:
    """Trim an object as the API server has it."""
    meta, status = raw["metadata"], raw.get("status") or {}
    owners = [o["uid"] for o in meta.get("ownerReferences", ()) if o.get("controller")]
    labels = meta.get("labels") or {}
    ready = {
        e["targetRef"]["name"]
        for e in raw.get("endpoints") or ()
        if e.get("targetRef") and e.get("conditions", {}).get("ready") and not e["conditions"].get("terminating")
    }
    stuck = [c.get("message", "") for c in status.get("conditions", ()) if c.get("type") == "ReplicaFailure" and c.get("status") == "True"]
    return Child(
        kind=kind,
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        owner=owners[0] if owners else "",
        revision=labels.get(REVISION, ""),
        deleting="deletionTimestamp" in meta,
        content={} if kind == "EndpointSlice" else content(raw),
        ready=status.get("readyReplicas", 0) if kind == "Deployment" else 0,
        wanted=raw.get("spec", {}).get("replicas", 0) if kind == "Deployment" else 0,
        trouble=stuck[0] if stuck else "",
        endpoints=frozenset(ready),
        service=labels.get("kubernetes.io/service-name", ""),
    )


def rollout_of(raw: Mapping[str, Any]) -> Key:
    """The rollout that an owned object names in its labels."""
    meta = raw["metadata"]
    return meta.get("namespace", ""), (meta.get("labels") or {}).get(ROLLOUT, "")


@dataclass
class Store:
    """The newest version of everything seen; older versions that arrive late are dropped."""

    _rollouts: dict[Key, dict[str, Any]] = field(default_factory=dict)
    _children: dict[Key, dict[tuple[str, str], Child]] = field(default_factory=lambda: defaultdict(dict))

    def put_rollout(self, raw: Mapping[str, Any]) -> bool:
        """Keep a ModelRollout, unless a newer version of it is known; says whether it was kept."""
        meta = raw["metadata"]
        key = (meta["namespace"], meta["name"])
        known = self._rollouts.get(key)
        if known is not None and int(known["metadata"]["resourceVersion"]) >= int(meta["resourceVersion"]):
            return False
        kept = ("name", "namespace", "uid", "resourceVersion", "generation", "annotations", "deletionTimestamp")
        self._rollouts[key] = {
            "metadata": {k: meta[k] for k in kept if k in meta},
            "spec": raw.get("spec", {}),
            "status": raw.get("status") or {},
        }
        return True

    def drop_rollout(self, raw: Mapping[str, Any]) -> None:
        """Forget a deleted ModelRollout, unless another of the same name has taken its place."""
        meta = raw["metadata"]
        key = (meta["namespace"], meta["name"])
        if (known := self._rollouts.get(key)) is not None and known["metadata"]["uid"] == meta["uid"]:
            del self._rollouts[key]

    def put_child(self, kind: str, raw: Mapping[str, Any]) -> bool:
        """Keep an owned object, unless a newer version of it is known; says whether it was kept."""
        new, of_rollout = child(kind, raw), self._children[rollout_of(raw)]
        known = of_rollout.get((kind, new.name))
        if known is not None and known.version >= new.version:
            return False
        of_rollout[kind, new.name] = new
        return True

    def put(self, kind: str, raw: Mapping[str, Any]) -> bool:
        """Keep an object of any watched kind, unless a newer version of it is known; says whether it was kept."""
        return self.put_rollout(raw) if kind == KIND else self.put_child(kind, raw)

    def drop(self, kind: str, key: Key, name: str, uid: str) -> None:
        """Forget an object of any watched kind that was deleted."""
        if kind != KIND:
            self.forget(key, kind, name, uid)
        elif (known := self._rollouts.get(key)) is not None and known["metadata"]["uid"] == uid:
            del self._rollouts[key]

    def version(self, kind: str, place: tuple[str, str], meta: Mapping[str, Any]) -> int:
        """The version known of the object with this metadata, at this (namespace, name); -1 for none."""
        if kind == KIND:
            known = self._rollouts.get(place)
            return -1 if known is None else int(known["metadata"]["resourceVersion"])
        one = self._children.get(rollout_of({"metadata": meta}), {}).get((kind, place[1]))
        return -1 if one is None else one.version

    def known(self, kind: str, namespace: str) -> dict[tuple[str, str], tuple[str, Key]]:
        """Uid and rollout of every known object of a kind, by (namespace, name); namespace "" for all."""
        if kind == KIND:
            return {k: (r["metadata"]["uid"], k) for k, r in self._rollouts.items() if namespace in {"", k[0]}}
        return {
            (key[0], child.name): (child.uid, key)
            for key, of_rollout in self._children.items()
            for child in of_rollout.values()
            if child.kind == kind and namespace in {"", key[0]}
        }

    def drop_child(self, kind: str, raw: Mapping[str, Any]) -> None:
        """Forget a deleted object, unless another of the same name has taken its place."""
        key, meta = rollout_of(raw), raw["metadata"]
        self.forget(key, kind, meta["name"], meta["uid"])

    def forget(self, key: Key, kind: str, name: str, uid: str) -> None:
        """Forget an object that was deleted."""
        of_rollout = self._children.get(key, {})
        if (known := of_rollout.get((kind, name))) is not None and known.uid == uid:
            del of_rollout[kind, name]
        if not of_rollout:
            self._children.pop(key, None)

    def rollout(self, key: Key) -> dict[str, Any] | None:
        """The ModelRollout, None where there is none."""
        return self._rollouts.get(key)

    def rollouts(self) -> Iterable[Key]:
        """Every ModelRollout known."""
        return tuple(self._rollouts)

    def children(self, key: Key) -> tuple[Child, ...]:
        """Everything that carries the labels of the rollout."""
        return tuple(self._children.get(key, {}).values())
