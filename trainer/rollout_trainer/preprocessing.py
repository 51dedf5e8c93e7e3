"""What comes before the estimator: the steps of the recipe, for all columns or for some of them, or
what the columns ask for where the recipe says nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from rollout_model.date_parts import DateParts
from rollout_trainer.errors import TrainerError
from rollout_trainer.estimators import ABSENT, made, named

TFIDF = {"sklearn.feature_extraction.text.TfidfVectorizer": {"max_features": 1_000}}
"""What free text gets by default."""
BY_KIND = {
    "numbers": "number",
    "strings": "string",
    "booleans": "boolean",
    "datetimes": "datetime",
}
"""Selections of all columns of a kind that no other names."""
DATE_PARTS = "DateParts"
"""How a recipe writes our own step for dates."""
FEW = 50
"""Distinct texts of a column that are categories; of more it is free text."""


def steps(
    written: Sequence[Any] | Mapping[str, Any],
    table: pd.DataFrame,
    optional: Sequence[str],
    estimator: Any,
    seed: int,
) -> list[Any]:
    """The steps before the estimator, not fitted. Raises TrainerError.

    written: `preprocessing` of the recipe. table: the rows to learn from, with the columns that
    are seen. optional: the columns of them that may have gaps.
    """
    if isinstance(written, Mapping):
        gaps = any(name in optional for name in table.columns)
        return [_by_columns(written, table, estimator, seed, gaps=gaps)]
    if written:
        found = [_made(one, seed) for one in written]
        for path, step in zip(written, found, strict=True):
            _transforms(path, step)
        return found
    empty = [name for name in table.columns if name in optional]
    kinds = {name: kind_of(table[name]) for name in table.columns}
    tolerant = bool(get_tags(estimator).input_tags.allow_nan)
    if set(kinds.values()) <= {"number"} and (tolerant or not empty):
        return []
    return [_by_default(table, kinds, empty, estimator, tolerant=tolerant)]


def kind_of(values: pd.Series) -> str:
    """The kind of a column by its values: number, string, boolean or datetime."""
    if values.dtype.kind == "M":
        return "datetime"
    if values.dtype.kind == "b":
        return "boolean"
    if values.dtype.kind in "iuf":
        return "number"
    known = values.dropna()
    return (
        "boolean" if len(known) and known.map(lambda v: v is True or v is False).all() else "string"
    )


def _by_columns(
    written: Mapping[str, Any], table: pd.DataFrame, estimator: Any, seed: int, *, gaps: bool
) -> ColumnTransformer:
    chosen = _chosen(written, table)
    parts: list[tuple[str, Any, Any]] = []
    for selection, names in chosen.items():
        said = written[selection]
        if isinstance(said, str) and said in ABSENT:
            if said == "passthrough" and (odd := _no_numbers(table, names)):
                raise TrainerError(
                    f"preprocessing lets {odd} pass, which is no column of numbers: give it a step,"
                    " such as sklearn.preprocessing.OneHotEncoder, or `drop`."
                )
            parts.append((selection, said, names))
            continue
        said = said if isinstance(said, list | tuple) else [said]
        if not said:
            raise TrainerError(
                f"preprocessing has no step for {selection}: write one, `passthrough` or `drop`."
            )
        found = [_made(one, seed) for one in said]
        for path, step in zip(said, found, strict=True):
            _transforms(path, step)
        if any(map(_takes_text, found)):
            parts += [
                (
                    f"{selection} {name}" if len(names) > 1 else selection,
                    *_of_text(said, name, seed),
                )
                for name in names
            ]
        else:
            whole = found[0] if len(found) == 1 else Pipeline(named(found))
            parts.append((selection, whole, names))
    if all(isinstance(one, str) and one == "drop" for _, one, _ in parts):
        raise TrainerError("preprocessing drops every column: leave one to learn from.")
    return _transformer(parts, estimator, gaps=gaps)


def _chosen(written: Mapping[str, Any], table: pd.DataFrame) -> dict[str, list[str]]:
    """The columns of each selection. Raises TrainerError for a column that is in none, or in two,
    or not there.
    """
    columns = list(map(str, table.columns))
    by_name = {
        selection: columns_of(selection, columns)
        for selection in written
        if selection not in BY_KIND
    }
    for selection, names in by_name.items():
        if absent := [name for name in names if name not in columns]:
            raise TrainerError(
                f"preprocessing names {absent[0]!r}, and there is no such column: write columns"
                f" ({', '.join(columns)}) with commas between them, or {', '.join(BY_KIND)}."
            )
        others = [one for other, found in by_name.items() if other != selection for one in found]
        if both := [name for name in names if name in others]:
            raise TrainerError(f"preprocessing names {both[0]} twice: leave it in one selection.")
    taken = [name for names in by_name.values() for name in names]
    chosen = {}
    for selection in written:
        if selection in by_name:
            chosen[selection] = by_name[selection]
            continue
        kind = BY_KIND[selection]
        chosen[selection] = [
            name for name in columns if name not in taken and kind_of(table[name]) == kind
        ]
        if not chosen[selection]:
            raise TrainerError(
                f"preprocessing has {selection}, and no column is left for it: take it out."
            )
        taken += chosen[selection]
    if left := [name for name in columns if name not in taken]:
        raise TrainerError(
            f"preprocessing says nothing of {', '.join(left)}: give it steps, `passthrough` or"
            " `drop`."
        )
    return chosen


def columns_of(selection: str, columns: Sequence[str]) -> list[str]:
    """The columns that a selection names: one, or several with commas."""
    return [selection] if selection in columns else [one.strip() for one in selection.split(",")]


def _no_numbers(table: pd.DataFrame, names: Sequence[str]) -> str:
    """The first column that cannot pass as it is; "" where all can."""
    odd = (name for name in names if table[name].dtype.kind not in "iufb")
    return next(odd, "")


def _made(written: Any, seed: int) -> Any:
    if written == DATE_PARTS:
        return DateParts()
    if isinstance(written, Mapping) and list(written) == [DATE_PARTS]:
        given = written[DATE_PARTS]
        if given not in ({"trend": True}, {"trend": False}):
            raise TrainerError(f"DateParts takes {{trend: true}} or nothing, not {given}.")
        return DateParts(**given)
    return made(written, seed, "A step of preprocessing")


def _transforms(written: Any, step: Any) -> None:
    if not hasattr(step, "transform"):
        raise TrainerError(
            f"{written} transforms nothing: preprocessing takes transformers, such as"
            " sklearn.preprocessing.StandardScaler."
        )


def _takes_text(step: Any) -> bool:
    """Whether it is a vectorizer, which takes one column as a list of texts."""
    tags = get_tags(step).input_tags
    return bool(tags.string and not tags.two_d_array)


def _of_text(said: Sequence[Any], name: str, seed: int) -> tuple[Any, Any]:
    """Steps with a vectorizer among them, and what they are given of a column: a vectorizer takes a
    column alone, not a table of one.
    """
    found = [_made(one, seed) for one in said]
    if _takes_text(found[0]):
        return (found[0] if len(found) == 1 else Pipeline(named(found))), name
    alone = [
        ColumnTransformer([("text", step, 0)]) if _takes_text(step) else step for step in found
    ]
    return Pipeline(named(alone)), [name]


def _by_default(
    table: pd.DataFrame,
    kinds: Mapping[str, str],
    gaps: Sequence[str],
    estimator: Any,
    *,
    tolerant: bool,
) -> ColumnTransformer:
    """What tables usually get: numbers as they are, categories as indicators, free text as TF-IDF,
    dates as their parts. Estimators that take no gaps (linear models, support vectors, neighbours)
    get them filled, and numbers scaled.
    """
    parts: list[tuple[str, Any, Any]] = []

    def add(name: str, step: Any, names: Any) -> None:
        if names:
            parts.append((name, step, names))

    def of(kind: str, *, gap: bool) -> list[str]:
        return [n for n, one in kinds.items() if one == kind and (n in gaps) == gap]

    def numeric(*before: Any, gap: bool) -> Any:
        fills = [SimpleImputer(strategy="median")] if gap and not tolerant else []
        scales = [] if tolerant else [StandardScaler()]
        found = [*before, *fills, *scales]
        return Pipeline(named(found)) if len(found) > 1 else [*found, "passthrough"][0]

    for gap in (False, True):
        more = " with gaps" if gap else ""
        add(f"numbers{more}", numeric(gap=gap), of("number", gap=gap))
        add(f"dates{more}", numeric(DateParts(), gap=gap), of("datetime", gap=gap))
    texts = [name for name, kind in kinds.items() if kind == "string"]
    free = [name for name in texts if _free(table[name])]
    categories = [name for name in texts if name not in free]
    add("categories", OneHotEncoder(handle_unknown="ignore"), categories)
    add("truths", "passthrough", of("boolean", gap=False))
    add("truths with gaps", OneHotEncoder(handle_unknown="ignore"), of("boolean", gap=True))
    empty = {"sklearn.impute.SimpleImputer": {"strategy": "constant", "fill_value": ""}}
    for name in free:
        said = [empty, TFIDF] if name in gaps else [TFIDF]
        parts.append((f"text {name}", *_of_text(said, name, 0)))
    return _transformer(parts, estimator, gaps=bool(gaps))


def _free(values: pd.Series) -> bool:
    known = values.dropna()
    return known.nunique() > min(FEW, max(2, len(known) // 2))


def _transformer(
    parts: list[tuple[str, Any, Any]], estimator: Any, *, gaps: bool
) -> ColumnTransformer:
    # Dense where the estimator takes nothing else, and where gaps may pass: trees take no gaps in
    # sparse rows.
    tags = get_tags(estimator).input_tags
    dense = not tags.sparse or (tags.allow_nan and gaps)
    return ColumnTransformer(parts, sparse_threshold=0 if dense else 0.3)
