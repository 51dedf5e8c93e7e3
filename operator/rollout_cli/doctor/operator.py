"""The operator: there, healthy, and allowed to do its work."""

from collections.abc import Iterator, Sequence

from rollout_cli.api.kubernetes import KubeApi, Object
from rollout_cli.api.operator_deployment import OPERATOR, variables
from rollout_cli.doctor.check_result import CheckResult, bad, good, guarded, warning
from rollout_cli.doctor.cluster import is_allowed
from rollout_cli.doctor.messages import check_messages
from rollout_operator.domain.api.names import GROUP, PLURAL

NEEDED = (
    ("list", GROUP, PLURAL, ""),
    ("update", GROUP, PLURAL, "status"),
    ("create", "apps", "deployments", ""),
    ("patch", "apps", "deployments", ""),
    ("delete", "apps", "deployments", ""),
    ("patch", "", "services", ""),
    ("patch", "networking.k8s.io", "ingresses", ""),
    ("patch", "networking.k8s.io", "networkpolicies", ""),
    ("patch", "policy", "poddisruptionbudgets", ""),
    ("patch", "autoscaling", "horizontalpodautoscalers", ""),
    ("list", "discovery.k8s.io", "endpointslices", ""),
    ("list", "", "pods", ""),
    ("create", "", "events", ""),
)
"""A sample of what the operator does, enough to notice a Role that is missing or old."""


def check_operator(kube: KubeApi, namespaces: Sequence[str]) -> Iterator[CheckResult]:
    """The operator's Deployment, its health, and its rights in these namespaces."""
    found = kube.items("/apis/apps/v1/deployments", OPERATOR)
    if not found:
        todo = (
            "install it (docs/guides/install.md); where it runs outside of the cluster, all is well"
        )
        yield warning("operator", f"no Deployment with the label {OPERATOR}", todo)
        return
    found = [deployment for deployment in found if _looks_after(deployment, namespaces)]
    if not found:
        todo = "add the namespace to watchNamespaces of one of them"
        yield bad(
            "operator", f"none of those in the cluster looks after {', '.join(namespaces)}", todo
        )
        return
    if len(found) > 1:
        places = ", ".join(f"{d['metadata']['namespace']}/{d['metadata']['name']}" for d in found)
        yield warning(
            "operator",
            f"there are {len(found)}: {places}",
            "let each look after namespaces of its own (watchNamespaces), or remove one",
        )
    for deployment in found:
        yield from _deployment(kube, deployment)
        yield from guarded("operator's rights", _rights, kube, deployment, namespaces)


def _looks_after(deployment: Object, namespaces: Sequence[str]) -> bool:
    """Whether this Deployment's operator has any of these namespaces: one without WATCH_NAMESPACES
    has all.
    """
    watched = variables(deployment).get("WATCH_NAMESPACES", "")
    return (
        not watched
        or not namespaces
        or bool({n.strip() for n in watched.split(",")} & set(namespaces))
    )


def _deployment(kube: KubeApi, deployment: Object) -> Iterator[CheckResult]:
    meta = deployment["metadata"]
    place = f"{meta['namespace']}/{meta['name']}"
    if not deployment.get("status", {}).get("availableReplicas"):
        yield bad(
            "operator",
            f"{place} has no available pod",
            f"kubectl -n {meta['namespace']} describe pod -l {OPERATOR}",
        )
        return
    pods = kube.items(f"/api/v1/namespaces/{meta['namespace']}/pods", OPERATOR)
    ports = {
        p.get("name"): p["containerPort"]
        for c in deployment["spec"]["template"]["spec"]["containers"]
        for p in c.get("ports", ())
    }
    for pod in pods:
        if pod.get("status", {}).get("phase") != "Running":
            continue
        address = f"{pod['metadata']['name']}:{ports.get('health', 8080)}"
        status, body = kube.raw(
            f"/api/v1/namespaces/{meta['namespace']}/pods/{address}/proxy/healthz"
        )
        said = body[:200].decode(errors="replace").strip()
        if status == 200:
            yield good("operator", f"{place} runs and is healthy")
            yield from _messages(kube, pod, ports.get("metrics", 8081), place)
        elif status in {401, 403}:
            yield good("operator", f"{place} runs (its health may not be read: get pods/proxy)")
        else:
            yield bad(
                "operator",
                f"{place} is not healthy: {said}",
                f"kubectl -n {meta['namespace']} logs deployment/{meta['name']}",
            )


def _messages(kube: KubeApi, pod: Object, port: int, place: str) -> Iterator[CheckResult]:
    """By the metrics of one pod; where they cannot be read, an alert has to say it."""
    meta = pod["metadata"]
    address = f"{meta['name']}:{port}"
    status, body = kube.raw(f"/api/v1/namespaces/{meta['namespace']}/pods/{address}/proxy/metrics")
    if status == 200:
        yield from check_messages(body.decode(errors="replace"), place)


def _rights(kube: KubeApi, deployment: Object, namespaces: Sequence[str]) -> Iterator[CheckResult]:
    account = deployment["spec"]["template"]["spec"].get("serviceAccountName", "default")
    user = f"system:serviceaccount:{deployment['metadata']['namespace']}:{account}"
    for namespace in namespaces:
        lacking = [
            f"{verb} {resource}{'/' + sub if sub else ''}"
            for verb, group, resource, sub in NEEDED
            if not is_allowed(kube, namespace, verb, group, resource, sub, user)
        ]
        if lacking:
            todo = (
                "upgrade the chart, whose Role is older than the operator, or add the namespace to"
                " watchNamespaces"
            )
            yield bad("operator's rights", f"in {namespace} it may not {', '.join(lacking)}", todo)
        else:
            yield good("operator's rights", f"it may do its work in {namespace}")
