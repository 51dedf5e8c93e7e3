"""The only module that knows the Kubernetes API: reads, watches, server-side apply, status, Events.
Plain dicts in and out.

It speaks HTTP itself: the client library's models and serializers are most of the memory and time
of an operator that needs neither.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Protocol, Self

import aiohttp
from pydantic_core import from_json, to_json

from rollout_operator.domain.api.names import (
    FIELD_MANAGER,
    GROUP,
    KIND,
    MANAGED_BY,
    PLURAL,
    REVISION,
    ROLLOUT,
    SHARD,
    VERSION,
)
from rollout_operator.errors import CallFailed, Conflict, Expired, Gone, Refused
from rollout_operator.metrics import API_REQUESTS

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
PATHS: Mapping[str, tuple[str, str]] = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Service": ("/api/v1", "services"),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses"),
    "HTTPRoute": ("/apis/gateway.networking.k8s.io/v1", "httproutes"),
    "Gateway": ("/apis/gateway.networking.k8s.io/v1", "gateways"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "Pod": ("/api/v1", "pods"),
    "Event": ("/api/v1", "events"),
    KIND: (f"/apis/{GROUP}/{VERSION}", PLURAL),
}
"""Where each kind lives in the API."""

PAGE = 100
TOKEN_AGE = 60.0
"""Seconds after which credentials are read again: a pod's token is replaced long before it expires.
"""
WATCHED = 600
SILENCE = 90.0
"""Seconds: how long a watch is asked for, and without a sign of life given up; the API server sends
a bookmark every minute.
"""
NO_VERSION = "1"
"""A resourceVersion that no object of ours has: etcd's first revision is older than any of them."""
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Object = dict[str, Any]


def _path(kind: str, namespace: str, name: str = "", subresource: str = "") -> str:
    root, plural = PATHS[kind]
    place = f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
    return "/".join(part for part in (place, name, subresource) if part)


class Login(Protocol):
    """Address and credentials of an API server; kopf.ConnectionInfo is one."""

    @property
    def server(self) -> str:
        """URL."""

    def as_http_headers(self) -> dict[str, str]:
        """The Authorization header."""

    def as_ssl_context(self) -> ssl.SSLContext:
        """Whom to trust, and the client's certificate."""


class Cluster:
    """One connection to the API server. Every call ends within 10 s and raises CallFailed, Conflict
    or Gone.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        log_in: Callable[[], Login],
        writes: asyncio.Semaphore,
        shard: str,
    ) -> None:
        self._session = session
        self._log_in = log_in
        self._writes = writes
        self._of_shard = [f"{SHARD}={shard}"] if shard else []
        self._headers: Mapping[str, str] = {}
        self._server = ""
        self._read_at = -TOKEN_AGE

    @classmethod
    async def connect(cls, log_in: Callable[[], Login], write_limit: int, shard: str = "") -> Self:
        """Log in; `log_in` is called again at times, because tokens expire. shard: lists and
        watches tell of this one only, "" for all.
        """
        info = await asyncio.to_thread(log_in)
        connector = aiohttp.TCPConnector(ssl=info.as_ssl_context(), limit=0)
        made = cls(
            aiohttp.ClientSession(connector=connector),
            log_in,
            asyncio.Semaphore(write_limit),
            shard,
        )
        await made._authorized(anew=True)
        return made

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()

    def _ours(self, kind: str, foreign: bool = False) -> list[tuple[str, str]]:
        """What the API server filters a kind by; foreign: what no operator of this kind manages."""
        if foreign:
            return [("labelSelector", f"{MANAGED_BY}!={GROUP}")]
        labels = [*([] if kind == KIND else [f"{MANAGED_BY}={GROUP}"]), *self._of_shard]
        return [("labelSelector", ",".join(labels))] if labels else []

    async def read(self, kind: str, namespace: str, name: str) -> Object:
        """An object as the API server has it now."""
        return await self._call("GET", kind, _path(kind, namespace, name))

    async def metadata(self, kind: str, namespace: str) -> AsyncIterator[Object]:
        """The metadata of every object of a kind that is ours, in pages; namespace "" for all."""
        query = [("limit", str(PAGE)), *self._ours(kind)]
        rest: list[tuple[str, str]] = []
        while True:
            page = await self._call(
                "GET", kind, _path(kind, namespace), query=query + rest, accept=METADATA_ONLY
            )
            for item in page.get("items") or ():
                yield item["metadata"]
            if not (token := page["metadata"].get("continue")):
                return
            rest = [("continue", token)]

    async def write_status(self, seen: Object, status: Object) -> Object:
        """Replace the status of the ModelRollout `seen`; raises Conflict where it has been written
        since.
        """
        meta = seen["metadata"]
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            # Labels and annotations too: the API server would keep them, but forget who owns them.
            "metadata": {
                k: v for k, v in meta.items() if k not in {"deletionTimestamp", "generation"}
            },
            "spec": seen["spec"],
            "status": status,
        }
        async with self._writes:
            return await self._call(
                "PUT",
                KIND,
                _path(KIND, meta["namespace"], meta["name"], "status"),
                body,
                [("fieldManager", FIELD_MANAGER)],
            )

    async def apply(
        self,
        manifest: Object,
        known: tuple[str, int] | None,
        ensure_current: Callable[[], Awaitable[None]],
    ) -> Object:
        """Server-side apply to the object that is known by this uid and resourceVersion, or (None)
        where there is none yet.

        Raises Conflict where it has changed, is gone, or exists already: a late writer changes
        nothing and brings nothing back. ensure_current: awaited right before an object is created,
        which no resourceVersion guards; raises where it should not be any more.
        """
        kind, meta = manifest["kind"], manifest["metadata"]
        # An apply with a resourceVersion alone would create what has been deleted; with one that no
        # object has, it only creates.
        fence = (
            {"resourceVersion": NO_VERSION}
            if known is None
            else {"uid": known[0], "resourceVersion": str(known[1])}
        )
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        async with self._writes:
            if known is None:
                await ensure_current()
            return await self._call(
                "PATCH",
                kind,
                _path(kind, meta["namespace"], meta["name"]),
                {**manifest, "metadata": {**meta, **fence}},
                query,
                "application/apply-patch+yaml",
            )

    async def delete(self, kind: str, namespace: str, name: str, known: tuple[str, int]) -> None:
        """Delete the object that is known by this uid and resourceVersion, in the background; one
        that is gone already is no error.

        Raises Conflict where it has changed, or another has taken its place.
        """
        fence = {"uid": known[0], "resourceVersion": str(known[1])}
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "preconditions": fence,
            "propagationPolicy": "Background",
        }
        async with self._writes:
            try:
                await self._call("DELETE", kind, _path(kind, namespace, name), body)
            except Gone:
                return

    async def pods(self, namespace: str, rollout: str, revision: str) -> list[Object]:
        """The pods of one revision."""
        query = [("labelSelector", f"{ROLLOUT}={rollout},{REVISION}={revision}"), ("limit", "20")]
        found = await self._call("GET", "Pod", _path("Pod", namespace), query=query)
        items: list[Object] = found["items"]
        return items

    async def endpoint_slices(self, namespace: str, service: str) -> list[Object]:
        """The EndpointSlices of one Service."""
        query = [("labelSelector", f"kubernetes.io/service-name={service}"), ("limit", "100")]
        found = await self._call(
            "GET", "EndpointSlice", _path("EndpointSlice", namespace), query=query
        )
        items: list[Object] = found["items"]
        return items

    async def post_event(
        self, seen: Object, kind: str, reason: str, message: str, once: str
    ) -> None:
        """Post an Event about the ModelRollout `seen`; the same `once` is told only once, whoever
        tells it.
        """
        meta = seen["metadata"]
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        told = sha256(f"{meta['uid']}/{once}".encode()).hexdigest()[:16]
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{told}", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                **{k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion")},
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
        }
        try:
            await self._call("POST", "Event", _path("Event", meta["namespace"]), body)
        except Conflict:
            return

    async def pages(
        self, kind: str, namespace: str, foreign: bool = False
    ) -> AsyncIterator[tuple[list[Object], str]]:
        """Every object of a kind that is ours, in pages, each with the resourceVersion to watch
        from; namespace "" for all.

        foreign: those that are not ours, instead.
        """
        rest: list[tuple[str, str]] = []
        while True:
            page = await self._call(
                "GET",
                kind,
                _path(kind, namespace),
                query=[("limit", str(PAGE)), *self._ours(kind, foreign), *rest],
            )
            yield page.get("items") or [], page["metadata"]["resourceVersion"]
            if not (token := page["metadata"].get("continue")):
                return
            rest = [("continue", token)]

    async def watch(
        self, kind: str, namespace: str, since: str, foreign: bool = False
    ) -> AsyncIterator[tuple[str, Object]]:
        """What happens to objects of a kind that are ours (foreign: that are not) after `since`,
        until the API server ends it.

        Bookmarks are told, too. Raises Expired where `since` is too old to go on from, CallFailed
        where the stream breaks or falls silent.
        """
        query = [
            ("watch", "1"),
            ("resourceVersion", since),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(WATCHED)),
        ]
        query += self._ours(kind, foreign)
        path = _path(kind, namespace)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENCE)
        try:
            headers = await self._authorized()
            async with self._session.get(
                self._server + path, params=query, headers=headers, timeout=timeout
            ) as response:
                if response.status != 200:
                    _read("WATCH", path, response.status, await response.read())
                async for line in _lines(response.content):
                    event = from_json(line, cache_strings="keys")
                    if event["type"] == "ERROR":
                        code = event["object"].get("code")
                        raise (Expired if code == 410 else CallFailed)(
                            f"WATCH {path}: {code} {event['object'].get('message', '')}"
                        )
                    yield event["type"], event["object"]
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as failure:
            raise CallFailed(
                f"WATCH {path}: {type(failure).__name__} {failure}".strip()
            ) from failure

    async def _authorized(self, anew: bool = False) -> Mapping[str, str]:
        """Headers with credentials; who asks `anew` was refused with the ones known."""
        if anew or time.monotonic() - self._read_at >= TOKEN_AGE:
            # Calls of the meantime go on with what is known.
            self._read_at = time.monotonic()
            info = await asyncio.to_thread(self._log_in)
            self._headers, self._server = info.as_http_headers(), info.server.rstrip("/")
        return self._headers

    async def _call(  # noqa: PLR0917
        self,
        method: str,
        kind: str,
        path: str,
        body: Object | None = None,
        query: list[tuple[str, str]] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        code = "none"
        data = None if body is None else to_json(body)
        try:
            for anew in (False, True):
                headers = {
                    **await self._authorized(anew),
                    "Accept": accept,
                    "Content-Type": content_type,
                }
                async with self._session.request(
                    method,
                    self._server + path,
                    params=query,
                    data=data,
                    headers=headers,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                ) as response:
                    raw = await response.read()
                if response.status != 401:
                    break
            code = str(response.status)
        except (TimeoutError, OSError, aiohttp.ClientError) as failure:
            raise CallFailed(
                f"{method} {path}: {type(failure).__name__} {failure}".strip()
            ) from failure
        finally:
            API_REQUESTS.labels(method, PATHS[kind][1], code).inc()
        return _read(method, path, response.status, raw)


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
