"""A contract drafted from data: what each column seems to hold, and what it was seen to hold."""

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
import yaml

from rollout_model.table import FIRST_YEAR, LAST_YEAR, LONGEST_TEXT
from rollout_trainer.columns import NOTHING, Kind, Text, moment, said
from rollout_trainer.contract import whole
from rollout_trainer.errors import TrainerError

UNNAMED = re.compile(r"Unnamed: [0-9]+(\.[0-9]+)*")
"""What pandas calls a column whose header is empty."""
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?")
"""A label that is a number. `007` is none: its zeros would be lost."""
CODE = re.compile(r"[-+]?0[0-9]+")
"""Digits that are no number: the zero in front would be lost."""
ODD_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}([ T].*)?")
"""What people write as a date, and we read as text."""
MOST_CLASSES = 20
"""Distinct whole numbers of a label; of more it is a number, not a class."""
MOST_VALUES = 50
"""Distinct words of a column; of more it is free text."""
LONGEST_VALUE = 40
"""Characters of a word; what is longer is free text."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A contract, and what to look at first."""

    text: str
    """YAML."""
    notes: tuple[str, ...]
    """Sentences about columns that are left out, or may be read otherwise than they are meant."""


def draft(
    table: pd.DataFrame, label: str, task: str | None = None, metadata: Collection[str] = ()
) -> Drafted:
    """A contract that the table meets: each range is what was seen and a quarter of its width on
    both sides. Columns with gaps are not required, so that no row is lost.

    table: cells as text, or as pandas read them. task: `classification` or `regression`, which the
    labels decide where it is None. metadata: columns that are no features.

    What only numbers the rows (see `row_numbers`), or has one value
    only, is no feature. Raises TrainerError where the label is no column or no feature is left.
    """
    if absent := [one for one in (label, *metadata) if one not in table.columns]:
        raise TrainerError(
            f"There is no column {absent[0]}: there are {', '.join(map(str, table.columns))}."
        )
    labels = table[label].where(table[label].astype(str) != "")
    if not labels.notna().any():
        raise TrainerError(f"The column {label} is empty: name the one to predict by --label.")
    numbering = row_numbers(table.drop(columns=list(metadata)), label)
    features = table.drop(columns=[*numbering, label])
    words = _words_for_nothing(features)
    features = features.apply(lambda cells: Text(type="string").typed(cells, words))
    constant = [str(c) for c in features.columns if c not in metadata and features[c].nunique() < 2]
    features = features.drop(columns=constant)
    if len(features.columns) == len(metadata):
        raise TrainerError(
            f"No column is left to predict {label} from: the others number the rows or have one"
            f" value only ({', '.join([*numbering, *constant])})."
        )
    left_out = {"it only numbers the rows": numbering, "it has one value only": constant}
    said_of_these = [
        f"Left out, because {why}: {', '.join(names)}" for why, names in left_out.items() if names
    ]
    notes = [f"{one}." for one in said_of_these]
    of_label, said_of_label = _of_label(labels, label, task)
    lines = [
        "# Drafted from the data: correct every line by what you know of it, above all the ranges.",
        *(f"# {one}" for one in said_of_these),
        f"label: {_yaml(label)}",
        of_label,
        *([f"missing: {_flow(words)}"] if words else []),
    ]
    notes += said_of_label
    for kind, aside in (("features", False), ("metadata", True)):
        names = [str(name) for name in features.columns if (name in metadata) == aside]
        lines += [f"{kind}:"] if names else []
        for name in names:
            line, said_of_it = _line(name, features[name])
            lines.append(f"  {_yaml(name)}: {{{line}}}")
            notes += [] if aside else said_of_it
    doubled = features.assign(label=labels).duplicated().mean()
    lines += [
        f"min_rows: {max(10, len(table) // 2)}",
        f"max_missing: {_ceiling(float(labels.isna().mean()))}",
        f"max_duplicates: {_ceiling(float(doubled) + 0.02)}",
    ]
    if of_label.startswith("classes"):
        shares = labels.value_counts(normalize=True)
        lines.append(f"min_class_share: {int(50 * float(shares.min())) / 100}")
    lines.append("max_drift: 0.25")
    return Drafted("\n".join(lines) + "\n", tuple(notes))


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
            or not cells.astype(str).str.fullmatch("[0-9]+").all()
            or not cells.is_unique
        ):
            break
        found.append(name)
    return found


def _words_for_nothing(features: pd.DataFrame) -> list[str]:
    """What stands where numbers are missing, such as NA: it will be the same in columns of text."""
    found: set[str] = set()
    for name in features.columns:
        cells = set(features[name].dropna().astype(str).unique().tolist())
        others = cells - NOTHING
        if others and all(_number(cell) for cell in others):
            found |= cells & NOTHING
    return sorted(found - {""})


def _line(name: str, cells: pd.Series) -> tuple[str, list[str]]:
    """What a feature may hold, as YAML within braces, and what to look at.

    cells: text, NaN for a gap.
    """
    values = cells[~cells.isin(NOTHING)].dropna()
    distinct = values.unique().tolist()
    notes: list[str] = []
    if distinct and all(_number(one) for one in distinct):
        found = _bounds(values.astype(float))
    elif distinct and {one.strip().lower() for one in distinct} <= {"true", "false"}:
        found = f"type: {Kind.BOOLEAN}"
    elif distinct and all(moment(one) for one in distinct):
        found = _dates(pd.Series([moment(one) for one in distinct], dtype="datetime64[ns]"))
    else:
        values = cells.dropna()
        found, notes = _text(name, values)
    gaps = ", required: false" if len(values) < len(cells) else ""
    return found + gaps, notes


def _number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell))) and not CODE.fullmatch(cell) and "_" not in cell
    except ValueError:
        return False


def _bounds(values: pd.Series) -> str:
    low, high = float(values.min()), float(values.max())
    room = (high - low) / 4 or max(abs(high), 1.0) / 4
    # What is never below zero in the data is a size, a count or a share more often than not.
    least = max(0.0, low - room) if low >= 0 else low - room
    return f"min: {_rounded(least, room)}, max: {_rounded(high + room, room)}"


def _dates(dates: pd.Series) -> str:
    room = max((dates.max() - dates.min()) / 4, pd.Timedelta(days=1))
    low, high = (dates.min() - room).floor("D"), (dates.max() + room).ceil("D")
    first, last = pd.Timestamp(FIRST_YEAR, 1, 1), pd.Timestamp(LAST_YEAR, 12, 31)
    bounds = f"min: {said(max(low, first))}, max: {said(min(high, last))}"
    return f"type: {Kind.DATETIME}, {bounds}"


def _text(name: str, values: pd.Series) -> tuple[str, list[str]]:
    counts = values.value_counts()
    distinct = sorted(map(str, counts.index))
    longest = max(map(len, distinct))
    notes = []
    if odd := [one for one in distinct if ODD_DATE.fullmatch(one)]:
        notes.append(
            f"{name} is read as text: write dates as 2026-11-29 or 2026-11-29T12:00:00, not"
            f" {odd[0]}, to have dates."
        )
    if likely := sorted(NOTHING & set(distinct)):
        notes.append(
            f"{name} holds {likely[0]}, which is read as a word: where it stands for a missing"
            f" value, write `missing: [{_yaml(likely[0])}]` and `required: false`."
        )
    words = len(distinct) <= min(MOST_VALUES, len(values) // 2) and longest <= LONGEST_VALUE
    if words:
        return f"type: {Kind.STRING}, values: {_flow(distinct)}", notes
    if len(distinct) > 0.9 * len(values) and not any(" " in one for one in distinct):
        notes.append(f"{name} has another word in almost every row: take it out if it is an id.")
    most = min(LONGEST_TEXT, -(-2 * longest // 10) * 10)
    return f"type: {Kind.STRING}, max_length: {most}", notes


def _of_label(labels: pd.Series, label: str, task: str | None) -> tuple[str, list[str]]:
    """`classes` or `range`, as YAML, and what to look at. Raises TrainerError for numbers that
    cannot be classes, and for words that cannot be estimated.
    """
    words = [str(one) for one in labels.dropna().unique().tolist()]
    numbers = all(NUMBER.fullmatch(word) for word in words)
    fractions = numbers and any(whole(word) is None for word in words)
    if task == "classification" and fractions:
        raise TrainerError(
            f"The column {label} holds fractions: a class must be a word or a whole number. Leave"
            " out --task, to have a number to estimate."
        )
    if task == "regression" and not numbers:
        odd = next(word for word in words if not NUMBER.fullmatch(word))
        raise TrainerError(f"The column {label} holds {odd}: only numbers can be estimated.")
    many = numbers and len(words) > MOST_CLASSES
    if task == "regression" or (task is None and (fractions or many)):
        if len(words) < 2:
            raise TrainerError(f"The column {label} has one value only: nothing is to be learnt.")
        note = (
            f"{label} is a number to estimate, as it has {len(words)} different values: draft it"
            " with --task classification where they are classes."
        )
        found = _bounds(labels.dropna().astype(float))
        return f"range: {{{found}}}", [note] if task is None and not fractions else []
    classes: list[str] | list[int] = sorted(set(words))
    if numbers:
        classes = sorted({number for word in words if (number := whole(word)) is not None})
    if len(classes) < 2:
        raise TrainerError(f"The column {label} has one value only: nothing is to be learnt.")
    return f"classes: {_flow(classes)}", []


def _flow(values: list[str] | list[int]) -> str:
    """A list on one line."""
    return str(yaml.safe_dump(values, default_flow_style=True, width=10_000**2)).strip()


def _yaml(word: str) -> str:
    """A word as it is written before a colon and within a list."""
    return str(yaml.safe_dump([word], default_flow_style=True, width=10_000**2)).strip()[1:-1]


def _rounded(bound: float, room: float) -> str:
    """The bound in four digits, or in as many more as keep it within a quarter of the `room` (same
    unit) that it leaves the data.
    """
    texts = (f"{bound:.{digits}g}" for digits in range(4, 17))
    return next((text for text in texts if abs(float(text) - bound) <= room / 4), repr(bound))


def _ceiling(share: float) -> float:
    """The share rounded up to whole percent."""
    return min(1.0, -int(-share * 100 // 1) / 100)
