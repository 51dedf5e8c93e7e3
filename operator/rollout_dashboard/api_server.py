"""The API server, asked with a viewer's token: the only credentials that ever go there."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode

import urllib3

from rollout_cli.api.answers import read_answer
from rollout_cli.api.kubernetes import Object, Query
from rollout_cli.exit_codes import Unreachable
from rollout_dashboard.settings import Settings

TIMEOUT = 10.0
FIELD_MANAGER = "modelrollout-dashboard"
CONNECTIONS = 32
"""Kept open to the API server: for requests at the same time, and a watch for each set of rights.
"""


class ApiServer:
    """The connections; whoever asks brings a token."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.api_server
        self.pool = urllib3.PoolManager(
            retries=False,
            maxsize=CONNECTIONS,
            ca_certs=settings.ca_file or None,
        )

    def as_viewer(self, token: str) -> "TokenClient":
        """The API server as the viewer with this token."""
        return TokenClient(self, token)


class TokenClient:
    """A WatchingApi by bearer token."""

    namespace = ""

    def __init__(self, server: ApiServer, token: str) -> None:
        self._server, self._token = server, token

    def get(self, path: str, query: Query | None = None) -> Object:
        """The object or list at `path`."""
        return read_answer(*self.raw(path, query), path)

    def items(self, path: str, selector: str = "") -> list[Object]:
        """The objects of a collection that carry the labels `selector`."""
        found: list[Object] = self.get(path, {"labelSelector": selector} if selector else None)[
            "items"
        ]
        return found

    def create(self, path: str, body: Object) -> Object:
        """POST `body`: for access reviews, which are questions."""
        kind = {"Content-Type": "application/json"}
        return read_answer(*self._call("POST", path, None, kind, body), path)

    def patch(self, path: str, body: Object) -> Object:
        """A JSON merge patch."""
        kind = {"Content-Type": "application/merge-patch+json"}
        query = {"fieldManager": FIELD_MANAGER}
        return read_answer(*self._call("PATCH", path, query, kind, body), path)

    def raw(
        self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._call("GET", path, query, headers or {}, None)

    @contextmanager
    def stream(self, path: str, query: Query, timeout: float) -> Iterator[Iterator[bytes]]:
        """A GET whose body is read while it comes; `timeout` is between two pieces, in seconds."""
        with self._answering():
            response = self._server.pool.request(
                "GET",
                self._url(path, query),
                headers=self._headers({}),
                timeout=urllib3.Timeout(connect=TIMEOUT, read=timeout),
                preload_content=False,
            )
        try:
            if response.status >= 300:
                read_answer(response.status, response.data, path)
            with self._answering():
                yield response.stream(None)
        finally:
            response.close()

    def _call(
        self,
        method: str,
        path: str,
        query: Query | None,
        headers: Mapping[str, str],
        body: Object | None,
    ) -> tuple[int, bytes]:
        with self._answering():
            response = self._server.pool.request(
                method,
                self._url(path, query),
                headers=self._headers(headers),
                body=None if body is None else json.dumps(body).encode(),
                timeout=TIMEOUT,
                redirect=False,
            )
        return int(response.status), bytes(response.data)

    def _url(self, path: str, query: Query | None) -> str:
        return f"{self._server.url}{path}" + (f"?{urlencode(dict(query))}" if query else "")

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "Accept": "application/json, */*",
            **more,
            "Authorization": f"Bearer {self._token}",
        }

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OSError, urllib3.exceptions.HTTPError) as failure:
            raise Unreachable(
                f"The API server {self._server.url} did not answer: {type(failure).__name__}. It is"
                " tried again."
            ) from failure
