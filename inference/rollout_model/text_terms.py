"""The terms of a text as numbers, as scikit-learn's vectorizers count them; without scikit-learn.

Source: sklearn.feature_extraction.text: CountVectorizer.build_analyzer, TfidfTransformer.transform.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

SPACES = re.compile(r"\s\s+")
Analyzer = Callable[[str], list[str]]


class Terms(msgspec.Struct, frozen=True, tag="terms"):
    """A fitted CountVectorizer or TfidfVectorizer."""

    words: list[str]
    """Its vocabulary, in the order of its features."""
    analyzer: str = "word"
    """Or "char", or "char_wb"."""
    lower: bool = True
    """Whether texts are lowercased first."""
    accents: str = ""
    """How accents are removed: "ascii", "unicode", or "" for not at all."""
    pattern: str = r"(?u)\b\w\w+\b"
    """The regular expression of a word, with one group at most."""
    stop: list[str] = []
    """Words that do not count."""
    shortest: int = 1
    """Words or characters of a term, at least."""
    longest: int = 1
    """The same, at most."""
    binary: bool = False
    """Whether a term counts once however often it comes."""
    logarithm: bool = False
    """Whether a count n becomes 1 + ln(n)."""
    weights: list[float] = []
    """By which each term is multiplied; empty for none."""
    norm: str = ""
    """What the terms of a text are divided by: "l1", "l2", or "" for nothing."""

    @property
    def width(self) -> int:
        """Features of a text."""
        return len(self.words)

    def counter(self) -> Callable[[Sequence[object]], npt.NDArray[np.float64]]:
        """From texts to (texts, width); it raises ValueError where one is missing."""
        analyze = self._analyzer()
        places = {word: place for place, word in enumerate(self.words)}

        def count(texts: Sequence[object]) -> npt.NDArray[np.float64]:
            made = np.zeros((len(texts), len(places)))
            for number, text in enumerate(texts):
                if not isinstance(text, str):
                    raise ValueError("a text is missing, and the model takes no missing text")
                counts: dict[int, int] = {}
                for term in analyze(text):
                    if (place := places.get(term)) is not None:
                        counts[place] = counts.get(place, 0) + 1
                found = sorted(counts)
                values = self._weighed([counts[place] for place in found], found)
                row = made[number]
                for place, value in zip(found, values, strict=True):
                    row[place] = value
            return made

        return count

    def _weighed(self, counts: list[int], places: list[int]) -> list[float]:
        """In the order of scikit-learn's sums, whose last digits depend on it."""
        values = [1.0 if self.binary else float(count) for count in counts]
        if self.logarithm:
            values = [float(one) + 1.0 for one in np.log(values)]
        if self.weights:
            values = [one * self.weights[place] for one, place in zip(values, places, strict=True)]
        if not self.norm:
            return values
        total = 0.0
        for one in values:
            total += one * one if self.norm == "l2" else abs(one)
        length = math.sqrt(total) if self.norm == "l2" else total
        return [one / length for one in values] if length else values

    def _analyzer(self) -> Analyzer:
        clean = self._cleaner()
        if self.analyzer == "char":
            return lambda text: list(self._characters(SPACES.sub(" ", clean(text))))
        if self.analyzer == "char_wb":
            return lambda text: list(self._within_words(SPACES.sub(" ", clean(text))))
        words, stop = re.compile(self.pattern).findall, frozenset(self.stop)

        def analyze(text: str) -> list[str]:
            found = words(clean(text))
            if stop:
                found = [word for word in found if word not in stop]
            return found if self.longest == 1 else list(self._in_a_row(found))

        return analyze

    def _cleaner(self) -> Callable[[str], str]:
        remove = {"ascii": _ascii, "unicode": _unaccented}.get(self.accents)
        if remove is None:
            return str.lower if self.lower else str
        if not self.lower:
            return remove
        return lambda text: remove(text.lower())

    def _in_a_row(self, words: list[str]) -> Iterator[str]:
        for size in range(self.shortest, min(self.longest, len(words)) + 1):
            for start in range(len(words) - size + 1):
                yield " ".join(words[start : start + size])

    def _characters(self, text: str) -> Iterator[str]:
        for size in range(self.shortest, min(self.longest, len(text)) + 1):
            for start in range(len(text) - size + 1):
                yield text[start : start + size]

    def _within_words(self, text: str) -> Iterator[str]:
        for word in text.split():
            padded = f" {word} "
            for size in range(self.shortest, self.longest + 1):
                for start in range(max(1, len(padded) - size + 1)):
                    yield padded[start : start + size]
                if len(padded) <= size:  # a short word counts once
                    break


def _unaccented(text: str) -> str:
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(one for one in parts if not unicodedata.combining(one))


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ASCII", "ignore").decode("ASCII")
