"""The Kubernetes API as the operator uses it: reads, lists, watches, server-side apply, status,
Events. Plain dicts in and out.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import aiohttp

from rollout_operator.adapters.kubernetes_event import event_body
from rollout_operator.adapters.kubernetes_http import Connection, Login, Object, open_session
from rollout_operator.adapters.kubernetes_paths import path as path_of
from rollout_operator.domain.api.names import (
    FIELD_MANAGER,
    GROUP,
    KIND,
    MANAGED_BY,
    REVISION,
    ROLLOUT,
    SHARD,
    VERSION,
)
from rollout_operator.errors import Conflict, Gone

PAGE = 100
WATCH_SECONDS = 600
"""How long a watch is asked for."""
NO_VERSION = "1"
"""A resourceVersion that no object of ours has: etcd's first revision is older than any of them."""
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class Cluster:
    """The API server. Every call ends within 10 s and raises CallFailed, Conflict or Gone."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        log_in: Callable[[], Login],
        writes: asyncio.Semaphore,
        shard: str,
    ) -> None:
        self._connection = Connection(session, log_in)
        self._writes = writes
        self._of_shard = [f"{SHARD}={shard}"] if shard else []

    @classmethod
    async def connect(cls, log_in: Callable[[], Login], write_limit: int, shard: str = "") -> Self:
        """Log in. shard: lists and watches tell of this one only, "" for all."""
        session = await open_session(log_in)
        cluster = cls(session, log_in, asyncio.Semaphore(write_limit), shard)
        await cluster._connection.log_in()
        return cluster

    async def close(self) -> None:
        """Let go of the connections."""
        await self._connection.close()

    def _ours(self, kind: str, foreign: bool = False) -> list[tuple[str, str]]:
        """What the API server filters a kind by; foreign: what no operator of this kind manages."""
        if foreign:
            return [("labelSelector", f"{MANAGED_BY}!={GROUP}")]
        labels = [*([] if kind == KIND else [f"{MANAGED_BY}={GROUP}"]), *self._of_shard]
        return [("labelSelector", ",".join(labels))] if labels else []

    async def read(self, kind: str, namespace: str, name: str) -> Object:
        """An object as the API server has it now."""
        return await self._connection.call("GET", kind, path_of(kind, namespace, name))

    async def metadata(self, kind: str, namespace: str) -> AsyncIterator[Object]:
        """The metadata of every object of a kind that is ours, in pages; namespace "" for all."""
        query = [("limit", str(PAGE)), *self._ours(kind)]
        rest: list[tuple[str, str]] = []
        while True:
            page = await self._connection.call(
                "GET", kind, path_of(kind, namespace), query=query + rest, accept=METADATA_ONLY
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
            return await self._connection.call(
                "PUT",
                KIND,
                path_of(KIND, meta["namespace"], meta["name"], "status"),
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
            return await self._connection.call(
                "PATCH",
                kind,
                path_of(kind, meta["namespace"], meta["name"]),
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
                await self._connection.call("DELETE", kind, path_of(kind, namespace, name), body)
            except Gone:
                return

    async def pods(self, namespace: str, rollout: str, revision: str) -> list[Object]:
        """The pods of one revision."""
        query = [("labelSelector", f"{ROLLOUT}={rollout},{REVISION}={revision}"), ("limit", "20")]
        found = await self._connection.call("GET", "Pod", path_of("Pod", namespace), query=query)
        items: list[Object] = found["items"]
        return items

    async def endpoint_slices(self, namespace: str, service: str) -> list[Object]:
        """The EndpointSlices of one Service."""
        query = [("labelSelector", f"kubernetes.io/service-name={service}"), ("limit", "100")]
        found = await self._connection.call(
            "GET", "EndpointSlice", path_of("EndpointSlice", namespace), query=query
        )
        items: list[Object] = found["items"]
        return items

    async def post_event(
        self, rollout: Object, kind: str, reason: str, message: str, once: str
    ) -> None:
        """Post an Event about a ModelRollout; the same `once` is told only once, whoever tells
        it.
        """
        body = event_body(rollout, kind, reason, message, once)
        try:
            await self._connection.call(
                "POST", "Event", path_of("Event", rollout["metadata"]["namespace"]), body
            )
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
            page = await self._connection.call(
                "GET",
                kind,
                path_of(kind, namespace),
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
            ("timeoutSeconds", str(WATCH_SECONDS)),
            *self._ours(kind, foreign),
        ]
        async with contextlib.aclosing(
            self._connection.watch(path_of(kind, namespace), query)
        ) as events:
            async for event in events:
                yield event["type"], event["object"]
