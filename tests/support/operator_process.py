"""The operator as a real process."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from scripts.cluster.apiserver import free_port


def end(process: subprocess.Popen[bytes]) -> bool:
    """SIGTERM, and SIGKILL where that does not end it; says whether that was so."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


class OperatorProcess:
    """May be started, killed and started again; its log goes on in one file."""

    def __init__(
        self,
        kubeconfig: Path,
        prometheus: str,
        log: Path,
        registry: str | None = None,
        **environment: str,
    ) -> None:
        self.log = log
        self.python = sys.executable
        """The interpreter of the environment that it is installed in."""
        self.environment = {
            "KUBECONFIG": str(kubeconfig),
            "INFERENCE_IMAGE": "localhost/rollouts/inference:test",
            "PROMETHEUS_URL": prometheus,
            "MLFLOW_TRACKING_URI": prometheus if registry is None else registry,
            # No router lags here.
            "ROUTER_DRAIN_SECONDS": "1",
            **environment,
        }
        """What it gets beside this process's own environment and free ports."""
        self.process: subprocess.Popen[bytes] | None = None
        self.metrics_port = self.health_port = 0
        self.kills = 0

    def start(self) -> None:
        """Start it; an earlier one has ended."""
        self.metrics_port, self.health_port = free_port(), free_port()
        ports = {"METRICS_PORT": str(self.metrics_port), "HEALTH_PORT": str(self.health_port)}
        command = [self.python, "-m", "rollout_operator", "run"]
        environment = {**os.environ, **ports, **self.environment}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        assert self.alive, f"the operator has ended: {self.log.read_text()[-2000:]}"
        return self.process.pid

    def applied(self, resource: str) -> int:
        """How often it has applied an object of this kind, by its own metrics."""
        return sum(
            int(sample.value)
            for sample in self._samples("modelrollout_api_requests_total")
            if sample.labels["resource"] == resource and sample.labels["verb"].lower() == "patch"
        )

    def messages(self, outcome: str) -> int:
        """How many messages came to this, by its own metrics."""
        return sum(
            int(sample.value)
            for sample in self._samples("modelrollout_messages_total")
            if sample.labels["outcome"] == outcome
        )

    def rollouts(self) -> int:
        """How many ModelRollouts it has in its cache, by its own metrics; 0 where it does not
        answer yet.
        """
        try:
            return sum(int(sample.value) for sample in self._samples("modelrollout_rollouts"))
        except httpx.TransportError:
            return 0

    def _samples(self, name: str) -> list[Sample]:
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        families = text_string_to_metric_families(httpx.get(url, trust_env=False).text)
        return [sample for f in families for sample in f.samples if sample.name == name]

    def kill(self) -> None:
        """SIGKILL; returns when it has ended."""
        if self.process is not None and self.alive:
            self.process.kill()
            self.process.wait()
            self.kills += 1

    def pause(self) -> None:
        """SIGSTOP: it stands still, and does not know it."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not end it."""
        if self.process is not None:
            self.kills += end(self.process)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        # What it still asks for is answered meanwhile.
        await asyncio.to_thread(self.stop)
