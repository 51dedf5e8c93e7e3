"""The table of what the operator and its peers cost, as a page shows it."""

import pytest

from scripts.docs.peers import number, table


def test_what_is_clearly_least_stands_out() -> None:
    seen = {
        "day": "2026-01-02",
        "waves": 3,
        "rows": [
            {
                "figure": "seconds until all are promoted",
                "unit": "s",
                "rollouts": rollouts,
                "values": {"ours": ours, "argo-rollouts": 100.4, "flagger": 140},
            }
            for rollouts, ours in ((1, 99.96), (50, 0.256))
        ],
    }
    assert table(seen).splitlines() == [
        "Measured on 2026-01-02, 3 waves of each, on two cores.",
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
