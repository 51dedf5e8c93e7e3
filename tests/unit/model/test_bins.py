"""Bins: as many as there may be whatever the values, with names that no two have."""

import math
from typing import Any

import numpy as np
import pytest

from rollout_model import bins
from rollout_model.bins import Bins


def objects(*cells: Any) -> Any:
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


def counted(found: Bins, values: Any) -> dict[str, int]:
    """How many values lie in each bin, those with none left out."""
    counting = found.counter()
    counts = counting.counts(counting.plain(values)).tolist()
    return {name: n for name, n in zip(found.names, counts, strict=True) if n}


NORMAL = np.random.default_rng(0).normal(size=1000)


def test_numbers_lie_in_tenths_of_the_training_rows() -> None:
    found = bins.of_numbers("x", NORMAL)
    assert found.shares == pytest.approx([0.1] * 10 + [0.0], abs=0.002)
    assert counted(found, np.array([-9.0, 9.0, math.nan])) == {
        found.names[0]: 1,
        "+Inf": 1,
        "missing": 1,
    }


FEW = {
    "two values": (np.array([0.0, 1, 1, 0, math.nan]), [0.0, 1.0], [0.4, 0.4, 0.0, 0.2]),
    "one value": (np.array([3.0, 3.0]), [math.nextafter(3, 0), 3.0], [0.0, 1.0, 0.0, 0.0]),
    "nothing but gaps": (np.array([math.nan] * 3), [], [0.0, 1.0]),
    "whole numbers beyond 2^53": (
        np.array([2**60, 2**60 + 1]),
        [math.nextafter(2**60, 0), 2.0**60],
        [0.0, 1.0, 0.0, 0.0],
    ),
    "infinities are no edges": (
        np.array([-math.inf, 1.0, 2.0, math.inf]),
        [1.0, 2.0],
        [0.5, 0.25, 0.25, 0.0],
    ),
}


@pytest.mark.parametrize(("values", "edges", "shares"), FEW.values(), ids=FEW.keys())
def test_a_few_values_have_a_few_bins(values: Any, edges: list[float], shares: list[float]) -> None:
    found = bins.of_numbers("x", values)
    assert found.edges == edges
    assert found.shares == pytest.approx(shares)


@pytest.mark.parametrize(
    ("first", "step"), [(1_764_500_000.0, 1.0), (123_456.7, 1e-4), (2.0**40, 2.0**-12)]
)
def test_numbers_that_differ_in_their_last_digits_lie_in_tenths_too(
    first: float, step: float
) -> None:
    """Such as the seconds of a day: six digits would put all of them into one bin."""
    values = first + step * np.arange(1000)
    assert bins.of_numbers("x", values).shares == pytest.approx([0.1] * 10 + [0.0], abs=0.03)


def test_numbers_of_single_precision_lie_in_their_own_bin() -> None:
    """0.1 of single precision is a little more than the 0.1 that six digits say."""
    values = np.array([0.1] * 50 + [0.7] * 50, dtype=np.float32)
    assert bins.of_numbers("x", values).shares == [0.5, 0.5, 0.0, 0.0]


def test_a_constant_column_shows_what_is_less_and_what_is_more() -> None:
    found = bins.of_numbers("x", np.array([0.123456789] * 9))
    assert sorted(counted(found, np.array([-999.0, 0.123456789, 0.2])).values()) == [1, 1, 1]


def test_truth_values_of_so_few_rows_that_lengths_are_counted() -> None:
    found = bins.of_texts("x", [True, False, True])
    assert found.kind == "length"
    assert list(counted(found, objects(True, False, None)).values()) == [1, 1, 1]


TEXTS: dict[str, tuple[list[Any], str, list[str]]] = {
    "categories, the most frequent first": (["b"] * 6 + ["a"] * 9, "category", ["a", "b"]),
    "what few say is one of the others": (["a"] * 9 + ["a secret"] * 4, "category", ["a"]),
    "at most nine": ([c for c in "abcdefghijklmn" for _ in range(5)], "category", [*"abcdefghi"]),
    "truth values": ([True] * 7 + [False] * 5, "category", ["true", "false"]),
    "free text": ([f"I am user {n}" for n in range(100)], "length", []),
    "nothing but gaps": ([None] * 9, "category", []),
}


@pytest.mark.parametrize(("cells", "kind", "categories"), TEXTS.values(), ids=TEXTS.keys())
def test_texts(cells: list[Any], kind: str, categories: list[str]) -> None:
    found = bins.of_texts("x", cells)
    assert (found.kind, found.categories) == (kind, categories)
    assert sum(found.shares) == pytest.approx(1, abs=1e-4)
    assert sum(counted(found, objects(*cells)).values()) == len(cells)


def test_texts_are_counted_by_category_and_free_ones_by_length() -> None:
    found = bins.of_texts("x", ["a"] * 9 + ["b"] * 5 + [True] * 5)
    live = objects("a", "a", "new", None, True, False)
    assert counted(found, live) == {"a": 2, "other": 2, "missing": 1, "true": 1}
    free = bins.of_texts("x", ["x" * n for n in range(100)])
    assert counted(free, objects("", "y" * 1000, None)) == {"9.0": 1, "+Inf": 1, "missing": 1}


def test_one_value_lies_where_many_do() -> None:
    for found, values in (
        (bins.of_numbers("x", NORMAL), NORMAL[:50]),
        (bins.of_texts("x", ["a"] * 9 + ["b"] * 5), objects("a", "b", "c", None)),
        (bins.of_texts("x", ["x" * n for n in range(100)]), objects("x", "x" * 70, None)),
    ):
        counting = found.counter()
        plain = counting.plain(values).tolist()
        assert plain == [counting.one(values[n : n + 1]) for n in range(len(values))]


HOSTILE = {
    "names of our own bins": ["other", "missing", "+Inf"],
    "long ones that begin alike": ["x" * 5000 + "1", "x" * 5000 + "2"],
    "line ends and quotes": ['a"\n', "a'\r", "\x00"],
    "the same when shortened": [f"a{c}" for c in "\n\r\t\v\f\x00\x01\x02 "],
    "one that looks like a number of ours": ["a\n", "a\r", "a ~2", "a~2"],
    "half of a pair": ["\ud800" * 50, "\udc00" * 50],
    "empty": ["", " "],
}


@pytest.mark.parametrize("texts", HOSTILE.values(), ids=HOSTILE.keys())
def test_names_differ_and_are_short_whatever_the_categories(texts: list[str]) -> None:
    for found in (bins.of_texts("x", [t for t in texts for _ in range(5)]), bins.of_classes(texts)):
        assert len(set(found.names)) == len(found.names) == len(texts) + 2
        assert all(len(n) <= bins.LONGEST and n.isprintable() for n in found.names)


ANSWERS = {
    "prices": (NORMAL * 40 + 130, [80.0, 100.0, 120.0, 140.0, 160.0, 180.0]),
    "shares": (np.linspace(0, 1, 101), [0.2, 0.4, 0.6, 0.8]),
    "one number": (np.array([3.0] * 9), [3.0]),
    "zero alone": (np.array([0.0]), [0.0]),
    "beyond all measure": (np.array([1.7e308, -1.7e308]), [-5e299, 0.0, 5e299]),
    "next to nothing": (np.array([5e-324, 1e-323]), [0.0]),
    "nothing that is a number": (np.array([math.nan, math.inf]), []),
}


@pytest.mark.parametrize(("values", "edges"), ANSWERS.values(), ids=ANSWERS.keys())
def test_answers_have_round_edges(values: Any, edges: list[float]) -> None:
    assert bins.of_answers(values).edges == pytest.approx(edges)


def test_versions_of_one_model_have_edges_in_common() -> None:
    """The operator compares two revisions by the edges that both have."""
    random = np.random.default_rng(1)
    edges = [
        set(bins.of_answers(random.normal(130 + shift, 40, 500)).edges) for shift in range(0, 20, 5)
    ]
    assert len(set.intersection(*edges)) >= 4


def test_classes_are_the_same_as_text_whatever_type_a_runtime_gives_them() -> None:
    found = bins.of_classes([1, 1.0, 1, 0, True])
    assert found.categories == ["1", "0", "true"]
    assert bins.known_classes(range(100)).categories == [str(n) for n in range(10)]


def test_answers_in_free_text_are_not_named() -> None:
    found = bins.of_classes([f"Dear {n}" for n in range(100)] + ["yes"] * 5)
    assert found.categories == ["yes"]
