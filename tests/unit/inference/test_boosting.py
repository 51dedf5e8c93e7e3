"""XGBoost, LightGBM and CatBoost, read from their own files and asked in one thread. That they
answer what MLflow answers is held in test_served_models.py.
"""

import json
from pathlib import Path
from typing import Any

import lightgbm
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
import yaml
from mlflow.models import infer_signature
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import load, load_folder
from rollout_inference.settings import Settings
from rollout_model import flavors
from rollout_model.errors import LoadFailed
from tests.unit.inference.flavored import (
    FEW,
    LAST,
    MODELS,
    NUMBERS,
    ROWS,
    SPECIES,
    by_mlflow,
    saved,
    xgboost_booster,
)


def change(folder: Path, flavor: str, **values: Any) -> None:
    path = folder / "MLmodel"
    described = yaml.safe_load(path.read_text())
    described["flavors"][flavor].update(values)
    path.write_text(yaml.safe_dump(described))


@pytest.mark.parametrize(
    ("name", "task", "classes"),
    [
        ("XGBClassifier", "classifier", [0, 1, 2]),
        ("LGBMClassifier, words", "classifier", ["setosa", "versicolor", "virginica"]),
        ("CatBoostClassifier, words", "classifier", ["setosa", "versicolor", "virginica"]),
        ("CatBoostClassifier, several labels", "other", []),
        ("Booster, probability", "regressor", []),
        ("LGBMRegressor", "regressor", []),
    ],
)
def test_it_says_what_its_answers_are(
    tmp_path: Path, name: str, task: str, classes: list[Any]
) -> None:
    flavor, model = MODELS[name]
    plan = load_folder(tmp_path / "m", saved(tmp_path / "m", flavor, model())).plan
    assert (plan.task, plan.classes) == (task, classes)
    assert plan.reason == f"not converted: {flavor} answers as quickly itself"


async def test_a_server_loads_it_by_the_process_that_reads_models(tmp_path: Path) -> None:
    settings = saved(tmp_path / "model", *_made("XGBClassifier"))
    loaded = await load(settings)
    client = TestClient(create_app(settings, loaded))
    answer = client.post("/invocations", json={"inputs": ROWS.to_numpy().tolist()})
    assert answer.json()["predictions"] == by_mlflow(tmp_path / "model", ROWS).tolist()
    assert client.get("/health/").json()["runtime"] == "xgboost"


def _made(name: str) -> tuple[str, Any]:
    flavor, model = MODELS[name]
    return flavor, model()


@pytest.mark.parametrize("kind", ["XGBClassifier", "LGBMClassifier"])
def test_gaps_are_answered_as_mlflow_does(tmp_path: Path, kind: str) -> None:
    holed = ROWS.mask(np.random.default_rng(0).random(ROWS.shape) < 0.3)
    made = getattr(xgboost if kind.startswith("X") else lightgbm, kind)(n_estimators=5)
    flavor = "xgboost" if kind.startswith("X") else "lightgbm"
    settings = saved(tmp_path / "model", flavor, made.fit(holed, SPECIES), holed)
    client = TestClient(create_app(settings, load_folder(tmp_path / "model", settings)))
    body = json.loads(holed.to_json(orient="split", index=False, double_precision=15))
    answer = client.post("/invocations", json={"dataframe_split": body})
    assert answer.json()["predictions"] == by_mlflow(tmp_path / "model", holed).tolist()


def test_catboost_takes_words_and_whole_numbers_as_categories(tmp_path: Path) -> None:
    import catboost

    table = ROWS.assign(place=np.where(LAST, "sea", "hill"), code=np.arange(150) % 4)
    words = catboost.CatBoostClassifier(cat_features=["place", "code"], **FEW)
    coded = catboost.CatBoostRegressor(cat_features=["code"], **FEW)
    for model, rows, labels in (
        (words, table, SPECIES),
        (coded, table.drop(columns="place"), NUMBERS),
    ):
        folder = tmp_path / type(model).__name__
        loaded = load_folder(folder, saved(folder, "catboost", model.fit(rows, labels), rows))
        asked = loaded.signature.rows(rows.to_numpy(dtype=object).tolist(), 150)
        said = np.asarray(loaded.runtime.run(asked).labels)
        assert said.tolist() == by_mlflow(folder, rows).reshape(-1).tolist()


@pytest.mark.parametrize("name", ["XGBRegressor", "LGBMRegressor", "CatBoostRegressor"])
def test_it_predicts_in_one_thread(tmp_path: Path, name: str) -> None:
    """Whatever the machine has: requests are what is parallel, by replicas."""
    flavor, model = _made(name)
    code = f"""
import os
from pathlib import Path
import numpy as np
from rollout_inference.loading.loader import load_folder
from rollout_inference.settings import Settings
loaded = load_folder(Path({str(tmp_path / "m")!r}), Settings(model_path=Path("m")))
before = len(os.listdir("/proc/self/task"))
loaded.runtime.run(np.ones((100_000, 4)))
print(len(os.listdir("/proc/self/task")) - before)
"""
    saved(tmp_path / "m", flavor, model)
    assert _python(code) == "0"


def _python(code: str) -> str:
    import subprocess
    import sys

    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_server_without_boosting_imports_none_of_it(trained: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from rollout_inference.loading.loader import load_folder
from rollout_inference.settings import Settings
load_folder(Path({str(trained)!r}), Settings(model_path=Path("m")))
print(sorted({{"xgboost", "lightgbm", "catboost"}} & set(sys.modules)))
"""
    assert _python(code) == "[]"


@pytest.mark.parametrize(
    "name",
    ["XGBClassifier", "CatBoostClassifier", "LGBMClassifier", "LightGBM's Booster, a number"],
)
def test_a_signature_in_another_order_is_refused(tmp_path: Path, name: str) -> None:
    """By position it would be answered, and wrong: as MLflow's server does with LightGBM. XGBoost
    fails there, and CatBoost finds columns by name.
    """
    settings = saved(tmp_path / "m", *_made(name), rows=ROWS[ROWS.columns[::-1]])
    with pytest.raises(LoadFailed, match=r"trained on the columns sepal_length, .* petal_width"):
        load_folder(tmp_path / "m", settings)


def test_a_value_for_missing_is_not_in_xgboosts_file(tmp_path: Path) -> None:
    """It is a number like any other then, here as in MLflow."""
    holed = ROWS.mask(np.random.default_rng(0).random(ROWS.shape) < 0.3, -999.0)
    model = xgboost.XGBClassifier(n_estimators=5, missing=-999.0).fit(holed, SPECIES)
    loaded = load_folder(tmp_path / "m", saved(tmp_path / "m", "xgboost", model, rows=holed))
    said = loaded.runtime.run(holed.to_numpy()).labels
    assert said == by_mlflow(tmp_path / "m", holed).tolist() != model.predict(holed).tolist()


@pytest.mark.parametrize("values", [["10", "20", "30"], [10, 20, 30]], ids=["words", "numbers"])
@pytest.mark.parametrize("kind", ["XGBClassifier", "LGBMClassifier"])
@pytest.mark.parametrize("alone", [False, True], ids=["estimator", "booster"])
def test_categories_of_pandas_are_refused(
    tmp_path: Path, kind: str, values: list[Any], alone: bool
) -> None:
    """As numbers they would be answered, and wrong: 10, 20, 30 for the codes 0, 1, 2. MLflow's
    server fails on every row.
    """
    rows = ROWS.assign(zone=pd.Categorical(np.array(values)[SPECIES]))
    model: Any
    if kind == "XGBClassifier":
        flavor, model = "xgboost", xgboost.XGBClassifier(n_estimators=5, enable_categorical=True)
    else:
        flavor, model = "lightgbm", lightgbm.LGBMClassifier(n_estimators=5, verbose=-1)
    model.fit(rows, SPECIES)
    if alone:
        model = model.get_booster() if flavor == "xgboost" else model.booster_
    settings = saved(tmp_path / "m", flavor, model, rows=rows)
    with pytest.raises(LoadFailed, match="pandas' type category"):
        load_folder(tmp_path / "m", settings)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_whole_numbers_as_categories_are_served(tmp_path: Path, library: str) -> None:
    rows = ROWS.assign(zone=(np.arange(150) % 3) * 10)
    labels = (rows.zone == 10).astype(int)
    if library == "xgboost":
        types = ["q"] * 4 + ["c"]
        model: Any = xgboost.XGBClassifier(
            n_estimators=5, enable_categorical=True, feature_types=types
        ).fit(rows, labels)
    else:
        model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1)
        model.fit(rows, labels, categorical_feature=["zone"])
    loaded = load_folder(tmp_path / "m", saved(tmp_path / "m", library, model, rows=rows))
    said = loaded.runtime.run(rows.to_numpy()).labels
    assert said == by_mlflow(tmp_path / "m", rows).tolist() == labels.tolist()


@pytest.mark.parametrize(
    "name", ["XGBRegressor, trained on arrays", "CatBoostRegressor", "LGBMRegressor"]
)
def test_a_signature_of_another_width_is_refused(tmp_path: Path, name: str) -> None:
    settings = saved(tmp_path / "m", *_made(name), rows=ROWS.assign(more=1.0))
    with pytest.raises(LoadFailed, match="trained on 4 columns, and its signature has 5"):
        load_folder(tmp_path / "m", settings)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        pytest.param(
            "XGBClassifier", {"model_class": "os.system"}, "class 'os.system'", id="any function"
        ),
        pytest.param(
            "XGBClassifier",
            {"model_class": "ours.XGBClassifier"},
            "class 'ours.XGBClassifier'",
            id="a class of one's own",
        ),
        pytest.param(
            "CatBoost",
            {"model_type": "Pool"},
            "class 'Pool'",
            id="what CatBoost has beside",
        ),
        pytest.param(
            "CatBoost", {"save_format": "python"}, "log it with format='cbm'", id="a program"
        ),
        pytest.param("XGBClassifier", {"data": "../m"}, "no model file", id="outside"),
    ],
)
def test_what_is_none_of_the_librarys_is_refused(
    tmp_path: Path, name: str, values: dict[str, Any], said: str
) -> None:
    flavor, model = _made(name)
    settings = saved(tmp_path / "m", flavor, model)
    change(tmp_path / "m", flavor, **values)
    with pytest.raises(LoadFailed, match=said):
        load_folder(tmp_path / "m", settings)


@pytest.mark.parametrize(
    ("name", "extra"), [("XGBClassifier", "boosting"), ("CatBoost", "catboost")]
)
def test_a_package_that_the_image_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, extra: str
) -> None:
    settings = saved(tmp_path / "m", *_made(name))
    monkeypatch.setattr(flavors, "find_spec", lambda _: None)
    with pytest.raises(LoadFailed, match=f"--build-arg EXTRAS={extra}"):
        load_folder(tmp_path / "m", settings)


def test_a_pickle_of_lightgbm_is_read_where_pickles_are_allowed(tmp_path: Path) -> None:
    flavor, model = _made("LGBMClassifier, words")
    settings = saved(tmp_path / "m", flavor, model, serialization_format="cloudpickle")
    with pytest.raises(LoadFailed, match=r"a pickle, .* or log its booster_"):
        load_folder(tmp_path / "m", settings)
    loaded = load_folder(tmp_path / "m", settings.model_copy(update={"allow_pickle": True}))
    said = loaded.runtime.run(ROWS.to_numpy()).labels
    assert said == by_mlflow(tmp_path / "m", ROWS).tolist()


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(xgboost.XGBClassifier(n_estimators=5), id="xgboost"),
        pytest.param(lightgbm.LGBMClassifier(n_estimators=5, verbose=-1), id="lightgbm"),
    ],
)
def test_a_pipeline_that_ends_in_one_is_no_pickle(tmp_path: Path, last: Any) -> None:
    model = make_pipeline(StandardScaler(), last).fit(ROWS, SPECIES)
    mlflow.sklearn.save_model(
        model,
        str(tmp_path / "m"),
        serialization_format="skops",
        skops_trusted_types=skops.io.get_untrusted_types(data=skops.io.dumps(model)),
        signature=infer_signature(ROWS),
        input_example=ROWS.head(2),
        pip_requirements=[],
    )
    loaded = load_folder(tmp_path / "m", Settings(model_path=tmp_path / "m"))
    assert loaded.runtime.name == "sklearn"
    said = loaded.runtime.run(ROWS.to_numpy()).labels
    assert said == pd.Series(model.predict(ROWS)).tolist()


def test_a_damaged_file_is_no_crash(tmp_path: Path) -> None:
    settings = saved(tmp_path / "m", "xgboost", xgboost_booster(objective="binary:logistic"))
    path = next((tmp_path / "m").glob("model.*"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LoadFailed, match="The model cannot be loaded"):
        load_folder(tmp_path / "m", settings)
