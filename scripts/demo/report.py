"""What came out: the table at the end, build/demo.json, and the claims that make the demo succeed
or fail.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scripts.demo.models import Model
from scripts.demo.shares import ENOUGH, TOLERANCE, Share
from scripts.demo.traffic import Answer

TARGET = Path("build/demo.json")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one version."""

    model: Model
    """The version, with its URI."""
    expected: str
    """The verdict that was to come."""
    verdict: str
    """From the rollout's history; its phase where that has no entry."""
    reason: str
    """One word, from the same place."""
    message: str
    """Sentences, from the same place."""
    seconds: float
    """From apply to verdict, s."""
    answers: Sequence[Answer]
    """The requests that were sent while this version was rolled out."""

    @property
    def failed(self) -> int:
        return sum(not a.ok for a in self.answers)


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run."""

    outcomes: Sequence[Outcome]
    """In the order in which the versions were asked for."""
    answers: Sequence[Answer]
    """To all predict requests of the run."""
    shares: Sequence[Share]
    """By weight and version."""
    counted: dict[str, int] | None
    """Predict requests by version, as Prometheus has them from the pods; None: it does not say."""

    @property
    def failed(self) -> list[Answer]:
        return [a for a in self.answers if not a.ok]

    def broken(self) -> list[str]:
        """The claims that do not hold, each as a sentence; empty where the demo succeeded."""
        wrong = [
            f"{o.model.uri} was to be {o.expected}, but is {o.verdict or 'without a verdict'}:"
            f" {o.message}"
            for o in self.outcomes
            if o.verdict != o.expected
        ]
        if self.failed:
            kinds = Counter(a.failure for a in self.failed).most_common(3)
            said = "; ".join(f"{count} x {failure}" for failure, count in kinds)
            wrong.append(
                f"{len(self.failed)} of {len(self.answers)} predict requests failed: {said}"
            )
        wrong += [
            f"At weight {s.weight} version {s.version} served {s.served:.1f} % of {s.requests}"
            f" requests, asked were {s.asked:.0f} %: more than {TOLERANCE:.0f} points apart"
            for s in self.shares
            if not s.kept
        ]
        if not any(s.counts for s in self.shares):
            wrong.append(
                f"No weight stood long enough for {ENOUGH} requests, so no served share was"
                " measured"
            )
        return wrong

    def as_json(self) -> dict[str, Any]:
        """What became of each version, and which share of the requests it served, in percent: one
        entry for each version at each weight of a trial.
        """
        return {
            "versions": [
                {
                    "uri": o.model.uri,
                    "verdict": o.verdict,
                    "reason": o.reason,
                    "seconds": round(o.seconds, 1),
                    "message": o.message,
                }
                | {
                    "accuracy": round(o.model.accuracy, 4),
                    "requests": {"sent": len(o.answers), "failed": o.failed},
                }
                for o in self.outcomes
            ],
            "requests": {"sent": len(self.answers), "failed": len(self.failed)},
            "shares": [
                {
                    "weight": s.weight,
                    "asked": s.asked,
                    "served": round(s.served, 2),
                    "requests": s.requests,
                }
                | {"candidate": s.candidate, "version": s.version, "held": s.counts, "kept": s.kept}
                for s in self.shares
            ],
            "prometheus": self.counted,
        }

    def write(self, target: Path = TARGET) -> None:
        """Write the figures as JSON."""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(self.as_json(), indent=2) + "\n")

    def show(self, console: Console) -> None:
        """Print the tables: what became of each version, and who served what."""
        console.print(self._verdicts())
        console.print()
        console.print(self._served())
        console.print(
            "[dim]sent, failed: while the version was rolled out; served: by the version, in"
            " all.[/]"
        )
        good = Counter(a.version for a in self.answers if a.ok)
        if self.counted is not None:
            pairs = ", ".join(
                f"version {v}: {n} answered, {self.counted.get(v, 0)} counted"
                for v, n in sorted(good.items())
            )
            console.print(
                "[dim]Cross-check, answers here against ml_request_count_total in Prometheus:"
                f" {pairs}.[/]"
            )

    def _verdicts(self) -> Table:
        table = Table(
            title="What became of each version",
            title_justify="left",
            title_style="bold",
            expand=True,
        )
        table.add_column("version", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        table.add_column("why", ratio=1)
        table.add_column("took", justify="right", no_wrap=True)
        table.add_column("sent", justify="right", no_wrap=True)
        table.add_column("failed", justify="right", no_wrap=True)
        table.add_column("served", justify="right", no_wrap=True)
        good = Counter(a.version for a in self.answers if a.ok)
        for o in self.outcomes:
            colour = "green" if o.verdict == "Promoted" else "red"
            why = escape(f"{o.reason}: {o.message}")
            row = (
                o.model.version,
                f"[{colour}]{o.verdict}[/]",
                why,
                f"{o.seconds:.0f} s",
                str(len(o.answers)),
                str(o.failed),
            )
            table.add_row(*row, str(good[o.model.version]))
        table.add_section()
        table.add_row(
            "all",
            "",
            "",
            "",
            f"[bold]{len(self.answers)}[/]",
            f"[bold]{len(self.failed)}[/]",
            str(good.total()),
        )
        return table

    def _served(self) -> Table:
        table = Table(
            title="Share served by each version at each weight",
            title_justify="left",
            title_style="bold",
        )
        for name in ("trial of", "weight", "served by", "asked", "served", "of requests", ""):
            table.add_column(name, justify="right", no_wrap=True)
        for s in self.shares:
            mark = "[dim]too few[/]" if not s.counts else "[green]✓[/]" if s.kept else "[red]✗[/]"
            who = (f"version {s.candidate}", f"{s.weight} %", f"version {s.version}")
            table.add_row(*who, f"{s.asked:.0f} %", f"{s.served:.1f} %", str(s.requests), mark)
        return table
