"""Fitting: what the recipe says, on all columns or on the first few."""

import warnings
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from rollout_trainer.data import Split, shuffle_labels
from rollout_trainer.errors import TrainerError
from rollout_trainer.recipe import Recipe


def unfitted(split: Split, recipe: Recipe) -> Any:
    """The estimator of the recipe, which takes all columns, whatever it looks at. Raises
    TrainerError.
    """
    steps = recipe.build()
    columns = list(split.train.columns)
    if recipe.features is not None and recipe.features > len(columns):
        raise TrainerError(
            f"The data has {len(columns)} features and the recipe asks for {recipe.features}: ask"
            " for fewer."
        )
    if recipe.features not in {None, len(columns)}:
        seen = ColumnTransformer([("seen", "passthrough", columns[: recipe.features])])
        steps.insert(0, ("columns", seen))
    return steps[0][1] if len(steps) == 1 else Pipeline(steps)


def labels_to_learn(split: Split, recipe: Recipe) -> Any:
    """The training labels, with a share of them shuffled where the recipe asks for a bad model."""
    return (
        shuffle_labels(split.train_labels, recipe.shuffled, recipe.seed)
        if recipe.shuffled
        else split.train_labels
    )


def fit(split: Split, recipe: Recipe) -> Any:
    """A fitted scikit-learn estimator; raises TrainerError where scikit-learn cannot fit it."""
    model = unfitted(split, recipe)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            return model.fit(split.train, labels_to_learn(split, recipe))
    except ConvergenceWarning as early:
        said = str(early).splitlines()[0]
        raise TrainerError(
            f"{recipe.estimator} did not converge: {said} Raise its max_iter, or put"
            " sklearn.preprocessing.StandardScaler before it."
        ) from early
    except (ValueError, TypeError, AttributeError) as refused:
        raise TrainerError(
            f"{recipe.estimator} could not be fitted: {str(refused).splitlines()[0]}"
        ) from refused
