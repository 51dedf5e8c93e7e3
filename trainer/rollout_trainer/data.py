"""From a CSV file to data that a model may learn from: read, checked, split; labels shuffled where
a weak model is wanted.
"""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from rollout_trainer.checks import Examined, examine
from rollout_trainer.contract import Contract, contract_for
from rollout_trainer.errors import DataRefused, TrainerError
from rollout_trainer.splitting import SplitBy, halves

KEPT = "="
BY_CHANCE = SplitBy()


@dataclass(frozen=True, slots=True)
class Split:
    """What is learnt from, and what is judged by."""

    train: pd.DataFrame
    """Features to learn from: (rows, columns), in the contract's order."""
    train_labels: pd.Series
    """(rows,)."""
    test: pd.DataFrame
    """Held-out features, with the same columns."""
    test_labels: pd.Series
    """(rows,)."""
    digest: str
    """sha256 of the clean table as CSV, before it is split."""
    optional: tuple[str, ...] = ()
    """The features that may have gaps."""
    classes: bool = True
    """Whether labels are classes; else numbers to estimate."""
    by: SplitBy = BY_CHANCE
    """How it was split."""
    keys: pd.Series | None = None
    """(rows,) to learn from: what it was split by; None where that is chance."""


def read(path: Path, text: Collection[str] | None = ()) -> pd.DataFrame:
    """The table in the CSV file at `path`; raises TrainerError where it is none.

    Cells of the columns in `text` (None: of all) are text, as they stand: only an empty one is
    missing. In the others pandas tells numbers and its words for a missing value (NA, null, nan and
    so on).
    """
    try:
        names = pd.read_csv(path, nrows=0).columns if text is None else text
        table = pd.read_csv(path, converters=dict.fromkeys(map(str, names), _kept))
    except (OSError, ValueError) as trouble:
        raise TrainerError(
            f"{path} cannot be read: {str(trouble).strip()}."
            " Give a CSV file in UTF-8 with a header."
        ) from trouble
    for name in names:
        if name in table.columns:
            told = table[name].astype("str").str.removeprefix(KEPT)
            table[name] = told.where(told.notna() & (told != ""))
    return table


def _kept(cell: str) -> str:
    """The cell, marked so that pandas takes it for no word of its own."""
    return KEPT + cell


def reference_for(path: Path) -> Path | None:
    """The data that was accepted last, which `path` must not drift from: data/processed/<name>,
    unless that is `path` itself.
    """
    processed = path.parent.parent / "processed" / path.name
    return processed if processed.is_file() and processed.resolve() != path.resolve() else None


def check(path: Path, contract: Contract, reference: Path | None = None) -> Examined:
    """Hold the file against its contract; raises TrainerError where a file cannot be read."""
    text = contract.as_text
    before = None if reference is None else read(reference, text)
    return examine(read(path, text), contract, before)


def accept(path: Path, examined: Examined) -> pd.DataFrame:
    """The clean table; raises DataRefused with every finding that did not pass."""
    if examined.clean is None:
        found = "\n".join(f"  - {finding}" for finding in examined.broken)
        raise DataRefused(
            f"{path} breaks its contract:\n{found}\nCorrect the data; or the contract, where the"
            " data is right."
        )
    return examined.clean


def load(path: Path, contract: Contract | None = None, by: SplitBy | None = None) -> Split:
    """Read, check and split the CSV at `path`; raises TrainerError, DataRefused where the data
    breaks its contract.
    """
    contract = contract or contract_for(path)
    return split_of(accept(path, check(path, contract)), contract, by)


def split_of(clean: pd.DataFrame, contract: Contract, by: SplitBy | None = None) -> Split:
    """The split of a table that met its contract; raises TrainerError."""
    by, classes = by or BY_CHANCE, contract.classes is not None
    try:
        learnt, judged = halves(clean, contract.label, by, classes=classes)
    except ValueError as trouble:
        raise TrainerError(f"The data cannot be split: {trouble}") from trouble
    digest = sha256(to_csv(clean).encode()).hexdigest()
    train, test = clean.iloc[learnt], clean.iloc[judged]
    columns = list(contract.columns)
    return Split(
        train[columns],
        train[contract.label],
        test[columns],
        test[contract.label],
        f"sha256:{digest}",
        contract.optional,
        classes,
        by,
        None if by.column is None else train[by.column],
    )


def to_csv(clean: pd.DataFrame) -> str:
    """The clean table as text, the same on every platform."""
    text: str = clean.to_csv(index=False, lineterminator="\n")
    return text


def shuffle_labels(labels: pd.Series, share: float, seed: int) -> pd.Series:
    """The labels with a `share` (0 to 1) of them permuted among themselves."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(labels), size=round(share * len(labels)), replace=False)
    values = labels.to_numpy(copy=True)
    values[chosen] = values[random.permutation(chosen)]
    return pd.Series(values, index=labels.index, name=labels.name)
