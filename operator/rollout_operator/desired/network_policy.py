"""The NetworkPolicy: whom a rollout's pods may connect to. It does not depend on a revision, so a
promotion writes nothing here.
"""

from rollout_operator.desired.common import PORT, Manifest, Owner
from rollout_operator.domain.egress import Egress, Rule


def network_policy(owner: Owner, egress: Egress, *, copies: bool = False) -> Manifest:
    """Whom the rollout's pods may connect to. Loading a model is running its code.

    copies: whether they send one another copies of requests.
    """
    among: Rule = {
        "to": [{"podSelector": owner.pod_selector()}],
        "ports": [{"port": PORT, "protocol": "TCP"}],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owner.metadata(owner.name),
        "spec": {
            "podSelector": owner.pod_selector(),
            "policyTypes": ["Egress"],
            "egress": [*egress, *([among] if copies else [])],
        },
    }
