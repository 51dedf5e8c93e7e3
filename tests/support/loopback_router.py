"""A router on loopback, for those that ask routers."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from aiohttp import web

from scripts.cluster.apiserver import free_port
from scripts.cluster.shell import run

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Router:
    """A router on loopback that answers by `handler`, with TLS at a port of its own; and the
    Gateway that tells of it.
    """

    def __init__(self, handler: Handler, folder: Path, address: str = "127.0.0.1") -> None:
        self.requests: list[web.BaseRequest] = []
        self.port, self.secure = free_port(), free_port()
        self._handler, self._folder, self._address = handler, folder, address

    async def __aenter__(self) -> Self:
        words = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=nobody",
            "-keyout",
            "key",
            "-out",
            "crt",
        ]
        await asyncio.to_thread(run, words, cwd=self._folder)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self._folder / "crt", self._folder / "key")
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._address, self.port).start()
        await web.TCPSite(self._runner, self._address, self.secure, ssl_context=tls).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return await self._handler(request)
