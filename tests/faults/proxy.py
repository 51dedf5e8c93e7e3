"""A proxy before a real API server that numbers writes and watch events of each namespace, and
spoils the ones it is told to.
"""

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.api_client import Address, trusting

NAMESPACE = re.compile(r"/namespaces/(?P<namespace>[^/]+)/(?P<rest>.+)")
HELD_BACK = 2.0
"""Seconds that a delayed event is late."""


class Fault(StrEnum):
    """What happens to one write, or to one event of a watch."""

    KILL_BEFORE = "killed before the write"
    KILL_DURING = "killed after the commit, before the reply"
    KILL_AFTER = "killed after the reply"
    CONFLICT = "HTTP 409"
    INVALID = "HTTP 422"
    BUSY = "HTTP 429"
    BROKEN = "HTTP 500"
    LOST = "committed without reply"
    HANG = "no reply at all"
    STALE = "killed after the reply, and the next process first reads what was before"
    STALE_ROLLOUT = "the same, with the ModelRollout alone being old"
    STALE_OBJECTS = "the same, with its objects alone being old"
    STOPPED = "stopped before the write, and gone on when another operator has done everything"
    DROP = "event dropped"
    DELAY = "event delayed"


KILLS = (Fault.KILL_BEFORE, Fault.KILL_DURING, Fault.KILL_AFTER)
STALE = (Fault.STALE, Fault.STALE_ROLLOUT, Fault.STALE_OBJECTS)
REFUSALS = {Fault.CONFLICT: 409, Fault.INVALID: 422, Fault.BUSY: 429, Fault.BROKEN: 500}
REASONS = {409: "Conflict", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError"}


@dataclass(frozen=True)
class Write:
    """One write of the operator."""

    namespace: str
    number: int
    """Its place among those to the namespace, from 1."""
    method: str
    path: str
    body: bytes
    status: int
    """0 where no answer was passed on."""


def never(*_: object) -> None:
    """No fault."""


@dataclass
class Proxy:
    """Numbers what passes, and asks before each write and event whether to spoil it."""

    upstream: Address
    of_write: Callable[[str, int], Fault | None] = never
    of_event: Callable[[str, int], Fault | None] = never
    kill: Callable[[str], None] = never
    writes: list[Write] = field(default_factory=list)
    spoiled: set[tuple[str, int]] = field(default_factory=set)
    events: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    _numbers: Counter[str] = field(default_factory=Counter)

    def count(self, namespace: str) -> int:
        """How many writes to this namespace have begun."""
        return self._numbers[namespace]

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Listen on a free loopback port; yields the base URL."""
        async with aiohttp.ClientSession(
            self.upstream.server, connector=trusting(), auto_decompress=False
        ) as session:

            async def handle(request: web.Request) -> web.StreamResponse:
                return await self._handle(request, session)

            app = web.Application(client_max_size=2**24)
            app.router.add_route("*", "/{path:.*}", handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()

    async def _handle(
        self, request: web.Request, session: aiohttp.ClientSession
    ) -> web.StreamResponse:
        body = await request.read()
        if request.method == "GET":
            return await self._read(request, session)
        found = NAMESPACE.search(request.path)
        namespace = found["namespace"] if found else ""
        self._numbers[namespace] += 1
        number = self._numbers[namespace]
        fault = self.of_write(namespace, number)
        if fault is not None:
            self.spoiled.add((namespace, number))
        reply = await self._write(request, session, body, fault, namespace)
        self.writes.append(
            Write(
                namespace,
                number,
                request.method,
                request.path,
                body,
                0 if reply is None else reply.status,
            )
        )
        if reply is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if fault in {Fault.KILL_AFTER, *STALE}:
            await reply.prepare(request)
            await reply.write_eof()
            self.kill(namespace)
        return reply

    async def _write(
        self,
        request: web.Request,
        session: aiohttp.ClientSession,
        body: bytes,
        fault: Fault | None,
        namespace: str,
    ) -> web.Response | None:
        """Carry out a write as the fault has it; None for no reply."""
        match fault:
            case Fault.KILL_BEFORE:
                self.kill(namespace)
                return None
            case Fault.KILL_DURING:
                await self._forward(request, session, body)
                self.kill(namespace)
                return None
            case Fault.LOST:
                await self._forward(request, session, body)
                return None
            case Fault.HANG:
                await asyncio.sleep(3600)
                return None
            case Fault.CONFLICT | Fault.INVALID | Fault.BUSY | Fault.BROKEN:
                return refusal(REFUSALS[fault])
        return await self._forward(request, session, body)

    async def _forward(
        self, request: web.Request, session: aiohttp.ClientSession, body: bytes
    ) -> web.Response:
        async with session.request(
            request.method, request.raw_path, data=body, headers=self._headers(request)
        ) as reply:
            return web.Response(
                status=reply.status,
                body=await reply.read(),
                headers={"Content-Type": reply.content_type},
            )

    async def _read(
        self, request: web.Request, session: aiohttp.ClientSession
    ) -> web.StreamResponse:
        watching = request.query.get("watch", "").lower() in {"true", "1"}
        timeout = aiohttp.ClientTimeout(total=None) if watching else aiohttp.ClientTimeout(total=30)
        headers = self._headers(request)
        async with session.get(request.raw_path, headers=headers, timeout=timeout) as reply:
            if not watching or reply.status != 200:
                return web.Response(
                    status=reply.status,
                    body=await reply.read(),
                    headers={"Content-Type": reply.content_type},
                )
            stream = web.StreamResponse(headers={"Content-Type": reply.content_type})
            await stream.prepare(request)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                async for line in reply.content:
                    await self._event(stream, line)
            return stream

    async def _event(self, stream: web.StreamResponse, line: bytes) -> None:
        event: dict[str, Any] = json.loads(line)
        namespace = (
            event["object"]["metadata"].get("namespace", "")
            if event["type"] in {"ADDED", "MODIFIED", "DELETED"}
            else ""
        )
        if namespace:
            self.events[namespace] += 1
            fault = self.of_event(namespace, self.events[namespace])
            if fault is not None:
                self.spoiled.add((namespace, self.events[namespace]))
            if fault is Fault.DROP:
                return
            if fault is Fault.DELAY:
                asyncio.get_running_loop().call_later(
                    HELD_BACK, lambda: asyncio.ensure_future(stream.write(line))
                )
                return
        await stream.write(line)

    def _headers(self, request: web.Request) -> dict[str, str]:
        kept = {k: v for k, v in request.headers.items() if k in {"Accept", "Content-Type"}}
        return {
            **kept,
            "Accept-Encoding": "identity",
            "Authorization": f"Bearer {self.upstream.token}",
        }


def refusal(status: int) -> web.Response:
    """An error as the API server words it."""
    said = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "spoiled by the test",
        "code": status,
    }
    return web.json_response({**said, "reason": REASONS[status]}, status=status)


def kubeconfig(url: str, path: Path) -> Path:
    """A kubeconfig that leads to the proxy."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": "the proxy knows it"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(json.dumps(config))
    return path
