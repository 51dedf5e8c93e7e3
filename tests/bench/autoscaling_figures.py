"""Figures of the benchmark of autoscaling: what was seen of each rollout, and what that comes to.
Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from scripts.demo.traffic import Answer
from tests.bench.traffic_figures import Figure

TIMES = 10
"""How many times as many requests come in the middle."""
MOST = 1.25
"""How many times as many pods as stable alone has there may be in a trial."""


@dataclass
class Pods:
    """How many pods a rollout had while it was watched."""

    most: int = 0
    seconds: float = 0.0
    """Sum over pods of how long each was there."""
    lasted: float = 0.0

    @property
    def mean(self) -> float:
        return self.seconds / self.lasted if self.lasted else 0.0

    def __add__(self, other: "Pods") -> "Pods":
        """Watched twice."""
        return Pods(
            max(self.most, other.most), self.seconds + other.seconds, self.lasted + other.lasted
        )


@dataclass
class Course:
    """What was seen of one rollout."""

    answers: list[Answer] = field(default_factory=list)
    """To every request that was sent."""
    alone: Pods = field(default_factory=Pods)
    """Under the load, without a trial, each time that it was watched."""
    trials: list[Pods] = field(default_factory=list)
    """Under the same load, in each trial."""
    takeovers: list[Pods] = field(default_factory=list)
    """From the end of that load to the verdict."""
    promoted: int = 0
    """Trials that ended so."""
    excused: int = 0
    """Events that a gate's failure was no evidence."""
    trouble: list[str] = field(default_factory=list)
    """Verdicts and failures that were not to be."""


def figures(courses: Sequence[Course], runs: int) -> list[Figure]:
    """What came out; runs: trials that were to be."""
    promoted = sum(one.promoted for one in courses)
    answers = [a for one in courses for a in one.answers]
    lost = sum(not a.ok for a in answers)
    times = sorted(a.ended - a.sent for a in answers if a.ok)
    p95 = times[int(0.95 * (len(times) - 1))] if times else 0.0
    pairs = [(one.alone, seen) for one in courses for seen in one.trials]
    sums = [seen.mean / alone.mean for alone, seen in pairs if alone.mean]
    whole = [
        (one.alone, seen.seconds + after.seconds, seen.lasted + after.lasted)
        for one in courses
        for seen, after in zip(one.trials, one.takeovers, strict=False)
    ]
    until = [seconds / lasted / alone.mean for alone, seconds, lasted in whole if alone.mean]
    most = [seen.most / alone.most for alone, seen in pairs if alone.most]
    return [
        Figure("equal versions promoted", promoted, "", f"{runs}", promoted == runs, ""),
        Figure("requests", len(answers), "", "", True, f"{TIMES} times as many in the middle"),
        Figure("p95 of a request", round(1000 * p95, 1), "ms", "", True, ""),
        Figure("failed requests", lost, "", "0", lost == 0, ""),
        Figure("gates excused by load", sum(o.excused for o in courses), "", "", True, "Events"),
        *_ratios("pod-seconds in the trial", sums, [c.alone.mean for c in courses]),
        *_ratios(
            "pod-seconds until the verdict",
            until,
            [c.alone.mean for c in courses],
            bounded=False,
        ),
        *_ratios("most pods in the trial", most, [float(c.alone.most) for c in courses]),
        *_ratios(
            "most pods while taking over",
            [t.most / c.alone.most for c in courses for t in c.takeovers if c.alone.most],
            [float(c.alone.most) for c in courses],
            bounded=False,
        ),
    ]


def _ratios(
    what: str, found: Sequence[float], alone: Sequence[float], *, bounded: bool = True
) -> list[Figure]:
    """Mean and greatest of what a trial takes, as multiples of what stable alone took."""
    mean = sum(alone) / len(alone) if alone else 0.0
    against = f"{len(found)} trials; stable alone {mean:.1f} pods"
    ratios = {
        "mean": sum(found) / len(found) if found else float("inf"),
        "greatest": max(found, default=float("inf")),
    }
    return [
        Figure(
            f"{what}, {kind}",
            round(ratio, 2),
            "x",
            f"<= {MOST:g}" if bounded else "",
            not bounded or ratio <= MOST,
            against,
        )
        for kind, ratio in ratios.items()
    ]
