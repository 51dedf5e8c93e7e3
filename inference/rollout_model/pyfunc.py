"""Models that are code: each in a process of its own, with an interpreter of its own where one is
configured, and nothing of the server's environment. It is started again when it ends.
"""

import asyncio
import ctypes
import json
import logging
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rollout_model import pyfunc_worker
from rollout_model.batching import Batcher
from rollout_model.errors import LoadFailed, Refused
from rollout_model.outcome import PLAIN, Outcome, Question
from rollout_model.runtimes import Pending, WhileBusy
from rollout_model.signature import AnyRows, Signature
from rollout_model.table import WHOLE, Kind, Table

log = logging.getLogger(__name__)
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ", "TMPDIR", "HOME")
"""Variables of the server that the process has, too. There is no secret in them."""
GIVEN = {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
ANSWER_SECONDS = 60.0
"""After which a model that does not answer is ended."""
PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before it is started again, one after the other without a good answer in between."""
LARGEST = 256 * 1024 * 1024
"""Bytes of an answer."""
PR_SET_DUMPABLE = 4
ENDED = "the model's process {}, and is being started again: try again in some seconds"


class ModelFailed(Exception):
    """What the model raised for these rows, other than a ValueError, by which it refuses them."""


class Ended(Exception):
    """The process is gone; the message says how, to be put after "it"."""


class ModelProcess:
    """The process, and what is said to it. One question at a time."""

    def __init__(self, python: str, folder: Path) -> None:
        """python: the interpreter; folder: the model's, for as long as the process lives."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(
            [python, "-I", str(Path(pyfunc_worker.__file__)), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, **GIVEN},
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )
        self.close = weakref.finalize(self, _kill, self._process)

    def started(self, seconds: float) -> None:
        """Wait until the model is loaded; raises LoadFailed where it cannot be."""
        try:
            said = self._read(seconds)
        except Ended as failure:
            self.close()
            raise LoadFailed(f"The model cannot be loaded: its process {failure}.") from failure
        if why := said.get("failed"):
            self.close()
            raise LoadFailed(f"The model cannot be loaded: {why}")

    def ask(self, rows: list[list[Any]], params: Mapping[str, Any]) -> list[Any]:
        """One answer for each row; raises Ended, and for what the model raised ValueError or
        ModelFailed.
        """
        content = msgspec.json.encode({"rows": rows, "params": dict(params)})
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(pyfunc_worker.LENGTH.pack(len(content)) + content)
            stdin.flush()
        except OSError as failure:
            raise Ended(self._how()) from failure
        said = self._read(ANSWER_SECONDS)
        if why := said.get("failed"):
            raise (ValueError if said.get("refused") else ModelFailed)(why)
        answers: list[Any] = said["answers"]
        return answers

    def _read(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        (size,) = pyfunc_worker.LENGTH.unpack(self._bytes(pyfunc_worker.LENGTH.size, until))
        if size > LARGEST:
            raise Ended(f"gave an answer of more than {LARGEST} bytes")
        content = self._bytes(size, until)
        said: dict[str, Any]
        try:
            said = msgspec.json.decode(content)
        except msgspec.DecodeError:  # NaN and infinity are answers, too, and no JSON
            said = json.loads(content)
        return said

    def _bytes(self, size: int, until: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        found = bytearray()
        while len(found) < size:
            if not select.select([stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                raise Ended("did not answer in time")
            if not (more := os.read(stdout.fileno(), size - len(found))):
                raise Ended(self._how())
            found += more
        return bytes(found)

    def _how(self) -> str:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        if code < 0:
            return f"was ended by signal {-code}"
        return f"ended with exit code {code}"


class PyfuncRuntime:
    """Asks the process in batches: what comes while it answers is the next one."""

    name = "pyfunc"
    inline = False
    takes_params = True
    also: tuple[str, ...] = ()
    most = 4_096

    def __init__(self, python: str, folder: Path, signature: Signature, seconds: float) -> None:
        """Raises LoadFailed where the model cannot be loaded within so many seconds."""
        _close_memory()
        self._python, self._seconds, self._signature = python, seconds, signature
        self._folder = folder.resolve()
        if self._folder.is_relative_to(Path(tempfile.gettempdir()).resolve()):
            # What was fetched goes once it is read, and the process may be started again.
            self._folder = Path(tempfile.mkdtemp(prefix="served-"))
            shutil.copytree(folder, self._folder, dirs_exist_ok=True)
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._lock = threading.Lock()
        self._process: ModelProcess | None = self._start()
        self._failed, self._why = 0, ""
        self._batcher: Batcher[Pending] = Batcher(WhileBusy(self.run, self.most))

    async def predict(self, rows: AnyRows, question: Question = PLAIN) -> Outcome:
        """Wait for the batch that these rows are part of."""
        pending = Pending(rows, question, asyncio.get_running_loop().create_future())
        self._batcher.add(pending)
        return await pending.outcome

    def run(self, rows: AnyRows, question: Question = PLAIN) -> Outcome:
        """Ask in this thread; raises Refused (503) while there is no process."""
        with self._lock:
            if (process := self._process) is None:
                raise Refused(self._why, 503)
            try:
                answers = process.ask(listed(self._signature, rows), question.params)
            except Ended as failure:
                self._why = ENDED.format(failure)
                log.error("%s", self._why)
                self._process = None
                process.close()
                threading.Thread(target=self._again, daemon=True).start()
                raise Refused(self._why, 503) from failure
            self._failed = 0
        return Outcome(answers)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()

    def _start(self) -> ModelProcess:
        try:
            process = ModelProcess(self._python, self._folder)
        except OSError as failure:
            raise LoadFailed(
                f"MODEL_PYTHON={self._python} cannot be started: {failure.strerror}. Name the"
                " interpreter of an environment with the model's packages."
            ) from failure
        process.started(self._seconds)
        return process

    def _again(self) -> None:
        while self._process is None:
            time.sleep(PAUSES[min(self._failed, len(PAUSES) - 1)])
            self._failed += 1
            try:
                self._process = self._start()
            except LoadFailed as failure:
                log.error("the model's process cannot be started again: %s", failure)
        log.info("the model's process was started again")


def listed(signature: Signature, rows: AnyRows) -> list[list[Any]]:
    """Rows as JSON has them: null for a gap, and dates as text."""
    if isinstance(rows, Table):
        pairs = zip(rows.columns, rows.values, strict=True)
        return [list(row) for row in zip(*(_cells(c.kind, v) for c, v in pairs), strict=True)]
    if not signature.whole:
        plain: list[list[Any]] = rows.tolist()
        return plain
    columns = [rows[:, n] for n in range(rows.shape[1])]
    kinds = (Kind.LONG if n in signature.whole else Kind.DOUBLE for n in range(len(columns)))
    cells = (_cells(kind, values) for kind, values in zip(kinds, columns, strict=True))
    return [list(row) for row in zip(*cells, strict=True)]


def _cells(kind: Kind, values: Any) -> list[Any]:
    if kind is Kind.DATETIME:
        return [None if np.isnat(one) else str(one) for one in values]
    if kind in WHOLE:
        return [None if one != one else int(one) for one in values.tolist()]  # noqa: PLR0124 - NaN
    cells: list[Any] = values.tolist()
    return cells


def _close_memory() -> None:
    """Keep processes of the same user out of this one's memory and environment, where the secret
    is that prediction ids are signed with. Source: PR_SET_DUMPABLE in prctl(2), proc(5).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
