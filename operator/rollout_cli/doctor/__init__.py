"""What has to be so that rollouts can work, checked one by one; every finding says what to do.
Reads only.

A check that may not look (403) says so and goes on; that is no fault of the cluster.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import NOT_INSTALLED, Rollout
from rollout_cli.doctor.cluster import cluster, your_rights
from rollout_cli.doctor.finding import Finding, bad, guarded, unknown
from rollout_cli.doctor.metrics import clock, series
from rollout_cli.doctor.operator import operator
from rollout_cli.doctor.rollouts import rollout, router
from rollout_cli.exit_codes import Absent, Refused, Unreachable


def all_checks(
    kube: KubeApi,
    find_prometheus: Callable[[], Prometheus],
    rollouts: Callable[[], Sequence[Rollout]],
) -> Iterator[Finding]:
    """Every check, in the order in which things depend on each other."""
    yield from guarded("cluster", lambda: cluster(kube))
    yield from guarded("your rights", lambda: your_rights(kube))
    found: Sequence[Rollout] = ()
    try:
        found = rollouts()
    except Absent:
        yield bad("rollouts", NOT_INSTALLED, "install the operator (docs/guides/install.md)")
    except Refused as refused:
        yield unknown("rollouts", str(refused))
    namespaces = sorted({one.namespace for one in found}) or [kube.namespace]
    yield from guarded("operator", lambda: operator(kube, namespaces))
    for one in found:
        yield from rollout(one, datetime.now(UTC))
        yield from guarded("router", lambda one=one: router(kube, one))  # type: ignore[misc]
    try:
        prometheus = find_prometheus()
        yield from clock(prometheus)
    except Unreachable as nobody:
        yield bad(
            "Prometheus",
            str(nobody),
            "without it no gate has evidence: the operator holds, and rolls back after maxHold",
        )
        return
    for one in found:
        yield from guarded("series", lambda one=one: series(prometheus, one))  # type: ignore[misc]
