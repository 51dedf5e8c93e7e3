"""The operator as a process, and what /proc and its own metrics say of it."""

import asyncio
import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from scripts.cluster.apiserver import free_port

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


@dataclass
class Operator:
    """One operator process for all namespaces; its log goes to `log`."""

    kubeconfig: Path
    url: str
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    metrics_port: int = 0
    health_port: int = 0
    started: float = 0.0

    @property
    def settings(self) -> dict[str, str]:
        """Its environment, but for ports."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "INFERENCE_IMAGE": "localhost/rollouts/inference:bench",
            "PROMETHEUS_URL": self.url,
            "MLFLOW_TRACKING_URI": self.url,
            # No router lags here.
            "ROUTER_DRAIN_SECONDS": "1",
            **self.environment,
        }

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        assert self.process.returncode is None, (
            f"the operator has ended: {self.log.read_text()[-2000:]}"
        )
        return self.process.pid

    async def __aenter__(self) -> "Operator":
        self.metrics_port, self.health_port = free_port(), free_port()
        ports = {"METRICS_PORT": str(self.metrics_port), "HEALTH_PORT": str(self.health_port)}
        self.started = time.time()
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "rollout_operator",
                "run",
                env={**os.environ, **self.settings, **ports},
                stdout=output,
                stderr=output,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()

    async def metric(self, name: str) -> float:
        """The sum over all series of one of its metrics; 0 where it does not answer yet."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.metrics_port}/metrics") as reply,
            ):
                text = await reply.text()
        except OSError:
            return 0.0
        return sum(
            float(v)
            for v in re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+-]+)$", text, re.MULTILINE)
        )
