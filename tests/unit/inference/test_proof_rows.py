"""The proof catches each kind of loss in a conversion: a converter that has it is found out, and
scikit-learn serves.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from rollout_inference.loading.loader import load_folder
from rollout_model import onnx_conversion, onnx_export, threshold_corrections
from rollout_model.outcome import PROBABILITIES, Question
from rollout_model.parity import Proof, mismatch, ties
from rollout_model.serving_plan import OnnxInput
from tests.unit.inference.conftest import Save
from tests.unit.inference.datasets import SMALL
from tests.unit.inference.zoo import DATA, artifact

Patch = pytest.MonkeyPatch
RIGHT = onnx_export.convert


def converter_as_it_is(patch: Patch) -> None:
    patch.setattr(threshold_corrections, "_single", lambda right: right)


def inner_for_outer(patch: Patch) -> None:
    """The threshold is lost."""
    patch.setattr(
        onnx_conversion,
        "convert",
        lambda outer, *rest, **more: RIGHT(outer.estimator_, *rest, **more),
    )


def labels_from_probabilities(patch: Patch) -> None:
    patch.setattr(onnx_export, "_of_labels", lambda estimator: estimator)


def single_precision(patch: Patch) -> None:
    patch.setattr(
        onnx_conversion, "_onnx_inputs", lambda *_: [OnnxInput("float32", columns=False, flat=True)]
    )


def whole(patch: Patch) -> None:
    """No step is computed outside of ONNX."""
    patch.setattr(onnx_conversion, "_ways", lambda _: [onnx_conversion._whole])


def holed(rows: Any) -> Any:
    return np.where(np.random.default_rng(0).random(rows.shape) < 0.2, np.nan, rows)


ORDINARY, LATE = DATA["ordinary"], DATA["Unix milliseconds"]
LOW = ORDINARY.labels == "low"
SCALED_FOREST = make_pipeline(StandardScaler(), RandomForestClassifier(**SMALL))
LOSSES: dict[str, tuple[Callable[[Patch], None], Any, Any, Any]] = {
    "which way a tree sends missing values": (
        converter_as_it_is,
        RandomForestClassifier(**SMALL),
        holed(ORDINARY.rows),
        LOW,
    ),
    "a threshold of its own": (
        inner_for_outer,
        FixedThresholdClassifier(LogisticRegression(), threshold=0.7),
        ORDINARY.rows,
        LOW,
    ),
    "labels where probabilities tie": (
        labels_from_probabilities,
        SGDClassifier(loss="log_loss", random_state=0),
        ORDINARY.rows,
        ORDINARY.labels,
    ),
    "small steps far from zero": (
        single_precision,
        make_pipeline(StandardScaler(), LogisticRegression()),
        LATE.rows,
        LATE.labels,
    ),
    "thresholds in double precision": (
        single_precision,
        HistGradientBoostingClassifier(max_iter=5),
        LATE.rows,
        LATE.labels,
    ),
    "a scaler before a tree": (
        single_precision,
        make_pipeline(StandardScaler(), DecisionTreeClassifier()),
        LATE.rows,
        LATE.labels,
    ),
    "a scaler before a tree, inside of a vote": (
        single_precision,
        VotingClassifier([("a", SCALED_FOREST), ("b", LogisticRegression())], voting="soft"),
        LATE.rows,
        LATE.labels,
    ),
    "a scaler before a tree, inside of a search": (
        single_precision,
        GridSearchCV(SCALED_FOREST, {"randomforestclassifier__max_depth": [5]}, cv=2),
        LATE.rows,
        LATE.labels,
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("known", [True, False], ids=["training rows known", "two rows known"])
@pytest.mark.parametrize("name", LOSSES.keys())
def test_a_converter_that_loses_it_is_found_out(monkeypatch: Patch, name: str, known: bool) -> None:
    spoil, estimator, rows, labels = LOSSES[name]
    estimator.fit(rows, labels)
    spoil(monkeypatch)
    whole(monkeypatch)
    plan, _ = onnx_conversion.plan(
        estimator, artifact(np.nan_to_num(rows[:2])), rows if known else None
    )
    assert (plan.runtime, "converted, but not alike" in plan.reason) == ("sklearn", True), (
        plan.reason
    )


@pytest.mark.parametrize(
    "estimator",
    [RandomForestClassifier(**SMALL), HistGradientBoostingClassifier(max_iter=5)],
    ids=["forest", "boosting"],
)
def test_missing_values_go_the_way_that_the_tree_learnt(save: Save, estimator: Any) -> None:
    rows = holed(ORDINARY.rows)
    estimator.fit(rows, ORDINARY.labels)
    folder, settings = save(estimator, ORDINARY.rows)
    model = load_folder(folder, settings)
    assert model.runtime.name == "onnx", model.plan.reason
    said = model.runtime.run(rows, Question(frozenset({PROBABILITIES}))).more[PROBABILITIES]
    assert np.abs(said - estimator.predict_proba(rows)).max() < 1e-5


def test_a_split_of_missing_values_from_all_others_is_converted_behind_a_scaler() -> None:
    """Its threshold is infinite, and the converter looked for it for ever."""
    rows, told = holed(ORDINARY.rows), np.isnan(holed(ORDINARY.rows))[:, 0]
    estimator = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)).fit(
        rows, told
    )
    plan, _ = onnx_conversion.plan(estimator, artifact(ORDINARY.rows[:2]), rows)
    assert plan.runtime == "onnx", plan.reason


def test_years_are_served_though_no_year_is_zero(save: Save) -> None:
    """Rows that scikit-learn refuses are neither evidence nor a reason not to load."""
    years = 2000 + np.arange(150)[:, None] % 9
    labels = np.where(years[:, 0] > 2005, "late", "early")
    estimator = make_pipeline(OneHotEncoder(), LogisticRegression(max_iter=200)).fit(years, labels)
    model = load_folder(*save(estimator, years))
    assert model.runtime.name == "onnx", model.plan.reason
    assert model.runtime.run(years.astype(np.float64)).labels == labels.tolist()


def test_an_offset_of_all_numbers_hides_nothing() -> None:
    """A relative 1e-5 of Unix milliseconds is five hours."""
    numbers = LATE.rows[:, 0]
    tree = DecisionTreeRegressor(random_state=0).fit(ORDINARY.rows, numbers)
    plan, _ = onnx_conversion.plan(tree, artifact(ORDINARY.rows[:2]), ORDINARY.rows)
    assert (plan.runtime, "predictions" in plan.reason) == ("sklearn", True), plan.reason
    linear = LinearRegression().fit(ORDINARY.rows, numbers)
    assert (
        onnx_conversion.plan(linear, artifact(ORDINARY.rows[:2]), ORDINARY.rows)[0].runtime
        == "onnx"
    )


def test_a_tie_is_forgiven_only_where_what_decides_ties() -> None:
    labels, even = np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])
    said = [np.array([1, 1]), even]
    assert (
        mismatch("classifier", Proof(np.zeros((2, 1)), labels, even, np.array([True, False])), said)
        is None
    )
    found = mismatch(
        "classifier", Proof(np.zeros((2, 1)), labels, even, np.array([False, True])), said
    )
    assert found is not None
    assert found.what == "1 of 2 labels"


@pytest.mark.parametrize("one", [0, 7, 1], ids=["0", "7", "1, which the converter says to all"])
@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
def test_a_class_alone_is_what_is_answered(save: Save, kind: Any, one: int) -> None:
    """Nothing ties with it: skl2onnx makes 1 of whatever class a forest of one class has."""
    estimator = kind(3, random_state=0).fit(ORDINARY.rows, np.full(len(ORDINARY.rows), one))
    model = load_folder(*save(estimator, ORDINARY.rows))
    assert set(model.runtime.run(ORDINARY.rows).labels) == {one}
    assert not ties(np.ones((3, 1))).any()


def test_the_reason_is_that_of_the_way_that_came_nearest(monkeypatch: Patch) -> None:
    """The first way fails, the second says other labels to all rows, the third to some."""
    forest = RandomForestClassifier(**SMALL).fit(ORDINARY.rows, LOW)
    other = RandomForestClassifier(n_estimators=8, random_state=1).fit(ORDINARY.rows, LOW)
    wrong = RandomForestClassifier(**SMALL).fit(ORDINARY.rows, ~LOW)
    turns = iter([None, wrong, other])

    def convert(_: Any, *rest: Any, **more: Any) -> bytes:
        if (one := next(turns)) is None:
            raise ValueError("no such operator")
        return RIGHT(one, *rest, **more)

    monkeypatch.setattr(onnx_conversion, "convert", convert)
    whole(monkeypatch)
    monkeypatch.setattr(
        onnx_conversion,
        "_onnx_inputs",
        lambda *_: [OnnxInput("float32", columns=False, flat=True, labels="bool")] * 3,
    )
    plan, _ = onnx_conversion.plan(forest, artifact(ORDINARY.rows[:2]))
    differ = int(plan.reason.split(": ")[1].split(" of ")[0])
    assert (
        plan.runtime,
        plan.reason.startswith("converted, but not alike"),
        differ < plan.points / 4,
    ) == ("sklearn", True, True), plan.reason
