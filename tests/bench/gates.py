"""What our gates come to, beside the threshold rules of Argo Rollouts and Flagger:
docs/concepts/statistics.md and its plot are made here.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from rich.console import Console

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.gates.sequential_test import kl
from tests.bench import gate_copies, gate_late_labels, gate_means, gate_shifts
from tests.bench.gate_ramps import RULES as PAIRED
from tests.bench.gate_ramps import TRIALS, Shares, simulated
from tests.bench.gate_rules import MOST, RULES, THRESHOLD, Rule, ours
from tests.bench.traffic_figures import Figure
from tests.support.boundaries import boundaries, chances

SHARES = (0.55, 0.65, 0.70, 0.75, 0.85, 0.95)
THRESHOLDS = (0.5, 0.7, 0.9, 0.99)
DOCUMENT, PLOT, TARGET = (
    Path("docs/concepts/statistics.md"),
    Path("docs/pictures/gates.svg"),
    Path("build/gates.json"),
)
MEANS = PLOT.with_name("gate-means.svg")
BEGIN, END = "<!-- made by `make bench-gates`: {} -->\n", "<!-- end of {} -->\n"


def cell(rule: Rule, share: float) -> str:
    """Wrong verdicts and mean labels; at the threshold itself,
    promotions / rollbacks and labels.
    """
    found = rule.chances(share)
    if share == THRESHOLD:
        return f"{found.promote:.1%} / {found.roll_back:.1%} · {found.labels:.0f}"
    return f"{found.promote if share < THRESHOLD else found.roll_back:.1%} · {found.labels:.0f}"


def one_sample(rules: Iterable[Rule] = RULES) -> str:
    """The table for "accuracy at least 0.70"."""
    head = ["rule", *(f"{s:.2f}" for s in SHARES)]
    bound = [
        "fewest labels possible (Wald)",
        *("" if s == THRESHOLD else f"{wald(s):.0f}" for s in SHARES),
    ]
    return table(head, [bound, *([rule.name, *(cell(rule, s) for s in SHARES)] for rule in rules)])


def wald(share: float) -> float:
    """Labels that any test needs on average which is wrong in at most 5 % of cases."""
    return math.log(20) / kl(share, THRESHOLD)


def at_the_threshold() -> str:
    """The table of chances for a model that is exactly at the threshold, looked at after every
    label.
    """
    rows = []
    for threshold in THRESHOLDS:
        gate = Gate.model_validate(
            {"metric": "accuracy", "min": threshold, "evidence": "Labelled", "minSamples": 1}
        )
        found = chances(boundaries(gate, MOST), threshold)
        rows.append([f"{threshold:g}", f"{found.promote:.2%}", f"{found.roll_back:.2%}"])
    return table(["threshold", "promoted", "rolled back"], rows)


def two_samples(runs: int) -> str:
    """The table for "not more than 0.05 worse than stable"."""
    rows = []
    for name, rule in PAIRED.items():
        found = [simulated(rule, trial, runs) for trial in TRIALS]
        rows.append(
            [name, *(f"{f.promote:.1%} / {f.roll_back:.1%} · {f.labels:.0f}" for f in found)]
        )
    return table(["rule", *(t.name for t in TRIALS)], rows)


Named = gate_shifts.Trial | gate_copies.Trial | gate_means.Trial | gate_late_labels.Trial
"""A kind of trial, with the verdicts that are wrong in it."""
Found = Mapping[str, list[Shares]]
"""What each rule, by its name, came to in each kind of trial."""


def simulated_table(trials: Iterable[Named], found: Found) -> str:
    """A table of what rules came to in trials."""
    rows = [
        [name, *(f"{f.promote:.1%} / {f.roll_back:.1%} · {f.labels:.0f}" for f in of_trials)]
        for name, of_trials in found.items()
    ]
    return table(["rule", *(t.name for t in trials)], rows)


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def plot(target: Path) -> None:
    """Chance of promotion, and mean labels, over the true accuracy."""
    mpl.rcParams.update(
        {
            "svg.hashsalt": "gates",
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "svg.fonttype": "none",
        }
    )
    looks = (
        ("#0b6e4f", 2.4, "-"),
        ("#c8553d", 1.4, "-"),
        ("#c8553d", 1.4, "--"),
        ("#3d5a98", 1.4, "-"),
    )
    styles = dict(zip((RULES[0], *RULES[3:6]), looks, strict=True))
    grid = [x / 200 for x in range(100, 200)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for rule, (colour, width, dashes) in styles.items():
        found = [rule.chances(share) for share in grid]
        said = {
            "color": colour,
            "linewidth": width,
            "linestyle": dashes,
            "label": rule.name.replace("`", ""),
        }
        left.plot(grid, [100 * f.promote for f in found], **said)
        right.plot(grid, [f.labels for f in found], **said)
    fewest = [wald(s) if abs(s - THRESHOLD) > 0.004 else math.nan for s in grid]
    right.plot(
        grid, fewest, color="#777777", linewidth=1, linestyle=":", label="fewest possible (Wald)"
    )
    for axes in (left, right):
        axes.axvline(THRESHOLD, color="#999999", linewidth=0.8)
        axes.set_xlabel("true accuracy of the candidate (threshold 0.70)")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0.5, 1)
    left.axhspan(0, 5, xmin=0, xmax=0.4, color="#0b6e4f", alpha=0.12, linewidth=0)
    left.axhspan(95, 100, xmin=0.4, xmax=1, color="#0b6e4f", alpha=0.12, linewidth=0)
    left.set_ylabel("promoted, % of trials")
    left.set_title("What is promoted")
    right.set_ylabel("labels until the verdict, mean")
    right.set_yscale("log")
    right.set_ylim(5, 3000)
    right.set_title("What it costs")
    figure.legend(
        *right.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, metadata={"Date": None})


def placed(document: str, name: str, text: str) -> str:
    """The document with one made part replaced."""
    begin, end = BEGIN.format(name), END.format(name)
    before, _, rest = document.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{DOCUMENT} has no place for {name}: write {begin!r} and {end!r} there")
    return f"{before}{begin}\n{text}\n{end}{after}"


def wrong_verdicts(what: str, trials: Iterable[Named], found: Found) -> Iterator[Figure]:
    """How often our rule, the first one, is wrong in each kind of trial."""
    return _wrong(what, zip(trials, next(iter(found.values())), strict=True))


def _wrong(what: str, found: Iterable[tuple[Named, Shares]]) -> Iterator[Figure]:
    for trial, of in found:
        wrong = max({1: of.promote, -1: of.roll_back}[verdict] for verdict in trial.wrong)
        told, met = f"wrong verdicts of {what}, {trial.name}", bool(wrong <= 0.05)
        yield Figure(told, round(100 * wrong, 2), "%", "5", met, "simulated")


def plot_means(target: Path, runs: int) -> None:
    """Chance of promotion over the true mean, and over how far it is below stable's."""
    colours, steps = ("#0b6e4f", "#c8553d", "#3d5a98"), 25
    levels = [4 + 8 * step / (steps - 1) for step in range(steps)]
    drops = [6 * step / (steps - 1) for step in range(steps)]
    sides = (
        (gate_means.RULES_ALONE, levels, [gate_means.Trial("", x, 0, ()) for x in levels]),
        (
            gate_means.RULES_BESIDE,
            drops,
            [gate_means.Trial("", 14, x, (), later=8, season=0.2) for x in drops],
        ),
    )
    figure, both = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for axes, (rules, grid, trials) in zip(both, sides, strict=True):
        for colour, (name, rule) in zip(colours, rules.items(), strict=True):
            found = [100 * gate_means.simulated(rule, trial, runs).promote for trial in trials]
            label = name.split(",")[0].split(" on ")[0]
            axes.plot(grid, found, color=colour, linewidth=1.8, label=label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylabel("promoted, % of trials")
    left, right = both
    left.axvline(gate_means.BOUND, color="#999999", linewidth=0.8)
    left.set_xlabel("true mean of the candidate, EUR")
    left.set_title("At least 8 EUR")
    right.axvline(gate_means.DROP, color="#999999", linewidth=0.8)
    right.set_xlabel("EUR less than stable, while people spend less with the weight")
    right.set_title("At most 2 EUR less than stable")
    handles = left.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(target, metadata={"Date": None})


def exact_figures() -> Iterator[Figure]:
    """What is promised of accuracy with min, by dynamic programming."""
    for threshold in THRESHOLDS:
        gate = Gate.model_validate(
            {"metric": "accuracy", "min": threshold, "evidence": "Labelled", "minSamples": 1}
        )
        said = chances(boundaries(gate, MOST), threshold)
        worst = max(said.promote, said.roll_back)
        yield Figure(
            f"wrong verdicts at threshold {threshold:g}",
            round(100 * worst, 2),
            "%",
            "5",
            bool(worst <= 0.05),
            "exact",
        )
    every = ours(min_samples=1, every=1)
    for share in (s for s in SHARES if s != THRESHOLD):
        ratio = every(share).labels / wald(share)
        yield Figure(
            f"mean labels at accuracy {share:g}",
            round(ratio, 3),
            "x Wald",
            "1.35",
            bool(ratio <= 1.35),
            "Wald's bound",
        )


Part = tuple[dict[str, str], list[Figure]]
"""Texts by the name of their place in the document, and figures."""


def of_accuracy(wanted: argparse.Namespace) -> Part:
    """Accuracy alone, which is exact, and beside stable."""
    made = {
        "accuracy at least 0.70": one_sample(),
        "at the threshold": at_the_threshold(),
        "against stable": two_samples(wanted.runs),
    }
    plot(PLOT)
    return made, list(exact_figures())


def of_shifts(wanted: argparse.Namespace) -> Part:
    """predictionShift."""
    alone, bursts = (
        {
            name: [gate_shifts.simulated(rule, trial, wanted.shifts) for trial in trials]
            for name, rule in gate_shifts.RULES.items()
        }
        for trials in (gate_shifts.TRIALS, gate_shifts.BURSTS)
    )
    made = {
        "answers as stable's": simulated_table(gate_shifts.TRIALS, alone),
        "answers as stable's in bursts": simulated_table(gate_shifts.BURSTS, bursts),
    }
    return made, list(wrong_verdicts("predictionShift", gate_shifts.TRIALS, alone))


def of_copies(wanted: argparse.Namespace) -> Part:
    """disagreement, and bursts at other gates on counts."""
    alone = {
        name: [gate_copies.simulated(rule, trial, wanted.copies) for trial in gate_copies.TRIALS]
        for name, rule in gate_copies.RULES.items()
    }
    bursts = gate_copies.in_bursts(wanted.copies)
    speed = gate_copies.speed(wanted.copies)
    made = {
        "answers to copies": simulated_table(gate_copies.TRIALS, alone),
        "answers in bursts": simulated_table(gate_copies.BURSTS, bursts),
        "looks until a verdict": table(
            ["rule", *(trial.name for trial in gate_copies.POWER)],
            [[name, *cells] for name, cells in speed.items()],
        ),
    }
    told = list(zip(gate_copies.BURSTS, *list(bursts.values())[:2], strict=True))
    promised = [(trial, by_default) for trial, by_default, _ in told if trial.allowed_for]
    of_twenty = [(trial, known) for trial, _, known in told if trial.burst == 20]
    return made, [
        *wrong_verdicts("disagreement", gate_copies.TRIALS, alone),
        *_wrong("disagreement in bursts", promised),
        *_wrong("disagreement with designEffect: 20", of_twenty),
    ]


def of_late_labels(wanted: argparse.Namespace) -> Part:
    """Accuracy by labels that come late, twice, and are corrected."""
    trials = gate_late_labels.TRIALS
    names, rules = list(gate_late_labels.RULES), list(gate_late_labels.RULES.values())
    of_trials = [gate_late_labels.simulated(rules, trial, wanted.copies) for trial in trials]
    found = {name: [of[place] for of in of_trials] for place, name in enumerate(names)}
    kept = [pair for pair in zip(trials, next(iter(found.values())), strict=True) if pair[0].kept]
    made = {"labels that come late": simulated_table(trials, found)}
    return made, list(_wrong("accuracy by late labels", kept))


def of_means(wanted: argparse.Namespace) -> Part:
    """Means of one's own, alone and beside stable."""
    alone, beside = (
        {
            name: [gate_means.simulated(rule, trial, wanted.means) for trial in trials]
            for name, rule in rules.items()
        }
        for rules, trials in (
            (gate_means.RULES_ALONE, gate_means.ALONE),
            (gate_means.RULES_BESIDE, gate_means.BESIDE),
        )
    )
    plot_means(MEANS, wanted.means // 10)
    made = {
        "a mean": simulated_table(gate_means.ALONE, alone),
        "a mean beside stable": simulated_table(gate_means.BESIDE, beside),
    }
    return made, [
        *wrong_verdicts("a mean with min", gate_means.ALONE, alone),
        *wrong_verdicts("a mean with maxDrop", gate_means.BESIDE, beside),
    ]


PARTS: Mapping[str, Callable[[argparse.Namespace], Part]] = {
    "accuracy": of_accuracy,
    "shifts": of_shifts,
    "copies": of_copies,
    "labels": of_late_labels,
    "means": of_means,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-gates", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to make; else all"
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=1000,
        help="simulated trials for each rule against stable (the rest of accuracy is exact)",
    )
    for part, told in (
        ("shifts", "answers beside stable's"),
        ("copies", "copies, on answers in bursts, and on late labels"),
        ("means", "means of values"),
    ):
        parser.add_argument(
            f"--{part}",
            type=int,
            default=10_000,
            help=f"simulated trials for each rule on {told}",
        )
    wanted = parser.parse_args()
    console = Console()
    found = list[Figure]()
    for name in wanted.only:
        with console.status(name):
            made, figures = PARTS[name](wanted)
        found += figures
        # Read late: each takes a while, and somebody may have written to it meanwhile.
        text = DOCUMENT.read_text()
        for place, part in made.items():
            text = placed(text, place, part)
            console.print(f"\n{place}\n{part}", markup=False, soft_wrap=True)
        DOCUMENT.write_text(text)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps([f.to_json() for f in found], indent=2) + "\n")
    for one in found:
        console.print(f"{one.value:>7g} {one.unit:<6} (at most {one.goal})  {one.metric}")
    console.print(f"Written: {DOCUMENT}, {PLOT}, {MEANS}, {TARGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
