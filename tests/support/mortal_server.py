"""A model server as a real process that may be killed, and whose clock may be ahead."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from rollout_operator.domain.observed import Series
from scripts.cluster.apiserver import free_port

PATIENCE = 180.0
"""Seconds that a start may take on a busy machine."""
_AHEAD = """
import os, runpy, sys, time
ahead, real = float(os.environ["CLOCK_AHEAD"]), time.time
time.time = lambda: real() + ahead
sys.argv = ["rollout_inference"]
runpy.run_module("rollout_inference", run_name="__main__", alter_sys=True)
"""


class MortalServer:
    """May be started, killed and started again, as a pod of another name."""

    def __init__(self, name: str, folder: Path, revision: str, log: Path, **env: str) -> None:
        """folder: the model's; env: more of its variables."""
        self.name, self.revision, self.log = name, revision, log
        self.starts, self.kills, self.port = 0, 0, 0
        self._env = {"MODEL_PATH": str(folder), "MODEL_REVISION": revision, **env}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pod(self) -> str:
        """Its name as a pod: each start has one of its own."""
        return f"{self.name}-{self.starts}"

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, ahead: float = 0.0, keeps_port: bool = False) -> None:
        """Start it, and wait until it is ready; ahead: seconds by which its clock is; keeps_port:
        at the address that it had, as behind a Service.
        """
        self.starts += 1
        if not keeps_port or not self.port:
            self.port = free_port()
        more = {"PORT": str(self.port), "CLOCK_AHEAD": str(ahead), "TERMINATION_LOG": os.devnull}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _AHEAD],
                env={**os.environ, **self._env, **more},
                stdout=output,
                stderr=output,
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self._process.poll() is None, self.log.read_text()[-2000:]
            try:
                if httpx.get(f"{self.url}/health/", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"{self.pod} is not ready: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL: nothing that it has in memory is written any more."""
        if self._process is not None:
            self.kills += self._process.poll() is None
            self._process.kill()
            self._process.wait()
            self._process = None

    def series(self) -> list[Series]:
        """What it tells Prometheus now, of all revisions, as the operator reads it; the revision
        stands in `job`.
        """
        text, at = httpx.get(f"{self.url}/metrics/", timeout=30).text, time.time()
        return [
            Series(
                one.name,
                self.pod,
                at,
                one.value,
                outcome=one.labels.get("outcome", ""),
                job=one.labels.get("revision", ""),
            )
            for family in text_string_to_metric_families(text)
            for one in family.samples
        ]
