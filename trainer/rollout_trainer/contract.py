"""The contract of a data set: what its table must be like, read from a YAML file."""

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rollout_trainer.columns import Column, Kind, Range
from rollout_trainer.errors import TrainerError

Share = Annotated[float, Field(ge=0, le=1)]


class Contract(BaseModel):
    """Columns with what they may hold, the label with its classes or its range, and limits for the
    whole table.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    """The column that is to be predicted."""
    classes: tuple[str, ...] | tuple[int, ...] | None = Field(default=None, min_length=2)
    """Its values, where it is one of classes."""
    range: Range | None = None
    """What it may be, where it is a number that is estimated: a regression."""
    features: dict[str, Column] = Field(min_length=1)
    """Columns that are predicted from, in the order in which a model takes them."""
    metadata: dict[str, Column] = Field(default_factory=dict)
    """Columns that no model sees, by which a recipe may split: a patient, a day."""
    missing: tuple[str, ...] = ()
    """Words that stand for a missing value in columns of text, beside the empty cell. In columns of
    other kinds NA, null, nan and their like always do.
    """
    min_rows: int = Field(default=30, ge=10)
    """Rows of the table, at least; those with a missing value count."""
    max_missing: Share = 0.0
    """Share of rows, at most, without a label or a value that is required; they are left out."""
    max_duplicates: Share = 0.05
    """Share of rows that are there twice, at most."""
    min_class_share: Share = 0.05
    """Share of rows that the rarest class has, at least; of no meaning for a number."""
    max_drift: Share = 0.25
    """Distance between two distributions, 0 to 1, at most; see rollout_trainer.drift."""

    @field_validator("classes", "missing", mode="before")
    @classmethod
    def _as_they_stand(cls, classes: object) -> object:
        if isinstance(classes, list) and any(
            isinstance(one, bool) or one is None for one in classes
        ):
            raise ValueError(
                "YAML takes yes, no, true, false and null for no words: put each class in quotes,"
                " as it stands in the data"
            )
        return classes

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.classes is None) == (self.range is None):
            raise ValueError(
                f"write either classes, the values that {self.label} has, or range, with min and"
                " max of the number that it is"
            )
        if self.label in self.features or self.label in self.metadata:
            raise ValueError(f"{self.label} is the label and cannot be a feature too")
        if both := [name for name in self.metadata if name in self.features]:
            raise ValueError(f"{both[0]} is among features and metadata: leave it in one")
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is named twice")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The features, in the order in which a model takes them."""
        return tuple(self.features)

    @property
    def described(self) -> dict[str, Any]:
        """Every column but the label: features, then metadata."""
        return {**self.features, **self.metadata}

    @property
    def optional(self) -> tuple[str, ...]:
        """The features that may have gaps."""
        return tuple(name for name, one in self.features.items() if not one.required)

    @property
    def as_text(self) -> tuple[str, ...]:
        """The columns whose cells are read as they stand."""
        return (
            self.label,
            *(name for name, one in self.described.items() if one.type != Kind.NUMBER),
        )


def read(path: Path) -> Contract:
    """The contract in the YAML file at `path`;
    raises TrainerError with the place of what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if other := _otherwise(yaml.compose(text, yaml.SafeLoader)):
            raise TrainerError(f"The contract {path} is not valid: classes: {other}.")
        return Contract.model_validate(yaml.safe_load(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as trouble:
        raise TrainerError(f"The contract {path} cannot be read: {trouble}") from trouble
    except ValidationError as broken:
        said = "; ".join(
            f"{_place(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in broken.errors()
        )
        raise TrainerError(f"The contract {path} is not valid: {said}.") from broken


def _place(where: tuple[int | str, ...]) -> str:
    """Where something is wrong, without the kind that pydantic puts behind a column's name."""
    kept = where[:2] + where[3:] if where[:1] in {("features",), ("metadata",)} else where
    return ".".join(map(str, kept)) or "file"


def _otherwise(root: yaml.Node | None) -> str:
    """Which class YAML would read as another number than is written, in words; "" for none."""
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    lists = [
        value
        for key, value in pairs
        if key.value == "classes" and isinstance(value, yaml.SequenceNode)
    ]
    for one in (item for classes in lists for item in classes.value):
        if one.tag == "tag:yaml.org,2002:int" and not re.fullmatch(r"0|-?[1-9][0-9]*", one.value):
            return (
                f"YAML takes {one.value} for another number or writing: write '{one.value}' in"
                " quotes, as it stands in the data"
            )
    return ""


def home_of(data: Path) -> Path:
    """The contract's path: data/contracts/iris.yaml for iris.csv in data/raw or data/processed."""
    return data.parent.parent / "contracts" / f"{data.stem}.yaml"


def contract_for(data: Path, given: Path | None = None) -> Contract:
    """The given contract, else the one of the data file;
    raises TrainerError where there is none.
    """
    path = given or home_of(data)
    if given is None and not path.is_file():
        raise TrainerError(
            f"{data} has no contract: {path} does not exist. Draft it with `python -m"
            f" rollout_trainer draft {data} --label COLUMN` and correct what it says, or name"
            " another by --contract."
        )
    return read(path)


def whole(value: object) -> int | None:
    """The whole number that a label is, be it a number or text (`2`, `2.0`); None for anything
    else, and for what needs over 64 bits.
    """
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return (
        int(number)
        if number.is_finite() and abs(number) < 2**63 and number == number.to_integral_value()
        else None
    )
