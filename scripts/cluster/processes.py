"""Processes that outlive this command: tracked by pid and start time, ended by pid."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.cluster.paths import LOGS, STATE

PIDS = STATE / "pids"
PATIENCE = 20.0


def start_time(pid: int) -> str | None:
    """When the kernel started this pid, in clock ticks since boot; None where there is no such
    process, or only its corpse.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def start(name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
    """Start a process in a session of its own, with its output in the log folder; one that runs
    already is left alone.
    """
    if alive(name):
        return
    LOGS.mkdir(parents=True, exist_ok=True)
    PIDS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
    (PIDS / name).write_text(f"{process.pid} {start_time(process.pid)}")


def alive(name: str) -> bool:
    """Whether the process that was started under this name still runs; a pid that was given to
    another does not count.
    """
    return _pid(name) is not None


def names() -> list[str]:
    """Every name under which something was started."""
    return sorted(f.name for f in PIDS.iterdir()) if PIDS.exists() else []


def stop(name: str) -> None:
    """TERM, wait, KILL; then forget the name."""
    if (pid := _pid(name)) is not None:
        end_pid(pid)
    (PIDS / name).unlink(missing_ok=True)


def end_pid(pid: int) -> None:
    """End one process: TERM, 20 s of patience, KILL."""
    begun = start_time(pid)
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, PATIENCE)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        end = time.monotonic() + patience
        while time.monotonic() < end:
            _reap(pid)
            if begun is None or start_time(pid) != begun:
                return
            time.sleep(0.05)


def _pid(name: str) -> int | None:
    try:
        pid, begun = (PIDS / name).read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if start_time(int(pid)) == begun else None


def _reap(pid: int) -> None:
    """Collect a child of this very command; nobody else's."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
