"""The Services: one for each candidate, and the stable one that the host's route leads to."""

from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.domain.api.names import revision_name

HTTP_PORT = 80


def _service(owner: Owner, name: str, selected: str, labelled: str | None) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(name, labelled),
        "spec": {
            "type": "ClusterIP",
            "selector": owner.selector(selected),
            "ports": [{"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def candidate_service(owner: Owner, revision: str) -> Manifest:
    """The Service of one revision, for the canary route."""
    return _service(owner, revision_name(owner.name, revision), revision, revision)


def stable_service(owner: Owner, revision: str) -> Manifest:
    """The rollout's own Service, named like it; promotion changes which revision it selects."""
    return _service(owner, owner.name, revision, None)
