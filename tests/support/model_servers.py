"""Model servers as real processes, as pods run them, and servers that do what none should."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from rollout_operator.domain import shadow
from rollout_operator.domain.shadow import Shadow
from rollout_trainer.data import Split, load
from rollout_trainer.package import write_package
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit
from scripts.cluster.apiserver import free_port
from tests.support.charts import ROOT

KEY = "of a test"
"""By which prediction ids, orders to copy, and copies are signed."""


def flowers() -> Split:
    """Iris, as the trainer splits it."""
    return load(ROOT / "data" / "raw" / "iris.csv")


def write_model(folder: Path, *, blind: bool = False) -> Path:
    """A small forest on Iris; blind: one that takes each virginica for a versicolor."""
    split, recipe = flowers(), Recipe(parameters={"n_estimators": 5})
    model = fit(split, recipe)
    if blind:
        seen = split.train_labels.replace({"virginica": "versicolor"})
        model = fit(split, recipe).fit(split.train, seen)
    write_package(folder, model, split, {})
    return folder


@dataclass
class ModelServer:
    """One server."""

    process: subprocess.Popen[bytes]
    revision: str
    port: int
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def predict(self, rows: list[list[float]]) -> tuple[int, float]:
        """Status of one request, and the seconds that it took."""
        began = time.perf_counter()
        reply = self.pool.request(
            "POST", f"{self.url}/predict/", json={"instances": rows}, retries=False, timeout=30
        )
        return reply.status, time.perf_counter() - began

    def told(
        self, candidate: str, percent: int, key: str = KEY, fields: tuple[str, ...] = ()
    ) -> tuple[int, str]:
        """What it answers to the operator's order."""
        order = Shadow(self.revision, candidate, percent, fields)
        body, signature = shadow.message(order, datetime.now(UTC), key, ends=percent == 0)
        headers = {"Content-Type": "application/json", shadow.SIGNATURE: signature}
        reply = self.pool.request("POST", f"{self.url}{shadow.PATH}", body=body, headers=headers)
        return reply.status, reply.data.decode()

    def series(self, name: str, label: str = "") -> dict[str, float]:
        """The values of a series, by one of its labels."""
        text = self.pool.request("GET", f"{self.url}/metrics/").data.decode()
        return {
            sample.labels.get(label, ""): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    def ready(self) -> bool:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self.pool.request("GET", f"{self.url}/health/", retries=False).status == 200
        return False


@contextmanager
def model_server(
    folder: Path, revision: str, scratch: Path, port: int = 0, **environment: str
) -> Iterator[ModelServer]:
    """A server of this model, once it is ready."""
    port = port or free_port()
    env = {
        **os.environ,
        "MODEL_PATH": str(folder),
        "MODEL_REVISION": revision,
        "FEEDBACK_KEY": KEY,
        "PORT": str(port),
        "TERMINATION_LOG": str(scratch / f"{revision}.txt"),
        **environment,
    }
    with (scratch / f"{revision}.log").open("ab") as log:
        command = [sys.executable, "-m", "rollout_inference"]
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    made = ModelServer(process, revision, port)
    try:
        for _ in range(600):
            if made.ready():
                break
            assert process.poll() is None, (scratch / f"{revision}.log").read_text()
            time.sleep(0.1)
        else:
            raise AssertionError(f"the server on port {port} does not become ready")
        yield made
    finally:
        process.kill()
        process.wait()


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What is no HTTP at all."""
    await reader.read(65536)
    writer.write(b"\x16\x03\x01" + os.urandom(500))


def answers(body: bytes, status: str = "200 OK", seconds: float = 0.0) -> Behaviour:
    """Always the same, after a while."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        await asyncio.sleep(seconds)
        writer.write(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n" % (status.encode(), len(body)))
        writer.write(body)

    return answer


async def never_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes for as long as anybody reads them."""
    await reader.read(65536)
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte of a header now and then."""
    await reader.read(65536)
    writer.write(b"HTTP/1.1 200 OK\r\nx-more: ")
    while not writer.is_closing():
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.2)


@contextmanager
def candidate(behaviour: Behaviour) -> Iterator[int]:
    """A server that behaves so to each connection; its port."""
    port, started = free_port(), threading.Event()
    loop = asyncio.new_event_loop()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await behaviour(reader, writer)
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(on_connection, "127.0.0.1", port)
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()
        for one in asyncio.all_tasks() - {asyncio.current_task()}:
            one.cancel()
        await asyncio.sleep(0)

    task = loop.create_task(serve())
    thread = threading.Thread(target=loop.run_until_complete, args=[task], daemon=True)
    thread.start()
    assert started.wait(10)
    yield port
    loop.call_soon_threadsafe(task.cancel)
    thread.join(10)
