"""kopf, imported without the client libraries that it imports only to recognise their classes: they
would be 25 MiB of the operator.

Source: kopf/_cogs/helpers/thirdparty.py, which takes each of them for not installed where its
import fails.
"""

import sys
from typing import Any, cast

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

__all__ = ["ActivityError", "ResourceMemories", "ResourceMemory", "kopf"]
