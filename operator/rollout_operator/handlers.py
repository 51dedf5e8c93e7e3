"""What kopf calls: the watch of the ModelRollouts, and the beginning and end of the process.

Nothing is decided here: everything is the process's own (`memo.shell`).
"""

from typing import Any, cast

from rollout_operator.adapters.login import login
from rollout_operator.domain.api.names import GROUP, PLURAL, VERSION
from rollout_operator.kopf_compat import configure, kopf
from rollout_operator.process import Shell

HANDLERS = kopf.OperatorRegistry()


@kopf.on.login(registry=HANDLERS)
def log_in(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo:
    """How kopf reaches the API server."""
    return login(settings)


@kopf.on.startup(registry=HANDLERS)
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """Connect, and know everything, before the first ModelRollout is told of."""
    shell: Shell = memo.shell
    configure(settings, shell.settings.shard)
    await shell.start()


@kopf.on.cleanup(registry=HANDLERS)
async def stop(memo: kopf.Memo, **_: Any) -> None:
    """End what `start` began."""
    shell: Shell = memo.shell
    await shell.stop()


@kopf.on.event(GROUP, VERSION, PLURAL, registry=HANDLERS)
async def changed(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A ModelRollout was listed, added, modified or deleted."""
    shell: Shell = memo.shell
    shell.told(event["type"], cast("dict[str, Any]", event["object"]))
