"""Stable's pods are told what to copy, again and again while a step of a trial asks for copies: in
a task of its own for each rollout, so that a pod that hangs holds up nothing.

Nothing is remembered by the pods for longer than LEASE, so an operator that dies ends all copying,
and the next one, which follows the same status, begins it again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.adapters.model_pods import ModelPods, Told
from rollout_operator.controller.raw_objects import Key
from rollout_operator.domain.api.differences import Difference
from rollout_operator.domain.shadow import (
    RENEW,
    Shadow,
    differences,
    message,
    pods_to_tell,
    sampled,
)
from rollout_operator.domain.shadow_fields import ShadowFields, fields_of
from rollout_operator.errors import CallFailed

log = logging.getLogger(__name__)

REMEMBERED = 256
"""Rollouts of which is known what differed, until a status has it; each has less than 32 KB."""
NO_PODS = "stable has no Ready pod that could copy requests"


@dataclass(slots=True)
class _Telling:
    """What the pods of one rollout are told."""

    shadow: Shadow
    key: str
    """By which it is signed."""
    trouble: str = ""
    """Why a pod does not do as it is told; "" where all do, or none was told yet."""
    pods: tuple[str, ...] = ()
    """Those that were told last."""
    task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether what nobody expects has ended the task: it is logged, and begun anew."""
        return self.task is not None and self.task.done()


@dataclass
class Shadows:
    """One task for each rollout whose requests are copied."""

    cluster: Cluster
    """By whom the addresses of pods are read."""
    pods: ModelPods
    """Tells them."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    """UTC."""
    fields: tuple[ShadowFields, ...] = ()
    """Which fields of requests may be seen, by namespace."""
    _heard: dict[Key, tuple[datetime, tuple[Difference, ...]]] = field(default_factory=dict)
    """What differed, and when that was heard; of the newest REMEMBERED rollouts."""
    _told: dict[Key, _Telling] = field(default_factory=dict)
    _ending: set[asyncio.Task[None]] = field(default_factory=set)

    def follow(self, key: Key, shadow: Shadow | None, signed_by: str) -> None:
        """Have stable's pods copy this, or nothing where it is None; does not wait for them.

        signed_by: the key of the rollout's pods.
        """
        known = self._told.get(key)
        if shadow is not None:
            shadow = replace(shadow, fields=fields_of(self.fields, key[0]))
        if shadow is None:
            self.forget(key)
        elif known is None or known.ended or (known.shadow, known.key) != (shadow, signed_by):
            if known is not None and known.shadow.stable != shadow.stable:
                self.forget(key)
            elif known is not None and known.task is not None:
                known.task.cancel()
            telling = self._told[key] = _Telling(shadow, signed_by)
            name = f"shadow {key[0]}/{key[1]}"
            telling.task = asyncio.create_task(self._tell(key, telling), name=name)

    def differences(self, key: Key, since: datetime | None) -> tuple[Difference, ...]:
        """Answers to copies that differed, as pods have told from this moment on."""
        heard = self._heard.get(key)
        return heard[1] if heard is not None and since is not None and heard[0] >= since else ()

    def trouble(self, key: Key) -> str:
        """Why stable's pods do not copy, as a sentence; "" where they do, or are not to."""
        known = self._told.get(key)
        return known.trouble if known is not None else ""

    def forget(self, key: Key) -> None:
        """Nothing of this rollout is copied any more; its pods are told once, and forget it by
        themselves where that does not reach them.
        """
        if (known := self._told.pop(key, None)) is None:
            return
        if known.task is not None:
            known.task.cancel()
        ending = asyncio.create_task(self._end(key, known), name=f"shadow ends {key[0]}/{key[1]}")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End it here; pods go on until the lease is over, for the next operator to renew."""
        tasks = [t.task for t in self._told.values() if t.task is not None]
        self._told.clear()
        for task in (*tasks, *self._ending):
            task.cancel()
        await asyncio.gather(*tasks, *self._ending, return_exceptions=True)

    async def _tell(self, key: Key, telling: _Telling) -> None:
        while True:
            with contextlib.suppress(CallFailed):
                slices = await self.cluster.endpoint_slices(*key)
                telling.pods = pods_to_tell(slices, key[1], telling.shadow)
            await self._once(key, telling)
            await asyncio.sleep(RENEW.total_seconds())

    async def _once(self, key: Key, telling: _Telling) -> None:
        said = await self._say(key, telling)
        # What one pod of several does not copy, the others do.
        wrong = next((one.trouble for one in said), "") if all(o.trouble for o in said) else ""
        trouble = wrong if telling.pods else NO_PODS
        if trouble != telling.trouble:
            level = logging.WARNING if trouble else logging.INFO
            log.log(level, "%s/%s: %s", *key, trouble or "stable's pods copy requests")
        telling.trouble = trouble

    async def _end(self, key: Key, telling: _Telling) -> None:
        await self._say(key, telling, ends=True)

    async def _say(self, key: Key, telling: _Telling, *, ends: bool = False) -> list[Told]:
        """Tell all pods, and keep what they say of differences."""
        body, signature = message(telling.shadow, self.clock(), telling.key, ends=ends)
        told = await asyncio.gather(*(self.pods.tell(one, body, signature) for one in telling.pods))
        found = sampled(differences(one.said, telling.shadow.candidate) for one in told)
        if found:
            self._heard.pop(key, None)
            self._heard[key] = self.clock(), found
            if len(self._heard) > REMEMBERED:
                del self._heard[next(iter(self._heard))]
        return told
