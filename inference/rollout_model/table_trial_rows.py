"""Rows of mixed columns that a conversion is tried on: known ones, their values recombined, values
between and beside them, categories and words that nobody knows, and missing ones.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rollout_model.calendar_parts import DAY
from rollout_model.feature_steps import Codes, Fill, Places, Step, Union
from rollout_model.signature import Rows
from rollout_model.table import FIRST_YEAR, LARGEST, LAST_YEAR, NUMBERS, WHOLE, Column, Kind, Table
from rollout_model.table_features import Featurizer
from rollout_model.text_terms import Terms

STRANGE = ["", " ", "\x01 none of them", "nan", "None", "0", "1.0", "true", "élève 中文", "x" * 300]
"""Texts that no model expects."""
BETWEEN = [" ", " ", " ", ", ", ". ", "\n", "-", "  ", "\t", "_", "'"]
"""What may stand between two words."""
MOST_WORDS = 12
"""Of a document that is made up."""
MOST_WHOLE = 2.0**31 - 1
FIRST, LAST = (
    int(np.datetime64(f"{year}-01-01", "us").astype(np.int64)) for year in (FIRST_YEAR, LAST_YEAR)
)
"""Dates that a request may have, as microseconds since 1970."""


@dataclass(slots=True)
class Pool:
    """What is known of a column."""

    cells: list[Any]
    """Values; dates as microseconds."""
    words: list[str]
    """Of the vocabularies that read it; empty where its texts are no documents."""


def pools(columns: Sequence[Column], steps: Sequence[Step], known: Sequence[Table]) -> list[Pool]:
    """By column: what rows have, and what the steps know."""
    found = [Pool([], []) for _ in columns]
    for table in known:
        for pool, values in zip(found, table.values, strict=True):
            pool.cells += _cells(values)
    _learn(steps, list(range(len(columns))), found)
    for column, pool in zip(columns, found, strict=True):
        kept = dict.fromkeys(one for one in pool.cells if _fits(column.kind, one))
        pool.cells = list(kept) or [_blank(column.kind)]
    return found


def table_rows(
    columns: tuple[Column, ...],
    known: Sequence[Table],
    pool: Sequence[Pool],
    random: np.random.Generator,
    count: int,
) -> Iterator[Table]:
    """Rows of each kind. known: rows as they came, all of which are tried."""
    yield from known
    pairs = list(zip(columns, pool, strict=True))
    likely = [_likely(one, random, count) for one in pool]
    yield _table(columns, likely)
    odd = [_odd(column, one, random, count) for column, one in pairs]
    yield _table(columns, odd)
    at = random.integers(len(columns), size=count)
    yield _table(
        columns, [_swapped(*both, at == n) for n, both in enumerate(zip(likely, odd, strict=True))]
    )
    for share in (0.1, 0.4):
        gaps = random.random((len(columns), count)) < share
        yield _table(columns, [_holed(*both) for both in zip(likely, gaps, strict=True)])
    few = max(4, count // 50)
    for number in range(len(columns)):  # each alone, as most gaps come
        some = [cells[:few] for cells in likely]
        yield _table(columns, [[None] * few if n == number else one for n, one in enumerate(some)])


def led_back(
    columns: tuple[Column, ...],
    pool: Sequence[Pool],
    featurizer: Featurizer,
    features: Rows,
    random: np.random.Generator,
) -> Table | None:
    """Rows whose numbers lead to these features, or to one step beside them, wherever a column and
    its feature differ by an offset and a factor; None where no column does.
    """
    made, some = [_likely(one, random, len(features)) for one in pool], False
    first = [one.cells[0] for one in pool]
    for number, column in enumerate(columns):
        if column.kind not in NUMBERS:
            continue
        near, away = (_table(columns, [[one] for one in _put(first, number, x)]) for x in (0, 64))
        try:
            start, end = featurizer(near)[0], featurizer(away)[0]
        except ValueError:  # a made-up row may be refused
            continue
        moved = np.flatnonzero(start != end)
        if not len(moved):
            continue
        place = random.choice(moved, len(features))
        with np.errstate(all="ignore"):
            values = (features[np.arange(len(features)), place] - start[place]) * (
                64 / (end[place] - start[place])
            )
        way = random.choice([-np.inf, 0, np.inf], len(values))
        beside = np.where(way == 0, values, np.nextafter(values, way))
        made[number] = _swapped(made[number], beside.tolist(), np.abs(beside) < LARGEST)
        some = True
    return _table(columns, made) if some else None


def _put(cells: list[Any], number: int, cell: Any) -> list[Any]:
    return [*cells[:number], cell, *cells[number + 1 :]]


def _swapped(cells: list[Any], others: list[Any], where: npt.NDArray[np.bool_]) -> list[Any]:
    return [o if w else c for c, o, w in zip(cells, others, where.tolist(), strict=True)]


def _holed(cells: list[Any], gaps: npt.NDArray[np.bool_]) -> list[Any]:
    return [None if gap else cell for cell, gap in zip(cells, gaps.tolist(), strict=True)]


def _learn(steps: Sequence[Step], columns: list[int], found: list[Pool]) -> None:
    """Add what the first steps know of these columns."""
    for step in steps:
        match step:
            case Union():
                for part in step.parts:
                    _learn(part.steps, [columns[one] for one in part.columns], found)
                return
            case Places() | Codes():
                for column, known in zip(columns, step.known, strict=True):
                    found[column].cells += [one for one in known if one is not None]
                return
            case Terms():
                found[columns[0]].words += step.words
                return
            case Fill() if None not in step.with_ and not step.said:
                continue
            case _:
                return


def _cells(values: npt.NDArray[Any]) -> list[Any]:
    if values.dtype.kind == "M":
        values = values[~np.isnat(values)].astype("datetime64[us]").astype(np.int64)
    return [one for one in values.tolist() if one is not None and one == one]  # noqa: PLR0124


def _blank(kind: Kind) -> Any:
    return "" if kind is Kind.STRING else False if kind is Kind.BOOLEAN else 0


def _fits(kind: Kind, cell: Any) -> bool:
    """Whether the column can hold it: an imputer may put another kind of cell in its place."""
    match kind:
        case Kind.STRING:
            return isinstance(cell, str)
        case Kind.BOOLEAN:
            return isinstance(cell, bool)
        case Kind.DATETIME:
            return isinstance(cell, int) and FIRST <= cell <= LAST
        case _:
            return isinstance(cell, int | float) and abs(cell) < LARGEST


def _likely(pool: Pool, random: np.random.Generator, count: int) -> list[Any]:
    """Each value is one that its column has; half of documents are made of words that it has."""
    drawn = [pool.cells[n] for n in random.integers(len(pool.cells), size=count)]
    if not pool.words:
        return drawn
    return [_document(pool, random) if n % 2 else cell for n, cell in enumerate(drawn)]


def _document(pool: Pool, random: np.random.Generator) -> str:
    size = int(random.integers(MOST_WORDS + 1))
    words = [pool.words[n] for n in random.integers(len(pool.words), size=size)]
    between = [BETWEEN[n] for n in random.integers(len(BETWEEN), size=size)]
    text = "".join(part for pair in zip(words, between, strict=True) for part in pair)
    return (
        text.title() if random.random() < 0.2 else text.upper() if random.random() < 0.1 else text
    )


def _odd(column: Column, pool: Pool, random: np.random.Generator, count: int) -> list[Any]:
    """Values beside those that are known, and none that is."""
    match column.kind:
        case Kind.STRING:
            drawn = _likely(pool, random, count)
            ways = random.integers(7, size=count).tolist()
            strange = [STRANGE[n] for n in random.integers(len(STRANGE), size=count)]
            return list(map(_other, drawn, ways, strange))
        case Kind.BOOLEAN:
            return [bool(one) for one in random.integers(2, size=count)]
        case Kind.DATETIME:
            days = np.array(_likely(pool, random, count), dtype=np.int64)
            moved = days + random.choice([-DAY, -1, 0, 1, DAY // 2, 1_000 * DAY], count)
            return list(np.clip(moved, FIRST, LAST).tolist())
        case _:
            return _odd_numbers(pool, random, count)


def _odd_numbers(pool: Pool, random: np.random.Generator, count: int) -> list[Any]:
    values = np.unique(np.array(pool.cells, dtype=np.float64))
    middle = values[:-1] / 2 + values[1:] / 2
    beside = [np.nextafter(middle, way) for way in (-np.inf, np.inf)]
    spread = max(1.0, float(np.abs(values).max()))
    wide = random.normal(values.mean(), spread, count)
    near = random.normal(values.mean(), values.std() + 1e-9, count)
    far = np.array([0.0, -0.0, spread * 1e6, -spread * 1e6, 1e-30])
    from_ = np.concatenate([middle, *beside, wide, near, random.choice(far, count // 8 + 1)])
    return list(random.choice(from_[np.abs(from_) < LARGEST], count).tolist())


def _other(text: str, way: int, strange: str) -> str:
    """A text that is like the first, or the strange one."""
    likes = (text.upper(), text.lower(), text + " ", " " + text, text[:-1], text + strange)
    return likes[way] if way < len(likes) else strange


def _table(columns: tuple[Column, ...], cells: Sequence[list[Any]]) -> Table:
    """The cells as the columns hold them."""
    return Table(
        columns,
        tuple(_typed(column.kind, some) for column, some in zip(columns, cells, strict=True)),
    )


def _typed(kind: Kind, cells: list[Any]) -> npt.NDArray[Any]:
    if kind is Kind.DATETIME:
        return np.array(
            [
                np.datetime64("NaT") if one is None else np.datetime64(int(one), "us")
                for one in cells
            ],
            dtype="datetime64[us]",
        )
    if kind in NUMBERS:
        numbers = np.array([math.nan if one is None else one for one in cells], dtype=np.float64)
        return np.clip(np.rint(numbers), -MOST_WHOLE, MOST_WHOLE) if kind in WHOLE else numbers
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array
