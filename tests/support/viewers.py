"""People of a cluster: service accounts with tokens of their own and the rights that each has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollout_operator.domain.api.names import GROUP, PLURAL
from tests.support.api_client import ApiClient

HOME = "people"
"""The namespace of the accounts: no rollout is there."""
RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUPS = ["system:serviceaccounts", "system:authenticated"]
"""Of every service account."""
Rule = Mapping[str, Sequence[str]]

READS: tuple[Rule, ...] = (
    {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["events", "pods"], "verbs": ["get", "list", "watch"]},
)
STEERS: tuple[Rule, ...] = (
    *READS,
    {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["patch", "update"]},
)


@dataclass(frozen=True)
class Viewer:
    """Somebody with a bearer token."""

    name: str
    """Of the service account in HOME."""
    token: str
    """Valid for an hour, or until the account is deleted."""

    @property
    def user(self) -> str:
        """As the API server calls them."""
        return f"system:serviceaccount:{HOME}:{self.name}"


def viewer(
    api: ApiClient,
    name: str,
    rules: Sequence[Rule] = (),
    namespaces: Sequence[str] | None = None,
) -> Viewer:
    """A new account with these rights in these namespaces, in all of them where none are named."""
    api.namespace(HOME)
    _create(api, f"/api/v1/namespaces/{HOME}/serviceaccounts", {"metadata": {"name": name}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": HOME}
    if rules and namespaces is None:
        _create(api, f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": list(rules)})
        _bind(api, f"{RBAC}/clusterrolebindings", name, "ClusterRole", subject)
    for namespace in (namespaces or ()) if rules else ():
        place = f"{RBAC}/namespaces/{namespace}"
        _create(api, f"{place}/roles", {"metadata": {"name": name}, "rules": list(rules)})
        _bind(api, f"{place}/rolebindings", name, "Role", subject)
    return Viewer(name, token(api, name))


def token(api: ApiClient, name: str) -> str:
    """One more token of an account."""
    answer = _create(
        api,
        f"/api/v1/namespaces/{HOME}/serviceaccounts/{name}/token",
        {"spec": {"expirationSeconds": 3600}},
    )
    given: str = answer["status"]["token"]
    return given


def dismiss(api: ApiClient, who: Viewer) -> None:
    """The account is deleted: the API server refuses its tokens from now on."""
    reply = api.http.delete(f"/api/v1/namespaces/{HOME}/serviceaccounts/{who.name}")
    assert reply.status_code < 300, reply.text


def may(api: ApiClient, user: str, verb: str, resource: str, group: str, namespace: str) -> bool:
    """What RBAC says of a service account, by SubjectAccessReview."""
    place = {"verb": verb, "resource": resource, "group": group, "namespace": namespace}
    answer = _create(
        api,
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {"spec": {"user": user, "groups": GROUPS, "resourceAttributes": place}},
    )
    allowed: bool = answer["status"]["allowed"]
    return allowed


def _bind(api: ApiClient, path: str, name: str, kind: str, subject: Mapping[str, str]) -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    body = {"metadata": {"name": name}, "roleRef": role, "subjects": [dict(subject)]}
    _create(api, path, body)


def _create(api: ApiClient, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    reply = api.http.post(path, json=dict(body))
    assert reply.status_code == 201, reply.text
    answer: dict[str, Any] = reply.json()
    return answer
