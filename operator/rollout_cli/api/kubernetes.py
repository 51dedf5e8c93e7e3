"""What this program asks of a Kubernetes API server, whoever carries it there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from rollout_operator.domain.api.names import GROUP, PLURAL, VERSION

Object = dict[str, Any]
Query = Mapping[str, str]


class KubeApi(Protocol):
    """One connection to an API server.

    Every call ends within 10 s and raises Absent (404), Refused (401, 403 and other 4xx) or
    Unreachable.
    """

    @property
    def namespace(self) -> str:
        """Where a rollout is looked for that is named without a namespace."""

    def get(self, path: str, query: Query | None = None) -> Object:
        """The object or list at `path`."""

    def items(self, path: str, selector: str = "") -> list[Object]:
        """The objects of a collection that carry the labels `selector`."""

    def create(self, path: str, body: Object) -> Object:
        """POST `body`: for access reviews, which are questions."""

    def patch(self, path: str, body: Object) -> Object:
        """A JSON merge patch."""

    def raw(
        self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of a GET, whatever they are:
        for what is behind the API server's proxy.
        """


class WatchingApi(KubeApi, Protocol):
    """A KubeApi that can watch, too."""

    def stream(
        self, path: str, query: Query, timeout: float
    ) -> AbstractContextManager[Iterator[bytes]]:
        """A GET whose body is read while it comes; `timeout` is between two pieces, in seconds.
        Raises as `get` does, and Unreachable where it breaks off.
        """


class SendingApi(KubeApi, Protocol):
    """A KubeApi that can send to what is behind it, too."""

    def send(self, path: str, body: Sequence[Object]) -> tuple[int, bytes]:
        """Status and body of a POST, whatever they are: for what is behind the API server's proxy.
        Raises Unreachable where that takes longer than a minute.
        """


def rollouts_path(namespace: str = "", name: str = "") -> str:
    """Where ModelRollouts live in the API; namespace "" for all."""
    place = (
        f"/apis/{GROUP}/{VERSION}"
        + (f"/namespaces/{namespace}" if namespace else "")
        + f"/{PLURAL}"
    )
    return f"{place}/{name}" if name else place
