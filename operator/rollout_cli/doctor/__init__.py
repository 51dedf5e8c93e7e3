"""What has to be so that rollouts can work, checked one by one; every result says what to do.
Reads only.

A check that may not look (403) says so and goes on; that is no fault of the cluster.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import NOT_INSTALLED, Rollout
from rollout_cli.doctor.check_result import CheckResult, bad, guarded, unknown
from rollout_cli.doctor.cluster import check_cluster, check_user_rights
from rollout_cli.doctor.metrics import check_own_metrics, check_prometheus, check_series
from rollout_cli.doctor.operator import check_operator
from rollout_cli.doctor.rollouts import check_autoscaler, check_rollout, check_router
from rollout_cli.exit_codes import Absent, Refused, Unreachable


def all_checks(
    kube: KubeApi,
    find_prometheus: Callable[[], Prometheus],
    rollouts: Callable[[], Sequence[Rollout]],
) -> Iterator[CheckResult]:
    """Every check, in the order in which things depend on each other."""
    yield from guarded("cluster", check_cluster, kube)
    yield from guarded("your rights", check_user_rights, kube)
    found: Sequence[Rollout] = ()
    try:
        found = rollouts()
    except Absent:
        yield bad("rollouts", NOT_INSTALLED, "install the operator (docs/guides/install.md)")
    except Refused as refused:
        yield unknown("rollouts", str(refused))
    namespaces = sorted({rollout.namespace for rollout in found}) or [kube.namespace]
    yield from guarded("operator", check_operator, kube, namespaces)
    for rollout in found:
        yield from check_rollout(rollout, datetime.now(UTC))
        yield from guarded("router", check_router, kube, rollout)
        yield from guarded("autoscaling", check_autoscaler, kube, rollout)
    try:
        prometheus = find_prometheus()
        yield from check_prometheus(prometheus)
    except Unreachable as nobody:
        yield bad(
            "Prometheus",
            str(nobody),
            "without it no gate has evidence: the operator holds, and rolls back after maxHold",
        )
        return
    yield from guarded("metrics", check_own_metrics, kube, prometheus)
    for rollout in found:
        yield from guarded("series", check_series, prometheus, rollout)
