"""What a model was logged to answer with is what is served, as MLflow's own pyfunc has it; or it is
refused, and never labels instead.
"""

from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest
import yaml
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import load_folder
from rollout_model import onnx_bundle
from rollout_model.artifact import verify
from rollout_model.errors import LoadFailed
from rollout_model.onnx_conversion import add_bundle
from tests.unit.inference.conftest import Save
from tests.unit.inference.datasets import IRIS, NAMES, SMALL

ROWS = IRIS.data.to_numpy()


def logged(save: Save, estimator: BaseEstimator, named: str) -> Any:
    """The estimator as `log_model(…, pyfunc_predict_fn=named)` writes it: its folder, and settings
    that serve it.
    """
    return save(estimator.fit(ROWS, NAMES[IRIS.target]), ROWS, predict_fn=named)


@pytest.mark.parametrize(
    ("named", "estimator", "runtime"),
    [
        ("predict", RandomForestClassifier(**SMALL), "onnx"),
        ("predict_proba", RandomForestClassifier(**SMALL), "onnx"),
        ("predict_proba", LogisticRegression(max_iter=500), "onnx"),
        ("predict_log_proba", LogisticRegression(max_iter=500), "sklearn"),
        ("predict_joint_log_proba", GaussianNB(), "sklearn"),
    ],
)
def test_what_is_served_is_what_mlflow_serves(
    save: Save, named: str, estimator: Any, runtime: str
) -> None:
    folder, settings = logged(save, estimator, named)
    expected = mlflow.pyfunc.load_model(str(folder)).predict(ROWS).tolist()
    model = load_folder(folder, settings)
    assert model.runtime.name == runtime, model.plan.reason
    with TestClient(create_app(settings, model)) as client:
        said = client.post("/invocations", json={"inputs": ROWS.tolist()}).json()["predictions"]
    if named == "predict":
        assert said == expected
    else:
        assert np.array(said) == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("named", ["score", "decision_function", "transform"])
def test_what_mlflow_cannot_serve_is_refused(save: Save, named: str) -> None:
    folder, settings = logged(save, LogisticRegression(max_iter=500), "predict")
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["flavors"]["python_function"]["predict_fn"] = named
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    with pytest.raises(
        LoadFailed,
        match=f"pyfunc_predict_fn='{named}', which cannot be served: log it with one of predict, ",
    ):
        load_folder(folder, settings)


def test_a_model_without_the_function_is_refused(save: Save) -> None:
    """MLflow then writes no python_function flavor, and says so in a warning only."""
    folder, settings = logged(save, LogisticRegression(max_iter=500), "predict_everything")
    with pytest.raises(LoadFailed, match="no python_function flavor"):
        load_folder(folder, settings)


def test_a_conversion_of_labels_is_not_taken_for_probabilities(save: Save) -> None:
    """As if MLmodel was changed after the conversion was made."""
    folder, settings = logged(save, RandomForestClassifier(**SMALL), "predict")
    estimator = RandomForestClassifier(**SMALL).fit(ROWS, NAMES[IRIS.target])
    assert add_bundle(estimator, folder).runtime == "onnx"
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["flavors"]["python_function"]["predict_fn"] = "predict_proba"
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    with pytest.raises(
        onnx_bundle.NoBundle, match="answers predict, and MLmodel asks for predict_proba"
    ):
        onnx_bundle.read(verify(folder, settings.load_policy))
