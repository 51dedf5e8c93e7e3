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

from rollout_cli.app import app

NO_FILES, FILES = ":4", ":0"
TAKE_FILES = frozenset({"lint", "simulate"})


def main() -> None:
    """Print what may follow the words given."""
    words = sys.argv[1:] or [""]
    print("\n".join([*candidates(words), FILES if words[0] in TAKE_FILES else NO_FILES]))


def candidates(words: list[str]) -> list[str]:
    """What may stand for the last of `words`, by the completion that typer makes for bash."""
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
