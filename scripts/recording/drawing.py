"""Frames as one SVG that plays by itself, again and again: CSS only, no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from scripts.recording.screens import Frame, Line

WIDE, HIGH, SIZE = 8.4, 19, 14
"""Pixels of a column, a row, and the letters."""
EDGE, BAR = 18, 38
"""Pixels around the text, and of the bar above it."""
LONGEST = 2.5
"""Seconds that one frame is shown at most, the last one apart."""
REST = 4.0
"""Seconds that the last frame is shown."""
COLOURS = {
    "default": "#d7dde6",
    "black": "#8b95a5",
    "brightblack": "#8b95a5",
    "red": "#ff7b72",
    "green": "#56d364",
    "brown": "#e3b341",
    "blue": "#79b8ff",
    "magenta": "#d2a8ff",
    "cyan": "#56d4dd",
    "white": "#ffffff",
}
"""On #0d1117 each has a contrast of at least 4.5 to 1."""
CLASSES = {colour: f"c{number}" for number, colour in enumerate(COLOURS)}


@dataclass(frozen=True, slots=True)
class Caption:
    """The words around the screen."""

    title: str
    """For readers that do not see."""
    description: str
    """The same at length."""
    bar: str
    """One line above the screen."""


def times(shown: Sequence[Frame], speed: float) -> list[tuple[float, float]]:
    """When each frame is shown, as seconds of the picture: `speed` times as fast as it was."""
    spans, at = [], 0.0
    for number, frame in enumerate(shown):
        last = number == len(shown) - 1
        lasts = REST if last else min(LONGEST, (shown[number + 1].at - frame.at) / speed)
        spans.append((at, at + lasts))
        at += lasts
    return spans


def svg(shown: Sequence[Frame], columns: int, caption: Caption, speed: float, still: int) -> str:
    """The picture; frame `still` is what those see who asked their system for less motion."""
    spans = times(shown, speed)
    whole = spans[-1][1]
    rows = max(number for f in shown for number, line in enumerate(f.lines, 1) if line)
    width, height = round(2 * EDGE + columns * WIDE), 2 * EDGE + BAR + rows * HIGH
    lines = {
        line: f"l{number}"
        for number, line in enumerate(dict.fromkeys(li for f in shown for li in f.lines if li))
    }
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title'
                ' description">'
            ),
            "<!-- made by `make recording` from a real run; do not edit -->",
            f'<title id="title">{escape(caption.title)}</title>',
            f'<desc id="description">{escape(caption.description)}</desc>',
            f"<style>{_style(spans, whole, still)}</style>",
            (
                f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="9"'
                ' fill="#0d1117" stroke="#5b6472"/>'
            ),
            *(
                f'<circle cx="{EDGE + 4 + 18 * n}" cy="22" r="5.5" fill="{c}"/>'
                for n, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))
            ),
            (
                f'<text class="bar" x="{width / 2:g}" y="27"'
                f' text-anchor="middle">{escape(caption.bar)}</text>'
            ),
            "<defs>",
            *(_defined(line, name) for line, name in lines.items()),
            "</defs>",
            f'<g transform="translate({EDGE} {EDGE + BAR})">',
            *(_frame(f, number, lines) for number, f in enumerate(shown)),
            "</g>",
            "</svg>\n",
        ]
    )


def _style(spans: Sequence[tuple[float, float]], whole: float, still: int) -> str:
    rules = [
        (
            f"text{{font:{SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans"
            " Mono',monospace;white-space:pre}"
        ),
        ".b{font-weight:bold}.bar{fill:#8b95a5;font-size:13px}",
        *(f".{CLASSES[colour]}{{fill:{value}}}" for colour, value in COLOURS.items()),
        f".f{{visibility:hidden}}#f{still}{{visibility:visible}}",
        "@media not (prefers-reduced-motion:reduce){",
        f".f{{animation:{whole:.2f}s step-end infinite}}",
    ]
    for number, (begins, ends) in enumerate(spans):
        share = [f"{100 * at / whole:.3f}%" for at in (begins, ends)]
        first = "" if number == 0 else "0%{visibility:hidden}"
        after = "" if number == len(spans) - 1 else f"{share[1]}{{visibility:hidden}}"
        start = "0%" if number == 0 else share[0]
        frames = f"{first}{start}{{visibility:visible}}{after}"
        rules.append(f"#f{number}{{animation-name:k{number}}}@keyframes k{number}{{{frames}}}")
    return "\n".join([*rules, "}"])


def _defined(line: Line, name: str) -> str:
    runs = []
    for run in line:
        kind = f"{CLASSES.get(run.colour, 'c0')}{' b' if run.bold else ''}"
        # The length is said, so that columns stand below one another in whatever font there is.
        place = f'x="{run.column * WIDE:.1f}" textLength="{len(run.text) * WIDE:.1f}"'
        runs.append(f'<tspan class="{kind}" {place}>{escape(run.text)}</tspan>')
    return f'<text id="{name}" xml:space="preserve">{"".join(runs)}</text>'


def _frame(frame: Frame, number: int, lines: dict[Line, str]) -> str:
    used = [
        f'<use href="#{lines[line]}" y="{row * HIGH + SIZE}"/>'
        for row, line in enumerate(frame.lines)
        if line
    ]
    return f'<g class="f" id="f{number}">{"".join(used)}</g>'
