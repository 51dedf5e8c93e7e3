"""All that bends kopf; nothing else knows `kopf._core` or `sys.modules`.

What it leans on, beside kopf's documented API (kopf is pinned below 1.46 for it):

- `kopf/_cogs/helpers/thirdparty.py` takes a client library for not installed where its import
  fails. It imports them only to recognise their classes, and they would be 25 MiB of the operator.
- `kopf.run(memories=)` is documented; the type, `kopf._core.reactor.inventory.ResourceMemories`, is
  not. Its `recall` keeps nothing of an object where it is called with `ephemeral`.
- A handler of a startup that fails for good ends `kopf.run` with `ActivityError`, which is of
  `kopf._core.engines.activities`, and whose cause is the handler's own exception.
- `identity` may be any text: kopf reads the user's name where there is none.
- The logger "kopf.objects" tells of every event that its handler succeeded.
"""

import asyncio
import logging
import sys
from collections.abc import Collection
from typing import Any, cast

from rollout_operator.domain.api.names import GROUP, PLURAL, SHARD, VERSION

_hidden = [
    name for name in ("kubernetes", "kubernetes_asyncio", "pykube") if name not in sys.modules
]
sys.modules.update(dict.fromkeys(_hidden, cast("Any", None)))
try:
    import kopf
    from kopf._core.engines.activities import ActivityError
    from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["configure", "kopf", "run"]


class NoDiffBase(kopf.DiffBaseStorage):
    """Nothing is compared with what was handled before, so nothing is copied to be compared: that
    was half of kopf's time.
    """

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return


class NoProgress(kopf.ProgressStorage):
    """No handler of ours is ever half done: what is durable is the status."""

    def fetch(self, **_: Any) -> None:
        return

    def store(self, **_: Any) -> None:
        return

    def purge(self, **_: Any) -> None:
        return

    def touch(self, **_: Any) -> None:
        return

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


class NoMemories(ResourceMemories):
    """No handler of ours has a daemon: what kopf would remember of an object is made for each
    event, and let go.
    """

    async def recall(self, raw_body: kopf.RawBody, **more: Any) -> ResourceMemory:
        return await super().recall(raw_body, **{**more, "ephemeral": True})


def configure(settings: kopf.OperatorSettings, shard: str = "") -> None:
    """Measured settings: no Events by kopf, small lists, workers that leave early, nothing watched
    but what is ours.
    """
    settings.posting.enabled = False
    settings.queueing.idle_timeout = 0.05
    settings.watching.chunk_size = 100
    settings.watching.initial_streaming = False
    settings.watching.server_timeout = 10 * 60
    settings.networking.request_timeout = 30
    settings.scanning.disabled = True
    if shard:
        settings.watching.label_selectors[GROUP, VERSION, PLURAL] = f"{SHARD}={shard}"
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()


def log_to_stderr(level: str) -> None:
    """Log at this level, without a line for each event."""
    kopf.configure(debug=level == "DEBUG", log_format=kopf.LogFormat.FULL)
    if level != "DEBUG":
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)


def run(
    handlers: kopf.OperatorRegistry,
    memo: kopf.Memo,
    namespaces: Collection[str],
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Run these handlers until a signal ends it; SystemExit with a sentence where one of them says
    that it cannot begin.

    memo: what the handlers get; namespaces: empty for all.
    """
    try:
        kopf.run(
            loop=loop,
            registry=handlers,
            settings=kopf.OperatorSettings(),
            memories=NoMemories(),
            memo=memo,
            standalone=True,
            # The container's user has no name that could be read.
            identity=cast("Any", "rollout-operator"),
            clusterwide=not namespaces,
            namespaces=namespaces,
        )
    except ActivityError as failed:
        if isinstance(failed.__cause__, kopf.PermanentError):
            raise SystemExit(f"The operator ends: {failed.__cause__}") from None
        raise
