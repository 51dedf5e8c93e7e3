"""An API server whose company refuses some kinds of objects."""

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.support.api_client import ApiClient, wait_for

PORT = {"port": 80, "targetPort": 8080}
PROBES: dict[str, dict[str, Any]] = {
    "httproutes": {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "spec": {"hostnames": ["a.example.com"]},
    },
    "networkpolicies": {"spec": {"podSelector": {}}},
    "poddisruptionbudgets": {"spec": {"maxUnavailable": 1, "selector": {}}},
    "horizontalpodautoscalers": {
        "spec": {
            "maxReplicas": 1,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
        }
    },
    "ingresses": {
        "spec": {"defaultBackend": {"service": {"name": "probe", "port": {"number": 80}}}}
    },
    "services": {"spec": {"ports": [PORT], "selector": {"a": "b"}}},
    "deployments": {
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "a", "image": "a"}]},
            },
        }
    },
}


@contextlib.contextmanager
def refusing(
    api: ApiClient, ns: str, resource: str, group: str, operations: tuple[str, ...] = ("CREATE",)
) -> Iterator[None]:
    """An admission policy of the company's that refuses every new object of one kind in this
    namespace, and with UPDATE among the operations every other one of those that there are.
    """
    policies, meta = "/apis/admissionregistration.k8s.io/v1", {"name": f"no-{resource}-{ns}"}
    rule = {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": list(operations),
        "resources": [resource],
    }
    only = {"matchLabels": {"kubernetes.io/metadata.name": ns}}
    policy = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": only},
        "validations": [{"expression": "false", "message": f"no {resource} here"}],
    }
    bound = {"policyName": meta["name"], "validationActions": ["Deny"]}
    places = (("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", bound))
    for plural, spec in places:
        api.http.post(
            f"{policies}/{plural}", json={"metadata": meta, "spec": spec}
        ).raise_for_status()
    path = f"{(f'/apis/{group}' if group else '/api')}/v1/namespaces/{ns}/{resource}"
    probe = PROBES[resource]

    def refused() -> bool | None:
        return (
            "here"
            in api.http.post(
                path, json={"metadata": {"name": "probe"}, **probe}, params={"dryRun": "All"}
            ).text
            or None
        )

    try:
        wait_for(refused, "the policy to be enforced")
        yield
    finally:
        for plural, _ in reversed(places):
            api.http.delete(f"{policies}/{plural}/{meta['name']}").raise_for_status()
