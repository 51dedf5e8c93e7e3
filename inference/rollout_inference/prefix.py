"""Routes under any prefix: routers pass a path on whole, and which path leads here is the rollout's business, not the pod's.

Were it a setting of the pods, a change of `traffic.path` would have to restart them before it could take effect.
"""

from collections.abc import Iterable
from functools import lru_cache

from starlette.routing import BaseRoute, Mount, Route


def beginnings(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """The first segments of the routes' paths: `predict` of `/predict/`."""
    return frozenset(route.path.split("/", 2)[1] for route in routes if isinstance(route, Route | Mount))


@lru_cache(1024)
def prefix_of(path: str, known: frozenset[str]) -> str:
    """What stands before the first known segment of `path`, ASGI's `root_path`; "" where it begins with one, or has none."""
    segments = path.split("/")
    if len(segments) < 2 or segments[1] in known:
        return ""
    at = next((n for n, segment in enumerate(segments) if n and segment in known), 1)
    return "/".join(segments[:at])
