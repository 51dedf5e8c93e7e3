"""How far data has moved from what was accepted before."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

SURE = 0.01
"""Chance, over all columns together (Bonferroni), of calling drift what is none."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far one column has moved."""

    column: str
    """A feature, or the label."""
    size: float
    """0 to 1, as in `distances`."""
    beyond_chance: bool
    """Whether that is more than chance would do; see SURE."""


def distances(
    table: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, str], label: str
) -> list[Distance]:
    """The distance of every column from the same column of `reference`.

    kinds: of each column, the label among them: `numbers` (dates, too), `classes`, or `lengths` of
    free text. Numbers and lengths: the two-sample Kolmogorov-Smirnov statistic, which is the
    greatest difference between the two distribution functions, without missing values. Classes:
    total variation, half the sum of the differences in shares, with a chi-squared test; a missing
    value is a class, but for the label. Both are 0 to 1 and need no bins, so that they can be read
    alike for 50 rows and for 50,000 (the usual PSI grows as bins / rows without any drift). Where a
    share of missing numbers differs by more than that, it is the distance.
    """
    alpha = SURE / len(kinds)
    found = []
    for name, kind in kinds.items():
        now, before = table[name], reference[name]
        if kind == "classes":
            if name == label:
                now, before = now.dropna(), before.dropna()
            else:
                now, before = (one.astype(str).where(one.notna(), "") for one in (now, before))
            found.append(_of_classes(now, before, name, alpha))
            continue
        gaps = _of_classes(now.isna(), before.isna(), name, alpha)
        numbers = [_numbers(one.dropna(), kind) for one in (now, before)]
        if all(len(one) for one in numbers):
            test = stats.ks_2samp(*numbers)
            size = float(test.statistic)
            moved = Distance(name, size, bool(test.pvalue < alpha))
            found.append(max(moved, gaps, key=lambda one: (one.beyond_chance, one.size)))
        elif now.notna().any() or before.notna().any():
            found.append(gaps)
    return found


def _numbers(values: pd.Series, kind: str) -> npt.NDArray[np.float64]:
    if kind == "lengths":
        values = values.map(len)
    elif values.dtype.kind == "M":
        values = values.astype("int64")
    return values.to_numpy(np.float64)


def _of_classes(now: pd.Series, before: pd.Series, label: str, alpha: float) -> Distance:
    counts = pd.DataFrame({"now": now.value_counts(), "before": before.value_counts()}).fillna(0)
    shares = counts / counts.sum()
    size = float((shares["now"] - shares["before"]).abs().sum() / 2)
    if len(counts) < 2 or size == 0:
        return Distance(label, size, beyond_chance=False)
    pvalue = stats.chi2_contingency(counts.to_numpy(dtype=np.float64).T).pvalue
    return Distance(label, size, bool(pvalue < alpha))
