"""The server's side of copying: which requests are copied, and what is counted of them.

A request pays for a copy with an entry in a short list. Every few milliseconds what is in the list
is handed, as one packet, to the process that sends copies (copier.py); what does not fit, or comes
while the pod is held back by its CPU limit, is dropped. No answer ever waits for any of it.
"""

import asyncio
import logging
import random
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import msgspec

from rollout_inference import cpu_limit
from rollout_inference.settings import Settings
from rollout_inference.shadow.messages import DROPPED, PACKET, Came, Copy, Target, received
from rollout_inference.shadow.orders import Order, address_of, copy_token
from rollout_inference.shadow.sample import Sample
from rollout_model.errors import Refused

log = logging.getLogger(__name__)

TICK = 0.01
"""Seconds between two packets."""
AT_ONCE = 16
"""Copies of one packet at most."""
WAITING = 64
"""Copies that wait for one."""
LARGEST = PACKET // 3
"""Bytes of a request and its answer together that are copied."""
LOOK = 1.0
"""Seconds between two looks at the CPU limit, and at the process."""
HELD_BACK = 0.1
"""Share of CPU periods held back from which on nothing is copied."""
SHOWN = 10.0
"""Seconds between two differences in the log."""
COLUMNS, NAMES = 200, PACKET // 3
"""Columns of a model of which anything is kept, from the first on, and bytes of their names."""
READS = frozenset({b"content-type", b"inference-header-content-length"})
"""Headers that say how a body is to be read."""


class Counts(Protocol):
    """Where it is counted what came of copies."""

    def shadows(self, candidate: str) -> None:
        """Copies to this candidate are counted from now on."""

    def shadowed(self, candidate: str, outcome: str, count: int) -> None:
        """So many copies had this outcome."""


class Copies:
    """What one server copies; nothing before it is told to."""

    def __init__(self, settings: Settings, metrics: Counts, chance: Any = random.random) -> None:
        self._settings, self._metrics, self._chance = settings, metrics, chance
        self.share = 0.0
        """Of requests, from 0 to 1; 0 while nothing is copied."""
        self._candidate, self._until = "", 0.0
        self._shown: tuple[str, ...] = ()
        self.sample = Sample("")
        """Of answers that differed, for the operator; kept until copying begins anew."""
        self._waiting: deque[Copy] = deque(maxlen=WAITING)
        self._pipe: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._logged = 0.0
        self._said = 0.0
        """When the newest order was said."""
        self._turn = asyncio.Lock()
        """Orders come on several connections, and each is followed wholly before the next."""
        self._limit: tuple[Path, ...] = cpu_limit.files(settings.cgroups)
        self._periods = cpu_limit.read(self._limit)
        self._held_back = False

    def note(self, path: str, headers: Any, body: bytes, answer: bytes, seconds: float) -> None:
        """A request was answered well. Called by threads and the event loop alike."""
        candidate = self._candidate
        if not candidate or self._chance() >= self.share:
            return
        if self._held_back or len(body) + len(answer) > LARGEST or len(self._waiting) >= WAITING:
            self._metrics.shadowed(candidate, DROPPED, 1)
            return
        kept = [(name, value) for name, value in headers if name in READS]
        self._waiting.append(Copy(path, kept, body, answer, seconds))

    async def told(self, order: Order, columns: Sequence[str] = ()) -> None:
        """Copy as the operator says, until it is said otherwise or the order is too old. Raises
        Refused where this server knows no candidate, or a newer order.

        columns: the model's, by whose names fields of requests are told of.
        """
        async with self._turn:
            await self._follow(order, columns)

    async def end(self) -> None:
        """Copy nothing any more."""
        async with self._turn:
            await self._end()

    async def _follow(self, order: Order, columns: Sequence[str]) -> None:
        if order.at < self._said:
            # It was on its way for long, or somebody has kept it.
            raise Refused("a newer order was heard already", 403)
        self._said = order.at
        if not order.percent:
            await self._end()
            return
        host, port = address_of(order.candidate, self._settings)
        if (self._candidate, self._shown) != (order.candidate, order.fields):
            # What was kept while more might be shown goes with it.
            await self._end()
            self._candidate, self._shown = order.candidate, order.fields
            self._metrics.shadows(order.candidate)
        self._until = time.monotonic() + order.seconds
        if self._task is None:
            token = copy_token(self._settings.feedback_key, order.candidate).decode()
            self.sample = Sample(order.candidate)
            target = Target(
                host,
                port,
                token,
                self._settings.shadow_tolerance,
                first_of(columns),
                list(order.fields),
            )
            self._task = asyncio.create_task(self._copy(target), name="copies")
        self.share = order.percent / 100

    async def _end(self) -> None:
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.wait([task])
            # One that had not begun has left nothing as it was.
            self._rest()

    async def _copy(self, target: Target) -> None:
        """Hand over what waits, until the order is too old."""
        try:
            await self._start(target)
            looked = time.monotonic()
            while (now := time.monotonic()) < self._until:
                await asyncio.sleep(TICK)
                self._hand_over()
                if now - looked >= LOOK:
                    looked = now
                    self._held_back = self._is_held_back()
                    if self._process is not None and self._process.poll() is not None:
                        log.error("copies ended with %s: begun anew", self._process.returncode)
                        self._stop()
                        await self._start(target)
            log.info("nothing is copied any more: the operator has not said so again")
        except OSError:
            log.exception("requests cannot be copied")
        finally:
            self._rest()

    def _rest(self) -> None:
        self._stop()
        self.share, self._task, self._candidate = 0.0, None, ""
        self._waiting.clear()

    async def _start(self, target: Target) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * PACKET)
            ours.setblocking(False)
            ours.send(msgspec.msgpack.encode(target))
            fd = str(theirs.fileno())
            command = [sys.executable, "-m", "rollout_inference.shadow.copier", fd]
            self._pipe = ours
            # To start a process takes milliseconds, and requests are waiting.
            starting = asyncio.create_task(
                asyncio.to_thread(
                    subprocess.Popen,
                    command,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            )
            try:
                self._process = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # It is started all the same, and its end of the socket has to last until then.
                self._process = await starting
                raise
        asyncio.get_running_loop().add_reader(ours.fileno(), self._heard)

    def _stop(self) -> None:
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            threading.Thread(target=self._process.wait, name="copies end", daemon=True).start()
        self._pipe, self._process = None, None

    def _hand_over(self) -> None:
        if not self._waiting or self._pipe is None:
            return
        packet, size = list[Copy](), 0
        while self._waiting and len(packet) < AT_ONCE:
            size += len(self._waiting[0].body) + len(self._waiting[0].answer)
            if packet and size > LARGEST:
                break
            packet.append(self._waiting.popleft())
        try:
            self._pipe.send(msgspec.msgpack.encode(packet))
        except OSError:
            # It has enough to do, or is gone.
            self._metrics.shadowed(self._candidate, DROPPED, len(packet))

    def _heard(self) -> None:
        if self._pipe is None:
            return
        said = received(self._pipe)
        if said is None:
            return
        if not said:
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            return
        came = msgspec.msgpack.decode(said, type=Came)
        for outcome, count in came.counts.items():
            self._metrics.shadowed(self._candidate, outcome, count)
        for one in came.differences:
            self.sample.add(one)
        if came.differences and time.monotonic() - self._logged >= SHOWN:
            self._logged = time.monotonic()
            one = came.differences[0]
            both = f"{one.stable} by stable, {one.candidate} by the candidate"
            what = {
                "candidate": self._candidate,
                "difference": both if one.stable else one.candidate,
            }
            log.info("a copy was answered otherwise", extra=what)

    def _is_held_back(self) -> bool:
        """Whether the CPU limit has held the pod back since the last look."""
        before, now = self._periods, cpu_limit.read(self._limit)
        self._periods = now
        if before is None or now is None:
            return False
        return now[1] - before[1] > HELD_BACK * max(1, now[0] - before[0])


def first_of(columns: Sequence[str]) -> list[str]:
    """As many of them as one packet has room for; without a gap, for rows come without names."""
    sizes = accumulate(len(name.encode()) for name in columns[:COLUMNS])
    return list(columns[: sum(size <= NAMES for size in sizes)])
