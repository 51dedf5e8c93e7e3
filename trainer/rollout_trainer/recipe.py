"""How a model is trained: an estimator by its import path, with its parameters, and what comes
before it, around it and after it; from a file or from options.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import ConfigDict, Field, ValidationError, field_validator
from pydantic.dataclasses import dataclass
from sklearn.base import is_classifier, is_regressor

from rollout_trainer import numerals
from rollout_trainer.errors import TrainerError
from rollout_trainer.estimators import EXAMPLES, FOREST, instance, looks_written
from rollout_trainer.scores import CLASSIFICATION, REGRESSION
from rollout_trainer.splitting import SplitBy

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=200)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Search:
    """Parameters that are chosen by cross-validation of the training rows."""

    parameters: Mapping[str, Any] = Field(min_length=1)
    """Values to try, by the estimator's parameter, or `step__parameter` of another step: a list, or
    {min: …, max: …, log: true} with `tries`.
    """
    tries: Annotated[int, Field(ge=1)] | None = None
    """Combinations that are tried at random; all of them where it is left out."""

    @field_validator("parameters")
    @classmethod
    def _to_try(cls, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        for name, values in parameters.items():
            if isinstance(values, Mapping) and not looks_written(values):
                if not {"min", "max"} <= set(values) <= {"min", "max", "log"}:
                    raise ValueError(f"{name} is no range: write {{min: 0.01, max: 10, log: true}}")
            elif not isinstance(values, list) or not values:
                raise ValueError(f"{name} is no list of values to try: write [0.1, 1, 10]")
        return parameters


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Recipe:
    """One way to train a model."""

    name: Name = "iris"
    """The registered model."""
    data: Path = Path("data/processed/iris.csv")
    """A CSV file that has a contract."""
    estimator: str = FOREST
    """Import path of a classifier or regressor of scikit-learn, XGBoost or LightGBM."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the estimator; estimators among them as in rollout_trainer.estimators.
    """
    preprocessing: tuple[Any, ...] | Mapping[str, Any] = ()
    """What comes before the estimator: steps for all columns, or steps by columns. Where there is
    nothing, what the columns ask for.
    """
    search: Search | None = None
    """Parameters that are chosen from the data."""
    class_weight: Literal["balanced"] | Mapping[str | int, float] | None = None
    """How much rows of a class count; balanced: each class as much as the others."""
    split: SplitBy = Field(default_factory=SplitBy)
    """Which rows are held out."""
    metric: str | None = None
    """The one that counts: it is cross-validated, shown, and what a search chooses by. By default
    accuracy, or mean_absolute_error of numbers.
    """
    features: Annotated[int, Field(ge=1)] | None = None
    """How many of the contract's columns the estimator sees; all by default."""
    shuffled: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of training labels to shuffle, for a bad model on purpose."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """random_state of whatever has one."""
    least: Mapping[str, float] = Field(default_factory=dict)
    """Metrics that a model must reach to be registered, such as balanced_accuracy."""
    most: Mapping[str, float] = Field(default_factory=dict)
    """Errors that a model must not be above, such as root_mean_squared_error."""

    @field_validator("preprocessing", mode="before")
    @classmethod
    def _steps(cls, written: object) -> object:
        return () if written is None else [written] if isinstance(written, str) else written

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
            said = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
                for e in broken.errors()
            )
            raise TrainerError(f"The recipe {path} is not valid: {said}.") from broken

    def changed(self, **given: Any) -> Self:
        """The recipe with what was given instead; None is what was not given."""
        return replace(self, **{key: value for key, value in given.items() if value is not None})

    def judged_by(self, *, classes: bool) -> str:
        """The metric that counts. Raises TrainerError for one that there is not."""
        known = CLASSIFICATION if classes else REGRESSION
        metric = self.metric or next(iter(known))
        if metric not in known:
            raise TrainerError(
                f"There is no metric {metric} of {'classes' if classes else 'numbers'}: there are"
                f" {', '.join(known)}."
            )
        return metric

    def last_step(self, *, classes: bool) -> Any:
        """The estimator, not fitted. Raises TrainerError where it is none for such labels."""
        made = instance(self.estimator, self.parameters, self.seed)
        fits = is_classifier(made) if classes else is_regressor(made)
        if fits:
            return made
        example = FOREST if classes else FOREST.replace("Classifier", "Regressor")
        other = is_regressor(made) if classes else is_classifier(made)
        if not other:
            raise TrainerError(
                f"{self.estimator} is no classifier and no regressor: name one, for example"
                f" {EXAMPLES}."
            )
        kinds = ("classifier", "classes") if classes else ("regressor", "a range of numbers")
        raise TrainerError(
            f"{self.estimator} is no {kinds[0]}, and the contract has {kinds[1]}: name one, for"
            f" example {example}."
        )
