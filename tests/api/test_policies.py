"""The example policies of docs/guides/policy.md, in a real API server: what they refuse, with which
sentence, and what they let through.
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from tests.support.api_client import ApiClient, wait_for
from tests.support.charts import ROOT
from tests.support.kinds import GROUP, path_of

POLICIES = ROOT / "docs" / "examples" / "policies"
PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
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
        body = {"metadata": {"annotations": {f"{GROUP}/{verb}": attempt}}}
        return self.patch(body, *groups, **params)

    def patch(
        self, body: dict[str, Any], *groups: str, user: str = "somebody", **params: str
    ) -> httpx.Response:
        headers = [("Content-Type", "application/merge-patch+json"), ("Impersonate-User", user)]
        headers += [
            ("Impersonate-Group", group) for group in ("system:authenticated", "editors", *groups)
        ]
        return self.api.http.patch(
            f"{self.path}/iris", content=json.dumps(body), headers=headers, params=params
        )


@pytest.fixture(scope="module")
def policed(api: ApiClient) -> Iterator[Policed]:
    # A worker may come back to this module, and sets it up anew on the same API server.
    ns = f"policed-{uuid4().hex[:8]}"
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
            path = f"/apis/{one['apiVersion']}/{PLURALS[one['kind']]}/{one['metadata']['name']}"
            assert api.apply(path, one).status_code == 201
            made.append(path)
    assert len(made) == 12
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
    for verb in ("promote", "skip", "approve"):
        wait_for(partial(refuses, policed, verb), "the refusal", 10)
        assert "ask somebody of the group mlops-approvers" in policed.annotate(verb, "1").text
        assert policed.annotate(verb, "1", "mlops-approvers").status_code == 200
        assert policed.annotate(verb, "1").status_code == 200, (
            "what stands there already is not asked for again"
        )
        assert policed.annotate(verb, "2").status_code == 422
    for verb in ("abort", "retry"):
        assert policed.annotate(verb, "1").status_code == 200


@pytest.mark.parametrize("name", ["who-commanded.yaml", "write-who-commanded.yaml"])
def test_the_chart_has_the_policies_that_are_tried_here(name: str) -> None:
    chart = ROOT / "charts" / "rollout-operator" / "files" / name
    assert chart.read_text() == (POLICIES / name).read_text()


COMMANDED_BY = f"{GROUP}/commanded-by"


def give(policed: Policed, user: str, **annotations: str | None) -> httpx.Response:
    """What comes of annotations that this user writes."""
    named = {f"{GROUP}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return policed.patch({"metadata": {"annotations": named}}, "mlops-approvers", user=user)


@pytest.fixture
def commanded(policed: Policed, api: ApiClient) -> Iterator[Policed]:
    """A rollout without any command yet, and both policies in force."""
    api.http.delete(f"{policed.path}/iris")
    assert api.http.post(policed.path, json=rollout()).status_code == 201

    def in_force() -> bool:
        forged = policed.patch(
            {"metadata": {"annotations": {COMMANDED_BY: "abort 1: boss"}}}, dryRun="All"
        )
        named = policed.annotate("abort", "1", dryRun="All").json()["metadata"]["annotations"]
        return forged.status_code == 422 and COMMANDED_BY in named

    wait_for(in_force, "the policies to be in force", 60)
    yield policed
    api.http.delete(f"{policed.path}/iris").raise_for_status()


def by(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    return str(reply.json()["metadata"]["annotations"].get(COMMANDED_BY, ""))


def test_who_commands_is_written_by_the_policy(commanded: Policed) -> None:
    assert by(give(commanded, "ann", approve="3")) == "approve 3: ann"
    # Whoever comes after, and changes nothing of it, is not named.
    assert by(give(commanded, "bob", reason="approve 3: late")) == "approve 3: ann"
    assert by(give(commanded, "bob", approve="3")) == "approve 3: ann"
    assert by(give(commanded, "bob", skip="3", approve="3")) == "skip 3: bob"
    account = "system:serviceaccount:ci:deployer"
    assert by(give(commanded, account, abort="3")) == f"abort 3: {account}"


def test_a_name_that_somebody_writes_is_replaced_by_the_true_one(commanded: Policed) -> None:
    assert (
        by(give(commanded, "bob", approve="3", commanded_by="approve 3: ann")) == "approve 3: bob"
    )


def test_who_pauses_is_written_too(commanded: Policed) -> None:
    paused = commanded.patch({"spec": {"paused": True}}, user="ann")
    assert by(paused) == "pause 0: ann"
    assert by(commanded.patch({"spec": {"paused": False}}, user="bob")) == "resume 0: bob"


FORGED: dict[str, dict[str, str | None]] = {
    "another's name, without a command": {"commanded_by": "approve 3: boss"},
    "one's own name, for what another commanded": {"commanded_by": "approve 3: bob"},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_nobody_writes_a_name_without_a_command(
    commanded: Policed, forged: dict[str, str | None]
) -> None:
    assert by(give(commanded, "ann", approve="3")) == "approve 3: ann"
    refused = give(commanded, "bob", **forged)
    assert refused.status_code == 422
    assert "you are bob: leave the annotation out" in refused.json()["message"]


def test_without_the_writing_policy_nobody_inherits_a_name(
    commanded: Policed, api: ApiClient
) -> None:
    """Where the API server has none that write: a true name is taken, none is, and no other."""
    binding = (
        "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicybindings"
        "/model-rollouts-write-who-commanded"
    )
    known = api.get(binding)
    api.http.delete(binding).raise_for_status()
    wait_for(
        lambda: COMMANDED_BY not in _annotations(commanded.annotate("abort", "1", dryRun="All")),
        "the policy to be gone",
        60,
    )
    assert (
        by(give(commanded, "ann", approve="3", commanded_by="approve 3: ann")) == "approve 3: ann"
    )
    assert give(commanded, "ann", approve=None).status_code == 200
    assert give(commanded, "bob", approve="3").status_code == 422, "the name there is another's"
    assert give(commanded, "bob", abort="3", commanded_by="abort 3: ann").status_code == 422
    assert by(give(commanded, "bob", abort="3", commanded_by=None)) == ""
    fresh = {k: known[k] for k in ("apiVersion", "kind", "spec")}
    fresh["metadata"] = {"name": known["metadata"]["name"]}
    assert api.apply(binding, fresh).status_code == 201


def _annotations(reply: httpx.Response) -> dict[str, str]:
    found: dict[str, str] = reply.json()["metadata"].get("annotations") or {}
    return found
