"""Dates as numbers: what DateParts computes, and the server without scikit-learn."""

from typing import Any

import numpy as np
import numpy.typing as npt

DAY = 86_400_000_000
"""Microseconds."""
PARTS = ("month", "weekday", "hour")
TREND = "day"


def calendar_parts(rows: npt.NDArray[Any], *, trend: bool) -> npt.NDArray[np.float64]:
    """Of each date: month (1 to 12), weekday (Monday is 0) and hour with its fraction; with `trend`
    also days since 1970 with their fraction. NaN where the date is missing.

    rows: (n, columns) of datetime64; made of them: (n, parts * columns), the parts of the first
    column, then of the next.
    """
    dates = rows.astype("datetime64[us]")
    days = dates.astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64) % 12 + 1
    weekdays = (days.astype(np.int64) + 3) % 7  # 1970 began on a Thursday
    within = (dates - days).astype(np.int64)
    parts = [months, weekdays, within / (DAY / 24)]
    if trend:
        parts.append(dates.astype(np.int64) / DAY)
    table = np.stack(parts, axis=2).astype(np.float64)
    table[np.isnat(dates)] = np.nan
    return table.reshape(len(dates), -1)
