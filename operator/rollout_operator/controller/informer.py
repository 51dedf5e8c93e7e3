"""Watches of the objects that rollouts own: listed once in small pages, then followed, each change
told once.

kopf watches the ModelRollouts. Of each rollout there are four to eight other objects, whose changes
nothing handles but the store; a task, a queue and a handler call for each of them were most of the
operator's CPU time and of its memory after a restart.
"""

import asyncio
import logging
import random
from typing import Any, Protocol

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.cache import Store
from rollout_operator.controller.foreign_routes import ForeignRoutes
from rollout_operator.controller.namespaces import Namespaces
from rollout_operator.controller.raw_objects import (
    OPTIONAL_KINDS,
    Key,
    WatchEvent,
    event_of,
    rollout_of,
)
from rollout_operator.errors import CallFailed, Expired, Gone, Refused

log = logging.getLogger(__name__)

NOT_INSTALLED = 600.0
"""Seconds after which an API that is not installed is looked for again."""
LONGEST_WAIT = 30.0


class Enqueue(Protocol):
    """Has a rollout looked at."""

    def __call__(self, key: Key, event: WatchEvent | None = None) -> None:
        """event: why; None for what no watch has told."""


class Informer:
    """Follows one kind in one namespace ("" for all) and keeps the store up to date; wakes the
    rollouts that a change is about.
    """

    def __init__(
        self, kind: str, namespace: str, store: Store, cluster: Cluster, enqueue: Enqueue
    ) -> None:
        self.kind, self.namespace = kind, namespace
        self.store, self.cluster, self.enqueue = store, cluster, enqueue
        self.foreign = False
        self.listed = asyncio.Event()
        """Set once everything that is there has been seen."""

    async def run(self) -> None:
        """List and follow, until cancelled."""
        failures = 0
        while True:
            try:
                since = await self._list()
                failures = 0
                while True:
                    since = await self._follow(since)
            except Expired:
                log.info("%s: the watch cannot go on where it was; listing again", self.kind)
            except Gone:
                # The API is not installed (Gateway API's is no part of Kubernetes): there is
                # nothing of ours.
                self.listed.set()
                await asyncio.sleep(NOT_INSTALLED)
            except CallFailed as failure:
                failures += 1
                if isinstance(failure, Refused) and self.kind in OPTIONAL_KINDS:
                    self.listed.set()
                delay = min(LONGEST_WAIT, 0.5 * 2**failures) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, no secret
                log.warning("%s: not watched, tried again in %.0f s: %s", self.kind, delay, failure)
                await asyncio.sleep(delay)

    async def _list(self) -> str:
        known = self._known()
        version = ""
        async for items, version in self.cluster.pages(self.kind, self.namespace, self.foreign):  # noqa: B007 - the last one counts
            for one in items:
                self._seen(one)
                meta = one["metadata"]
                if (old := known.get((meta["namespace"], meta["name"]))) is not None and old[
                    0
                ] == meta["uid"]:
                    del known[meta["namespace"], meta["name"]]
        for place, (uid, key) in known.items():
            self._vanished(place, uid, key)
        self.listed.set()
        return version

    async def _follow(self, since: str) -> str:
        """One watch; a broken one is begun anew where it was. Returns where to go on."""
        try:
            async for event, one in self.cluster.watch(
                self.kind, self.namespace, since, self.foreign
            ):
                if event == "DELETED":
                    self._gone(one)
                elif event != "BOOKMARK":
                    self._seen(one)
                since = one["metadata"]["resourceVersion"]
        except (Expired, Gone):
            raise
        except CallFailed as failure:
            log.info("%s: the watch ended, begun anew: %s", self.kind, failure)
            await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311
        return since

    def _known(self) -> dict[tuple[str, str], tuple[str, Key]]:
        """Uid and rollout of every object that is known, by (namespace, name)."""
        return self.store.known(self.kind, self.namespace)

    def _vanished(self, place: tuple[str, str], uid: str, key: Key) -> None:
        """An object was deleted while nobody watched."""
        self.store.remove(self.kind, key, place[1], uid)
        self.enqueue(key)

    def _gone(self, one: dict[str, Any]) -> None:
        key, name, uid = rollout_of(one), one["metadata"]["name"], one["metadata"]["uid"]
        deleted_at = int(one["metadata"]["resourceVersion"])
        if self.store.remove(self.kind, key, name, uid, deleted_at):
            self.enqueue(key, (self.kind, name, uid))

    def _seen(self, one: dict[str, Any]) -> None:
        # What this process wrote itself is known already, and nothing new.
        if self.store.put_object(self.kind, one):
            self.enqueue(rollout_of(one), event_of(self.kind, one["metadata"]))


class ForeignRouteInformer(Informer):
    """The same for routes that no rollout owns; wakes the rollouts that claim to answer where one
    of them does.
    """

    def __init__(
        self,
        kind: str,
        namespace: str,
        claims: ForeignRoutes,
        watching: tuple[Store, Cluster, Enqueue],
    ) -> None:
        super().__init__(kind, namespace, *watching)
        self.foreign, self._routes = True, claims

    def _known(self) -> dict[tuple[str, str], tuple[str, Key]]:
        return {
            place: (uid, place)
            for place, uid in self._routes.known(self.kind, self.namespace).items()
        }

    def _vanished(self, place: tuple[str, str], uid: str, _: Key) -> None:
        self._meet(self._routes.drop(self.kind, place, uid))

    def _gone(self, one: dict[str, Any]) -> None:
        meta = one["metadata"]
        self._meet(self._routes.drop(self.kind, (meta["namespace"], meta["name"]), meta["uid"]))

    def _seen(self, one: dict[str, Any]) -> None:
        self._meet(self._routes.put(self.kind, one))

    def _meet(self, places: set[int]) -> None:
        for key in self.store.claimants(places):
            self.enqueue(key)


class NamespaceInformer(Informer):
    """The same for namespaces; they wake nobody."""

    def __init__(
        self, namespaces: Namespaces, store: Store, cluster: Cluster, enqueue: Enqueue
    ) -> None:
        super().__init__("Namespace", "", store, cluster, enqueue)
        self.foreign, self._namespaces = True, namespaces

    async def _list(self) -> str:
        known, version = self._namespaces.names(), ""
        async for items, version in self.cluster.pages(self.kind, "", self.foreign):  # noqa: B007 - the last one counts
            for one in items:
                self._seen(one)
                known.discard(one["metadata"]["name"])
        for name in known:
            self._namespaces.drop(name)
        self.listed.set()
        return version

    def _gone(self, one: dict[str, Any]) -> None:
        self._namespaces.drop(one["metadata"]["name"])

    def _seen(self, one: dict[str, Any]) -> None:
        self._namespaces.put(one["metadata"])
