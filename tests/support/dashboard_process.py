"""The dashboard as a real process, with nothing but the address of an API server."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import httpx

from scripts.cluster.apiserver import free_port
from tests.support.api_client import Address, wait_for
from tests.support.operator_process import end


class DashboardProcess:
    """May be stopped and started again, on the same port; its log goes on in one file."""

    def __init__(
        self, kubeconfig: Path, log: Path, api_server: str = "", **environment: str
    ) -> None:
        self.log, self.port = log, free_port()
        known = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "PYTHONPATH"}}
        self.environment = {
            **known,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "KUBERNETES_URL": api_server or Address.of(kubeconfig).server,
            "KUBERNETES_CA_FILE": str(kubeconfig.parent / "certs" / "apiserver.crt"),
            **environment,
        }
        """All that it gets: no kubeconfig, no token."""
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return self.environment.get("PUBLIC_URL") or f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        assert self.process.poll() is None, f"the dashboard has ended: {self.tail()}"
        return self.process.pid

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-4000:]

    def start(self) -> None:
        """Start it; returns when it answers."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rollout_dashboard"],
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        wait_for(self._answers, "the dashboard to answer")

    def _answers(self) -> bool:
        assert self.pid
        try:
            url = f"http://127.0.0.1:{self.port}/healthz"
            return httpx.get(url, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not end it."""
        if self.process is not None:
            end(self.process)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
