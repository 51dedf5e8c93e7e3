"""What protects the pods of a rollout, and others from them; neither depends on a revision, so a
promotion writes nothing here.
"""

from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.domain.api.names import ROLLOUT
from rollout_operator.domain.egress import Egress


def network_policy(owner: Owner, egress: Egress) -> Manifest:
    """Whom the rollout's pods may connect to. Loading a model is running its code."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owner.metadata(owner.name),
        "spec": {"podSelector": _pods(owner), "policyTypes": ["Egress"], "egress": list(egress)},
    }


def disruption_budget(owner: Owner) -> Manifest:
    """A drain takes one pod of the rollout at a time. With a single replica it may take that one: a
    budget must not block nodes.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owner.metadata(owner.name),
        # Pods that are not Ready may always be evicted: a candidate that cannot load must hold up
        # no drain.
        "spec": {
            "maxUnavailable": 1,
            "selector": _pods(owner),
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _pods(owner: Owner) -> Manifest:
    """All pods of the rollout, of whatever revision."""
    return {"matchLabels": {ROLLOUT: owner.name}}
