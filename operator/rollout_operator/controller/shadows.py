"""Stable's pods are told what to copy, again and again while a step of a trial asks for copies: in
a task of its own for each rollout, so that a pod that hangs holds up nothing.

Nothing is remembered by the pods for longer than LEASE, so an operator that dies ends all copying,
and the next one, which follows the same status, begins it again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.adapters.model_pods import ModelPods
from rollout_operator.controller.raw_objects import Key
from rollout_operator.domain.shadow import RENEW, Shadow, message, pods_to_tell
from rollout_operator.errors import CallFailed

log = logging.getLogger(__name__)

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
    _told: dict[Key, _Telling] = field(default_factory=dict)
    _ending: set[asyncio.Task[None]] = field(default_factory=set)

    def follow(self, key: Key, shadow: Shadow | None, signed_by: str) -> None:
        """Have stable's pods copy this, or nothing where it is None; does not wait for them.

        signed_by: the key of the rollout's pods.
        """
        known = self._told.get(key)
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
        ending = asyncio.create_task(self._end(known), name=f"shadow ends {key[0]}/{key[1]}")
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
        body, signature = message(telling.shadow, self.clock(), telling.key)
        said = await asyncio.gather(
            *(self.pods.tell(address, body, signature) for address in telling.pods)
        )
        # What one pod of several does not copy, the others do.
        wrong = next(filter(None, said), "") if all(said) else ""
        trouble = wrong if telling.pods else NO_PODS
        if trouble != telling.trouble:
            level = logging.WARNING if trouble else logging.INFO
            log.log(level, "%s/%s: %s", *key, trouble or "stable's pods copy requests")
        telling.trouble = trouble

    async def _end(self, telling: _Telling) -> None:
        body, signature = message(telling.shadow, self.clock(), telling.key, ends=True)
        await asyncio.gather(*(self.pods.tell(one, body, signature) for one in telling.pods))
