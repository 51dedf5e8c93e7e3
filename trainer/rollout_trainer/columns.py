"""Kinds of columns: what a contract says of one, and how cells of a CSV file become its values.

A value is of the type that the model server gives to a model again (rollout_model.table): float64
with NaN, text or truth values as objects with NaN for a gap, truth values without gaps as bool,
datetime64[ns] with NaT.
"""

import re
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator
from pydantic import model_validator as checked

from rollout_model.table import FIRST_YEAR, LAST_YEAR, LONGEST_TEXT

NOTHING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
    | {"<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""What pandas reads as a missing value. Of text only the empty cell is: NA is a country."""
DAY = re.compile(r"\d{4}-\d\d-\d\d")
"""How a date begins."""
TRUTHS = {"true": True, "false": False, "1": True, "0": False}
"""Of a column that the contract says is one of truth values; in any case."""


class Kind(StrEnum):
    """What a column holds, by the contract's words."""

    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    DATETIME = "datetime"


class _Column(BaseModel):
    """What columns of every kind have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    required: bool = True
    """Whether each row must have a value; else rows with a gap stay, and the model gets them."""


class Range(_Column):
    """Numbers, in a unit of their own."""

    type: Literal["number"] = "number"
    """The kind, which may be left out."""
    min: float
    """The least, itself allowed."""
    max: float
    """The greatest, itself allowed."""

    @checked(mode="after")
    def _in_order(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min {self.min:.15g} must be less than max {self.max:.15g}")
        return self

    @property
    def allowed(self) -> str:
        """In words."""
        return span(self.min, self.max)

    def typed(self, cells: pd.Series, _missing: Collection[str] = ()) -> pd.Series:
        """(rows,) of float64; NaN for what is no finite number."""
        numbers = pd.to_numeric(cells, errors="coerce").astype(float)
        return numbers.replace([np.inf, -np.inf], np.nan)

    def fits(self, values: pd.Series) -> pd.Series:
        """(rows,) of bool: which values are allowed."""
        return values.between(self.min, self.max)


class Text(_Column):
    """Words of a list, or free text."""

    type: Literal["string"]
    """The kind."""
    values: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The words that there may be; None for free text."""
    max_length: int = Field(default=LONGEST_TEXT, ge=1, le=LONGEST_TEXT)
    """Characters of free text, at most."""

    @field_validator("values", mode="before")
    @classmethod
    def _as_they_stand(cls, values: object) -> object:
        if isinstance(values, list) and not all(isinstance(one, str) for one in values):
            raise ValueError(
                "YAML takes yes, no, true, false, null and numbers for no words: put each value in"
                " quotes, as it stands in the data"
            )
        return values

    @property
    def allowed(self) -> str:
        """In words."""
        words = f"text of {self.max_length} characters at most"
        return words if self.values is None else listed(self.values)

    def typed(self, cells: pd.Series, missing: Collection[str] = ()) -> pd.Series:
        """(rows,) of objects: text, or NaN where a cell is empty or holds a word of `missing`."""
        nothing = {"", *missing}
        text = [
            np.nan if gap or str(cell) in nothing else str(cell)
            for cell, gap in zip(cells, cells.isna(), strict=True)
        ]
        return pd.Series(text, index=cells.index, dtype=object)

    def fits(self, values: pd.Series) -> pd.Series:
        """(rows,) of bool: which values are allowed."""
        if self.values is not None:
            return values.isin(self.values)
        return values.map(lambda one: len(one) <= self.max_length, na_action="ignore") == True  # noqa: E712


class Boolean(_Column):
    """Truth values: true and false, or 1 and 0."""

    type: Literal["boolean"]
    """The kind."""

    @property
    def allowed(self) -> str:
        """In words."""
        return "true, false"

    def typed(self, cells: pd.Series, missing: Collection[str] = ()) -> pd.Series:  # noqa: ARG002
        """(rows,) of bool, or of objects with NaN where gaps are allowed or found."""
        found = [np.nan if (truth := _truth(cell)) is None else truth for cell in cells]
        truths = pd.Series(found, index=cells.index, dtype=object)
        return truths if not self.required or truths.isna().any() else truths.astype(bool)

    def fits(self, values: pd.Series) -> pd.Series:
        """(rows,) of bool: which values are allowed."""
        return values.notna()


class Datetime(_Column):
    """Dates and times as `2026-11-29` or `2026-11-29 12:00:00`, without a time zone."""

    type: Literal["datetime"]
    """The kind."""
    min: datetime
    """The earliest, itself allowed."""
    max: datetime
    """The latest, itself allowed."""

    @checked(mode="after")
    def _in_order(self) -> Self:
        if self.min.tzinfo or self.max.tzinfo:
            raise ValueError("dates have no time zone: write 2026-11-29 or 2026-11-29T12:00:00")
        if not FIRST_YEAR <= self.min.year <= self.max.year <= LAST_YEAR:
            raise ValueError(f"dates are of the years {FIRST_YEAR} to {LAST_YEAR}, min before max")
        if self.min >= self.max:
            raise ValueError(f"min {self.min} must be before max {self.max}")
        return self

    @property
    def allowed(self) -> str:
        """In words."""
        return f"{said(self.min)} to {said(self.max)}"

    def typed(self, cells: pd.Series, _missing: Collection[str] = ()) -> pd.Series:
        """(rows,) of datetime64[ns]; NaT for what is no date."""
        dates = [moment(cell) for cell in cells]
        return pd.Series(dates, index=cells.index, dtype="datetime64[ns]")

    def fits(self, values: pd.Series) -> pd.Series:
        """(rows,) of bool: which values are allowed."""
        return values.between(pd.Timestamp(self.min), pd.Timestamp(self.max))


def _kind(column: Any) -> str:
    given = (
        column.get("type", Kind.NUMBER) if isinstance(column, dict) else getattr(column, "type", "")
    )
    return str(given)


Column = Annotated[
    Annotated[Range, Tag("number")]
    | Annotated[Text, Tag("string")]
    | Annotated[Boolean, Tag("boolean")]
    | Annotated[Datetime, Tag("datetime")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="type must be number, string, boolean or datetime",
    ),
]
"""A column of a contract, by its `type`."""


def _truth(cell: object) -> bool | None:
    # 1.0 is what pandas makes of 1 in a column with gaps.
    return TRUTHS.get(str(cell).strip().lower().removesuffix(".0"))


def moment(cell: object) -> datetime | None:
    """The date that a cell holds; None for what is none, has a zone, or is of no year that pandas
    counts.
    """
    text = str(cell).strip()
    if not DAY.match(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is None and FIRST_YEAR <= found.year <= LAST_YEAR else None


def said(when: datetime) -> str:
    """The date, and the time where it is not midnight."""
    return str(when.date() if when == datetime.combine(when.date(), datetime.min.time()) else when)


def listed(words: Collection[object], most: int = 12) -> str:
    """The words with commas, shortened where they are many."""
    shown = ", ".join(map(str, list(words)[:most]))
    return shown + (f" and {len(words) - most} more" if len(words) > most else "")


def span(low: float, high: float) -> str:
    """`low to high` in six digits, or more where the two are close together."""
    width, most = abs(high - low), max(abs(low), abs(high))
    digits = 6 if not 0 < width < most else min(17, 6 + int(np.log10(most / width)))
    return f"{low:.{digits}g} to {high:.{digits}g}"
