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
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.observed import Heard
from rollout_operator.domain.route_probe import (
    EVERY,
    LONGEST,
    Door,
    Way,
    answered_by,
    doors,
    of_all,
    of_one,
    read,
    to_tls,
    unreached,
)
from rollout_operator.errors import CallFailed, Gone, Refused

log = logging.getLogger(__name__)

SECONDS = 3
TIMEOUT = aiohttp.ClientTimeout(total=SECONDS)
AT_ONCE = 64
KEPT = timedelta(minutes=1)
FAILURES = (TimeoutError, OSError, ValueError, aiohttp.ClientError)
"""What a router may do instead of answering."""


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
        """Whether the route was asked less than `apart` before, and by a clock that was not set
        back since.
        """
        known = self._heard.get(way)
        return known is not None and known[0] <= at < known[0] + apart

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
            await asyncio.gather(
                *(self._router(one, *router) for one in way.each() for router in one.routers())
            )
        )
        self._heard = {w: told for w, told in self._heard.items() if at < told[0] + KEPT} | {
            way: (at, found)
        }
        return found

    async def _router(
        self, way: Way, kind: str, namespace: str, name: str, listener: str
    ) -> Heard | None:
        try:
            router = await self._object(way, kind, namespace, name)
        except (Gone, Refused) as failure:
            log.info("%s/%s: its route is not asked: %s", way.namespace, way.name, failure)
            return None
        except CallFailed as failure:
            return Heard(f"the {kind} {name} could not be read: {failure}"[:400], reached=False)
        return of_one(
            await asyncio.gather(*(self._door(way, door) for door in doors(way, router, listener)))
        )

    async def _object(self, way: Way, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """What publishes addresses: read, but for what a watch has told. Raises CallFailed."""
        if kind == Provider.INGRESS and way.published is not None:
            there = [{"hostname": address} for address in way.published]
            return {"status": {"loadBalancer": {"ingress": there}}}
        return await self.look(kind, namespace, name)

    async def _door(self, way: Way, door: Door) -> Heard | None:
        async with self._turns:
            answer = await self._get(way, door)
            if isinstance(answer, Door):
                # With TLS no redirect is followed.
                answer = await self._get(way, answer)
            return None if isinstance(answer, Door) else answer

    async def doors(self, way: Way) -> tuple[Door, ...]:
        """Every door of the route; empty where nobody says where one is, or there are too many.
        Never raises for what the API server does.
        """
        found = list[Door]()
        for kind, namespace, name, listener in way.routers():
            try:
                router = await self._object(way, kind, namespace, name)
            except CallFailed as failure:
                log.info("%s/%s: its route is not asked: %s", way.namespace, way.name, failure)
                return ()
            there = doors(way, router, listener, EVERY + 1)
            if not 0 < len(there) <= EVERY:
                return ()
            found += there
        return tuple(dict.fromkeys(found))

    async def answering(self, way: Way, door: Door, headers: Mapping[str, str]) -> str | Door:
        """The revision that answers one request on a connection of its own, "" where none does;
        another door where TLS is wanted. Never raises for what the router does.
        """
        async with self._turns:
            try:
                status, location, body = await self._request(way, door, headers)
            except FAILURES:
                return ""
        return answered_by(way, body) or to_tls(way, door, status, location) or ""

    async def _get(self, way: Way, door: Door) -> Heard | Door | None:
        try:
            return read(way, door, *await self._request(way, door, {}))
        except FAILURES as failure:
            return unreached(way, door, _why(failure))

    async def _request(
        self, way: Way, door: Door, headers: Mapping[str, str]
    ) -> tuple[int, str, bytes]:
        """Status, Location and the first 64 KiB of the body. Raises FAILURES."""
        async with self.session.get(
            door.url(way),
            headers={
                "Host": way.host,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                # One answer of a cache again and again would look like a router that has followed.
                "Cache-Control": "no-cache",
                **headers,
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
            location = response.headers.get("Location", "")
            return response.status, location, bytes(body[:LONGEST])


def _why(failure: Exception) -> str:
    if isinstance(failure, TimeoutError):
        return f"nothing within {SECONDS} s"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "the name of the host is not known"
    if isinstance(failure, OSError) and failure.errno:
        return os.strerror(failure.errno).lower()
    return type(failure).__name__
