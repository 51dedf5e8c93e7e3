"""From what a recipe writes to estimators: an import path, one with parameters, or a list of them
that is a pipeline; within parameters, too.

    sklearn.svm.SVC
    {sklearn.svm.SVC: {C: 2}}
    [sklearn.preprocessing.StandardScaler, {sklearn.svm.SVC: {C: 2}}]
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.gaussian_process.kernels import Kernel
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.pipeline import Pipeline

from rollout_trainer.errors import TrainerError

FOREST = "sklearn.ensemble.RandomForestClassifier"
PACKAGES = {"sklearn": "scikit-learn", "xgboost": "XGBoost", "lightgbm": "LightGBM"}
"""What may be imported, and so run."""
EXAMPLES = f"{FOREST}, xgboost.XGBClassifier or lightgbm.LGBMClassifier"
INNER = ("estimator", "base_estimator", "final_estimator", "regressor", "transformer")
"""Parameters that take an estimator."""
NAMED = ("estimators", "transformer_list")
"""Parameters that take estimators with names."""
ELSEWHERE = {
    "steps": "write a list of steps in its place",
    "transformers": "write the columns in `preprocessing`",
}
"""Parameters that a recipe writes in another way."""
ABSENT = frozenset({"passthrough", "drop"})
"""What stands in the place of an estimator, for none."""
KINDS = (BaseEstimator, Kernel, BaseCrossValidator, BaseShuffleSplit)
BOOSTERS = {"xgboost", "lightgbm"}
SEARCHES = "sklearn.model_selection._search"


def made(written: Any, seed: int, where: str) -> Any:
    """What is written, not fitted, with the seed where something takes one. Raises TrainerError
    that names the place `where`.
    """
    if isinstance(written, list | tuple):
        if not written:
            raise TrainerError(f"{where} is an empty list: write {EXAMPLES}.")
        return Pipeline(named([made(one, seed, where) for one in written]))
    if isinstance(written, str):
        return instance(written, {}, seed)
    if isinstance(written, Mapping) and len(written) == 1:
        ((path, parameters),) = written.items()
        if isinstance(path, str) and isinstance(parameters, Mapping | None):
            return instance(path, parameters or {}, seed)
    raise TrainerError(
        f"{where} is {str(written)[:60]!r}, which is no estimator: write an import path, or"
        " {path: {parameter: value}}."
    )


def named(steps: list[Any]) -> list[tuple[str, Any]]:
    """The steps with names, their classes' in small letters, numbered where one is there twice."""
    found: list[tuple[str, Any]] = []
    for step in steps:
        name = step if isinstance(step, str) else type(step).__name__.lower()
        taken = [one for one, _ in found]
        count = sum(one.partition("-")[0] == name for one in taken)
        found.append((f"{name}-{count + 1}" if count else name, step))
    return found


def instance(path: str, parameters: Mapping[str, Any], seed: int) -> Any:
    """An instance of the class at `path`. Raises TrainerError."""
    kind = _class(path)
    known = _known(kind, path)
    if elsewhere := [key for key in ELSEWHERE if key in known]:
        raise TrainerError(
            f"{path} is made of {elsewhere[0]}, which a recipe has otherwise:"
            f" {ELSEWHERE[elsewhere[0]]}."
        )
    if kind.__module__ == SEARCHES:
        raise TrainerError(
            f"{path} is a search: write `search: {{parameters: {{C: [0.1, 1, 10]}}}}` in the recipe"
            " instead, and `tries` for a random one."
        )
    if unknown := [str(key) for key in parameters if key not in known]:
        raise TrainerError(
            f"{path} has no parameter {', '.join(unknown)}: it has {', '.join(sorted(known))}."
        )
    if lacking := [key for key, needed in known.items() if needed and key not in parameters]:
        raise TrainerError(
            f"{path} is made of another estimator ({lacking[0]}): write"
            f" {{{path}: {{{lacking[0]}: {_example(lacking[0])}}}}}, or `parameters` of the recipe."
        )
    seeded = {"random_state": seed} if "random_state" in known else {}
    quiet = {"verbose": -1, "deterministic": True} if path.startswith("lightgbm.") else {}
    given = {key: _value(path, key, value, seed) for key, value in parameters.items()}
    try:
        return kind(**{**seeded, **quiet, **given})
    except (TypeError, ValueError) as refused:
        raise TrainerError(f"{path} cannot be made with these parameters: {refused}.") from refused


def looks_written(value: Any) -> bool:
    """Whether a value of a parameter is an estimator and not a word or a mapping of its own."""
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value))
    return isinstance(value, str) and value.partition(".")[0] in PACKAGES and "." in value


def _class(path: str) -> Any:
    module, _, name = path.rpartition(".")
    package = module.split(".")[0]
    if package not in PACKAGES:
        raise TrainerError(
            f"{path!r} is no import path of scikit-learn, XGBoost or LightGBM: write, for example,"
            f" {EXAMPLES}."
        )
    try:
        importlib.import_module(package)
    except ImportError as missing:
        raise TrainerError(
            f"{PACKAGES[package]} is not installed here: install model-rollouts[boosting] for"
            f" {path}."
        ) from missing
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as missing:
        raise TrainerError(f"{PACKAGES[package]} has no {path}: {missing}.") from missing
    if not (inspect.isclass(kind) and issubclass(kind, KINDS)):
        raise TrainerError(f"{path} is no estimator class: write, for example, {EXAMPLES}.")
    return kind


def _known(kind: Any, path: str) -> dict[str, bool]:
    """Its parameters, and whether each has to be given."""
    of_class = inspect.signature(kind).parameters
    known = {
        name: one.default is inspect.Parameter.empty
        for name, one in of_class.items()
        if one.kind not in {one.VAR_KEYWORD, one.VAR_POSITIONAL}
    }
    if path.split(".", maxsplit=1)[0] in BOOSTERS:  # most are behind **kwargs
        known |= dict.fromkeys(kind().get_params(), False)
    return known


def _value(path: str, key: str, value: Any, seed: int) -> Any:
    where = f"{key} of {path}"
    if key in NAMED:
        return _several(where, value, seed)
    if key in INNER:
        if value is None or (isinstance(value, str) and value in ABSENT):
            return value
        return made(value, seed, where)
    return made(value, seed, where) if looks_written(value) else value


def _several(where: str, value: Any, seed: int) -> list[tuple[str, Any]]:
    if isinstance(value, list) and all(
        isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) for one in value
    ):
        value = dict(value)
    if not isinstance(value, Mapping) or not value or not all(isinstance(n, str) for n in value):
        raise TrainerError(
            f"{where} takes estimators with names: write {{forest: {FOREST}, linear:"
            " {sklearn.linear_model.LogisticRegression: {C: 0.1}}}."
        )
    return [
        (name, one if one == "drop" else made(one, seed, f"{name} in {where}"))
        for name, one in value.items()
    ]


def _example(parameter: str) -> str:
    example = "sklearn.tree.DecisionTreeClassifier"
    return f"{{tree: {example}}}" if parameter in NAMED else example
