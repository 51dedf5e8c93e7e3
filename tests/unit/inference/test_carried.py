"""A conversion that travels with its model serves where it proves right; everything else is converted at load, and nothing else is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import convert_model_to_external_data
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier

from rollout_inference import carried, conversion, loading
from rollout_inference.artifact import verify
from rollout_inference.conversion import carry
from rollout_inference.settings import Settings
from tests.unit.inference.conftest import Save
from tests.unit.inference.test_conversion import DIABETES, IRIS, NAMES, SMALL


def other_forest(folder: Path) -> None:
    """The conversion of another forest, with this one's answers."""
    estimator = RandomForestClassifier(n_estimators=5, random_state=9).fit(IRIS.data.to_numpy(), NAMES[IRIS.target][::-1])
    artifact = verify(folder, Settings(model_path=folder))
    (folder / "onnx" / "model.onnx").write_bytes(conversion.plan(estimator, artifact)[1])


def other_answers(folder: Path) -> None:
    labels = np.load(folder / "onnx" / "labels.npy")
    np.save(folder / "onnx" / "labels.npy", np.roll(labels, 1))


def other_model(folder: Path) -> None:
    """The model was stored again, and its conversion was not."""
    (folder / "model.skops").write_bytes((folder / "model.skops").read_bytes() + b" ")


def values_in_another_file(folder: Path) -> None:
    """What a tensor may be told to read: any file of the pod."""
    file = folder / "onnx" / "model.onnx"
    made = onnx.load_model(file)
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(100), "secret"))
    convert_model_to_external_data(made, location="passwd", size_threshold=1)
    file.write_bytes(made.SerializeToString())


def narrower_rows(folder: Path) -> None:
    np.save(folder / "onnx" / "points.npy", np.zeros((3, 2)))


def pickled_rows(folder: Path) -> None:
    np.save(folder / "onnx" / "points.npy", np.array([{}], dtype=object), allow_pickle=True)


def no_shape(folder: Path) -> None:
    file = folder / "onnx" / "plan.json"
    said = json.loads(file.read_text())
    said["plan"]["shape"] = None
    file.write_text(json.dumps(said))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no conversion": (lambda folder: shutil.rmtree(folder / "onnx"), "brings no conversion"),
    "no ONNX file": (lambda folder: (folder / "onnx" / "model.onnx").unlink(), "cannot be used"),
    "no ONNX, but text": (lambda folder: (folder / "onnx" / "model.onnx").write_text("text"), "cannot be used"),
    "plan cut off": (lambda folder: (folder / "onnx" / "plan.json").write_text('{"plan":'), "cannot be used"),
    "plan of a megabyte": (lambda folder: (folder / "onnx" / "plan.json").write_text(" " * 2**21), "more than"),
    "plan without a shape": (no_shape, "names no ONNX model"),
    "another forest's": (other_forest, "does not say what scikit-learn said"),
    "another forest's answers": (other_answers, "does not say what scikit-learn said"),
    "made from another file": (other_model, "made from another model file"),
    "values in another file": (values_in_another_file, "reads other files"),
    "rows of another shape": (narrower_rows, "another shape"),
    "pickled rows": (pickled_rows, "cannot be used"),
}


@pytest.mark.parametrize("name", SPOILT.keys())
def test_a_conversion_that_does_not_prove_right_is_not_taken(copy: Path, name: str) -> None:
    spoil, reason = SPOILT[name]
    spoil(copy)
    with pytest.raises(carried.NotCarried, match=reason):
        carried.read(verify(copy, Settings(model_path=copy)))


@pytest.mark.parametrize("name", ["no conversion", "another forest's"])
async def test_the_model_is_then_converted_at_load(copy: Path, name: str) -> None:
    SPOILT[name][0](copy)
    model = await loading.load(Settings(model_path=copy))
    assert model.runtime.name == "onnx"
    assert model.runtime.run(IRIS.data.to_numpy()[:150:50]).labels == NAMES.tolist()


async def test_one_that_proves_right_needs_no_other_process(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_child", None)
    model = await loading.load(Settings(model_path=copy))
    assert model.runtime.name == "onnx"
    assert model.runtime.run(IRIS.data.to_numpy()[:150:50]).labels == NAMES.tolist()


@pytest.mark.parametrize(
    "labels", [NAMES[IRIS.target].astype(object), IRIS.target.to_numpy(), IRIS.target.to_numpy() > 0], ids=["names", "numbers", "truths"]
)
def test_labels_of_every_type_are_carried(save: Save, labels: object) -> None:
    estimator = RandomForestClassifier(**SMALL).fit(IRIS.data, labels)
    folder, settings = save(estimator, IRIS.data)
    made = carry(estimator, folder)
    if made.runtime == "onnx":
        assert carried.read(verify(folder, settings))[0] == made
    else:
        assert not (folder / "onnx").exists()


def test_a_regression_is_carried(save: Save) -> None:
    estimator = GradientBoostingRegressor(**SMALL).fit(DIABETES.data, DIABETES.target)
    folder, settings = save(estimator, DIABETES.data)
    assert carry(estimator, folder).runtime == "onnx"
    assert carried.read(verify(folder, settings))[0].task == "regressor"
