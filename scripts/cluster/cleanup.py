"""What a local cluster leaves when its processes end: containers, their shims, and cgroups."""

import contextlib
import os
import signal
from pathlib import Path

from scripts.cluster import processes
from scripts.cluster.paths import SOCKET
from scripts.cluster.shell import CommandFailed, run


def remove_pods() -> None:
    """End every container through containerd,
    so that it takes its mounts and network down itself.
    """
    if not SOCKET.exists() or not processes.alive("containerd"):
        return
    ctr = ["ctr", "-a", str(SOCKET), "-n", "k8s.io"]
    with contextlib.suppress(CommandFailed):
        for task in run([*ctr, "tasks", "list", "--quiet"]).split():
            with contextlib.suppress(CommandFailed):
                run([*ctr, "tasks", "delete", "--force", task])
        for container in run([*ctr, "containers", "list", "--quiet"]).split():
            with contextlib.suppress(CommandFailed):
                run([*ctr, "containers", "delete", container])
    for line in run(["ip", "netns", "list"]).splitlines():
        if line.startswith("cni-"):
            run(["ip", "netns", "delete", line.split()[0]])


def shims() -> list[int]:
    """Processes that containerd leaves to hold containers, by the address of our socket in their
    command line.
    """
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes().split(b"\0")
                if (
                    command
                    and command[0].endswith(b"containerd-shim-runc-v2")
                    and str(SOCKET).encode() in command
                ):
                    found.append(int(folder.name))
    return found


def end_shims() -> None:
    """End what a killed containerd left: each shim and the processes of its container."""
    for pid in shims():
        for child in _children(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        processes.end_pid(pid)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def remove_cgroups() -> None:
    """Remove the kubelet's cgroups, empty by now, deepest first."""
    for controller in Path("/sys/fs/cgroup").iterdir():
        for name in ("kubepods", "k8s.io"):
            top = controller / name
            if not top.is_dir():
                continue
            for folder in sorted(
                (d for d in top.rglob("*") if d.is_dir()), key=lambda d: len(d.parts), reverse=True
            ):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            with contextlib.suppress(OSError):
                top.rmdir()
