"""`python -m scripts.demo`: exit code 0 where everything it claims was seen, 1 with sentences where
not.
"""

import argparse
import os
import sys

from scripts.demo.models import TrainingFailed
from scripts.demo.narrate import Narrator
from scripts.demo.report import TARGET
from scripts.demo.rollout import NeverHappened
from scripts.demo.story import NAMESPACE, Place, tell_story
from scripts.kube import KubeError

DESCRIPTION = (
    "Train three models, promote the good one, roll back the bad one, under predict traffic."
)
EPILOGUE = """
Needs a cluster as `make cluster` brings it up, and KUBECONFIG, INGRESS_URL, PROMETHEUS_URL and
MLFLOW_TRACKING_URI in the environment. `make demo` sees to all of that. The rollout stays in its
namespace until the next demo.
"""


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.demo", description=DESCRIPTION, epilog=EPILOGUE
    )
    parser.add_argument(
        "--rate", type=float, default=40.0, help="predict requests a second, 1 to 200 (default: 40)"
    )
    options = parser.parse_args()
    if not 1 <= options.rate <= 200:
        parser.error(f"--rate {options.rate:g}: write a number from 1 to 200")
    names = ("INGRESS_URL", "PROMETHEUS_URL", "MLFLOW_TRACKING_URI")
    if missing := [n for n in ("KUBECONFIG", *names) if not os.environ.get(n)]:
        print(
            f"{', '.join(missing)} not set: run `make demo`, or `python3 -m scripts.cluster run --"
            " <command>`.",
            file=sys.stderr,
        )
        return 1
    ingress, prometheus, mlflow = (os.environ[n] for n in names)
    narrator = Narrator()
    try:
        report = tell_story(Place(ingress, prometheus, mlflow, options.rate), narrator)
    except (KubeError, TrainingFailed, NeverHappened) as failure:
        narrator.console.print(f"\nThe demo failed: {failure}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        narrator.console.print(
            f"\nInterrupted. The rollout is in namespace {NAMESPACE}; the next demo removes it."
        )
        return 130
    report.write()
    narrator.console.print()
    report.show(narrator.console)
    narrator.console.print(
        f"[dim]The same figures: {TARGET}. On a cluster that stays (`make cluster`): kubectl -n"
        f" {NAMESPACE} get mro[/]"
    )
    for sentence in (broken := report.broken()):
        narrator.console.print(f"✗ {sentence}", style="red", markup=False)
    if not broken:
        last = next(o for o in report.outcomes if o.expected == "RolledBack").model.version
        narrator.console.print(
            f"[green]✓[/] Promoted what is good, rolled back version {last}, and no request failed."
        )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
