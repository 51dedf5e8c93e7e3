"""Bins that a column's values are counted in: made of training rows once, and the same for live
ones. How many there are is bounded, whatever the values.

Numbers lie in deciles of the training rows: bins of equal frequency, as is usual for PSI (Siddiqi,
Credit Risk Scorecards, 2006). Texts are categories where a few are common; else length counts.
"""

import hashlib
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

MOST_EDGES, MOST_CATEGORIES = 9, 9
"""Of one column: ten bins of numbers, or nine categories and the others."""
MOST_ANSWERS = 10
"""Classes, or edges of numbers, of a model's answers."""
FARTHEST = 1e300
"""What is greater, or as much smaller, has no round edges: sums of it have no bounds."""
FEWEST = 5
"""Rows that a category must have to be named: what only a few people say names nobody."""
COMMON = 0.5
"""Share of texts that the named categories must cover; below, texts are counted by length."""
MOVED = 0.02
"""Share of rows that an edge of few digits may put into the bin beside."""
LONGEST = 40
"""Characters of a bin's name."""
OTHER, MISSING, REST = "other", "missing", "+Inf"
"""Names of the bins that every column has: what no category or edge covers, and no value."""

Kind = Literal["number", "length", "category"]


class Bins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bins of one column, or of a model's answers, and the share of training rows in each."""

    name: str
    """Of the column, as the signature has it; "" for answers."""
    kind: Kind
    """What is looked at: the number, a text's length, or the text itself."""
    shares: list[float]
    """(bins,): of each edge or category, then of what lies beyond, then of missing values."""
    edges: list[float] = []
    """Of numbers and lengths: the largest value of each bin but the last, ascending."""
    categories: list[str] = []
    """Of texts and truth values: those that have a bin of their own."""

    def __post_init__(self) -> None:
        """Raises ValueError for what are no bins."""
        most = MOST_ANSWERS if not self.name else max(MOST_EDGES, MOST_CATEGORIES)
        known = self.categories if self.kind == "category" else self.edges
        if (self.edges if self.kind == "category" else self.categories) or len(known) > most:
            raise ValueError(f"{self.name!r} has other bins than a {self.kind} of {most} at most")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"{self.name!r} has a category twice")
        ascending = all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False))
        if not (ascending and all(map(math.isfinite, self.edges))):
            raise ValueError(f"the edges of {self.name!r} do not ascend")
        if len(self.shares) != len(known) + 2:
            raise ValueError(f"{self.name!r} has {len(self.shares)} shares for {len(known)} bins")
        if not all(0 <= s <= 1 for s in self.shares) or abs(sum(self.shares) - 1) > 0.01:
            raise ValueError(f"the shares of {self.name!r} are none: they have to add up to 1")

    @property
    def names(self) -> list[str]:
        """(bins,): what each is called in metrics, no two alike; of numbers, its largest value."""
        if self.kind != "category":
            return [*(f"{edge!r}" for edge in self.edges), REST, MISSING]
        found = dict.fromkeys((OTHER, MISSING))
        for text in self.categories:
            name, number = shortened(text, LONGEST), 1
            while name in found:
                number += 1
                name = f"{name[: LONGEST - 4]}~{number}"
            found[name] = None
        own = list(found)[2:]
        return [*own, OTHER, MISSING]

    def counter(self) -> "Counting":
        """Puts values into these bins."""
        return Counting(self)


class Counting:
    """Puts values into bins; made once, because every batch asks it.

    `plain` values are numbers: of a column of numbers these, of others the numbers of their bins,
    so that nobody's text is kept until it is counted.
    """

    def __init__(self, bins: Bins) -> None:
        self.size = len(bins.shares)
        self._missing = self.size - 1
        self._number, self._length = bins.kind == "number", bins.kind == "length"
        self._edges = np.array(bins.edges, dtype=np.float64)
        self._ascending = list(bins.edges)
        places: dict[Any, int] = {text: n for n, text in enumerate(bins.categories)}
        for truth in (True, False):
            places[truth] = places.get(said(truth), self.size - 2)
        self._places = {**places, None: self._missing}
        self.one: Callable[[npt.NDArray[Any]], float] = self._reader()
        """The plain value of the only row that there is, (1,)."""

    def _reader(self) -> Callable[[npt.NDArray[Any]], float]:
        """Most requests have one row: each call that it does without is a tenth of its cost."""
        if self._number:
            return lambda values: values.item(0)
        if self._length:
            return lambda values: self._place(values.item(0))
        place, other = self._places.get, self.size - 2
        return lambda values: place(values.item(0), other)

    def plain(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The plain values, (rows,)."""
        if self._number:
            return values.astype(np.float64)
        return np.array([self._place(cell) for cell in values.tolist()], dtype=np.float64)

    def counts(self, plain: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """(bins,): how many of the plain values, (rows,), lie in each."""
        codes: npt.NDArray[np.intp]
        if self._number:
            codes = np.searchsorted(self._edges, plain)
            if (missing := np.isnan(plain)).any():
                codes[missing] = self._missing
        else:
            codes = plain.astype(np.intp)
        return np.bincount(codes, minlength=self.size)

    def _place(self, cell: Any) -> int:
        if self._length and cell is not None:
            return bisect_left(self._ascending, len(cell if isinstance(cell, str) else said(cell)))
        return self._places.get(cell, self.size - 2)


def said(cell: Any) -> str:
    """A category or class as text: JSON's word for a truth value, and one for 1 and 1.0."""
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def shortened(text: str, most: int) -> str:
    """The text as a label of a series: printable, and of `most` characters; what is cut off leaves
    a digest.
    """
    plain = "".join(c if c.isprintable() else " " for c in text)
    if len(plain) <= most:
        return plain
    return (
        f"{plain[: most - 9]}…{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"
    )


def of_numbers(name: str, values: npt.NDArray[Any]) -> Bins:
    """Deciles of the values, (rows,), NaN where one is missing."""
    numbers = values.astype(np.float64)
    edges = _deciles(numbers[np.isfinite(numbers)])
    return _shared(Bins(name, "number", _nothing(len(edges)), edges=edges), numbers)


def _of_lengths(name: str, texts: Sequence[str | None]) -> Bins:
    edges = _deciles(np.array([len(text) for text in texts if text is not None], dtype=np.float64))
    bins = Bins(name, "length", _nothing(len(edges)), edges=edges)
    return _shared(bins, _objects(texts))


def _deciles(known: npt.NDArray[np.float64]) -> list[float]:
    """Values that are there, not ones between them; of six digits, because people read them, and of
    more where those would put many rows into another bin: ids and times differ in the last ones.
    """
    if not len(known):
        return []
    ordered = np.sort(known)
    tenths = np.arange(1, MOST_EDGES + 1) / 10
    cuts = sorted(set(np.quantile(ordered, tenths, method="inverted_cdf").tolist()))
    if len(cuts) == 1:  # what is less than the one value is to be seen as well as what is more
        before = math.nextafter(cuts[0], -math.inf)
        return [before, *cuts] if math.isfinite(before) else cuts
    below = np.searchsorted(ordered, cuts, side="right")
    for digits in range(6, 17):
        edges = sorted({float(f"{cut:.{digits}g}") for cut in cuts})
        if len(edges) == len(cuts) and all(map(math.isfinite, edges)):
            moved = np.abs(np.searchsorted(ordered, edges, side="right") - below)
            if moved.max() <= MOVED * len(ordered):
                return edges
    return cuts


def of_texts(name: str, cells: Sequence[Any]) -> Bins:
    """The most frequent categories, None where one is missing; of free text, its length."""
    texts = [None if cell is None else said(cell) for cell in cells]
    known = Counter(text for text in texts if text is not None)
    frequent = [text for text, n in _ordered(known)[:MOST_CATEGORIES] if n >= FEWEST]
    if sum(known[text] for text in frequent) < COMMON * known.total():
        return _of_lengths(name, texts)
    bins = Bins(name, "category", _nothing(len(frequent)), categories=frequent)
    return _shared(bins, _objects(texts))


def of_classes(labels: Iterable[Any]) -> Bins:
    """The classes that a model gave to rows, the most frequent first. Of more than have bins, those
    of a few rows may be no classes but texts about somebody, and are not named.
    """
    texts = [said(label) for label in labels]
    counts = _ordered(Counter(texts))
    fewest = FEWEST if len(counts) > MOST_ANSWERS else 1
    frequent = [text for text, n in counts[:MOST_ANSWERS] if n >= fewest]
    bins = Bins("", "category", _nothing(len(frequent)), categories=frequent)
    return _shared(bins, _objects(texts))


def known_classes(classes: Iterable[Any]) -> Bins:
    """The bins of a model that says which classes it has, and not how frequent they are: the shares
    are equal, and mean nothing.
    """
    texts = list(dict.fromkeys(map(said, classes)))[:MOST_ANSWERS]
    shares = [1 / max(1, len(texts))] * len(texts)
    return Bins("", "category", [*shares, float(not texts), 0.0], categories=texts)


def of_answers(values: npt.NDArray[np.float64]) -> Bins:
    """Bins of the numbers that a model gave to rows: their edges are multiples of 1, 2 or 5 times a
    power of ten, so that versions of one model mostly have the same ones.
    """
    known = np.clip(values[np.isfinite(values)], -FARTHEST, FARTHEST)
    known[np.abs(known) < 1 / FARTHEST] = 0.0
    if not len(known):
        return _shared(Bins("", "number", [1.0, 0.0]), values)
    low, high = (float(q) for q in np.quantile(known, (0.05, 0.95)))
    step = _round_up((high - low) / (MOST_ANSWERS - 2) or abs(low) / MOST_ANSWERS or 1.0)
    first = math.ceil(low / step)
    edges = [float(f"{n * step:.12g}") for n in range(first, first + MOST_ANSWERS)]
    edges = sorted({edge for edge in edges if edge <= high or edge == first * step})
    return _shared(Bins("", "number", _nothing(len(edges)), edges=edges), values)


def _round_up(step: float) -> float:
    """The smallest of 1, 2, 5, 10 times a power of ten that is at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return float(next(n * power for n in (1, 2, 5, 10) if n * power >= step * (1 - 1e-9)))


def _ordered(counts: "Counter[str]") -> list[tuple[str, int]]:
    """The most frequent first, and of those that are equally so the first by name: the same rows
    give the same profile, in whatever order they are.
    """
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _nothing(known: int) -> list[float]:
    """Shares that are still to be counted."""
    return [0.0] * (known + 1) + [1.0]


def _shared(bins: Bins, values: npt.NDArray[Any]) -> Bins:
    counting = bins.counter()
    counts = counting.counts(counting.plain(values))
    total = max(1, int(counts.sum()))
    shares = [round(n / total, 6) for n in counts.tolist()]
    return msgspec.structs.replace(bins, shares=shares if counts.sum() else bins.shares)


def _objects(cells: Sequence[Any]) -> npt.NDArray[Any]:
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array
