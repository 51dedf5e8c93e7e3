"""What /proc and its own metrics say of an operator process."""

import os
import re
from pathlib import Path

import aiohttp

from tests.support.operator_process import OperatorProcess

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024.0


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int, what: str = "VmHWM") -> float:
    """Memory of a process in MiB: VmHWM is the peak of its resident set, VmRSS the resident set
    now.
    """
    found = re.search(
        rf"^{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
    )
    return int(found[1]) / MIB if found else 0.0


def descriptors(pid: int) -> int:
    """Open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - its entries come and go


async def metric(operator: OperatorProcess, name: str) -> float:
    """The sum over all series of one of the operator's metrics; 0 where it does not answer yet."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{operator.metrics_port}/metrics") as reply,
        ):
            text = await reply.text()
    except OSError:
        return 0.0
    return sum(
        float(v) for v in re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+-]+)$", text, re.MULTILINE)
    )
