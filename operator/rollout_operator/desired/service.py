"""The Services: one for each candidate, and the stable one that the host's route leads to."""

from collections.abc import Mapping
from typing import Any

from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.domain.api.names import REVISION, STABLE, revision_name

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


def divided_service(owner: Owner, stable: str) -> Manifest:
    """The rollout's own Service while it divides connections: it selects the pods of all revisions,
    of which there are stable and a candidate only.

    An inspection's pod has no port `http`, and is no endpoint.
    """
    service = stable_service(owner, stable)
    service["metadata"]["annotations"] = {STABLE: stable}
    service["spec"]["selector"] = dict(owner.pod_selector()["matchLabels"])
    return service


def stable_of(service: Mapping[str, Any]) -> str:
    """The revision that is stable by the rollout's own Service. Raises KeyError where it says
    none.
    """
    selected: str | None = service["spec"]["selector"].get(REVISION)
    return selected or str(service["metadata"].get("annotations", {})[STABLE])
