"""How far data has moved from what was accepted before."""

from dataclasses import dataclass

import numpy as np
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
    table: pd.DataFrame, reference: pd.DataFrame, features: tuple[str, ...], label: str
) -> list[Distance]:
    """The distance of every column from the same column of `reference`, without missing values.

    Features: the two-sample Kolmogorov-Smirnov statistic, which is the greatest difference between
    the two distribution functions. Label: total variation, half the sum of the differences in class
    shares, with a chi-squared test. Both are 0 to 1 and need no bins, so that they can be read
    alike for 50 rows and for 50,000 (the usual PSI grows as bins / rows without any drift).
    """
    alpha = SURE / (len(features) + 1)
    found = []
    for name in features:
        now, before = table[name].dropna().to_numpy(float), reference[name].dropna().to_numpy(float)
        if len(now) and len(before):
            test = stats.ks_2samp(now, before)
            found.append(Distance(name, float(test.statistic), bool(test.pvalue < alpha)))
    found.append(_of_classes(table[label].dropna(), reference[label].dropna(), label, alpha))
    return found


def _of_classes(now: pd.Series, before: pd.Series, label: str, alpha: float) -> Distance:
    counts = pd.DataFrame({"now": now.value_counts(), "before": before.value_counts()}).fillna(0)
    shares = counts / counts.sum()
    size = float((shares["now"] - shares["before"]).abs().sum() / 2)
    if len(counts) < 2 or size == 0:
        return Distance(label, size, beyond_chance=False)
    pvalue = stats.chi2_contingency(counts.to_numpy(dtype=np.float64).T).pvalue
    return Distance(label, size, bool(pvalue < alpha))
