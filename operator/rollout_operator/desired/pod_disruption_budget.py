"""The PodDisruptionBudget: how many pods a drain may take at a time. It does not depend on a
revision, so a promotion writes nothing here.
"""

from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.domain.api.names import REVISION


def pod_disruption_budget(owner: Owner) -> Manifest:
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
            # The pod that inspects a version serves nobody, and has no scale that it could count.
            "selector": {
                **owner.pod_selector(),
                "matchExpressions": [{"key": REVISION, "operator": "Exists"}],
            },
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
