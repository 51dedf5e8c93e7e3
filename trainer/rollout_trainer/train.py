"""Fitting: what the recipe says, on all columns or on the first few."""

import warnings
from typing import Any

import numpy as np
from scipy import stats
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ParameterGrid, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from rollout_trainer import preprocessing
from rollout_trainer.data import Split, shuffle_labels
from rollout_trainer.errors import TrainerError
from rollout_trainer.estimators import looks_written, made, named
from rollout_trainer.recipe import Recipe, Search
from rollout_trainer.scores import scorer
from rollout_trainer.splitting import folds

MOST_FITS = 10_000
"""Combinations of a search."""


def unfitted(split: Split, recipe: Recipe) -> Any:
    """The estimator of the recipe, which takes all columns, whatever it looks at. Raises
    TrainerError.
    """
    last = recipe.last_step(classes=split.classes)
    if recipe.class_weight is not None and "class_weight" in last.get_params(deep=False):
        last.set_params(class_weight=_by_class(split, recipe))
    columns = list(split.train.columns)
    if recipe.features is not None and recipe.features > len(columns):
        raise TrainerError(
            f"The data has {len(columns)} features and the recipe asks for {recipe.features}: ask"
            " for fewer."
        )
    seen = columns[: recipe.features]
    before = preprocessing.steps(
        recipe.preprocessing, split.train[seen], split.optional, last, recipe.seed
    )
    first = before[0] if before else None
    if seen != columns and not (isinstance(first, ColumnTransformer) and first.transformers):
        chosen = ColumnTransformer([("seen", "passthrough", seen)])
        return Pipeline([("columns", chosen), *named([*before, last])])
    return last if not before else Pipeline(named([*before, last]))


def labels_to_learn(split: Split, recipe: Recipe) -> Any:
    """The training labels, with a share of them shuffled where the recipe asks for a bad model."""
    return (
        shuffle_labels(split.train_labels, recipe.shuffled, recipe.seed)
        if recipe.shuffled
        else split.train_labels
    )


def weighed(model: Any, split: Split, recipe: Recipe, labels: Any) -> dict[str, Any]:
    """What `fit` is given beside rows and labels: weights of rows, where the estimator has no
    class_weight of its own. Raises TrainerError where it takes none.
    """
    weights = _by_class(split, recipe)
    last, prefix = model, ""
    if isinstance(model, Pipeline):
        prefix, last = f"{model.steps[-1][0]}__", model.steps[-1][1]
    if weights is None or "class_weight" in last.get_params(deep=False):
        return {}
    if not has_fit_parameter(last, "sample_weight"):
        raise TrainerError(f"{recipe.estimator} takes no class_weight: leave it out.")
    return {f"{prefix}sample_weight": compute_sample_weight(weights, labels)}


def fit(split: Split, recipe: Recipe) -> Any:
    """A fitted estimator, of a search the best one; raises TrainerError where it cannot be."""
    model = unfitted(split, recipe)
    labels = labels_to_learn(split, recipe)
    more = weighed(model, split, recipe, labels)
    if recipe.search is not None:
        model = _search(model, split, recipe, recipe.search, labels)
    strict = recipe.search is None
    fitted = attempted(recipe, model.fit, split.train, labels, strict=strict, **more)
    return getattr(fitted, "best_estimator_", fitted)


def chosen(model: Any, recipe: Recipe) -> dict[str, Any]:
    """What the search chose, by the names that the recipe has; empty where there was none."""
    if recipe.search is None:
        return {}
    parameters = model.get_params()
    return {name: parameters[_place(model, name)] for name in recipe.search.parameters}


def attempted(recipe: Recipe, call: Any, *given: Any, strict: bool, **named: Any) -> Any:
    """What the call returns; raises TrainerError where the estimator refuses, or where it is
    `strict` and does not converge.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error" if strict else "ignore", ConvergenceWarning)
            return call(*given, **named)
    except ConvergenceWarning as early:
        said = str(early).splitlines()[0]
        raise TrainerError(
            f"{recipe.estimator} did not converge: {said} Raise its max_iter, or put"
            " sklearn.preprocessing.StandardScaler before it."
        ) from early
    except TrainerError:
        raise
    # Estimators and their libraries refuse in many ways (XGBoostError, LightGBMError, KeyError).
    except Exception as refused:
        said = next((one for one in str(refused).splitlines() if one.strip()), "")
        said = said or type(refused).__name__
        if "Invalid classes inferred" in said:
            said += ". XGBoost takes the classes 0, 1, 2 only: number them, or take LightGBM."
        raise TrainerError(f"{recipe.estimator} could not be fitted: {said}") from refused


def _by_class(split: Split, recipe: Recipe) -> Any:
    """`balanced`, a weight for each class, or None. Raises TrainerError for others than the
    classes.
    """
    weights = recipe.class_weight
    if weights is None or weights == "balanced":
        if weights and not split.classes:
            raise TrainerError(
                "class_weight is for classes, and the label is a number: take it out."
            )
        return weights
    if not split.classes:
        raise TrainerError("class_weight is for classes, and the label is a number: take it out.")
    known = {str(one): one for one in split.train_labels.unique().tolist()}
    if foreign := [str(one) for one in weights if str(one) not in known]:
        raise TrainerError(
            f"class_weight has {foreign[0]}, which is no class: there are {', '.join(known)}."
        )
    return {**dict.fromkeys(known.values(), 1.0), **{known[str(n)]: w for n, w in weights.items()}}


def _search(model: Any, split: Split, recipe: Recipe, search: Search, labels: Any) -> Any:
    count = split.train_labels.nunique() if split.classes else 0
    scoring = scorer(recipe.judged_by(classes=split.classes), classes=count)
    cut = folds(np.asarray(labels), split.keys, split.by, recipe.seed, classes=split.classes)
    tried = {
        _place(model, name): _values(name, one, search, recipe.seed)
        for name, one in search.parameters.items()
    }
    given = dict(zip(tried, search.parameters, strict=True))
    if unknown := [given[name] for name in tried if name not in model.get_params()]:
        last = model[-1] if isinstance(model, Pipeline) else model
        raise TrainerError(
            f"The search tries {unknown[0]}, which {recipe.estimator} does not have: it has"
            f" {', '.join(last.get_params())}."
        )
    common: dict[str, Any] = {"scoring": scoring, "cv": cut, "error_score": "raise"}
    if search.tries is not None:
        return RandomizedSearchCV(
            model, tried, n_iter=search.tries, random_state=recipe.seed, **common
        )
    if len(ParameterGrid(tried)) > MOST_FITS:
        raise TrainerError(
            f"The search has {len(ParameterGrid(tried))} combinations, and {MOST_FITS} are the"
            " most: write fewer values, or `tries` for a random one."
        )
    return GridSearchCV(model, tried, **common)


def _place(model: Any, name: str) -> str:
    """The parameter's place in the pipeline: of its last step unless another is named."""
    if not isinstance(model, Pipeline) or name.split("__", maxsplit=1)[0] in dict(model.steps):
        return name
    return f"{model.steps[-1][0]}__{name}"


def _values(name: str, values: Any, search: Search, seed: int) -> Any:
    if isinstance(values, list):
        return [made(one, seed, name) if looks_written(one) else one for one in values]
    low, high = values["min"], values["max"]
    if search.tries is None:
        raise TrainerError(f"The search tries a range of {name}: write `tries: 20`, or a list.")
    if not all(isinstance(one, int | float) for one in (low, high)) or low >= high:
        raise TrainerError(f"The range of {name} has to go from a number to a greater one.")
    if values.get("log"):
        if low <= 0:
            raise TrainerError(f"The range of {name} is logarithmic: its min has to be above 0.")
        return stats.loguniform(low, high)
    if isinstance(low, int) and isinstance(high, int):
        return stats.randint(low, high + 1)
    return stats.uniform(low, high - low)
