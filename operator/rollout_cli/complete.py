"""Shell completion: `kubectl_complete-modelrollout`, which kubectl asks when it completes `kubectl
modelrollout …`.

kubectl wants one candidate a line, and last a line with a directive of cobra's; 4 is "no file
names". Source: kubectl's documentation of plugins; github.com/spf13/cobra, ShellCompDirective.
"""

import contextlib
import io
import os
import shlex
import sys
from itertools import pairwise

NO_FILES, FILES = ":4", ":0"
TAKE_FILES = frozenset({"lint", "simulate"})


def main() -> None:
    """Print what may follow the words given."""
    words = sys.argv[1:] or [""]
    print("\n".join([*candidates(words), FILES if words[0] in TAKE_FILES else NO_FILES]))


def candidates(words: list[str]) -> list[str]:
    """What may stand for the last of `words`, by the completion that typer makes for bash."""
    from rollout_cli.app import app  # noqa: PLC0415 - beside the function it serves

    program = "kubectl-modelrollout"
    asked = {
        "COMP_WORDS": shlex.join([program, *words]),
        "COMP_CWORD": str(len(words)),
        "_KUBECTL_MODELROLLOUT_COMPLETE": "complete_bash",
    }
    os.environ.update(asked)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        app([], prog_name=program, complete_var="_KUBECTL_MODELROLLOUT_COMPLETE")
    return said.getvalue().split()


def rollout_names() -> list[str]:
    """Names of the rollouts in the namespace that the words typed so far ask about."""
    from rollout_cli.cluster.kube_client import Access  # noqa: PLC0415
    from rollout_cli.cluster.rollout import read_all  # noqa: PLC0415
    from rollout_cli.exit_codes import Failure  # noqa: PLC0415

    typed = shlex.split(
        os.environ.get("COMP_WORDS", "") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    )

    def given(*flags: str) -> str | None:
        after = [value for flag, value in pairwise(typed) if flag in flags]
        return (
            after[-1]
            if after
            else next(
                (w.split("=", 1)[1] for w in typed if w.startswith(tuple(f"{f}=" for f in flags))),
                None,
            )
        )

    try:
        access = Access.connect(
            given("--kubeconfig"), given("--context"), given("-n", "--namespace")
        )
        return [one.name for one in read_all(access, everywhere=False)]
    except Failure:
        return []
