"""Watches of the objects that rollouts own: listed once in small pages, then followed, each change told once.

kopf watches the ModelRollouts. Of each rollout there are four to eight other objects, whose changes nothing handles but the store;
a task, a queue and a handler call for each of them were most of the operator's CPU time and of its memory after a restart.
"""

import asyncio
import logging
import random
from typing import Any, Protocol

from rollout_operator.cluster import Cluster
from rollout_operator.errors import CallFailed, Expired, Gone
from rollout_operator.store import Event, Key, Store, event_of, rollout_of

log = logging.getLogger(__name__)

NOT_INSTALLED = 600.0
"""Seconds after which an API that is not installed is looked for again."""
LONGEST_WAIT = 30.0


class Wake(Protocol):
    """Has a rollout looked at."""

    def __call__(self, key: Key, event: Event | None = None) -> None:
        """event: why; None for what no watch has told."""


class Watching:
    """Follows one kind in one namespace ("" for all) and keeps the store up to date; wakes the rollouts that a change is about."""

    def __init__(self, kind: str, namespace: str, store: Store, cluster: Cluster, wake: Wake) -> None:
        self.kind, self.namespace = kind, namespace
        self.store, self.cluster, self.wake = store, cluster, wake
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
                # The API is not installed (Gateway API's is no part of Kubernetes): there is nothing of ours.
                self.listed.set()
                await asyncio.sleep(NOT_INSTALLED)
            except CallFailed as failure:
                failures += 1
                delay = min(LONGEST_WAIT, 0.5 * 2**failures) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, no secret
                log.warning("%s: not watched, tried again in %.0f s: %s", self.kind, delay, failure)
                await asyncio.sleep(delay)

    async def _list(self) -> str:
        known = self.store.known(self.kind, self.namespace)
        version = ""
        async for items, version in self.cluster.pages(self.kind, self.namespace):  # noqa: B007 - the last one counts
            for one in items:
                self._seen(one)
                meta = one["metadata"]
                if (old := known.get((meta["namespace"], meta["name"]))) is not None and old[0] == meta["uid"]:
                    del known[meta["namespace"], meta["name"]]
        for (_, name), (uid, key) in known.items():
            self.store.drop(self.kind, key, name, uid)
            self.wake(key)
        self.listed.set()
        return version

    async def _follow(self, since: str) -> str:
        """One watch; a broken one is begun anew where it was. Returns where to go on."""
        try:
            async for event, one in self.cluster.watch(self.kind, self.namespace, since):
                if event == "DELETED":
                    if self.store.drop_child(self.kind, one):
                        self.wake(rollout_of(one), (self.kind, one["metadata"]["name"], one["metadata"]["uid"]))
                elif event != "BOOKMARK":
                    self._seen(one)
                since = one["metadata"]["resourceVersion"]
        except (Expired, Gone):
            raise
        except CallFailed as failure:
            log.info("%s: the watch ended, begun anew: %s", self.kind, failure)
            await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311
        return since

    def _seen(self, one: dict[str, Any]) -> None:
        # What this process wrote itself is known already, and nothing new.
        if self.store.put_child(self.kind, one):
            self.wake(rollout_of(one), event_of(self.kind, one["metadata"]))
