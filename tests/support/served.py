"""Waiting for what others serve."""

import socket
from contextlib import suppress

from tests.support.api_client import ApiClient, wait_for


def wait_port(port: int, what: str, seconds: float = 120) -> None:
    """Wait until something accepts connections on this port of ours."""
    wait_for(lambda: _accepts(port), what, seconds)


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def wait_collection(api: ApiClient, path: str) -> None:
    """Wait until the API server serves the collection of a CustomResourceDefinition."""
    wait_for(lambda: api.http.get(path).status_code == 200, f"{path} to be served")
