"""A version that plain MLflow registered, with no tag of ours: real pods look at it, pin it by its
content, and serve it; what is changed afterwards is refused.
"""

from pathlib import Path

import mlflow
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from scripts.demo.rollout import Rollout, eventually
from scripts.demo.traffic import answers_on
from scripts.kube import Kube
from tests.e2e.conftest import setting
from tests.e2e.harness import DIGEST_TAG, PATIENCE

NAME = "iris-plain"
WITHOUT_LABELS = {
    "interval": "2s",
    "maxHold": "10s",
    "onNoEvidence": "Promote",
    "gates": [{"metric": "errorRate", "max": 0.05}],
}
"""Plain MLflow records no accuracy that the gate could read."""


def registered() -> str:
    """What a team does that has never heard of us; returns the MODEL_URI."""
    rows, species = load_iris(return_X_y=True, as_frame=True)
    rows.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    model = LogisticRegression(max_iter=1_000).fit(rows, species)
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model, name="model", input_example=rows.head(2), registered_model_name=NAME
        )
    return f"models:/{NAME}/{logged.registered_model_version}"


def test_ten_lines_of_plain_mlflow_are_enough(
    kube: Kube, rollout: Rollout, ingress_url: str, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(setting("MLFLOW_TRACKING_URI"))
    uri, client = registered(), MlflowClient()
    version = uri.rsplit("/", 1)[1]
    assert DIGEST_TAG not in client.get_model_version(NAME, version).tags
    rollout.settings["analysis"] = WITHOUT_LABELS
    rollout.apply(uri)
    pinned = rollout.wait("Promoted", uri, PATIENCE)["stable"]["digest"]
    assert pinned.startswith("sha256:")
    eventually(lambda: answers_on(ingress_url, rollout.host) or None, "an answer", 30)

    def recorded() -> bool | None:
        return client.get_model_version(NAME, version).tags.get(DIGEST_TAG) == pinned or None

    eventually(recorded, "the registry to record the digest", 30)

    (tmp_path / "later.txt").write_text("somebody was here\n")
    source = client.get_model_version_download_uri(NAME, version)
    if source.startswith("models:/"):
        source = client.get_logged_model(source.removeprefix("models:/")).artifact_location
    repository = get_artifact_repository(source)
    repository.log_artifact(str(tmp_path / "later.txt"))  # type: ignore[no-untyped-call]
    other = Rollout(kube, rollout.namespace, "changed", rollout.settings)
    other.apply(uri)
    status = other.wait("RolledBack", uri, PATIENCE)
    assert status["reason"] == "ModelCannotServe", "not the end of progressDeadline"
    said = status["message"]
    assert "DigestMismatch" in said
    assert pinned in said
    assert said.count("sha256:") >= 2
    assert not other.status().get("stable")
