"""Run a command to its end, or say clearly why it failed."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class CommandFailed(RuntimeError):
    """A command ended with another exit code than 0;
    the message holds the end of what it printed.
    """


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    log: Path | None = None,
) -> str:
    """Run `command` and return what it printed; `env` is added to ours; `log` keeps everything.
    Raises CommandFailed.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **env} if env else None,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout)
    if done.returncode:
        kept = f" (all of it: {log})" if log else ""
        raise CommandFailed(
            f"`{' '.join(words)[:300]}` ended with {done.returncode}{kept}:\n{done.stdout[-3000:]}"
        )
    return done.stdout
