"""Pictures of build/operator.json for docs/contributing/benchmarks/operator.md.

They show cost and time against the number of rollouts.

They stand in docs/guides/many-rollouts.md.
`python -m tests.bench.operator.plots`
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

SOURCE, TARGET = Path("build/operator.json"), Path("docs/pictures")
CHARTS = {
    "scaling-cost.svg": (
        ("operator CPU per rollout", "ms", ["operator CPU per rollout"]),
        ("API requests per promotion", "", ["API requests per promotion"]),
        ("peak memory of the operator", "MiB", ["peak memory of the operator"]),
    ),
    "scaling-time.svg": (
        (
            "lag from metric to weight",
            "s",
            ["lag from metric to weight, p50", "lag from metric to weight, p99"],
        ),
        ("time to all terminal by theory", "", ["time to all terminal by theory"]),
        ("queries per metric and tick", "", ["Prometheus queries per metric and tick"]),
    ),
}
WIDTH, HEIGHT, MARGIN = 300, 210, 46
COLOURS = ("#1f5fa8", "#c2571a", "#3b7d3b")


def curves(source: Path) -> dict[str, list[tuple[int, float]]]:
    """Each metric that was measured for several numbers of rollouts."""
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for one in json.loads(source.read_text()):
        if match := re.fullmatch(r"N=(\d+): (.+)", one["metric"]):
            found[match[2]].append((int(match[1]), one["value"]))
    return {name: sorted(points) for name, points in found.items()}


def round_step(least: float) -> float:
    """The smallest distance of grid lines of at least this that reads well: 1, 2, 2.5, 3, 4, 5 or 8
    times a power of ten.
    """
    power = 10 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next((power * n for n in (1, 2, 2.5, 3, 4, 5, 8) if power * n >= least), 10 * power)


def chart(
    title: str, unit: str, names: list[str], known: dict[str, list[tuple[int, float]]], left: int
) -> str:
    """One set of axes, from 0, numbers of rollouts evenly apart."""
    numbers = sorted({n for name in names for n, _ in known.get(name, [])})
    top = 4 * round_step(
        1.05 * max((v for name in names for _, v in known.get(name, [])), default=1.0) / 4
    )
    wide, high = WIDTH - MARGIN - 16, HEIGHT - 78

    def place(number: int, value: float) -> tuple[float, float]:
        across = numbers.index(number) / max(1, len(numbers) - 1)
        return MARGIN + 10 + across * (wide - 20), 34 + high * (1 - value / top)

    parts = [
        f'<g transform="translate({left},0)">',
        f'<text x="{MARGIN}" y="20" class="t">{title}{f", {unit}" if unit else ""}</text>',
    ]
    for step in range(5):
        value = top * step / 4
        _, y = place(numbers[0], value)
        parts.append(
            f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{MARGIN + wide}" y2="{y:.1f}" class="g"/>'
        )
        parts.append(
            f'<text x="{MARGIN - 5}" y="{y + 4:.1f}" class="a" text-anchor="end">{value:.3g}</text>'
        )
    for number in numbers:
        x, _ = place(number, 0)
        parts.append(
            f'<text x="{x:.1f}" y="{34 + high + 16}" class="a" text-anchor="middle">{number}</text>'
        )
    parts.append(
        f'<text x="{MARGIN + wide / 2}" y="{34 + high + 33}" class="a"'
        ' text-anchor="middle">rollouts</text>'
    )
    for colour, name in zip(COLOURS, names, strict=False):
        points = [place(n, v) for n, v in known.get(name, [])]
        parts.append(
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none"'
            f' stroke="{colour}" stroke-width="2"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        if len(names) > 1 and points:
            x, y = points[-1]
            parts.append(
                f'<text x="{x:.1f}" y="{y - 8:.1f}" class="a" fill="{colour}"'
                f' text-anchor="end">{name.rsplit(", ", 1)[-1]}</text>'
            )
    return "".join(parts) + "</g>"


STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:#222}"
    ".t{font-size:13px;font-weight:bold}.a{font-size:11px}.g{stroke:#ddd}"
)


def draw(source: Path, pictures: Mapping[str, Sequence[tuple[str, str, list[str]]]]) -> None:
    """Write each picture: its charts, side by side, of what `source` has."""
    known = curves(source)
    for file, charts in pictures.items():
        inner = "".join(chart(*one, known, n * WIDTH) for n, one in enumerate(charts))
        size = f'width="{WIDTH * len(charts)}" height="{HEIGHT}"'
        (TARGET / file).write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style><rect {size}'
            f' fill="#fff"/>{inner}</svg>\n'
        )
        print(TARGET / file)


def main() -> None:
    draw(SOURCE, CHARTS)


if __name__ == "__main__":
    main()
