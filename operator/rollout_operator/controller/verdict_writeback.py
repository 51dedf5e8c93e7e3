"""Tells the registry the verdicts, in tasks of its own: one that is down delays nothing else."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.adapters.model_registry import ModelRegistry
from rollout_operator.controller.raw_objects import Key
from rollout_operator.domain.api.names import DIGEST_TAG, GROUP, KIND, SIGNATURE_TAG
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Reason
from rollout_operator.domain.observed import RegistryUnreachable, Resolved
from rollout_operator.domain.verdicts import Pinned, Report, after
from rollout_operator.errors import CallFailed, Gone

log = logging.getLogger(__name__)

FIRST_RETRY, LONGEST_RETRY = 5.0, 120.0
"""Seconds between tries."""
PASSING = ("HTTP 401", "HTTP 403", "HTTP 408", "HTTP 429")
"""Refusals that may be over once somebody has mended rights, or load has gone."""
TRIES = 6
"""Of recording a digest: within some minutes, while nothing waits for it."""
FRESH = 5.0
"""Seconds that a report may be old when the registry has it; after that another operator may have
told newer ones, which it went over.
"""

VerdictsAfter = Callable[[Key, str, int], Awaitable[list[Report]]]
"""Every verdict about a rollout, by key and uid, after an attempt, as the API server has it now.
Raises CallFailed.
"""


Unrecorded = Callable[[Key, Pinned, str], Awaitable[None]]
"""Told of a digest that the registry does not take, and why: once for each version."""


async def unrecorded(
    known: Callable[[Key], dict[str, Any] | None],
    cluster: Cluster,
    key: Key,
    pinned: Pinned,
    why: str,
) -> None:
    """Say in an Event that the registry does not take a digest; known: the rollout of a key."""
    if (raw := known(key)) is None:
        return
    version = f"models:/{pinned.model}/{pinned.version}"
    message = (
        f"The registry does not take the digest of {version} ({why[:200]}). Pods of this rollout"
        " rest on its status; every other rollout looks at the files again. Let the operator's user"
        " of mlflow.credentialsSecret edit the model's tags."
    )
    try:
        once = f"{Reason.DIGEST_NOT_RECORDED}/{version}"
        await cluster.post_event(raw, "Warning", Reason.DIGEST_NOT_RECORDED, message, once)
    except CallFailed as failure:
        log.warning("%s/%s: Event not posted: %s", *key, failure)


async def nothing(*_: object) -> list[Report]:
    """For where there is nobody else who would tell the registry anything."""
    return []


async def untold(*_: object) -> None:
    """For where nobody is to be told."""


async def verdicts_after(cluster: Cluster, key: Key, uid: str, attempt: int) -> list[Report]:
    """Verdicts about a rollout after an attempt, as the API server has it now; none where it is
    gone. Raises CallFailed.
    """
    try:
        raw = await cluster.read(KIND, *key)
    except Gone:
        return []
    return (
        after(Status.model_validate(raw["status"]), attempt)
        if raw["metadata"]["uid"] == uid
        else []
    )


@dataclass
class VerdictWriteback:
    """Tags the version `rollouts.mlops.dev/<namespace>.<name>`; on promotion it gets the alias,
    which a return gives back to the version before.

    The registry's writes cannot be fenced as the API server's are. What was told late is put right
    by telling again what came later.
    """

    registry: ModelRegistry
    """Takes the tags and the alias."""
    alias: str = ""
    """A pattern with {namespace} and {name}; "" for none."""
    verdicts_after: VerdictsAfter = nothing
    """Called where telling took longer than FRESH; by default there are none."""
    wake: Callable[[Key], None] = lambda _: None
    """Called with the rollout's key once a verdict was told."""
    unrecorded: Unrecorded = untold
    """Called where a digest is given up; by default nobody is told."""
    clock: Callable[[], float] = time.monotonic
    """Monotonic time in seconds."""
    _told: dict[str, set[int]] = field(default_factory=dict)
    """Attempts by the rollout's uid."""
    _tasks: dict[tuple[str, int], asyncio.Task[None]] = field(default_factory=dict)
    _pinning: set[asyncio.Task[None]] = field(default_factory=set)

    def written(self, uid: str) -> frozenset[int]:
        """Attempts of this rollout that the registry was told by this process."""
        return frozenset(self._told.get(uid, ()))

    def knows(self, uid: str, attempt: int) -> bool:
        """Whether the verdict of this attempt was told, or is being told."""
        return attempt in self._told.get(uid, ()) or (uid, attempt) in self._tasks

    def write(self, key: Key, uid: str, report: Report) -> None:
        """Tell it, unless that is done or under way;
        who calls knows that the report is the newest.
        """
        if self.knows(uid, report.attempt):
            return
        task = asyncio.create_task(self._write(key, uid, report), name=f"report {key[0]}/{key[1]}")
        self._tasks[uid, report.attempt] = task
        task.add_done_callback(lambda _: self._tasks.pop((uid, report.attempt), None))

    def pin(self, key: Key, pinned: Pinned) -> None:
        """Record a version's digest and signature; pods rest on status, whatever becomes of it."""
        task = asyncio.create_task(self._pin(key, pinned), name=f"digest {key[0]}/{key[1]}")
        self._pinning.add(task)
        task.add_done_callback(self._pinning.discard)

    async def _pin(self, key: Key, pinned: Pinned) -> None:
        what = f"the digest of models:/{pinned.model}/{pinned.version}"
        write = partial(self._record, pinned)
        if failure := await self._until_written(key, what, write, TRIES):
            await self.unrecorded(key, pinned, failure)

    async def _record(self, pinned: Pinned) -> str:
        """Record it, unless somebody was quicker; what went wrong, "" if nothing."""
        model, version = pinned.model, pinned.version
        match await self.registry.resolve(f"models:/{model}/{version}"):
            case Resolved(digest=recorded):
                if recorded != pinned.digest:
                    log.warning(
                        "models:/%s/%s: %s was recorded meanwhile", model, version, recorded
                    )
                return ""
            case RegistryUnreachable(message):
                return message
        failure = ""
        if pinned.signature:
            failure = await self.registry.set_tag(model, version, SIGNATURE_TAG, pinned.signature)
        # The digest comes last: with it the version counts as recorded.
        return failure or await self.registry.set_tag(model, version, DIGEST_TAG, pinned.digest)

    def forget(self, uid: str) -> None:
        """The rollout is gone."""
        self._told.pop(uid, None)
        for (of, _), task in list(self._tasks.items()):
            if of == uid:
                task.cancel()

    async def close(self) -> None:
        """End what is under way; the next process tells it again."""
        tasks = [*self._tasks.values(), *self._pinning]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, key: Key, uid: str, report: Report) -> None:
        known, told, waiting = self.clock(), list[Report](), [report]
        while waiting and waiting != told:
            for one in waiting:
                what = f"the verdict of attempt {one.attempt}"
                await self._until_written(key, what, partial(self._once, key, one))
            if self.clock() - known <= FRESH:
                break
            known = self.clock()
            told, waiting = waiting, await self._verdicts_after(key, uid, report.attempt)
        self._told.setdefault(uid, set()).add(report.attempt)
        # The rollout may have come to rest since the report was made: nothing else would look at
        # it, and status would not say it.
        self.wake(key)

    async def _until_written(
        self, key: Key, what: str, write: Callable[[], Awaitable[str]], tries: float = math.inf
    ) -> str:
        """Write until the registry has it, "", or refuses it for good: why. `write` says what went
        wrong.
        """
        delay, tried = FIRST_RETRY, 0
        while failure := await write():
            tried += 1
            if tried >= tries or (failure.startswith("HTTP 4") and not failure.startswith(PASSING)):
                log.warning("%s/%s: the registry does not take %s: %s", *key, what, failure)
                return failure
            log.warning(
                "%s/%s: the registry has not got %s, tried again in %.0f s: %s",
                *key,
                what,
                delay,
                failure,
            )
            await asyncio.sleep(delay)
            delay = min(LONGEST_RETRY, 2 * delay)
        return ""

    async def _verdicts_after(self, key: Key, uid: str, attempt: int) -> list[Report]:
        while True:
            try:
                return await self.verdicts_after(key, uid, attempt)
            except CallFailed as failure:
                log.warning(
                    "%s/%s: could not be read again, tried again in %.0f s: %s",
                    *key,
                    FIRST_RETRY,
                    failure,
                )
                await asyncio.sleep(FIRST_RETRY)

    async def _once(self, key: Key, report: Report) -> str:
        tag = f"{GROUP}/{key[0]}.{key[1]}"
        failure = await self.registry.set_tag(report.model, report.version, tag, report.text)
        if failure or report.alias is None or not self.alias:
            return failure
        alias = self.alias.format(namespace=key[0], name=key[1])
        return await self.registry.set_alias(*report.alias, alias)
