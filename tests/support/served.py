"""Waiting for what others serve."""

import socket
from contextlib import suppress
from pathlib import Path

import yaml

from tests.support.api_client import ApiClient, wait_for


def wait_port(port: int, what: str, seconds: float = 120) -> None:
    """Wait until something accepts connections on this port of ours."""
    wait_for(lambda: _accepts(port), what, seconds)


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def install_crds(api: ApiClient, folder: Path) -> None:
    """Install every CustomResourceDefinition of a folder: one file each, of up to a megabyte.

    Returns once each can be discovered: what starts earlier never asks again.
    """
    kinds = set()
    for file in sorted(folder.glob("*.yaml")):
        document = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        if document["kind"] == "CustomResourceDefinition":
            api.install(document)
            kinds.add(document["spec"]["names"]["kind"])
    wait_for(lambda: kinds <= discovered(api), f"{', '.join(sorted(kinds))} to be discovered", 120)


def discovered(api: ApiClient) -> set[str]:
    """The kinds of all API groups, as clients discover them."""
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    groups = api.http.get("/apis", headers={"Accept": accept}).json()["items"]
    return {
        resource["responseKind"]["kind"]
        for group in groups
        for version in group["versions"]
        for resource in version.get("resources", ())
    }


def wait_collection(api: ApiClient, path: str) -> None:
    """Wait until the API server serves the collection of a CustomResourceDefinition."""
    wait_for(lambda: api.http.get(path).status_code == 200, f"{path} to be served")
