"""The NetworkPolicy: whom a rollout's pods may connect to. It does not depend on a revision, so a
promotion writes nothing here.
"""

from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.domain.egress import Egress


def network_policy(owner: Owner, egress: Egress) -> Manifest:
    """Whom the rollout's pods may connect to. Loading a model is running its code."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owner.metadata(owner.name),
        "spec": {
            "podSelector": owner.pod_selector(),
            "policyTypes": ["Egress"],
            "egress": list(egress),
        },
    }
