"""Load by wrk, and what a server's processes cost."""

import json
import os
import re
import socket
import statistics
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PATIENCE = 600.0
"""Seconds that a server may take to become ready."""
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw. rate: answers a second; p50, p99: seconds; failed: answers that were no 2xx,
    and broken connections.
    """

    rate: float
    p50: float
    p99: float
    requests: int
    failed: int


def read(said: str) -> Load:
    """wrk's report; raises ValueError where it is none."""

    def number(pattern: str) -> float:
        found = re.search(pattern, said)
        if found is None:
            raise ValueError(f"wrk did not say {pattern}: {said}")
        return float(found[1]) * (UNITS[found[2]] if found.re.groups > 1 else 1)

    failed = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", said))
    failed += sum(
        int(n)
        for line in re.findall(r"Socket errors: (.*)", said)
        for n in re.findall(r"(?:connect|read|write) (\d+)", line)
    )
    p50, p99 = number(r"50%\s+([\d.]+)(us|ms|s|m)\b"), number(r"99%\s+([\d.]+)(us|ms|s|m)\b")
    return Load(
        number(r"Requests/sec:\s+([\d.]+)"), p50, p99, int(number(r"(\d+) requests in")), failed
    )


def wrk(url: str, body: object | None, seconds: float, connections: int, scratch: Path) -> Load:
    """Load for some seconds: GET, or POST of `body` as JSON."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "20s", "--latency"]
    if body is not None:
        script = scratch / "post.lua"
        script.write_text(
            f'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\nwrk.body=[==[{json.dumps(body)}]==]\n'
        )
        command += ["-s", str(script)]
    done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
    return read(done.stdout)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Server:
    """A server's processes, from entering to leaving the context. seconds: from its start until
    `ready` was 200; log: what it printed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        port: int,
        ready: str,
        env: dict[str, str],
        log: Path,
    ) -> None:
        self.name, self.url, self._ready = name, f"http://127.0.0.1:{port}", ready
        self._command, self._env, self._log = [str(word) for word in command], env, log
        self.seconds = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        begun = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while True:
            try:
                if httpx.get(self.url + self._ready, timeout=5, trust_env=False).status_code == 200:
                    self.seconds = time.monotonic() - begun
                    return self
            except httpx.HTTPError:
                pass
            if self._process.poll() is not None or time.monotonic() - begun > PATIENCE:
                self.__exit__()
                raise RuntimeError(
                    f"{self.name} did not become ready:"
                    f" {self._log.read_text(errors='replace')[-2000:]}"
                )
            time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        """Ask the processes to end, each by its id; those that do not are killed."""
        if self._process is None:
            return
        tree = self.tree()
        self._process.terminate()
        try:
            self._process.wait(25)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in tree[1:]:
            try:
                if os.getpgid(pid) == self._process.pid:
                    os.kill(pid, 9)
            except ProcessLookupError:
                pass

    def tree(self) -> list[int]:
        """Its process and all below it."""
        assert self._process is not None
        found = [self._process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
        return found

    def memory(self) -> float:
        """MiB that its processes hold: proportional set size, which counts shared pages once
        (proc(5), smaps_rollup).
        """
        total = 0
        for pid in self.tree():
            said = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(
                next(line for line in said.splitlines() if line.startswith("Pss:")).split()[1]
            )
        return total / 1024

    def cpu(self) -> float:
        """CPU seconds of its processes so far."""
        ticks = 0
        for pid in self.tree():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def ratio(ours: Iterable[float], theirs: Iterable[float]) -> float:
    """The median over rounds of ours by theirs: what both were measured beside counts, not the
    machine's mood.
    """
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def answer(url: str, body: Any) -> Any:
    """The JSON of one answer; raises where it is no 2xx."""
    reply = httpx.post(url, json=body, timeout=60, trust_env=False)
    reply.raise_for_status()
    return reply.json()
