"""Live rows beside scikit-learn: a sample of what is served by ONNX Runtime is compared now and
then, and one mismatch ends that.

The proof of a conversion is made of rows that somebody thought of; these are the ones that come.
"""

import asyncio
import logging
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from rollout_inference.live_comparison.worker import Found, Sample, original
from rollout_inference.loading.loader import LoadedModel, by_itself, child, ended
from rollout_inference.metrics import Metrics
from rollout_inference.settings import Settings
from rollout_model.signature import AnyRows
from rollout_model.table import Table

log = logging.getLogger(__name__)
MOST = 1_000
"""Rows of one comparison."""


class Live:
    """Rows that came since the last comparison, and what was said to them."""

    mismatch: str = ""
    """What was found to differ, in words, for as long as scikit-learn could not be loaded; "" for
    nothing.
    """

    def __init__(self, share: float, chance: Any = random.random) -> None:
        """Of the requests a share from 0 to 1 is noted."""
        self._share, self._chance = share, chance
        self._noted: list[tuple[list[Any], Any]] = []

    def note(self, rows: AnyRows, said: list[Any]) -> None:
        """A request was answered.

        Called by threads and the event loop alike: a few rows too many do no harm, and each row is
        kept with what was said to it.
        """
        room = MOST - len(self._noted)
        if room > 0 and self._chance() < self._share:
            some = rows.part(0, room).cells() if isinstance(rows, Table) else rows[:room].tolist()
            # Made before the list is looked up: it may be taken meanwhile.
            answered = zip(some, said[:room], strict=True)
            self._noted.extend(answered)

    def take(self) -> tuple[list[list[Any]], list[Any]]:
        """What was noted; begins anew."""
        taken, self._noted = self._noted, []
        return [row for row, _ in taken], [one for _, one in taken]


class Served(Protocol):
    """The server's state, as far as it is looked at here."""

    settings: Settings
    metrics: Metrics
    model: LoadedModel | None
    live: Live | None

    def fall_back(self, model: LoadedModel) -> None:
        """From now on this model serves, which is scikit-learn's."""


async def watch(state: Served) -> None:
    """Compare every now and then, where that is asked for, as long as ONNX Runtime serves."""
    settings = state.settings
    if not settings.compare_percent or state.model is None or state.model.plan.onnx_input is None:
        return
    state.live = Live(settings.compare_percent / 100)
    while state.live is not None:
        await asyncio.sleep(settings.compare_seconds)
        try:
            await compare(state)
        except Exception:
            log.exception("live rows could not be compared")


async def compare(state: Served) -> None:
    """Compare what was noted; from a mismatch on scikit-learn serves, which is tried again every
    time until it does.
    """
    model, live = state.model, state.live
    if model is None or live is None:
        return
    if not live.mismatch:
        live.mismatch = await _mismatch(state, model, live)
    if not live.mismatch:
        return
    try:
        served = await _by_sklearn(model, state.settings, live.mismatch)
    except Exception as failure:  # whatever it is, the mismatch remains
        log.error(
            "%s; scikit-learn cannot be loaded, so ONNX Runtime goes on serving, and it is tried"
            " again in %d s: %s",
            live.mismatch,
            state.settings.compare_seconds,
            failure,
        )
        return
    state.fall_back(served)
    log.error(
        "ONNX Runtime was taken out of service, and scikit-learn serves from now on: %s",
        live.mismatch,
    )


async def _mismatch(state: Served, model: LoadedModel, live: Live) -> str:
    """What of the noted rows differs, in words; "" where nothing does, or nothing was compared."""
    rows, said = live.take()
    if not rows:
        return ""
    sample = Sample(state.settings.model_dump_json(), model.plan.task, rows, said)
    longest = 2 * state.settings.load_seconds  # to load the model, and to ask it
    try:
        found = await asyncio.wait_for(_found(sample), longest)
    except TimeoutError:
        found = Found(failed=f"it took more than {longest:g} s")
    if found.failed:
        log.warning("live rows could not be compared: %s", found.failed)
        return ""
    state.metrics.compared(found.compared, found.differ)
    return (
        f"{found.differ} of {found.compared} live rows differ: {found.example}"
        if found.differ
        else ""
    )


async def _found(sample: Sample) -> Found:
    async with child("live_comparison.worker") as process:
        said, _ = await process.communicate(msgspec.msgpack.encode(sample))
    return msgspec.msgpack.decode(said, type=Found) if said else Found(failed=ended(process))


async def _by_sklearn(model: LoadedModel, settings: Settings, reason: str) -> LoadedModel:
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        artifact, estimator = await original(settings, Path(scratch))
    runtime = by_itself(estimator, artifact)
    plan = msgspec.structs.replace(model.plan, runtime="sklearn", onnx_input=None, reason=reason)
    return replace(model, runtime=runtime, plan=plan)
