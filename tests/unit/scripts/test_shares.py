"""Served shares: which requests count for which weight."""

import pytest

from scripts.demo.shares import Share, Sighting, shares
from scripts.demo.traffic import Answer


def seen(start: int, end: int, weight: int, candidate: str | None = "2") -> list[Sighting]:
    """One sighting a second."""
    return [Sighting(float(at), candidate, "1", weight) for at in range(start, end + 1)]


def answers(start: float, end: float, rate: int, version: str, failure: str = "") -> list[Answer]:
    step = 1 / rate
    return [
        Answer(start + n * step, start + n * step + 0.01, version, "r", failure)
        for n in range(int((end - start) * rate))
    ]


def served(found: list[Share]) -> list[tuple[int, str, float, int]]:
    return [(s.weight, s.version, round(s.served, 1), s.requests) for s in found]


@pytest.mark.parametrize(
    ("sightings", "given", "expected"),
    [
        pytest.param(
            seen(0, 12, 10),
            answers(2, 12, 9, "1") + answers(2, 12, 1, "2"),
            [(10, "2", 10.0, 100), (10, "1", 90.0, 100)],
            id="requests after the settle time count, for both versions",
        ),
        pytest.param(
            seen(0, 12, 10),
            answers(0, 1.9, 50, "1") + answers(5, 10, 1, "2"),
            [(10, "2", 100.0, 5), (10, "1", 0.0, 5)],
            id="requests before the settle time do not count",
        ),
        pytest.param(
            [*seen(0, 5, 10), *seen(6, 12, 50)],
            answers(5, 8, 10, "1") + answers(8, 12, 10, "2"),
            [(50, "2", 100.0, 40), (50, "1", 0.0, 40)],
            id="requests while the weight changes count for neither",
        ),
        pytest.param(
            [*seen(0, 4, 10), *seen(5, 6, 0), *seen(7, 12, 10)],
            answers(2, 4, 10, "1") + answers(9, 12, 10, "2"),
            [(10, "2", 60.0, 50), (10, "1", 40.0, 50)],
            id="a weight that comes back is counted together, the gap left out",
        ),
        pytest.param(seen(0, 12, 0), answers(2, 12, 9, "1"), [], id="weight 0 asks for nothing"),
        pytest.param(seen(0, 12, 0, None), answers(2, 12, 9, "1"), [], id="no candidate, no share"),
        pytest.param(seen(0, 12, 10), [], [], id="no requests, no share"),
        pytest.param(
            seen(0, 12, 10),
            answers(2, 12, 9, "", "HTTP 502"),
            [],
            id="a failed request was served by nobody",
        ),
    ],
)
def test_shares(
    sightings: list[Sighting], given: list[Answer], expected: list[tuple[int, str, float, int]]
) -> None:
    assert served(shares(sightings, given)) == expected


@pytest.mark.parametrize(
    ("asked", "got", "requests", "kept"),
    [
        pytest.param(10, 14.9, 100, True, id="within five points"),
        pytest.param(10, 15.1, 100, False, id="more than five points over"),
        pytest.param(50, 44.0, 500, False, id="more than five points under"),
        pytest.param(10, 40.0, 99, True, id="too few requests say nothing"),
    ],
)
def test_a_share_is_kept(asked: float, got: float, requests: int, kept: bool) -> None:
    assert Share("2", 10, "2", asked, got, requests).kept is kept
