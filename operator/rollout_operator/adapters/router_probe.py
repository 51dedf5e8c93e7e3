"""The only module that asks routers: whether a route leads to its rollout's pods, by a request as
clients send it.

Addresses are those that Ingresses and Gateways publish in their status. Only the model server's own
page is asked for, of an answer 64 KiB are read and nothing but its revision is used; a redirect is
followed to TLS at the same address alone. The certificate is not verified, because only the answer
counts, and no credentials are sent.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from rollout_operator.domain.observed import Heard
from rollout_operator.domain.route_probe import (
    LONGEST,
    Door,
    Way,
    doors,
    of_all,
    of_one,
    read,
    unreached,
)
from rollout_operator.errors import CallFailed, Gone, Refused

log = logging.getLogger(__name__)

SECONDS = 3
TIMEOUT = aiohttp.ClientTimeout(total=SECONDS)
AT_ONCE = 64
KEPT = timedelta(minutes=1)


def router_session() -> aiohttp.ClientSession:
    """Connections that nothing is remembered of."""
    connector = aiohttp.TCPConnector(ssl=False, limit=0, force_close=True)
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )


@dataclass
class Routers:
    """Asks routers, and keeps what came back for a minute."""

    session: aiohttp.ClientSession
    """Of `router_session`: certificates are not verified, nothing is kept."""
    look: Callable[[str, str, str], Awaitable[dict[str, Any]]]
    """Reads an object of this kind, namespace and name from the API server."""
    _heard: dict[Way, tuple[datetime, Heard | None]] = field(default_factory=dict)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def fresh(self, way: Way, at: datetime, apart: timedelta) -> bool:
        """Whether the route was asked less than `apart` before."""
        known = self._heard.get(way)
        return known is not None and at < known[0] + apart

    def known(self, way: Way) -> Heard | None:
        """What came back when the route was last asked; None where it cannot be."""
        return self._heard[way][1]

    async def ask(self, way: Way, at: datetime, apart: timedelta) -> Heard | None:
        """What comes back from the route, None where it cannot be asked; never raises for what
        routers and the API server do.
        """
        if self.fresh(way, at, apart):
            return self.known(way)
        found = of_all(
            await asyncio.gather(*(self._router(way, *router) for router in way.routers()))
        )
        self._heard = {w: told for w, told in self._heard.items() if at < told[0] + KEPT} | {
            way: (at, found)
        }
        return found

    async def _router(
        self, way: Way, kind: str, namespace: str, name: str, listener: str
    ) -> Heard | None:
        try:
            router = await self.look(kind, namespace, name)
        except (Gone, Refused) as failure:
            log.info("%s/%s: its route is not asked: %s", way.namespace, way.name, failure)
            return None
        except CallFailed as failure:
            return Heard(f"the {kind} {name} could not be read: {failure}"[:400], reached=False)
        return of_one(
            await asyncio.gather(*(self._door(way, door) for door in doors(way, router, listener)))
        )

    async def _door(self, way: Way, door: Door) -> Heard | None:
        async with self._turns:
            answer = await self._get(way, door)
            if isinstance(answer, Door):
                # With TLS no redirect is followed.
                answer = await self._get(way, answer)
            return None if isinstance(answer, Door) else answer

    async def _get(self, way: Way, door: Door) -> Heard | Door | None:
        try:
            async with self.session.get(
                door.url(way),
                headers={
                    "Host": way.host,
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                timeout=TIMEOUT,
                allow_redirects=False,
                server_hostname=way.host if door.secure else None,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > LONGEST:
                        break
                return read(
                    way,
                    door,
                    response.status,
                    response.headers.get("Location", ""),
                    bytes(body[:LONGEST]),
                )
        except (TimeoutError, OSError, ValueError, aiohttp.ClientError) as failure:
            return unreached(way, door, _why(failure))


def _why(failure: Exception) -> str:
    if isinstance(failure, TimeoutError):
        return f"nothing within {SECONDS} s"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "the name of the host is not known"
    if isinstance(failure, OSError) and failure.errno:
        return os.strerror(failure.errno).lower()
    return type(failure).__name__
