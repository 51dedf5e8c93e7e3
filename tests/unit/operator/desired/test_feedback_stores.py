"""What remembers labels: whose namespace gets what, and what of it a pod has."""

import json
from typing import Any

import pytest

from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.deployment import deployment, served_by
from rollout_operator.domain.credentials import Authority, Credentials
from rollout_operator.domain.feedback_stores import FeedbackStore, feedback_stores, store_of
from rollout_operator.settings import Settings, SettingsError
from tests.support.builders import revision
from tests.support.operator_env import operator_env

V1 = revision(1, promoted=True)
OWNER = Owner("uid-1", "iris", "models")
ENVIRONMENT = {"MLFLOW_TRACKING_URI": "https://mlflow:5000", "FEEDBACK_KEY": "key"}
ON_A_VOLUME = FeedbackStore(claim="feedback", max_entries=5_000)
IN_A_DATABASE = FeedbackStore(secret="database", ca=Authority(config_map="company-ca"))


def pod(store: FeedbackStore | None, credentials: Credentials | None = None) -> Manifest:
    made = deployment(OWNER, V1, 2, ENVIRONMENT, credentials, store=store)
    spec = made["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def variables(spec: Manifest) -> dict[str, Any]:
    (server,) = spec["containers"]
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in server["env"]}


def test_without_a_store_a_pod_is_as_it_was() -> None:
    spec = pod(None)
    assert {name for name in variables(spec) if name.startswith("FEEDBACK")} == {"FEEDBACK_KEY"}
    assert {one["name"] for one in spec["volumes"]} == {"tmp"}


def test_a_volume_is_the_servers_to_write() -> None:
    spec = pod(ON_A_VOLUME)
    said = variables(spec)
    assert said["FEEDBACK_STORE"] == "sqlite:/var/lib/rollouts/feedback"
    assert (said["FEEDBACK_SCOPE"], said["FEEDBACK_STORE_ENTRIES"]) == ("uid-1", "5000")
    (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "feedback"]
    assert mount == {"name": "feedback", "mountPath": "/var/lib/rollouts/feedback"}
    assert {"name": "feedback", "persistentVolumeClaim": {"claimName": "feedback"}} in spec[
        "volumes"
    ]


def test_of_a_databases_secret_the_server_has_the_url_and_nothing_else() -> None:
    spec = pod(IN_A_DATABASE)
    (server,) = spec["containers"]
    said = variables(spec)
    assert said["FEEDBACK_STORE"] == {"secretKeyRef": {"name": "database", "key": "url"}}
    assert said["PGSSLROOTCERT"] == "/var/run/rollouts/feedback-ca/ca.crt"
    assert "envFrom" not in server
    assert [v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "feedback-ca"] == [
        "company-ca"
    ]


def test_the_step_that_fetches_knows_nothing_of_it() -> None:
    spec = pod(IN_A_DATABASE, Credentials(secret="mlflow-reader"))
    (step,) = spec["initContainers"]
    assert "FEEDBACK" not in json.dumps(step)
    assert "feedback" not in json.dumps(step)


def test_a_deployment_with_a_secret_is_still_read_back() -> None:
    live = deployment(OWNER, V1, 2, ENVIRONMENT, store=IN_A_DATABASE)
    live["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    found = served_by(live)
    assert found is not None
    assert found.revision == V1.revision


def test_the_first_entry_for_a_namespace_is_taken() -> None:
    entries = feedback_stores(
        '[{"namespaces": ["ml-a", "ml-b*"], "claim": "small"}, {"secret": "database"}]'
    )
    found = {name: store_of(entries, name) for name in ("ml-a", "ml-bee", "other")}
    assert {name: one and (one.claim or one.secret) for name, one in found.items()} == {
        "ml-a": "small",
        "ml-bee": "small",
        "other": "database",
    }
    assert store_of(entries[:1], "other") is None


WRONG = {
    "no list": ('{"claim": "a"}', "is no JSON list"),
    "neither": ("[{}]", "exactly one of claim"),
    "both": ('[{"claim": "a", "secret": "b"}]', "exactly one of claim"),
    "a CA of a volume": ('[{"claim": "a", "ca": {"secret": "b"}}]', "leave it out beside claim"),
    "a CA of nowhere": ('[{"secret": "a", "ca": {}}]', "exactly one of secret and configMap"),
    "a typo": ('[{"claim": "a", "maxRows": 5}]', "maxRows"),
    "a second": ('[{"claim": "a", "seconds": 1}]', "seconds"),
    "a name that is none": ('[{"claim": "A_B"}]', "claim"),
}


@pytest.mark.parametrize(("text", "why"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_meant_is_refused_at_start(text: str, why: str) -> None:
    env = operator_env(FEEDBACK_STORES=text)
    with pytest.raises(SettingsError, match="FEEDBACK_STORES") as refused:
        Settings.from_environment(env)
    assert why in str(refused.value)
