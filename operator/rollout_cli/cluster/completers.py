"""What completes the name of a rollout, from the cluster that the words typed so far mean."""

import os
import shlex
from itertools import pairwise

from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.rollouts import read_all
from rollout_cli.exit_codes import Failure


def rollout_names() -> list[str]:
    """Names of the rollouts in the namespace that the words typed so far ask about; none where the
    cluster does not answer.
    """
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

    named = Connection(given("--kubeconfig"), given("--context"), given("-n", "--namespace"))
    try:
        return [rollout.name for rollout in read_all(named.open(), everywhere=False)]
    except Failure:
        return []
