"""Which rows are held out, and in which folds the others are: by chance, by group, or by time."""

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)

from rollout_trainer.errors import TrainerError

HELD_OUT = 0.3
SPLIT_SEED = 42
"""The held-out rows are the same for every model, so that metrics compare."""
FOLDS = 5
Rows = npt.NDArray[np.int64]
Folds = list[tuple[Rows, Rows]]
"""Positions of the rows to learn from, and of those to judge by, of each fold."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SplitBy:
    """How rows are split; at most one of `group` and `time`."""

    group: str | None = None
    """A column: rows with the same value are never on both sides."""
    time: str | None = None
    """A column of dates or numbers: what is judged by is later than what is learnt from."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = HELD_OUT
    """Share of the rows that is held out."""

    def __post_init__(self) -> None:
        if self.group and self.time:
            raise ValueError("a split is by group or by time: leave one of them out")

    @property
    def column(self) -> str | None:
        """The column that it goes by; None where chance decides."""
        return self.group or self.time


def halves(table: pd.DataFrame, label: str, by: SplitBy, *, classes: bool) -> tuple[Rows, Rows]:
    """Positions of the rows to learn from, and of those held out. Raises TrainerError, or
    ValueError as scikit-learn does.
    """
    labels, everything = table[label], np.arange(len(table))
    if by.column is not None and by.column not in table.columns:
        raise TrainerError(
            f"The recipe splits by {by.column}, which the contract does not have: put it into"
            " `metadata` there, or among the features."
        )
    if by.time:
        return _by_time(table, by)
    if by.group:
        known = np.array([str(one) for one in table[by.group]])
        count = max(2, round(1 / by.held_out))
        if len(set(known)) < count:
            raise TrainerError(
                f"{by.group} has {len(set(known))} different values, and {count} groups or more"
                " are needed to split by it."
            )
        cut: Any = StratifiedGroupKFold if classes else GroupKFold
        folds = cut(count, shuffle=True, random_state=SPLIT_SEED)
        return next(iter(folds.split(everything, labels, known)))  # type: ignore[no-any-return]
    train, test = train_test_split(
        everything,
        test_size=by.held_out,
        random_state=SPLIT_SEED,
        stratify=labels if classes else None,
    )
    return train, test


def _by_time(table: pd.DataFrame, by: SplitBy) -> tuple[Rows, Rows]:
    times = table[by.time]
    if times.dtype.kind not in "Mf" or times.isna().any():
        raise TrainerError(
            f"The recipe splits by the time {by.time}, which has to be a column of dates or numbers"
            " without gaps: correct its type and `required` in the contract."
        )
    order = np.argsort(times.to_numpy(), kind="stable")
    border = times.to_numpy()[order[round(len(order) * (1 - by.held_out)) - 1]]
    later = times.to_numpy()[order] > border
    if not later.any():
        raise TrainerError(
            f"No row is later than {border} by {by.time}: nothing could be held out. Split by"
            " another column."
        )
    return order[~later], order[later]


def folds(
    labels: npt.NDArray[Any], keys: pd.Series | None, by: SplitBy, seed: int, *, classes: bool
) -> Folds:
    """The folds to cross-validate the training rows in, as `by` splits: FOLDS, or as many as the
    rarest class has rows.

    keys: of `by.column`, for these rows. Raises TrainerError where there are less than 2.
    """
    if by.time:
        # Rows are in the order of time already.
        return list(TimeSeriesSplit(min(FOLDS, len(labels) - 1)).split(labels))
    count = FOLDS
    if classes:
        found, counts = np.unique(labels, return_counts=True)
        count = min(FOLDS, int(counts.min()))
        if count < 2:
            raise TrainerError(
                f"The class {found[counts.argmin()]} has one training row only: at least 2 are"
                " needed to cross-validate."
            )
    if by.group and keys is not None:
        known = np.array([str(one) for one in keys])
        count = min(count, len(set(known)))
        if count < 2:
            raise TrainerError(f"{by.group} has one value in the training rows: 2 are needed.")
        grouped: Any = StratifiedGroupKFold if classes else GroupKFold
        cut = grouped(count, shuffle=True, random_state=seed)
        return list(cut.split(labels, labels, known))
    plain: Any = StratifiedKFold if classes else KFold
    return list(plain(count, shuffle=True, random_state=seed).split(labels, labels))
