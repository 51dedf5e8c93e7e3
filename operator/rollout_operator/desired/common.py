"""The objects a rollout needs: plain manifests, a function of (identity, spec, status) alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollout_operator.domain.api.names import (
    GROUP,
    KIND,
    MANAGED_BY,
    REVISION,
    ROLLOUT,
    SHARD,
    VERSION,
)
from rollout_operator.domain.credentials import Authority

Manifest = dict[str, Any]
PORT = 8080
"""Of model pods."""
CANDIDATE_HEADER = "X-Model-Candidate"
"""With the value `true`, a tester's request goes to the candidate on trial."""


@dataclass(frozen=True, slots=True)
class Gateways:
    """The operator's configuration of Gateway API."""

    namespace: str = ""
    """Where the Gateways are; "" for each rollout's own."""
    mirrors: bool = False
    """Whether they can mirror requests: one that cannot may fail every request."""


NO_GATEWAYS = Gateways()


@dataclass(frozen=True, slots=True)
class Split:
    """How requests are divided between stable and candidate."""

    candidate: str | None = None
    """The candidate's revision; None where there is none."""
    weight: int = 0
    """Its share of requests in percent, 0 to 100."""

    @property
    def on_trial(self) -> bool:
        """Whether both answer: only then may testers choose the candidate, and copies of requests
        go to it.
        """
        return self.candidate is not None and 0 < self.weight < 100


@dataclass(frozen=True, slots=True)
class Owner:
    """The ModelRollout that the objects belong to."""

    uid: str
    """From its metadata, for the objects' owner reference."""
    name: str
    """Value of the label ROLLOUT on every object."""
    namespace: str
    """That of its objects too."""
    shard: str = ""
    """Value of its label SHARD, which its objects get too; "" for none."""

    def labels(self, revision: str | None = None) -> dict[str, str]:
        """Labels of every object; with the revision where it belongs to one."""
        common = {MANAGED_BY: GROUP, ROLLOUT: self.name}
        return common if revision is None else {**common, REVISION: revision}

    def selector(self, revision: str) -> dict[str, str]:
        """Labels that select the pods of one revision of this rollout."""
        return {ROLLOUT: self.name, REVISION: revision}

    def pod_selector(self) -> Manifest:
        """Selects all pods of the rollout, of whatever revision."""
        return {"matchLabels": {ROLLOUT: self.name}}

    def metadata(
        self, name: str, revision: str | None = None, annotations: Mapping[str, str] | None = None
    ) -> Manifest:
        """Metadata with the owner reference by which garbage collection finds the object."""
        reference = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            # A ModelRollout that is deleted in the foreground stays until the object is gone.
            "blockOwnerDeletion": True,
        }
        return {
            "name": name,
            "namespace": self.namespace,
            # On the object, not on its pods: a rollout that moves to another operator keeps them.
            "labels": {**self.labels(revision), **({SHARD: self.shard} if self.shard else {})},
            **({"annotations": dict(annotations)} if annotations else {}),
            "ownerReferences": [reference],
        }


def owner_of(raw: Mapping[str, Any]) -> Owner:
    """The identity of a ModelRollout, by its metadata."""
    meta = raw["metadata"]
    shard = (meta.get("labels") or {}).get(SHARD, "")
    return Owner(meta["uid"], meta["name"], meta["namespace"], shard)


def authority_volume(name: str, ca: Authority) -> Manifest:
    """The volume of a pod that has a certificate authority as the file ca.crt."""
    item = [{"key": ca.key, "path": "ca.crt"}]
    source = (
        {"secret": {"secretName": ca.secret, "items": item}}
        if ca.secret is not None
        else {"configMap": {"name": ca.config_map, "items": item}}
    )
    return {"name": name, **source}
