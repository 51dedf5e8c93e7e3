"""The objects a rollout needs: plain manifests, a function of (identity, spec, status) and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollout_operator.domain.names import GROUP, KIND, MANAGED_BY, REVISION, ROLLOUT, VERSION

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """The ModelRollout that the objects belong to."""

    uid: str
    name: str
    namespace: str

    def labels(self, revision: str | None = None) -> dict[str, str]:
        """Labels of every object; with the revision where it belongs to one."""
        common = {MANAGED_BY: GROUP, ROLLOUT: self.name}
        return common if revision is None else {**common, REVISION: revision}

    def selector(self, revision: str) -> dict[str, str]:
        """Labels that select the pods of one revision of this rollout."""
        return {ROLLOUT: self.name, REVISION: revision}

    def metadata(self, name: str, revision: str | None = None, annotations: Mapping[str, str] | None = None) -> Manifest:
        """Metadata with the owner reference by which garbage collection finds the object."""
        reference = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "name": self.name, "uid": self.uid, "controller": True}
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": self.labels(revision),
            **({"annotations": dict(annotations)} if annotations else {}),
            "ownerReferences": [reference],
        }
