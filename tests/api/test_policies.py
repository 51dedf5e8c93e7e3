"""The example policies of docs/guides/policy.md, in a real API server: what they refuse, with which
sentence, and what they let through.
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
import yaml

from tests.support.api_client import ApiClient, wait_for
from tests.support.charts import ROOT
from tests.support.kinds import GROUP, path_of

POLICIES = ROOT / "docs" / "examples" / "policies"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


def rollout(
    uri: str = "models:/ml-iris/1",
    weight: int = 10,
    gates: list[Any] | None = None,
    **analysis: Any,
) -> dict[str, Any]:
    gates = [{"metric": "accuracy", "min": 0.9}] if gates is None else gates
    spec = {
        "modelUri": uri,
        "traffic": {"host": "iris.example.com"},
        "strategy": {"steps": [{"weight": weight}]},
        "analysis": {"gates": gates, **analysis},
    }
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "iris"},
        "spec": spec,
    }


class Policed:
    """A namespace under the policies."""

    def __init__(self, api: ApiClient, ns: str) -> None:
        self.api, self.path = api, path_of("ModelRollout", ns)

    def create(self, manifest: dict[str, Any]) -> httpx.Response:
        return self.api.http.post(self.path, json=manifest, params={"dryRun": "All"})

    def annotate(self, verb: str, attempt: str, *groups: str, **params: str) -> httpx.Response:
        headers = [
            ("Content-Type", "application/merge-patch+json"),
            ("Impersonate-User", "somebody"),
        ]
        headers += [
            ("Impersonate-Group", group) for group in ("system:authenticated", "editors", *groups)
        ]
        body = {"metadata": {"annotations": {f"{GROUP}/{verb}": attempt}}}
        return self.api.http.patch(
            f"{self.path}/iris", content=json.dumps(body), headers=headers, params=params
        )


@pytest.fixture(scope="module")
def policed(api: ApiClient) -> Iterator[Policed]:
    ns = "policed"
    reply = api.http.post(
        "/api/v1/namespaces",
        json={"metadata": {"name": ns, "labels": {"environment": "production", "team": "ml"}}},
    )
    assert reply.status_code == 201, reply.text
    rules = [{"apiGroups": [GROUP], "resources": ["modelrollouts"], "verbs": ["get", "patch"]}]
    meta = {"metadata": {"name": "editors"}}
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}"
    api.http.post(f"{rbac}/roles", json={**meta, "rules": rules}).raise_for_status()
    group = {"kind": "Group", "name": "editors", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "editors"}
    api.http.post(
        f"{rbac}/rolebindings", json={**meta, "roleRef": role, "subjects": [group]}
    ).raise_for_status()
    made = []
    for file in sorted(POLICIES.glob("*.yaml")):
        for one in yaml.safe_load_all(file.read_text()):
            path = f"{ADMISSION}/{PLURALS[one['kind']]}/{one['metadata']['name']}"
            assert api.apply(path, one).status_code == 201
            made.append(path)
    assert len(made) == 6
    there = Policed(api, ns)
    bad = rollout("models:/other/1", gates=[{"metric": "errorRate", "max": 0.1}])

    def in_force() -> bool:
        text = there.create(bad).text
        return "model-rollouts-production-gates" in text or "model-rollouts-own-models" in text

    wait_for(in_force, "the policies to be in force", 60)
    yield there
    for path in made:
        api.http.delete(path)


REFUSED = {
    "no accuracy gate": (
        rollout(gates=[{"metric": "errorRate", "max": 0.1}]),
        "a gate on accuracy of at least 0.8 is needed",
    ),
    "an accuracy gate that asks too little": (
        rollout(gates=[{"metric": "accuracy", "min": 0.7}]),
        "a gate on accuracy of at least 0.8",
    ),
    "only a difference to stable": (
        rollout(gates=[{"metric": "accuracy", "maxDrop": 0.1, "evidence": "Labelled"}]),
        "of at least 0.8",
    ),
    "promotion without evidence": (
        rollout(onNoEvidence="Promote"),
        "nothing is promoted without evidence",
    ),
    "a first step that is too large": (rollout(weight=50), "the first step takes at most 10 %"),
    "the model of another team": (
        rollout("models:/other/1"),
        "rolls out models of team ml only: write models:/ml-<name>/<version>",
    ),
    "an alias": (rollout("models:/ml-iris@champion"), "an alias moves without a commit"),
}


@pytest.mark.parametrize(("manifest", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_the_policies_refuse(policed: Policed, manifest: dict[str, Any], told: str) -> None:
    def refused() -> str:
        reply = policed.create(manifest)
        return str(reply.json()["message"]) if reply.status_code == 422 else ""

    assert told in wait_for(refused, "the refusal", 10)


def test_the_policies_let_through_what_is_as_it_should_be(policed: Policed) -> None:
    assert policed.create(rollout()).status_code == 201


def refuses(policed: Policed, verb: str) -> bool:
    """Whether the policy is in force; what is let through as long as it is not leaves nothing
    behind.
    """
    return policed.annotate(verb, "1", dryRun="All").status_code == 422


def test_who_may_promote(policed: Policed, api: ApiClient) -> None:
    assert api.http.post(policed.path, json=rollout()).status_code == 201
    for verb in ("promote", "skip"):
        wait_for(partial(refuses, policed, verb), "the refusal", 10)
        assert "ask somebody of the group mlops-approvers" in policed.annotate(verb, "1").text
        assert policed.annotate(verb, "1", "mlops-approvers").status_code == 200
        assert policed.annotate(verb, "1").status_code == 200, (
            "what stands there already is not asked for again"
        )
        assert policed.annotate(verb, "2").status_code == 422
    for verb in ("abort", "retry"):
        assert policed.annotate(verb, "1").status_code == 200
