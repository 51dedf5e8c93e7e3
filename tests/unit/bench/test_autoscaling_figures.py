"""The arithmetic of the benchmark of autoscaling."""

import pytest

from scripts.demo.traffic import Answer
from tests.bench.autoscaling_figures import Course, Pods, figures

GOOD = Answer(0.0, 0.02, "1", "r", "")
LOST = Answer(0.0, 0.02, "", "", "HTTP 503")


def course(**changes: object) -> Course:
    """Two trials, with as many pods as stable alone and a tenth more."""
    values: dict[str, object] = {
        "answers": [GOOD] * 100,
        "alone": Pods(8, 600.0, 100.0),
        "trials": [Pods(8, 600.0, 100.0), Pods(9, 660.0, 100.0)],
        "takeovers": [Pods(16, 400.0, 30.0)],
        "promoted": 2,
    }
    return Course(**{**values, **changes})  # type: ignore[arg-type]


def by_name(*courses: Course) -> dict[str, tuple[float, bool]]:
    return {f.metric: (f.value, f.met) for f in figures(courses, 2 * len(courses))}


def test_pods_are_told_as_multiples_of_those_of_stable_alone() -> None:
    found = by_name(course())
    assert found["pod-seconds in the trial, mean"] == (1.05, True)
    assert found["pod-seconds in the trial, greatest"] == (1.1, True)
    assert found["most pods in the trial, greatest"] == (1.12, True)
    assert found["pod-seconds until the verdict, greatest"] == (1.28, True), "1,000 in 130 s"
    assert found["most pods while taking over, greatest"] == (2.0, True)
    assert found["requests"] == (100, True)


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        pytest.param({"promoted": 1}, {"equal versions promoted"}, id="a false rollback"),
        pytest.param({"answers": [GOOD, LOST]}, {"failed requests"}, id="a lost request"),
        pytest.param(
            {"trials": [Pods(11, 600.0, 100.0)] * 2},
            {"most pods in the trial, mean", "most pods in the trial, greatest"},
            id="too many pods at once",
        ),
        pytest.param(
            {"trials": [Pods(8, 600.0, 100.0), Pods(8, 780.0, 100.0)]},
            {"pod-seconds in the trial, greatest"},
            id="too many pods in one of the trials",
        ),
        pytest.param(
            {"trials": [], "takeovers": []},
            {
                "pod-seconds in the trial, mean",
                "pod-seconds in the trial, greatest",
                "most pods in the trial, mean",
                "most pods in the trial, greatest",
            },
            id="nothing measured",
        ),
    ],
)
def test_a_goal_that_is_not_met_is_told(changes: dict[str, object], missed: set[str]) -> None:
    assert {name for name, (_, met) in by_name(course(**changes)).items() if not met} == missed
