"""The split without a router: one Service has the pods of stable and of the candidate, and
connections are divided by how many there are of each. Pure.

Source: kubernetes.io/docs/reference/networking/virtual-ips: kube-proxy picks an endpoint for each
connection, all alike.
"""

import math

from rollout_operator.domain.api.traffic import MOST_WEIGHT


def pods_for(weight: int, stable: int) -> int:
    """Pods of a candidate, 1 to `stable`, whose share comes nearest to this weight, in percent,
    beside so many of stable; of two as near, the fewer.
    """
    exact = stable * weight / (100 - weight) if weight < MOST_WEIGHT else stable
    around = {min(max(1, n), max(1, stable)) for n in (math.floor(exact), math.ceil(exact))}
    return min(sorted(around), key=lambda n: abs(100 * n / (n + stable) - weight))


def share(candidate: int, stable: int) -> int:
    """The candidate's share of connections, in whole percent, by the Ready pods of each; 0 where it
    has none.
    """
    return round(100 * candidate / (candidate + stable)) if candidate else 0
