"""What pods fetch with: whose namespace gets what, and that the server beside the step has none."""

import json

import pytest

from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.deployment import deployment, served_by
from rollout_operator.desired.diff import matches
from rollout_operator.domain.credentials import Authority, Credentials, credentials, of_namespace
from rollout_operator.settings import Settings, SettingsError
from tests.support.builders import revision
from tests.support.operator_env import operator_env

V1 = revision(1, promoted=True)
OWNER = Owner("uid-1", "iris", "models")
ENVIRONMENT = {"MLFLOW_TRACKING_URI": "https://mlflow:5000", "MODEL_MAX_BYTES": "1000"}
GIVEN = Credentials(
    namespaces=("models",),
    secret="mlflow-reader",
    service_account="models",
    ca=Authority(config_map="company-ca"),
    env={"HTTPS_PROXY": "http://proxy:3128"},
)


def pod(given: Credentials | None) -> Manifest:
    made = deployment(OWNER, V1, 2, ENVIRONMENT, given)["spec"]["template"]["spec"]
    assert isinstance(made, dict)
    return made


def test_without_credentials_the_server_fetches_by_itself() -> None:
    spec = pod(None)
    assert "initContainers" not in spec
    assert "serviceAccountName" not in spec
    names = {one["name"] for one in spec["containers"][0]["env"]}
    assert "MLFLOW_TRACKING_URI" in names
    assert "MODEL_FOLDER" not in names


def test_the_step_has_the_secret_and_the_server_has_not() -> None:
    spec = pod(GIVEN)
    (step,), (server,) = spec["initContainers"], spec["containers"]
    assert step["envFrom"] == [{"secretRef": {"name": "mlflow-reader"}}]
    assert {m["name"] for m in step["volumeMounts"]} == {"model", "tmp", "credentials", "ca"}
    assert {m["name"] for m in server["volumeMounts"]} == {"model", "tmp"}
    assert next(m for m in server["volumeMounts"] if m["name"] == "model")["readOnly"] is True
    assert "envFrom" not in server
    assert "mlflow" not in json.dumps(server["env"]).lower()
    assert "proxy" not in json.dumps(server["env"]).lower()


def test_the_step_is_told_what_to_fetch_and_whom_to_trust() -> None:
    (step,) = pod(GIVEN)["initContainers"]
    env = {one["name"]: one["value"] for one in step["env"]}
    assert env["MODEL_URI"] == V1.uri
    assert env["MODEL_DIGEST"] == V1.digest
    assert env["MLFLOW_TRACKING_URI"] == "https://mlflow:5000"
    assert env["MODEL_MAX_BYTES"] == "1000"
    assert env["HTTPS_PROXY"] == "http://proxy:3128"
    assert env["SSL_CERT_FILE"] == env["REQUESTS_CA_BUNDLE"] == "/var/run/rollouts/ca/ca.crt"


def test_the_model_stays_what_it_is_whatever_the_configuration_adds() -> None:
    """Neither a variable of the configuration nor a key of the Secret changes what is fetched:
    `env` goes before `envFrom`.
    """
    hostile = Credentials(env={"MODEL_URI": "models:/other/1", "MODEL_DIGEST": ""}, secret="s")
    (step,) = pod(hostile)["initContainers"]
    env = {one["name"]: one["value"] for one in step["env"]}
    assert (env["MODEL_URI"], env["MODEL_DIGEST"]) == (V1.uri, V1.digest)


def test_a_token_of_the_account_is_mounted_by_nobody() -> None:
    spec = pod(GIVEN)
    assert spec["serviceAccountName"] == "models"
    assert spec["automountServiceAccountToken"] is False


def test_what_a_deployment_serves_is_read_whoever_fetches() -> None:
    live = deployment(OWNER, V1, 2, ENVIRONMENT, GIVEN)
    live["metadata"]["creationTimestamp"] = "2026-11-29T12:00:00Z"
    found = served_by(live)
    assert found is not None
    assert (found.uri, found.digest) == (V1.uri, V1.digest)


def test_what_a_mesh_adds_to_the_steps_is_no_difference() -> None:
    """A native sidecar is an init container, and may be put before ours, as may its variables."""
    wanted = deployment(OWNER, V1, 2, ENVIRONMENT, GIVEN)
    live = json.loads(json.dumps(wanted))
    steps = live["spec"]["template"]["spec"]["initContainers"]
    steps[0]["env"].append({"name": "ADDED", "value": "1"})
    steps.insert(0, {"name": "istio-proxy", "image": "proxy", "restartPolicy": "Always"})
    assert matches(live, wanted)
    steps[1]["image"] = "another"
    assert not matches(live, wanted)


SHARED = credentials(
    json.dumps(
        [
            {
                "volumes": [{"claim": "artifacts", "path": "/srv/models"}],
                "cache": {"claim": "models-cache", "maxBytes": 1000},
            }
        ]
    )
)[0]


def test_volumes_and_the_cache_are_the_steps_alone() -> None:
    spec = pod(SHARED)
    (step,), (server,) = spec["initContainers"], spec["containers"]
    mounts = {m["name"]: m for m in step["volumeMounts"]}
    assert mounts["models-0"] == {
        "name": "models-0",
        "mountPath": "/srv/models",
        "readOnly": True,
    }
    env = {one["name"]: one["value"] for one in step["env"]}
    assert env["MODEL_CACHE"] == mounts["cache"]["mountPath"]
    assert env["MODEL_CACHE_BYTES"] == "1000"
    assert env["MODEL_VOLUMES"] == "/srv/models"
    claims = {v["name"]: v.get("persistentVolumeClaim") for v in spec["volumes"]}
    assert claims["models-0"] == {"claimName": "artifacts", "readOnly": True}
    assert claims["cache"] == {"claimName": "models-cache"}
    assert {m["name"] for m in server["volumeMounts"]} == {"model", "tmp"}


def test_a_cache_of_the_node_is_a_folder_that_is_there() -> None:
    given = credentials('[{"cache": {"hostPath": "/var/cache/models"}}]')[0]
    volume = next(v for v in pod(given)["volumes"] if v["name"] == "cache")
    assert volume["hostPath"] == {"path": "/var/cache/models", "type": "Directory"}


TWO = credentials('[{"namespaces": ["ml-*"], "secret": "a"}, {"secret": "b"}]')


@pytest.mark.parametrize(("namespace", "secret"), [("ml-fraud", "a"), ("models", "b")])
def test_the_first_entry_that_matches_is_taken(namespace: str, secret: str) -> None:
    entry = of_namespace(TWO, namespace)
    assert entry is not None
    assert entry.secret == secret
    assert of_namespace(TWO[:1], "models") is None


WRONG: dict[str, tuple[str, str]] = {
    "no JSON": ("secret: a", "is no JSON list"),
    "no list": ('{"secret": "a"}', "is no JSON list"),
    "an unknown key": ('[{"secrets": "a"}]', "secrets: Extra inputs are not permitted"),
    "a name that Kubernetes does not take": ('[{"secret": "A_B"}]', "secret: String should match"),
    "two places of a CA": (
        '[{"ca": {"secret": "a", "configMap": "b"}}]',
        "ca: name exactly one of secret and configMap",
    ),
    "no place of a CA": ('[{"ca": {"key": "x"}}]', "ca: name exactly one of secret and configMap"),
    "a misspelt key of a CA": (
        '[{"ca": {"secret": "a", "keys": "x"}}]',
        "ca.keys: Extra inputs are not permitted",
    ),
    "two places of a cache": (
        '[{"cache": {"claim": "a", "hostPath": "/b"}}]',
        "cache: name exactly one of claim and hostPath",
    ),
    "no place of a cache": ('[{"cache": {}}]', "cache: name exactly one of claim and hostPath"),
    "a path that is none": (
        '[{"volumes": [{"claim": "a", "path": "models"}]}]',
        "volumes.0.path: String should match",
    ),
    "a way out of a path": (
        '[{"volumes": [{"claim": "a", "path": "/srv/../etc"}]}]',
        "/srv/../etc is mounted twice, or is the pod's own",
    ),
    "the image's own folder": (
        '[{"volumes": [{"claim": "a", "path": "/opt/venv"}]}]',
        "/opt/venv is mounted twice, or is the pod's own",
    ),
    "one path twice": (
        '[{"volumes": [{"claim": "a", "path": "/m"}, {"claim": "b", "path": "/m"}]}]',
        "/m is mounted twice, or is the pod's own",
    ),
    "no namespaces": ('[{"namespaces": []}]', "namespaces: Tuple should have at least 1 item"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_used_is_said_at_start(text: str, said: str) -> None:
    env = operator_env(MODEL_CREDENTIALS=text)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(env)
    assert said in str(caught.value)
