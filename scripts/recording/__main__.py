"""`python -m scripts.recording`: record a real run, and draw docs/pictures/recording.svg."""

import argparse
import os
import sys
from pathlib import Path

from scripts.demo.models import TrainingFailed
from scripts.demo.narrate import Narrator
from scripts.demo.rollout import NeverHappened
from scripts.demo.story import Place
from scripts.kube import KubeError
from scripts.recording.cast import Cast, NotRecorded
from scripts.recording.drawing import Caption, svg
from scripts.recording.screens import Frame, frames

CAST = Path("build/recording.cast")
PICTURE = Path("docs/pictures/recording.svg")
NAMES = ("INGRESS_URL", "PROMETHEUS_URL", "MLFLOW_TRACKING_URI")
RATE = 40.0
"""Predict requests a second."""
SPEED = 6.0
"""How many times as fast as it was."""


def picture(cast: Cast, speed: float = SPEED) -> str:
    """The SVG of a recording; raises NotRecorded where nothing is in it."""
    if not (shown := frames(cast)):
        raise NotRecorded("The recording is empty: the command wrote nothing.")
    caption = Caption(
        title=f"A terminal with {cast.command}",
        description=(
            "A better version of a model gets 10 %, then 50 % of the requests, passes its "
            "gates and is promoted; a worse one fails the accuracy gate at 10 % and is rolled back."
        ),
        bar=(
            f"$ {cast.command}   (a real run of {cast.events[-1][0]:.0f} s, {speed:g} times as"
            " fast)"
        ),
    )
    return svg(shown, cast.columns, caption, speed, _still(shown))


def _still(shown: list[Frame]) -> int:
    """The frame that tells most without motion: the last with a candidate at 50 %."""
    halves = [
        number
        for number, frame in enumerate(shown)
        if any("candidate 50 %" in run.text for line in frame.lines for run in line)
    ]
    return halves[-1] if halves else len(shown) - 1


def main() -> int:
    """Record and draw, or with --draw only draw what was recorded before."""
    parser = argparse.ArgumentParser(prog="python -m scripts.recording", description=__doc__)
    parser.add_argument("--draw", action="store_true", help=f"draw {CAST} again, without a run")
    options = parser.parse_args()
    try:
        if not options.draw:
            if missing := [n for n in ("KUBECONFIG", *NAMES) if not os.environ.get(n)]:
                raise NotRecorded(f"{', '.join(missing)} not set: run `make recording`.")
            # A pseudo-terminal is not to be had everywhere; drawing is.
            from scripts.recording.run import record  # noqa: PLC0415

            ingress, prometheus, mlflow = (os.environ[n] for n in NAMES)
            cast = record(Place(ingress, prometheus, mlflow, RATE), Narrator())
            CAST.parent.mkdir(exist_ok=True)
            CAST.write_text(cast.text())
        PICTURE.write_text(picture(Cast.of(CAST)))
    except (NotRecorded, KubeError, TrainingFailed, NeverHappened) as failure:
        print(f"Nothing was drawn: {failure}", file=sys.stderr)
        return 1
    print(f"wrote {PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
