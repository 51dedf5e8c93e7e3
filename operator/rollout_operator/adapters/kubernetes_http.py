"""HTTP to the API server: credentials, one call, one stream; what fails becomes one of the
operator's own errors.

The client library is not used: its models and serializers are most of the memory and time of an
operator that needs neither.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Protocol

import aiohttp
from pydantic_core import from_json, to_json

from rollout_operator.adapters.kubernetes_paths import plural_of
from rollout_operator.errors import CallFailed, Conflict, Expired, Gone, Refused
from rollout_operator.metrics import API_REQUESTS

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
TOKEN_AGE = 60.0
"""Seconds after which credentials are read again: a pod's token is replaced long before it expires.
"""
SILENCE = 90.0
"""Seconds without a sign of life after which a watch is given up; the API server sends a bookmark
every minute.
"""
JSON = "application/json"

Object = dict[str, Any]
Query = list[tuple[str, str]]


class Login(Protocol):
    """Address and credentials of an API server; kopf.ConnectionInfo is one."""

    @property
    def server(self) -> str:
        """URL."""

    def as_http_headers(self) -> dict[str, str]:
        """The Authorization header."""

    def as_ssl_context(self) -> ssl.SSLContext:
        """Whom to trust, and the client's certificate."""


async def open_session(log_in: Callable[[], Login]) -> aiohttp.ClientSession:
    """Connections that trust whom the credentials say."""
    info = await asyncio.to_thread(log_in)
    connector = aiohttp.TCPConnector(ssl=info.as_ssl_context(), limit=0)
    return aiohttp.ClientSession(connector=connector)


class Connection:
    """To one API server. Every call ends within 10 s and raises CallFailed, or the kind of it that
    fits.
    """

    def __init__(self, session: aiohttp.ClientSession, log_in: Callable[[], Login]) -> None:
        self._session = session
        self._log_in = log_in
        self._headers: Mapping[str, str] = {}
        self._server = ""
        self._read_at = -TOKEN_AGE

    async def log_in(self) -> None:
        """Have credentials before the first calls; they are read again at times, because tokens
        expire.
        """
        await self._authorized(anew=True)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()

    async def call(  # noqa: PLR0917
        self,
        method: str,
        kind: str,
        path: str,
        body: Object | None = None,
        query: Query | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Object:
        """One request and its reply; credentials that are refused are read anew once."""
        code = "none"
        data = None if body is None else to_json(body)
        content = {"Accept": accept, "Content-Type": content_type}
        try:
            for anew in (False, True):
                credentials = await self._authorized(anew)
                async with self._session.request(
                    method,
                    self._server + path,
                    params=query,
                    data=data,
                    headers={**credentials, **content},
                    timeout=TIMEOUT,
                    allow_redirects=False,
                ) as response:
                    raw = await response.read()
                if response.status != 401:
                    break
            code = str(response.status)
        except (TimeoutError, OSError, aiohttp.ClientError) as failure:
            raise _failed(method, path, failure) from failure
        finally:
            API_REQUESTS.labels(method, plural_of(kind), code).inc()
        return _read(method, path, response.status, raw)

    async def watch(self, path: str, query: Query) -> AsyncGenerator[Object, None]:
        """The events of a watch, until the API server ends it."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENCE)
        try:
            headers = await self._authorized()
            async with self._session.get(
                self._server + path, params=query, headers=headers, timeout=timeout
            ) as response:
                if response.status != 200:
                    _read("WATCH", path, response.status, await response.read())
                async for line in _lines(response.content):
                    event: Object = from_json(line, cache_strings="keys")
                    if event["type"] == "ERROR":
                        raise _ended(path, event["object"])
                    yield event
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as failure:
            raise _failed("WATCH", path, failure) from failure

    async def _authorized(self, anew: bool = False) -> Mapping[str, str]:
        """Headers with credentials; who asks `anew` was refused with the ones known."""
        if anew or time.monotonic() - self._read_at >= TOKEN_AGE:
            # Calls of the meantime go on with what is known.
            self._read_at = time.monotonic()
            info = await asyncio.to_thread(self._log_in)
            self._headers, self._server = info.as_http_headers(), info.server.rstrip("/")
        return self._headers


def _failed(method: str, path: str, failure: Exception) -> CallFailed:
    return CallFailed(f"{method} {path}: {type(failure).__name__} {failure}".strip())


def _ended(path: str, status: Object) -> CallFailed:
    """Why the API server has ended a watch."""
    expired = status.get("code") == 410
    message = f"WATCH {path}: {status.get('code')} {status.get('message', '')}"
    return Expired(message) if expired else CallFailed(message)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; aiohttp's own have a limit that a large object exceeds."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _read(method: str, path: str, status: int, raw: bytes) -> Object:
    """The answer's object; an error status becomes the exception that fits."""
    try:
        answer: Object = from_json(raw, cache_strings="keys")
    except ValueError as failure:
        # "404 page not found" in plain text is what an API that is not installed answers.
        raise (Gone if status == 404 else CallFailed)(
            f"{method} {path}: HTTP {status}, not JSON"
        ) from failure
    if status < 300:
        return answer
    message = f"{method} {path}: HTTP {status} {answer.get('message', '')}"
    match status:
        case 404:
            raise Gone(message)
        case 409:
            raise Conflict(message)
        case 410:
            raise Expired(message)
        case 400 | 403 | 405 | 415 | 422:
            raise Refused(message)
    raise CallFailed(message)
