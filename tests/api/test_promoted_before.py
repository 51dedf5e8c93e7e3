"""The example policy by which a cluster takes only what was promoted in another one before: every
part of the proof that `promote-to` writes is spoiled once.
"""

import itertools
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from rollout_cli.promotion.manifest_edit import edited
from rollout_cli.promotion.proof import Proof
from rollout_operator.domain.api.names import PROMOTED
from rollout_operator.domain.api.status import Attempt
from rollout_operator.domain.api.words import Verdict
from tests.support.api_client import ApiClient, wait_for
from tests.support.builders import DIGEST, at
from tests.support.charts import ROOT
from tests.support.kinds import GROUP, path_of

POLICY = ROOT / "docs/examples/policies/promoted-before.yaml"
URI = "models:/my model/7"
ENDED = Attempt(
    attempt=3,
    uri=URI,
    revision="abc",
    verdict=Verdict.PROMOTED,
    reason="GatesPassed",
    message="",
    started=at(0),
    ended=at(60),
)
GOOD = str(Proof(URI, DIGEST, "staging/ml/iris", ENDED))


def rollout(uri: str = URI, proof: str | None = GOOD, **spec: Any) -> dict[str, Any]:
    annotations = {} if proof is None else {"annotations": {PROMOTED: proof}}
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "iris", **annotations},
        "spec": {"modelUri": uri, "traffic": {"host": "iris.example.com"}, **spec},
    }


class Production:
    """A namespace that takes what was promoted in staging."""

    def __init__(self, api: ApiClient, label: str = "staging") -> None:
        name = f"production-{uuid4().hex[:8]}"
        self.api, self.path = api, path_of("ModelRollout", name)
        labels = {"rollouts.mlops.dev/promoted-from": label} if label else {}
        body = {"metadata": {"name": name, "labels": labels}}
        api.http.post("/api/v1/namespaces", json=body).raise_for_status()

    def create(self, manifest: dict[str, Any], **params: str) -> httpx.Response:
        return self.api.http.post(self.path, json=manifest, params=params)

    def patch(self, body: dict[str, Any]) -> httpx.Response:
        return self.api.patch(f"{self.path}/iris", body)


@pytest.fixture(scope="module")
def policy(api: ApiClient) -> Iterator[None]:
    made = []
    for one in yaml.safe_load_all(POLICY.read_text()):
        kinds = {"Policy": "policies", "Binding": "policybindings"}
        plural = next(p for kind, p in kinds.items() if one["kind"].endswith(kind))
        path = (
            f"/apis/admissionregistration.k8s.io/v1/validatingadmission{plural}"
            f"/{one['metadata']['name']}"
        )
        assert api.apply(path, one).status_code in {200, 201}
        made.append(path)
    probe = Production(api)
    bad = rollout(proof=None)
    wait_for(lambda: probe.create(bad, dryRun="All").status_code == 422, "the policy", 60)
    yield
    for path in made:
        api.http.delete(path)


@pytest.fixture
def production(api: ApiClient, policy: None) -> Production:
    return Production(api)


def test_what_promote_to_writes_is_taken(production: Production) -> None:
    assert production.create(rollout()).status_code == 201


def test_a_manifest_that_promote_to_has_changed_is_taken(production: Production) -> None:
    by_hand = yaml.safe_dump(rollout("models:/my model/6", proof=None))
    changed = yaml.safe_load(edited(by_hand, "prod/iris.yaml", "iris", URI, {PROMOTED: GOOD}))
    assert production.create(yaml.safe_load(by_hand)).status_code == 422
    assert production.create(changed).status_code == 201


NONE, OTHER = "has no proof here", "is none of staging"
SPOILED = {
    "stripped": (rollout(proof=None), NONE),
    "empty": (rollout(proof=""), NONE),
    "of another version": (rollout("models:/my model/8"), NONE),
    "of a version that begins alike": (rollout("models:/my model/70"), NONE),
    "of another model": (rollout("models:/wine/7"), NONE),
    "of an alias": (
        rollout("models:/iris@champion", GOOD.replace(URI, "models:/iris@champion")),
        "an alias can be moved",
    ),
    "without a digest": (rollout(proof=GOOD.replace(f" {DIGEST}", "")), OTHER),
    "with a short digest": (rollout(proof=GOOD.replace(DIGEST, DIGEST[:-1])), OTHER),
    "with a digest of another kind": (rollout(proof=GOOD.replace("sha256", "sha512")), OTHER),
    "with another verdict": (rollout(proof=GOOD.replace("Promoted", "RolledBack")), OTHER),
    "of another environment": (rollout(proof=GOOD.replace("staging/", "laptop/")), OTHER),
    "of one whose name begins alike": (rollout(proof=GOOD.replace("staging", "staging2")), OTHER),
    "of no environment": (rollout(proof=GOOD.replace("staging/", "")), OTHER),
    "of no rollout": (rollout(proof=GOOD.replace("/iris,", ",")), OTHER),
    "without an attempt": (rollout(proof=GOOD.replace(", attempt 3", "")), OTHER),
    "of attempt 0": (rollout(proof=GOOD.replace("attempt 3", "attempt 0")), OTHER),
    "without a time": (rollout(proof=GOOD.rsplit(",", 1)[0]), OTHER),
    "with more behind it": (rollout(proof=f"{GOOD} or so"), OTHER),
    "on two lines": (rollout(proof=f"{GOOD}\n"), OTHER),
}


@pytest.mark.parametrize(("manifest", "sentence"), SPOILED.values(), ids=SPOILED.keys())
def test_a_spoiled_proof_is_refused(
    production: Production, manifest: dict[str, Any], sentence: str
) -> None:
    reply = production.create(manifest)
    assert (reply.status_code, sentence in reply.text) == (422, True), reply.text


def test_the_next_version_needs_a_proof_of_its_own(production: Production) -> None:
    production.create(rollout()).raise_for_status()
    eight = "models:/my model/8"
    assert production.patch({"spec": {"modelUri": eight}}).status_code == 422
    proof = {"metadata": {"annotations": {PROMOTED: GOOD.replace(URI, eight)}}}
    assert production.patch({"spec": {"modelUri": eight}, **proof}).status_code == 200


def test_a_proof_is_not_taken_away_afterwards(production: Production) -> None:
    production.create(rollout()).raise_for_status()
    reply = production.patch({"metadata": {"annotations": {PROMOTED: None}}})
    assert (reply.status_code, NONE in reply.text) == (422, True)


def test_all_else_may_be_changed(production: Production) -> None:
    production.create(rollout()).raise_for_status()
    assert production.patch({"spec": {"paused": True}}).status_code == 200
    assert production.patch({"spec": {"replicas": 3}}).status_code == 200


def test_what_was_there_before_the_policy_goes_on(api: ApiClient, policy: None) -> None:
    """A namespace that gets its label later."""
    later = Production(api, label="")
    later.create(rollout(proof=None)).raise_for_status()
    labels = {"metadata": {"labels": {"rollouts.mlops.dev/promoted-from": "staging"}}}
    namespace = later.path.split("/")[-2]
    api.patch(f"/api/v1/namespaces/{namespace}", labels).raise_for_status()
    # Another version each time: what is there already is no change, and may stay.
    versions = itertools.count(8)

    def refused() -> bool:
        uri = f"models:/my model/{next(versions)}"
        return later.patch({"spec": {"modelUri": uri}}).status_code == 422

    wait_for(
        refused,
        "the label to be seen",
        60,
    )
    assert later.patch({"spec": {"paused": True}}).status_code == 200


def test_other_namespaces_are_not_concerned(api: ApiClient, policy: None) -> None:
    assert Production(api, label="").create(rollout(proof=None)).status_code == 201
