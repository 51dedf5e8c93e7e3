"""How a model is trained: any scikit-learn classifier by its import path, with its parameters; from
a file or from options.
"""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from sklearn.base import BaseEstimator, is_classifier

from rollout_trainer import numerals
from rollout_trainer.errors import TrainerError

FOREST = "sklearn.ensemble.RandomForestClassifier"
INNER = (
    "estimator",
    "base_estimator",
    "estimators",
    "final_estimator",
    "steps",
    "transformers",
    "transformer_list",
)
"""Parameters of scikit-learn that take estimators, not values."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=200)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Recipe:
    """One way to train a model."""

    name: Name = "iris"
    """The registered model."""
    data: Path = Path("data/processed/iris.csv")
    """A CSV file that has a contract."""
    estimator: str = FOREST
    """Import path of a scikit-learn classifier."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the estimator."""
    preprocessing: tuple[str, ...] = ()
    """Import paths of transformers that come before the estimator."""
    features: Annotated[int, Field(ge=1)] | None = None
    """How many of the contract's columns the estimator sees; all by default."""
    shuffled: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of training labels to shuffle, for a bad model on purpose."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """random_state of whatever has one."""
    least: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Metrics that a model must reach to be registered, such as balanced_accuracy."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """The recipe in a YAML file; raises TrainerError with the place of what is wrong."""
        try:
            said = numerals.load(path.read_text(encoding="utf-8")) or {}
            if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
                raise TrainerError(
                    f"The recipe {path} is no mapping: write `name: …`, `estimator: …` and so on."
                )
            return cls(**said)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as trouble:
            raise TrainerError(f"The recipe {path} cannot be read: {trouble}") from trouble
        except ValidationError as broken:
            said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in broken.errors())
            raise TrainerError(f"The recipe {path} is not valid: {said}.") from broken

    def changed(self, **given: Any) -> Self:
        """The recipe with what was given instead; None is what was not given."""
        return replace(self, **{key: value for key, value in given.items() if value is not None})

    def build(self) -> list[tuple[str, BaseEstimator]]:
        """The steps, not fitted: transformers and then the classifier. Raises TrainerError."""
        steps = [_made(path, {}, self.seed) for path in self.preprocessing]
        last = _made(self.estimator, self.parameters, self.seed)
        if not is_classifier(last):
            raise TrainerError(
                f"{self.estimator} is no classifier: name one, for example {FOREST}."
            )
        if clumsy := [
            path
            for path, step in zip(self.preprocessing, steps, strict=True)
            if not hasattr(step, "transform")
        ]:
            raise TrainerError(
                f"{clumsy[0]} transforms nothing: preprocessing takes transformers, such as"
                " sklearn.preprocessing.StandardScaler."
            )
        return [(type(step).__name__.lower(), step) for step in (*steps, last)]


def _made(path: str, parameters: Mapping[str, Any], seed: int) -> BaseEstimator:
    """An instance of the class at `path`, with the seed where it takes one. Only scikit-learn's
    own: what is imported is run.
    """
    module, _, name = path.rpartition(".")
    if module.split(".")[0] != "sklearn":
        raise TrainerError(
            f"{path!r} is no import path of scikit-learn: write, for example, {FOREST}."
        )
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as missing:
        raise TrainerError(f"scikit-learn has no {path}: {missing}.") from missing
    if not (inspect.isclass(kind) and issubclass(kind, BaseEstimator)):
        raise TrainerError(f"{path} is no estimator class: write, for example, {FOREST}.")
    known = inspect.signature(kind).parameters
    if within := [
        key
        for key in INNER
        if key in known
        and (known[key].default is inspect.Parameter.empty or parameters.get(key) is not None)
    ]:
        raise TrainerError(
            f"{path} is made of another estimator ({within[0]}), which a recipe cannot write: name"
            f" a single classifier and its parameters, for example {FOREST}."
        )
    if unknown := [key for key in parameters if key not in known]:
        raise TrainerError(
            f"{path} has no parameter {', '.join(unknown)}: it has {', '.join(known)}."
        )
    seeded = {"random_state": seed} if "random_state" in known else {}
    try:
        made: BaseEstimator = kind(**{**seeded, **parameters})
    except TypeError as refused:
        raise TrainerError(f"{path} cannot be made with these parameters: {refused}.") from refused
    return made
