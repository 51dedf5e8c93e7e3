"""Every kind of scikit-learn model is served, by ONNX where it says the same, and what is said does
not depend on it.
"""

import asyncio
from typing import Any

import numpy as np
import pandas as pd
import pytest
from skl2onnx import to_onnx
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.multiclass import OneVsOneClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import load_folder
from rollout_model import onnx_conversion, onnx_export
from rollout_model.artifact import verify
from rollout_model.outcome import PROBABILITIES, Question
from rollout_model.parity import ties
from rollout_model.proof_rows import answered
from rollout_model.runtimes import OnnxRuntime, SklearnRuntime
from rollout_model.signature import Signature, frame
from rollout_model.trial_rows import trial_rows
from tests.unit.inference.conftest import Save
from tests.unit.inference.datasets import DIABETES, IRIS, NAMES, SMALL

PROBABLE = Question(frozenset({PROBABILITIES}))
CLASSIFIERS: dict[str, Any] = {
    "forest": RandomForestClassifier(**SMALL),
    "extra trees": ExtraTreesClassifier(**SMALL),
    "tree": DecisionTreeClassifier(random_state=0),
    "gradient boosting": GradientBoostingClassifier(**SMALL),
    "histogram gradient boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "logistic regression": LogisticRegression(max_iter=500),
    "linear, by gradient": SGDClassifier(random_state=0),
    "naive Bayes": GaussianNB(),
    "neighbours": KNeighborsClassifier(3, algorithm="brute"),
    "support vectors": SVC(),
    "network": MLPClassifier((8,), max_iter=50, random_state=0),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "scaled forest": make_pipeline(MinMaxScaler(), RandomForestClassifier(**SMALL)),
    "by column name": make_pipeline(
        ColumnTransformer([("two", StandardScaler(), ["petal length (cm)", "petal width (cm)"])]),
        RandomForestClassifier(**SMALL),
    ),
    "voting": VotingClassifier(
        [("a", LogisticRegression(max_iter=500)), ("b", GaussianNB())], voting="soft"
    ),
    "calibrated": CalibratedClassifierCV(GaussianNB(), cv=2),
}
REGRESSORS: dict[str, Any] = {
    "forest": RandomForestRegressor(**SMALL),
    "tree": DecisionTreeRegressor(random_state=0),
    "gradient boosting": GradientBoostingRegressor(**SMALL),
    "histogram gradient boosting": HistGradientBoostingRegressor(max_iter=5, random_state=0),
    "linear": LinearRegression(),
    "ridge": make_pipeline(StandardScaler(), Ridge()),
}
CONVERTED = {
    "forest",
    "extra trees",
    "tree",
    "gradient boosting",
    "logistic regression",
    "scaled",
    "by column name",
    "linear",
    "ridge",
}
"""Those that must be served by ONNX; the others may be."""


def points(estimator: Any, signature: Signature) -> Any:
    """Other points than those that the conversion was tried on, and scikit-learn's answers."""
    kinds = list(trial_rows(estimator, signature, [], seed=1, count=400))
    return answered(lambda rows: estimator.predict(frame(signature, rows)), kinds)


@pytest.mark.parametrize(
    "labels", [np.array(NAMES)[IRIS.target], IRIS.target.to_numpy()], ids=["names", "numbers"]
)
@pytest.mark.parametrize("name", CLASSIFIERS.keys())
def test_a_classifier_answers_as_scikit_learn(save: Save, name: str, labels: Any) -> None:
    estimator = CLASSIFIERS[name].fit(IRIS.data, labels)
    folder, settings = save(estimator, IRIS.data)
    model = load_folder(folder, settings)
    assert model.plan.task == "classifier"
    assert model.plan.classes == estimator.classes_.tolist()
    if name in CONVERTED:
        assert model.runtime.name == "onnx", model.plan.reason
    else:
        assert model.runtime.name == "onnx" or model.plan.reason
    rows, expected = points(estimator, model.signature)
    got = model.runtime.run(rows).labels
    differ = np.array(got) != expected
    if hasattr(estimator, "predict_proba"):
        differ &= ~ties(estimator.predict_proba(frame(model.signature, rows)))
    assert not differ.any()
    assert type(got[0]) is type(expected.tolist()[0])


@pytest.mark.parametrize("name", REGRESSORS.keys())
def test_a_regression_answers_as_scikit_learn(save: Save, name: str) -> None:
    estimator = REGRESSORS[name].fit(DIABETES.data, DIABETES.target)
    folder, settings = save(estimator, DIABETES.data)
    model = load_folder(folder, settings)
    assert model.plan.task == "regressor"
    if name in CONVERTED:
        assert model.runtime.name == "onnx", model.plan.reason
    rows, expected = points(estimator, model.signature)
    assert model.runtime.run(rows).labels == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-5)


def test_a_converter_that_is_wrong_is_found_out_and_scikit_learn_serves(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if skl2onnx moved a threshold: another forest's ONNX file for this one."""
    estimator = RandomForestClassifier(**SMALL).fit(IRIS.data, IRIS.target)
    other = RandomForestClassifier(n_estimators=8, random_state=1).fit(IRIS.data, IRIS.target)
    folder, settings = save(estimator, IRIS.data)
    right = onnx_export.convert
    monkeypatch.setattr(
        onnx_conversion, "convert", lambda _, *rest, **kinds: right(other, *rest, **kinds)
    )
    model = load_folder(folder, settings)
    assert (model.runtime.name, "not alike" in model.plan.reason) == ("sklearn", True)
    assert model.runtime.run(IRIS.data.to_numpy()[:150:50]).labels == [0, 1, 2]


def test_one_threshold_moved_by_one_step_is_seen(save: Save) -> None:
    """The check is not satisfied with rows that are far from every threshold."""
    estimator = DecisionTreeClassifier(max_depth=2, random_state=0).fit(
        IRIS.data.to_numpy(), IRIS.target
    )
    folder, settings = save(estimator, IRIS.data.to_numpy())
    artifact = verify(folder, settings.load_policy)
    assert onnx_conversion.plan(estimator, artifact)[0].runtime == "onnx"
    at = np.vstack(list(trial_rows(estimator, artifact.signature, artifact.example)))
    before = estimator.predict(at)
    tree = estimator.tree_
    (inner,) = np.nonzero(tree.feature >= 0)
    tree.threshold[inner[0]] = (
        np.nextafter(np.float32(tree.threshold[inner[0]]), np.float32(np.inf)) + 1e-7
    )
    assert (estimator.predict(at) != before).any()


def test_the_same_model_is_the_same_bytes(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    """The converter keeps what a model imports in a set: whatever its order, the file is one, and
    with it the model's digest.
    """
    estimator = RandomForestClassifier(**SMALL).fit(IRIS.data, IRIS.target)
    folder, settings = save(estimator, IRIS.data)
    artifact = verify(folder, settings.load_policy)
    made, right = set[bytes](), to_onnx
    for turn in (False, True):

        def turned(*given: Any, turn: bool = turn, **more: Any) -> Any:
            model = right(*given, **more)
            domains = sorted(model.opset_import, key=lambda one: str(one.domain), reverse=turn)
            del model.opset_import[:]
            model.opset_import.extend(domains)
            return model

        monkeypatch.setattr(onnx_export, "to_onnx", turned)
        made.add(onnx_conversion.plan(estimator, artifact)[1])
    assert len(made) == 1


class Unknown(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """No converter knows it."""

    def __init__(self, fail_at: float = 1e9) -> None:
        self.fail_at = fail_at
        self.classes_ = np.array([0, 1])
        self.calls: list[int] = []

    def predict(self, rows: Any) -> Any:
        self.calls.append(len(rows))
        if (np.asarray(rows) >= self.fail_at).any():
            raise ZeroDivisionError
        return (np.asarray(rows)[:, 0] > 0).astype(int)


async def test_requests_that_wait_are_answered_in_one_call() -> None:
    """The first go at once; the others while these are busy, together, each with its own rows."""
    estimator = Unknown()
    runtime = SklearnRuntime(estimator, Signature(("a", "b"), named=False))
    asked = [np.array([[n % 2 or -1, n]] * (n + 1), dtype=float) for n in range(20)]
    answers = await asyncio.gather(*(runtime.predict(rows) for rows in asked))
    assert [one.labels for one in answers] == [[n % 2] * (n + 1) for n in range(20)]
    assert len(estimator.calls) <= 3
    assert sum(estimator.calls) == sum(len(rows) for rows in asked)


async def test_a_batch_that_fails_fails_only_for_the_rows_that_did_it() -> None:
    runtime = SklearnRuntime(Unknown(fail_at=100), Signature(("a", "b"), named=False))
    asked = [np.array([[1.0, n]]) for n in (1, 2, 100, 3)]
    first, second, third, fourth = await asyncio.gather(
        *(runtime.predict(rows) for rows in asked), return_exceptions=True
    )
    assert isinstance(third, ZeroDivisionError)
    assert [one.labels for one in (first, second, fourth)] == [[1], [1], [1]]  # type: ignore[union-attr]


async def test_a_batch_has_an_end() -> None:
    estimator = Unknown()
    runtime = SklearnRuntime(estimator, Signature(("a", "b"), named=False), most=10)
    await asyncio.gather(*(runtime.predict(np.ones((4, 2))) for _ in range(9)))
    assert max(estimator.calls) <= 10


async def test_many_rows_do_not_hold_up_the_event_loop(save: Save) -> None:
    estimator = RandomForestClassifier(**SMALL).fit(IRIS.data, IRIS.target)
    folder, settings = save(estimator, IRIS.data)
    runtime = load_folder(folder, settings).runtime
    assert isinstance(runtime, OnnxRuntime)
    rows = pd.concat([IRIS.data] * 30).to_numpy()
    assert (await runtime.predict(rows)).labels == estimator.predict(
        pd.concat([IRIS.data] * 30)
    ).tolist()


def test_whole_numbers_are_asked_for_where_the_model_has_them(save: Save) -> None:
    rows = pd.DataFrame({"count": [1, 2, 3, 4] * 5, "size": [0.5, 1.5, 2.5, 3.5] * 5})
    folder, settings = save(
        DecisionTreeClassifier(random_state=0).fit(rows, [0, 0, 1, 1] * 5), rows
    )
    signature = load_folder(folder, settings).signature
    assert signature.matrix([[1, 0.5]], 10) is not None
    assert signature.matrix([[1.5, 0.5]], 10) is None
    assert signature.matrix([[1.5, 0.5], [1, 1]], 10) is None


MILLISECONDS = 1.79e12 + 1_000 * np.arange(10.0)[:, None]
LATE = (np.arange(10) >= 7).astype(int)
HARD: dict[str, tuple[Any, Any, Any, str]] = {
    "a tree behind a scaler, on Unix milliseconds": (
        make_pipeline(StandardScaler(), DecisionTreeClassifier()),
        MILLISECONDS,
        LATE,
        "onnx",
    ),
    "a regression tree behind a scaler": (
        make_pipeline(StandardScaler(), DecisionTreeRegressor()),
        MILLISECONDS,
        LATE,
        "onnx",
    ),
    "boosting behind a scaler": (
        make_pipeline(StandardScaler(), GradientBoostingClassifier(random_state=0)),
        IRIS.data.to_numpy(),
        IRIS.target,
        "onnx",
    ),
    "a tree behind what cannot be undone": (
        make_pipeline(Normalizer(), DecisionTreeClassifier(random_state=0)),
        IRIS.data.to_numpy(),
        IRIS.target,
        "sklearn",
    ),
    "a tree behind products": (
        make_pipeline(PolynomialFeatures(), DecisionTreeClassifier(random_state=0)),
        IRIS.data.to_numpy(),
        IRIS.target,
        "onnx",
    ),
    "linear on Unix milliseconds": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        MILLISECONDS,
        LATE,
        "onnx",
    ),
    "probabilities that tie where scores do not": (
        SGDClassifier(loss="log_loss", random_state=0),
        IRIS.data.to_numpy(),
        IRIS.target,
        "onnx",
    ),
    "scaled, modified Huber": (
        make_pipeline(StandardScaler(), SGDClassifier(loss="modified_huber", random_state=0)),
        IRIS.data.to_numpy(),
        IRIS.target,
        "onnx",
    ),
    "voting of unlike members": (
        VotingClassifier(
            [("a", LogisticRegression(max_iter=500)), ("b", RandomForestClassifier(**SMALL))],
            voting="soft",
        ),
        IRIS.data.to_numpy(),
        IRIS.target,
        "onnx",
    ),
    "stacking of unlike members": (
        StackingClassifier(
            [("a", LogisticRegression(max_iter=500)), ("b", RandomForestClassifier(**SMALL))], cv=2
        ),
        IRIS.data.to_numpy(),
        IRIS.target,
        "onnx",
    ),
    "refuses rows below zero": (
        make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()),
        IRIS.data.to_numpy(),
        IRIS.target,
        "onnx",
    ),
}


@pytest.mark.parametrize("name", HARD.keys())
def test_rows_that_a_model_learnt_from_get_scikit_learns_answers(save: Save, name: str) -> None:
    estimator, rows, labels, runtime = HARD[name]
    estimator.fit(rows, labels)
    model = load_folder(*save(estimator, rows))
    assert model.runtime.name == runtime, model.plan.reason
    assert model.runtime.run(rows).labels == estimator.predict(rows).tolist()


@pytest.mark.parametrize(
    "estimator",
    [
        SVC(),
        LinearSVC(),
        RidgeClassifier(),
        SGDClassifier(),
        Perceptron(),
        OneVsOneClassifier(LogisticRegression()),
    ],
)
def test_probabilities_are_not_said_where_scikit_learn_has_none(save: Save, estimator: Any) -> None:
    estimator.fit(IRIS.data.to_numpy(), IRIS.target)
    model = load_folder(*save(estimator, IRIS.data.to_numpy()))
    assert model.runtime.name == "onnx", model.plan.reason
    assert not model.runtime.also
    assert not model.runtime.run(IRIS.data.to_numpy(), PROBABLE).more


def test_protocol_v2_offers_no_probabilities_where_there_are_none(save: Save) -> None:
    estimator = SVC().fit(IRIS.data.to_numpy(), IRIS.target)
    folder, settings = save(estimator, IRIS.data.to_numpy())
    loaded = load_folder(folder, settings)
    assert loaded.runtime.name == "onnx", loaded.plan.reason
    client = TestClient(create_app(settings, loaded), raise_server_exceptions=False)
    url = f"/v2/models/{settings.name}"
    assert [one["name"] for one in client.get(url).json()["outputs"]] == [
        "predict",
        "prediction_id",
    ]
    tensor = {"name": "input", "datatype": "FP64", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}
    asked = {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}
    reply = client.post(f"{url}/infer", json=asked)
    sentence = "there is no output 'predict_proba': ask for predict, prediction_id"
    assert (reply.status_code, reply.json()) == (400, {"error": sentence})


def test_probabilities_are_shares(save: Save) -> None:
    estimator = GradientBoostingClassifier(random_state=0).fit(IRIS.data.to_numpy(), IRIS.target)
    runtime = load_folder(*save(estimator, IRIS.data.to_numpy())).runtime
    said = runtime.run(IRIS.data.to_numpy(), PROBABLE).more[PROBABILITIES]
    assert (said.min() >= 0, said.max() <= 1) == (True, True)
