"""A conversion that travels with its model serves where it proves right; everything else is
converted at load, and nothing else is read.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import convert_model_to_external_data
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.tree import DecisionTreeClassifier

from rollout_inference.loading import loader
from rollout_inference.settings import Settings
from rollout_model import onnx_bundle, onnx_conversion
from rollout_model.artifact import verify
from rollout_model.errors import LoadFailed
from rollout_model.load_policy import LoadPolicy
from rollout_model.onnx_conversion import add_bundle
from rollout_model.table import Table
from tests.unit.inference.conftest import Save
from tests.unit.inference.datasets import DIABETES, IRIS, NAMES, SMALL
from tests.unit.inference.mixed import birds, pipeline, species


def other_forest(folder: Path) -> None:
    """The conversion of another forest, with this one's answers."""
    estimator = RandomForestClassifier(n_estimators=5, random_state=9).fit(
        IRIS.data.to_numpy(), NAMES[IRIS.target][::-1]
    )
    artifact = verify(folder, LoadPolicy())
    (folder / "onnx" / "model.onnx").write_bytes(onnx_conversion.plan(estimator, artifact)[1])


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


def older_rule(folder: Path) -> None:
    """As the trainer wrote it before rows like data were part of the proof."""
    file = folder / "onnx" / "plan.json"
    file.write_text(
        json.dumps(
            {name: said for name, said in json.loads(file.read_text()).items() if name != "rule"}
        )
    )


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no conversion": (lambda folder: shutil.rmtree(folder / "onnx"), "brings no conversion"),
    "no ONNX file": (lambda folder: (folder / "onnx" / "model.onnx").unlink(), "cannot be used"),
    "no ONNX, but text": (
        lambda folder: (folder / "onnx" / "model.onnx").write_text("text"),
        "cannot be used",
    ),
    "plan cut off": (
        lambda folder: (folder / "onnx" / "plan.json").write_text('{"plan":'),
        "cannot be used",
    ),
    "plan of a megabyte": (
        lambda folder: (folder / "onnx" / "plan.json").write_text(" " * 2**21),
        "more than",
    ),
    "plan without a shape": (no_shape, "names no ONNX model"),
    "proved by an older rule": (older_rule, "proved by another rule"),
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
    with pytest.raises(onnx_bundle.NoBundle, match=reason):
        onnx_bundle.read(verify(copy, LoadPolicy()))


@pytest.mark.parametrize("name", ["no conversion", "another forest's"])
async def test_the_model_is_then_converted_at_load(copy: Path, name: str) -> None:
    SPOILT[name][0](copy)
    model = await loader.load(Settings(model_path=copy))
    assert model.runtime.name == "onnx"
    assert model.runtime.run(IRIS.data.to_numpy()[:150:50]).labels == NAMES.tolist()


async def test_one_that_proves_right_needs_no_other_process(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "child", None)
    model = await loader.load(Settings(model_path=copy))
    assert model.runtime.name == "onnx"
    assert model.runtime.run(IRIS.data.to_numpy()[:150:50]).labels == NAMES.tolist()


@pytest.mark.parametrize(
    "labels",
    [NAMES[IRIS.target].astype(object), IRIS.target.to_numpy(), IRIS.target.to_numpy() > 0],
    ids=["names", "numbers", "truths"],
)
def test_labels_of_every_type_are_carried(save: Save, labels: object) -> None:
    estimator = RandomForestClassifier(**SMALL).fit(IRIS.data, labels)
    folder, settings = save(estimator, IRIS.data)
    made = add_bundle(estimator, folder)
    if made.runtime == "onnx":
        assert onnx_bundle.read(verify(folder, settings.load_policy))[0] == made
    else:
        assert not (folder / "onnx").exists()


def test_a_regression_is_carried(save: Save) -> None:
    estimator = GradientBoostingRegressor(**SMALL).fit(DIABETES.data, DIABETES.target)
    folder, settings = save(estimator, DIABETES.data)
    assert add_bundle(estimator, folder).runtime == "onnx"
    assert onnx_bundle.read(verify(folder, settings.load_policy))[0].task == "regressor"


async def test_what_the_trainer_found_not_to_convert_is_not_tried_again(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = make_pipeline(Normalizer(), DecisionTreeClassifier(random_state=0)).fit(
        IRIS.data.to_numpy(), IRIS.target
    )
    folder, settings = save(estimator, IRIS.data.to_numpy())
    made = add_bundle(estimator, folder)
    assert made.reason == "not compared: Normalizer cannot be undone"
    monkeypatch.setattr(loader, "child", None)
    model = await loader.load(settings)
    assert (model.runtime.name, model.plan) == ("sklearn", made)
    assert (
        model.runtime.run(IRIS.data.to_numpy()).labels
        == estimator.predict(IRIS.data.to_numpy()).tolist()
    )


def test_with_another_converter_it_is_tried_again(save: Save) -> None:
    estimator = make_pipeline(Normalizer(), DecisionTreeClassifier(random_state=0)).fit(
        IRIS.data.to_numpy(), IRIS.target
    )
    folder, settings = save(estimator, IRIS.data.to_numpy())
    add_bundle(estimator, folder)
    file = folder / "onnx" / "plan.json"
    said = json.loads(file.read_text())
    said["versions"]["skl2onnx"] = "1.99"
    file.write_text(json.dumps(said))
    with pytest.raises(
        onnx_bundle.NoBundle, match="found not to convert with another version of skl2onnx"
    ):
        onnx_bundle.read(verify(folder, settings.load_policy))


def test_training_rows_travel_with_the_proof(save: Save) -> None:
    rows = np.vstack([IRIS.data.to_numpy() + n / 100 for n in range(20)])
    estimator = RandomForestClassifier(**SMALL).fit(rows, np.tile(IRIS.target, 20))
    folder, settings = save(estimator, rows)
    assert add_bundle(estimator, folder, rows).runtime == "onnx"
    kept = onnx_bundle.rows(verify(folder, settings.load_policy))
    assert isinstance(kept, np.ndarray)
    assert len(kept) == onnx_bundle.MOST_ROWS
    known = {tuple(one) for one in rows.tolist()}
    assert all(tuple(one) in known for one in kept.tolist())
    proved = {tuple(one) for one in np.load(folder / "onnx" / "points.npy").tolist()}
    assert {tuple(one) for one in kept.tolist()} <= proved


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((3, 2)),
        np.zeros((3, 4), dtype=np.float32),
        np.full((3, 4), np.inf),
        np.zeros((0, 4)),
        np.zeros((2_000, 4)),
    ],
)
def test_rows_that_are_none_of_the_models_are_not_taken(copy: Path, rows: object) -> None:
    np.save(copy / "onnx" / "rows.npy", np.asarray(rows))
    assert onnx_bundle.rows(verify(copy, LoadPolicy())) is None


async def test_rows_with_missing_values_travel_as_well(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    holed = IRIS.data.mask(np.random.default_rng(0).random(IRIS.data.shape) < 0.1)
    estimator = RandomForestClassifier(**SMALL).fit(holed, IRIS.target)
    folder, settings = save(estimator, holed)
    made = add_bundle(estimator, folder, holed)
    monkeypatch.setattr(loader, "child", None)
    model = await loader.load(settings)
    assert (model.runtime.name, model.plan) == ("onnx", made)
    assert model.runtime.run(holed.to_numpy()).labels == estimator.predict(holed).tolist()


async def test_a_table_travels_with_its_proof(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod needs no scikit-learn to serve text."""
    rows = birds()
    estimator = pipeline().fit(rows, species(rows))
    folder, settings = save(estimator, rows)
    made = add_bundle(estimator, folder, rows)
    monkeypatch.setattr(loader, "child", None)
    model = await loader.load(settings)
    assert (model.runtime.name, model.plan) == ("onnx", made), made.reason
    known = onnx_bundle.rows(verify(folder, settings.load_policy))
    assert isinstance(known, Table)
    assert model.runtime.run(known).labels == estimator.predict(rows).tolist()


def test_a_table_whose_proof_is_another_models_is_refused(save: Save) -> None:
    rows = birds()
    estimator = pipeline().fit(rows, species(rows))
    folder, settings = save(estimator, rows)
    add_bundle(estimator, folder)
    labels = np.load(folder / "onnx" / "labels.npy")
    np.save(folder / "onnx" / "labels.npy", np.roll(labels, 1))
    with pytest.raises(onnx_bundle.NoBundle, match="does not say what scikit-learn said"):
        onnx_bundle.read(verify(folder, settings.load_policy))


SIGKILL, SIGSEGV = (f"import os; os.kill(os.getpid(), {number})" for number in (9, 11))
CONVERTERS = {
    "is killed, as for its memory": (
        SIGKILL,
        "ended by signal 9; with 9, the pod's memory limit was too low",
    ),
    "ends in a segmentation fault": (SIGSEGV, "ended by signal 11"),
    "exits": ("import os; os._exit(0)", "ended with exit code 0"),
    "cannot be imported": ("import no_such_module", "No module named 'no_such_module'"),
}


@pytest.mark.parametrize("name", CONVERTERS.keys())
async def test_scikit_learn_serves_where_the_converter(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A module in skl2onnx' place, for the processes that the server starts."""
    source, reason = CONVERTERS[name]
    shutil.rmtree(copy / "onnx")
    _shadow(tmp_path, monkeypatch, "skl2onnx", source)
    model = await loader.load(Settings(model_path=copy))
    assert model.runtime.name == model.plan.runtime == "sklearn"
    assert model.plan.reason.startswith("not converted: ")
    assert reason in model.plan.reason
    assert (model.plan.task, model.plan.classes) == ("classifier", NAMES.tolist())
    assert model.runtime.run(IRIS.data.to_numpy()[:150:50]).labels == NAMES.tolist()


async def test_a_model_that_ends_whoever_reads_it_is_refused(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server itself does not read it then, and can say so."""
    shutil.rmtree(copy / "onnx")
    _shadow(tmp_path, monkeypatch, "skops", SIGSEGV)
    with pytest.raises(
        LoadFailed, match=r"could not be read: the process that did it was ended by signal 11"
    ):
        await loader.load(Settings(model_path=copy))


def _shadow(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> None:
    (folder / "shadow").mkdir()
    (folder / "shadow" / f"{name}.py").write_text(source + "\n")
    monkeypatch.setenv("PYTHONPATH", str(folder / "shadow"))
