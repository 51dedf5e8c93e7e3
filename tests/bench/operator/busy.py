"""Whether the operator lives on a machine that has no time for it: probed as kubelet would, while
every core is fought for.

`python -m tests.bench.operator.busy`: its own API server, the operator as a process, rollouts that
come to rest and start again, and processes that do nothing but compute. Ends with 1 where the
liveness probe of the chart would have ended the operator.
"""

import contextlib
import itertools
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from scripts.cluster.apiserver import apiserver
from tests.support.api_client import ApiClient
from tests.support.charts import OPERATOR, by_kind, pods
from tests.support.fake_kubelet import KubeletThread, Played
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

NAMESPACE = "busy"
AT_REST = frozenset({"Promoted", "RolledBack"})


def compute() -> None:
    """Keep a core busy until it is ended."""
    while True:
        sum(range(10_000))


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """So many processes that want a core each, at the priority of everybody else."""
    some = [
        multiprocessing.get_context("spawn").Process(target=compute, daemon=True)
        for _ in range(processes)
    ]
    for one in some:
        one.start()
    try:
        yield
    finally:
        for one in some:
            one.terminate()
        for one in some:
            one.join()


@dataclass
class Probe:
    """The startup probe and then the liveness probe, as kubelet does them; seconds."""

    url: str
    startup: dict[str, Any]
    liveness: dict[str, Any]
    started: float = 0.0
    asked: int = 0
    failed: int = 0
    ended: int = 0
    longest: float = 0.0

    @classmethod
    def of_chart(cls, port: int) -> "Probe":
        """As the chart has them."""
        (container,) = pods(by_kind(OPERATOR)["Deployment"])[0]["containers"]
        startup, liveness = container["startupProbe"], container["livenessProbe"]
        return cls(f"http://127.0.0.1:{port}{liveness['httpGet']['path']}", startup, liveness)

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        begun = time.monotonic()
        if not self._until(stop, self.startup, once=True):
            return
        self.started = time.monotonic() - begun
        click.echo(f"{time.strftime('%H:%M:%S')} started after {self.started:.0f} s")
        self._until(stop, self.liveness, once=False)

    def _until(self, stop: threading.Event, probe: dict[str, Any], *, once: bool) -> bool:
        """Ask in the probe's rhythm until told to stop or, where once is enough, until it succeeds;
        says whether it has.
        """
        in_a_row = 0
        while not stop.is_set():
            begun = time.monotonic()
            trouble = self._ask(probe.get("timeoutSeconds", 1))
            took = time.monotonic() - begun
            in_a_row = in_a_row + 1 if trouble else 0
            if once and not trouble:
                return True
            if not once:
                self.asked, self.failed, self.longest = (
                    self.asked + 1,
                    self.failed + bool(trouble),
                    max(self.longest, took),
                )
                if trouble:
                    click.echo(
                        f"{time.strftime('%H:%M:%S')} probe {self.asked}, {in_a_row} in a row:"
                        f" {trouble}"
                    )
            if in_a_row == probe.get("failureThreshold", 3):
                self.ended += 1
                click.echo(
                    f"{time.strftime('%H:%M:%S')} kubelet would have ended the operator now:"
                    f" {trouble}"
                )
            stop.wait(max(0.0, probe.get("periodSeconds", 10) - took))
        return False

    def _ask(self, timeout: float) -> str:
        """What was wrong, "" if nothing."""
        try:
            said = httpx.get(self.url, timeout=timeout, trust_env=False)
        except httpx.HTTPError as failure:
            return type(failure).__name__
        return "" if 200 <= said.status_code < 400 else f"HTTP {said.status_code} {said.text}"


class Turning(Played):
    """Gives each rollout the other version once it has rested for some time: seconds, longer for
    each than for the one before.
    """

    def __init__(self, rollouts: list[Rollout], first: float, last: float) -> None:
        super().__init__()
        self.rollouts = rollouts
        self.rests = [
            first + (last - first) * n / max(1, len(rollouts) - 1) for n in range(len(rollouts))
        ]
        self.versions = [itertools.cycle(("1", "2")) for _ in rollouts]
        self.since: dict[str, float] = {}
        self.begun = 0

    def turn(self) -> None:
        """Look at all of them, once a second."""
        time.sleep(1)
        found = self.rollouts[0].api.get(self.rollouts[0].path.rsplit("/", 1)[0])["items"]
        status = {one["metadata"]["name"]: one.get("status", {}) for one in found}
        for one, rest, versions in zip(self.rollouts, self.rests, self.versions, strict=True):
            if status.get(one.name, {}).get("phase") in AT_REST or one.name not in status:
                since = self.since.setdefault(
                    one.name, time.monotonic() if one.name in status else 0.0
                )
                if time.monotonic() - since >= rest:
                    del self.since[one.name]
                    self.begun += (
                        one.apply(f"models:/iris/{next(versions)}", deadline="10m").status_code
                        < 300
                    )
            else:
                self.since.pop(one.name, None)


@click.command()
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--processes", default=20, show_default=True, help="Processes that compute.")
@click.option("--rollouts", default=20, show_default=True)
def main(minutes: float, processes: int, rollouts: int) -> None:
    """Run, and tell what the probe came to."""
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as place, apiserver(Path(place) / "apiserver") as kubeconfig:
        api, world, log = (
            ApiClient(kubeconfig),
            ScriptedWorld(accuracy={"1": 0.91, "2": 0.95}),
            Path(place) / "operator.log",
        )
        api.install_crd()
        api.namespace(NAMESPACE)
        some = [Rollout(api, NAMESPACE, f"r{n:02}") for n in range(rollouts)]
        # Longer than a write that does not come back is waited for, for most of them.
        turning = Turning(some, 5, 200 if minutes >= 10 else 20)
        with (
            served(world) as url,
            OperatorProcess(api.kubeconfig, url, log, WATCH_NAMESPACES=NAMESPACE) as operator,
            KubeletThread(api, world, NAMESPACE),
            load(processes),
        ):
            probe, stop = Probe.of_chart(operator.health_port), threading.Event()
            asking = threading.Thread(target=probe.run, args=(stop,), daemon=True)
            asking.start()
            with turning:
                while time.monotonic() < end and (
                    operator.process is None or operator.process.poll() is None
                ):
                    time.sleep(min(30.0, max(0.1, end - time.monotonic())))
                    click.echo(
                        f"{time.strftime('%H:%M:%S')} load {os.getloadavg()[0]:.0f},"
                        f" {turning.begun} attempts, {probe.asked} probes"
                    )
            stop.set()
            asking.join()
            lives = operator.process is not None and operator.process.poll() is None
        said = [line for line in log.read_text().splitlines() if "/healthz says" in line]
    click.echo("\n".join(said))
    click.echo(
        f"{minutes:g} min, load {os.getloadavg()[1]:.0f} (5 min), {rollouts} rollouts,"
        f" {turning.begun} attempts begun"
    )
    click.echo(
        f"started after {probe.started:.0f} s; {probe.asked} probes, {probe.failed} failed, the"
        f" longest {probe.longest:.2f} s"
    )
    click.echo(f"ended by kubelet {probe.ended} times, alive at the end: {lives}")
    sys.exit(0 if lives and probe.asked and not probe.ended and turning.begun > rollouts else 1)


if __name__ == "__main__":
    main()
