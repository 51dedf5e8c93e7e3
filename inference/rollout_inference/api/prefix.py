"""Routes under any prefix: routers pass a path on whole, and which path leads here is the rollout's
business, not the pod's.

Were it a setting of the pods, a change of `traffic.path` would have to restart them before it could
take effect.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache

from starlette.routing import BaseRoute, Mount, Route


def prefixes(routes: Iterable[BaseRoute]) -> Callable[[str], str]:
    """A function that says what stands before one of the routes in a path, ASGI's `root_path`; ""
    where nothing does.

    The shortest such prefix counts, and what follows it must be a whole route: `/api/v2/predict/`
    is `/predict/` under `/api/v2`, though the server's own `/v2/…` begins with a part of it;
    `/v2/models/predict/infer` is a route of its own.
    """
    known = tuple(
        {
            route.path_regex.pattern: route.path_regex
            for route in routes
            if isinstance(route, Route | Mount)
        }.values()
    )

    @lru_cache(1024)
    def prefix_of(path: str) -> str:
        at = 0
        while at >= 0:
            if any(pattern.match(path[at:]) for pattern in known):
                return path[:at]
            at = path.find("/", at + 1)
        return ""

    return prefix_of
