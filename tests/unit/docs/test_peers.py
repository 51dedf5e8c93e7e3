"""The table of what the operator and its peers cost, as a page shows it."""

import pytest

from scripts.docs.peers import number, table

ONE_DAY = {1: "2026-01-02", 50: "2026-01-02"}
TWO_DAYS = {1: "2026-01-02", 50: "2026-01-03"}


@pytest.mark.parametrize(
    ("days", "said"),
    [
        pytest.param(ONE_DAY, "2026-01-02", id="on one day"),
        pytest.param(
            TWO_DAYS, "2026-01-02 (1 at once) and 2026-01-03 (50 at once)", id="on two days"
        ),
    ],
)
def test_what_is_clearly_least_stands_out(days: dict[int, str], said: str) -> None:
    seen = {
        "waves": 3,
        "rows": [
            {
                "figure": "seconds until all are promoted",
                "unit": "s",
                "rollouts": rollouts,
                "day": days[rollouts],
                "values": {"ours": ours, "argo-rollouts": 100.4, "flagger": 140},
            }
            for rollouts, ours in ((1, 99.96), (50, 0.256))
        ],
    }
    assert table(seen).splitlines() == [
        f"Measured on {said}, 3 waves of each, on two cores.",
        "",
        "| each tool's median | rollouts at once | Model rollouts | Argo Rollouts | Flagger |",
        "| --- | --- | --- | --- | --- |",
        "| seconds until all are promoted | 1 | 100.0 s | 100 s | 140 s |",
        "| … | 50 | **0.26 s** | 100 s | 140 s |",
    ]


@pytest.mark.parametrize(
    ("value", "said"), [(127.4, "127"), (41.74, "41.7"), (18, "18"), (0.388, "0.39"), (0, "0")]
)
def test_numbers(value: float, said: str) -> None:
    assert number(value) == said
