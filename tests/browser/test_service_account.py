"""The dashboard's own service account is refused everything: as the chart makes it, on a real API
server.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.api_client import ApiClient
from tests.support.board_client import BoardClient
from tests.support.charts import DASHBOARD, EVERYTHING, OPERATOR, Manifest, by_kind
from tests.support.kinds import path_of
from tests.support.seeded_board import SeededBoard
from tests.support.seeds import leaks
from tests.support.viewers import RBAC, may

NAMESPACE = "rollouts-system"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
EVERYBODYS = {
    ("create", "selfsubjectaccessreviews"),
    ("create", "selfsubjectreviews"),
    ("create", "selfsubjectrulesreviews"),
}
"""What Kubernetes lets everybody ask: about himself."""
PLURALS = {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"} | {
    "Role": "roles",
    "RoleBinding": "rolebindings",
}


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[Manifest]]:
    """All of the chart, with everything and the dashboard."""
    values = {**EVERYTHING[OPERATOR], "dashboard": DASHBOARD["dashboard"]}
    return by_kind(OPERATOR, values, namespace=NAMESPACE)


def deployment(rendered: dict[str, list[Manifest]]) -> Manifest:
    """The dashboard's."""
    found = [m for m in rendered["Deployment"] if m["metadata"]["name"].endswith("-dashboard")]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def account(rendered: dict[str, list[Manifest]]) -> str:
    """Its name."""
    return str(deployment(rendered)["spec"]["template"]["spec"]["serviceAccountName"])


def test_the_pod_has_no_token(rendered: dict[str, list[Manifest]], account: str) -> None:
    pod: dict[str, Any] = deployment(rendered)["spec"]["template"]["spec"]
    (own,) = (m for m in rendered["ServiceAccount"] if m["metadata"]["name"] == account)
    assert (pod["automountServiceAccountToken"], own["automountServiceAccountToken"]) == (
        False,
        False,
    )
    assert "serviceAccountToken" not in str(pod["volumes"])
    # Nor is it the operator's.
    others = [m for m in rendered["Deployment"] if m is not deployment(rendered)]
    assert account not in {m["spec"]["template"]["spec"]["serviceAccountName"] for m in others}


def test_no_role_is_bound_to_it(rendered: dict[str, list[Manifest]], account: str) -> None:
    bindings = [*rendered.get("RoleBinding", ()), *rendered.get("ClusterRoleBinding", ())]
    assert bindings
    subjects = [subject for one in bindings for subject in one["subjects"]]
    assert account not in {subject["name"] for subject in subjects}
    assert {subject["kind"] for subject in subjects} == {"ServiceAccount"}


def resources(api: ApiClient) -> Iterator[tuple[str, str]]:
    """Group and name of every resource and subresource that the API server has."""
    roots = ["/api/v1"] + [
        f"/apis/{group['preferredVersion']['groupVersion']}" for group in api.get("/apis")["groups"]
    ]
    for root in roots:
        group = "" if root == "/api/v1" else root.split("/")[2]
        yield from ((group, one["name"]) for one in api.get(root)["resources"])


@pytest.fixture
def installed(stage: SeededBoard, rendered: dict[str, list[Manifest]], account: str) -> str:
    """The chart's accounts and rights are in the cluster; a token of the dashboard's account."""
    api = stage.api
    api.namespace(NAMESPACE)
    for kind, plural in PLURALS.items():
        for one in rendered.get(kind, ()):
            namespace = one["metadata"].get("namespace")
            place = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
            if namespace:
                api.namespace(namespace)
            reply = api.apply(f"{place}/{plural}/{one['metadata']['name']}", one)
            assert reply.status_code < 300, reply.text
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    for one in rendered["ServiceAccount"]:
        reply = api.apply(f"{accounts}/{one['metadata']['name']}", one)
        assert reply.status_code < 300, reply.text
    reply = api.http.post(f"{accounts}/{account}/token", json={"spec": {}})
    assert reply.status_code == 201, reply.text
    return str(reply.json()["status"]["token"])


def test_it_may_do_nothing_at_all(stage: SeededBoard, installed: str, account: str) -> None:
    user = f"system:serviceaccount:{NAMESPACE}:{account}"
    known = sorted(set(resources(stage.api)))
    assert ("rollouts.mlops.dev", "modelrollouts") in known
    allowed = {
        (verb, resource)
        for group, resource in known
        for verb in VERBS
        if may(stage.api, user, verb, resource, group, NAMESPACE)
    }
    assert allowed == EVERYBODYS


def test_its_token_opens_nothing(stage: SeededBoard, installed: str) -> None:
    mine = {"Authorization": f"Bearer {installed}"}
    for path in (path_of("ModelRollout"), "/api/v1/secrets", "/api/v1/pods", "/api/v1/namespaces"):
        assert stage.api.http.get(path, headers=mine).status_code == 403, path
    client = BoardClient.of(stage.board.url, installed)
    page = client.http.get("/")
    assert page.status_code == 200
    assert leaks(page.text) == set()
