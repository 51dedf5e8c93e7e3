"""Real servers that hold series: Prometheus, and what companies run in its place."""

import contextlib
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import urllib3
import yaml

from scripts.cluster import gobuild
from scripts.cluster.apiserver import free_port
from tests.support.charts import tool

Options = Mapping[str, str | Path]
"""Flags without their dashes."""


@contextlib.contextmanager
def running(
    program: Path, words: Sequence[str | Path], ready: str, log: Path, pool: urllib3.PoolManager
) -> Iterator[None]:
    """A server, from the moment on that `ready` (a URL) answers 200; raises AssertionError with
    the end of its log where it does not within a minute.
    """
    with (
        log.open("w") as output,
        subprocess.Popen([program, *words], stdout=output, stderr=output) as process,
    ):
        try:
            _wait(ready, log, pool, process)
            yield
        finally:
            process.terminate()


def _wait(url: str, log: Path, pool: urllib3.PoolManager, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            if pool.request("GET", url, retries=False, timeout=5).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])


@contextlib.contextmanager
def prometheus(
    home: Path,
    config: Mapping[str, object],
    more: Options | None = None,
    url: str = "http://{}",
    pool: urllib3.PoolManager | None = None,
) -> Iterator[str]:
    """A Prometheus; yields its URL.

    more: flags beside its folder and address. url: with `{}` where its address belongs; pool: whom
    it lets ask whether it is ready.
    """
    (home / "prometheus.yml").write_text(yaml.safe_dump(dict(config)))
    address = f"127.0.0.1:{free_port()}"
    options: dict[str, str | Path] = {
        "config.file": home / "prometheus.yml",
        "storage.tsdb.path": home / "data",
        "storage.tsdb.retention.time": "100y",
        "web.listen-address": address,
        **(more or {}),
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    base = url.format(address)
    with running(
        tool("prometheus"), words, f"{base}/-/ready", home / "log", pool or urllib3.PoolManager()
    ):
        yield base


def remember(home: Path, openmetrics: Iterable[str]) -> None:
    """Put a past into the folder of a Prometheus that does not run yet."""
    text = home / "samples.txt"
    text.write_text("\n".join(openmetrics) + "\n")
    command: list[str | Path] = [
        tool("promtool"),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        text,
        home / "data",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def victoria_metrics(
    home: Path,
    more: Options | None = None,
    url: str = "http://{}",
    pool: urllib3.PoolManager | None = None,
) -> Iterator[str]:
    """A VictoriaMetrics of one node, as `prometheus` has it; it is built first where it is
    missing.
    """
    gobuild.build(gobuild.VICTORIA_METRICS)
    address = f"127.0.0.1:{free_port()}"
    options: dict[str, str | Path] = {
        "storageDataPath": home / "data",
        "retentionPeriod": "100y",
        "httpListenAddr": address,
        "memory.allowedBytes": "128MB",
        **(more or {}),
    }
    words = [f"-{name}={value}" for name, value in options.items()]
    base = url.format(address)
    with running(
        gobuild.program("victoria-metrics"),
        words,
        f"{base}/health",
        home / "log",
        pool or urllib3.PoolManager(),
    ):
        yield base


def imported(url: str, openmetrics: Iterable[str], pool: urllib3.PoolManager) -> None:
    """Tell a VictoriaMetrics a past; it is there for queries when this returns.

    It takes times in milliseconds, OpenMetrics has seconds.
    """
    lines = [line.rsplit(" ", 1) for line in openmetrics if not line.startswith("#")]
    body = "\n".join(f"{series} {round(float(at) * 1000)}" for series, at in lines)
    sent = pool.request("POST", f"{url}/api/v1/import/prometheus", body=body.encode())
    assert sent.status == 204, sent.data
    assert pool.request("GET", f"{url}/internal/force_flush").status == 200
