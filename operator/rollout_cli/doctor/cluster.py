"""The API server, the definition of ModelRollouts in it, and what the user of this tool may do."""

import json
from collections.abc import Iterator

from rollout_cli.api.kubernetes import KubeApi, Object
from rollout_cli.doctor.check_result import CheckResult, bad, good, warning
from rollout_cli.exit_codes import Absent
from rollout_operator.crd import crd
from rollout_operator.domain.api.names import GROUP, KIND, PLURAL, VERSION


def check_cluster(kube: KubeApi) -> Iterator[CheckResult]:
    """The API server and the definition of ModelRollouts in it."""
    version = kube.get("/version")
    yield good("cluster", f"Kubernetes {version.get('gitVersion', '?')} answers")
    try:
        kube.get(f"/apis/{GROUP}/{VERSION}")
    except Absent:
        yield bad(
            "definition",
            f"the cluster does not know {KIND}s",
            "install the operator's chart, or `kubectl apply -f crds/`",
        )
        return
    installed = kube.get(
        f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}"
    )
    ours = json.loads(json.dumps(crd()))["spec"]["versions"][0]["schema"]
    theirs: Object = next(
        (v["schema"] for v in installed["spec"]["versions"] if v["name"] == VERSION), {}
    )
    if ours == theirs:
        yield good("definition", f"{KIND} {VERSION} is the one that this tool knows")
    else:
        todo = (
            "install the same version of chart and tool; until then `lint` and the API server may"
            " judge differently"
        )
        yield warning(
            "definition",
            f"{KIND} {VERSION} in the cluster differs from the one that this tool knows",
            todo,
        )


def check_user_rights(kube: KubeApi) -> Iterator[CheckResult]:
    """What the user of this tool may do."""
    rights = [
        ("see rollouts", "list", GROUP, PLURAL, ""),
        ("steer rollouts", "patch", GROUP, PLURAL, ""),
        ("see pods", "list", "", "pods", ""),
        ("see Events", "list", "", "events", ""),
        ("reach Prometheus through the API server", "get", "", "services", "proxy"),
    ]
    lacking = [
        name for name, *attributes in rights if not is_allowed(kube, kube.namespace, *attributes)
    ]
    if lacking:
        todo = (
            f"ask for the role edit in {kube.namespace}; for Prometheus, for get services/proxy,"
            " or give --prometheus URL"
        )
        yield warning(
            "your rights", f"you may not {', '.join(lacking)} in namespace {kube.namespace}", todo
        )
    else:
        yield good("your rights", f"you may see and steer rollouts in namespace {kube.namespace}")


def is_allowed(  # noqa: PLR0917
    kube: KubeApi,
    namespace: str,
    verb: str,
    group: str,
    resource: str,
    subresource: str,
    user: str = "",
) -> bool:
    """Whether `user`, else the user of this tool, may do this in the namespace."""
    kind = "SubjectAccessReview" if user else "SelfSubjectAccessReview"
    attributes = {
        "namespace": namespace,
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
    }
    body: Object = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": kind,
        "spec": {"resourceAttributes": attributes},
    }
    if user:
        body["spec"]["user"] = user
    return bool(
        kube.create(f"/apis/authorization.k8s.io/v1/{kind.lower()}s", body)["status"].get("allowed")
    )
