"""The contract of a data set: what its table must be like, read from a YAML file."""

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rollout_trainer.errors import TrainerError

Share = Annotated[float, Field(ge=0, le=1)]
UNNAMED = re.compile(r"Unnamed: [0-9]+(\.[0-9]+)*")
"""What pandas calls a column whose header is empty."""
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?")
"""A label that is a number. `007` is none: its zeros would be lost."""


class Range(BaseModel):
    """The values that a feature may have, in its own unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: float
    """The least, itself allowed."""
    max: float
    """The greatest, itself allowed."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min {self.min:.15g} must be less than max {self.max:.15g}")
        return self


class Contract(BaseModel):
    """Columns with their ranges, the label with its classes, and limits for the whole table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    """The column that is to be predicted."""
    classes: tuple[str, ...] | tuple[int, ...] = Field(min_length=2)
    """Its values."""
    features: dict[str, Range] = Field(min_length=1)
    """Columns that are predicted from, in the order in which a model takes them."""
    min_rows: int = Field(default=30, ge=10)
    """Rows of the table, at least; those with a missing value count."""
    max_missing: Share = 0.0
    """Share of rows with a missing value, at most."""
    max_duplicates: Share = 0.05
    """Share of rows that are there twice, at most."""
    min_class_share: Share = 0.05
    """Share of rows that the rarest class has, at least."""
    max_drift: Share = 0.25
    """Distance between two distributions, 0 to 1, at most; see rollout_trainer.drift."""

    @field_validator("classes", mode="before")
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
    def _label_is_no_feature(self) -> Self:
        if self.label in self.features:
            raise ValueError(f"{self.label} is the label and cannot be a feature too")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is named twice")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The features, in the order in which a model takes them."""
        return tuple(self.features)


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
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg'].removeprefix('Value error, ')}"
            for e in broken.errors()
        )
        raise TrainerError(f"The contract {path} is not valid: {said}.") from broken


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


def draft(table: pd.DataFrame, label: str) -> str:
    """A contract, as YAML, that the table meets: each range is what was seen and a quarter of its
    width on both sides.

    What only numbers the rows (see `row_numbers`) is no feature. Raises TrainerError where the
    label is no column, or where a feature is no number.
    """
    if label not in table.columns:
        raise TrainerError(
            f"There is no column {label}: there are {', '.join(map(str, table.columns))}."
        )
    left_out = row_numbers(table, label)
    table = table.drop(columns=left_out)
    features = table.drop(columns=label)
    if words := [
        str(c) for c in features.columns if not pd.api.types.is_numeric_dtype(features[c])
    ]:
        raise TrainerError(
            "Only numbers can be served, and these columns hold something else:"
            f" {', '.join(words)}. Encode or remove them."
        )
    if constant := [str(c) for c in features.columns if features[c].nunique() < 2]:
        raise TrainerError(
            f"These columns tell nothing, because they have one value only: {', '.join(constant)}."
            " Remove them."
        )
    classes = _classes(table[label].dropna().unique().tolist(), label)
    shares = table[label].value_counts(normalize=True)
    lines = [
        "# Drafted from the data: correct every line by what you know of it, above all the ranges.",
        *(f"# Left out, because it only numbers the rows: {name}" for name in left_out),
        f"label: {yaml.safe_dump(label).splitlines()[0]}",
        f"classes: {yaml.safe_dump(classes, default_flow_style=True, width=10_000).strip()}",
        "features:",
    ]
    for name in features.columns:
        low, high = float(features[name].min()), float(features[name].max())
        room = (high - low) / 4
        # What is never below zero in the data is a size, a count or a share more often than not.
        least = max(0.0, low - room) if low >= 0 else low - room
        bounds = f"min: {_rounded(least, room)}, max: {_rounded(high + room, room)}"
        lines.append(f"  {yaml.safe_dump(str(name)).splitlines()[0]}: {{{bounds}}}")
    lines += [
        f"min_rows: {max(10, len(table) // 2)}",
        f"max_missing: {_ceiling(float(table.isna().any(axis=1).mean()))}",
        f"max_duplicates: {_ceiling(float(table.duplicated().mean()) + 0.02)}",
        f"min_class_share: {int(50 * float(shares.min())) / 100}",
        "max_drift: 0.25",
    ]
    return "\n".join(lines) + "\n"


def row_numbers(table: pd.DataFrame, label: str) -> list[str]:
    """The leading columns without a name that hold another whole number in each row: an index that
    to_csv wrote, once or more often.
    """
    found: list[str] = []
    for name in map(str, table.columns):
        cells = table[name]
        if (
            name == label
            or not UNNAMED.fullmatch(name)
            or not pd.api.types.is_integer_dtype(cells)
            or not cells.is_unique
        ):
            break
        found.append(name)
    return found


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


def _classes(labels: list[object], label: str) -> list[str] | list[int]:
    """The classes, sorted: whole numbers where all labels are, else words as they stand. Raises
    TrainerError for fractions.
    """
    words = [str(one) for one in labels]
    if all(NUMBER.fullmatch(word) for word in words):
        numbers = [number for word in words if (number := whole(word)) is not None]
        if len(numbers) < len(words):
            raise TrainerError(
                f"The column {label} holds fractions: a class must be a word or a whole number."
            )
        return sorted(set(numbers))
    return sorted(set(words))


def _rounded(bound: float, room: float) -> str:
    """The bound in four digits, or in as many more as keep it within a quarter of the `room` (same
    unit) that it leaves the data.
    """
    texts = (f"{bound:.{digits}g}" for digits in range(4, 17))
    return next((text for text in texts if abs(float(text) - bound) <= room / 4), repr(bound))


def span(low: float, high: float) -> str:
    """`low to high` in six digits, or more where the two are close together."""
    width, most = abs(high - low), max(abs(low), abs(high))
    digits = 6 if not 0 < width < most else min(17, 6 + int(np.log10(most / width)))
    return f"{low:.{digits}g} to {high:.{digits}g}"


def _ceiling(share: float) -> float:
    """The share rounded up to whole percent."""
    return min(1.0, -int(-share * 100 // 1) / 100)
