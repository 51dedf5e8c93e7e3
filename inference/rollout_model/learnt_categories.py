"""What a fitted encoder of scikit-learn does to each category that it knows, to one that it does
not, and to a missing one: asked of the encoder itself, so that whatever its parameters mean holds.
"""

import math
import warnings
from typing import Any

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from rollout_model.feature_steps import Codes, Places
from rollout_model.feature_values import Cell, microseconds


class Heavy(Exception):
    """Why something cannot be computed without scikit-learn."""


def learnt(encoder: Any, gap: float | None) -> Places | Codes:
    """A OneHotEncoder as Places, an OrdinalEncoder or TargetEncoder as Codes.

    gap: what a missing text is, as in TableForm. Raises Heavy.
    """
    columns = [_column(encoder, number, gap) for number in range(len(encoder.categories_))]
    known, made, other = map(list, zip(*columns, strict=True))
    if not isinstance(encoder, OneHotEncoder):
        codes = [[_numbers(one) for one in some] for some in made]
        return Codes(known, codes, [None if one is None else _numbers(one) for one in other])
    places = [[_place(one) for one in some] for some in made]
    widths = [len(some[0]) for some in made]
    return Places(known, places, widths, [None if one is None else _place(one) for one in other])


def plain(cell: Any) -> Cell:
    """As JSON has it, None for a missing value; raises Heavy where that cannot be."""
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bool | int | float | str):
        return cell
    raise Heavy(f"a category is {type(cell).__name__}")


def _column(encoder: Any, number: int, gap: float | None) -> tuple[list[Cell], list[Any], Any]:
    """Known cells, the features of each, and those of an unknown one."""
    categories = encoder.categories_[number]
    dates = categories.dtype.kind == "M"
    known = microseconds(categories) if dates else [plain(one) for one in categories.tolist()]
    # None and NaN are two things to scikit-learn, and rows have one of them.
    kept = [n for n, one in enumerate(categories.tolist()) if not _other_gap(one, known[n], gap)]
    known = [known[n] for n in kept]
    features = _asked(encoder, number, categories[kept]) if kept else []
    if features is None:
        raise Heavy(f"{type(encoder).__name__} refuses its own categories")
    other = _ask_one(encoder, number, _foreign(categories, known, dates))
    if None not in known:
        missing = _ask_one(encoder, number, np.datetime64("NaT") if dates else gap)
        if (missing is None) != (other is None):
            raise Heavy(f"{type(encoder).__name__} takes some of what it has not learnt")
        if missing is not None:
            known, features = [*known, None], [*features, missing]
    return known, list(features), other


def _other_gap(category: Any, cell: Cell, gap: float | None) -> bool:
    return cell is None and (category is None) != (gap is None)


def _foreign(categories: Any, known: list[Cell], dates: bool) -> Any:
    """A value that is no category; None where there is none left."""
    if dates:
        return np.nanmax(categories) + np.timedelta64(86_401, "s")
    some = [one for one in known if one is not None]
    if all(isinstance(one, bool) for one in some):
        left = {True, False} - set(some)
        return left.pop() if left else None
    if any(isinstance(one, str) for one in some):
        return "\x01 none of them"
    return max((float(one) for one in some if not isinstance(one, str)), default=0.0) + 1.5


def _ask_one(encoder: Any, number: int, cell: Any) -> Any:
    """The features of a cell; None where it is refused."""
    values = np.empty(1, dtype=object)
    values[0] = cell
    kind = encoder.categories_[number].dtype
    if kind.kind in "fM" or (kind.kind in "iu" and cell is not None):
        values = values.astype(np.float64 if kind.kind in "iu" else kind)
    found = _asked(encoder, number, values)
    return None if found is None else found[0]


def _asked(encoder: Any, number: int, values: Any) -> Any:
    """(values, features) of these values of a column, beside known ones; None where refused."""
    columns = [
        values if n == number else np.repeat(categories[:1], len(values))
        for n, categories in enumerate(encoder.categories_)
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = encoder.transform(_rows(encoder, columns))
    except (ValueError, TypeError):
        return None
    made = np.asarray(made.toarray() if hasattr(made, "toarray") else made, dtype=np.float64)
    widths = getattr(encoder, "_n_features_outs", None)
    if widths is None:
        widths = [made.shape[1] // len(columns)] * len(columns)
    start = sum(widths[:number])
    return made[:, start : start + widths[number]]


def _rows(encoder: Any, columns: list[Any]) -> Any:
    names = getattr(encoder, "feature_names_in_", None)
    if names is not None or len({one.dtype for one in columns}) > 1:
        import pandas as pd  # noqa: PLC0415 - only where it was learnt from a table

        made = pd.DataFrame({n: pd.Series(one) for n, one in enumerate(columns)})
        if names is not None:
            made.columns = pd.Index(names)
            return made
        return made.to_numpy(dtype=object)
    return np.column_stack(columns)


def _numbers(features: Any) -> list[float | None]:
    return [None if math.isnan(one) else one for one in features.tolist()]


def _place(features: Any) -> int:
    """Where the 1 is; -1 where there is none. Raises Heavy for anything else."""
    (found,) = np.nonzero(features)
    if len(found) > 1 or (len(found) and features[found[0]] != 1):
        raise Heavy("a category has several features")
    return int(found[0]) if len(found) else -1
