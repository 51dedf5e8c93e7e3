"""The API server as cluster admin: `ApiClient` for tests that block, `AsyncApiClient` for the rest.

Both send the same requests. The sync face returns every reply as it is, because tests look at
refusals. The async face raises AssertionError for a reply that the request did not expect.
"""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp
import httpx
import yaml

from tests.support.kinds import KINDS, MANAGED, Lists, Object, manifest, path_of

ROOT = Path(__file__).parents[2]
CRD = ROOT / "crds" / "modelrollouts.yaml"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
APPLY = {"fieldManager": "test", "force": "true", "fieldValidation": "Strict"}
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One write to the API server."""

    method: str
    path: str
    body: Object
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    also_fine: frozenset[int] = frozenset()
    """Statuses beside 2xx that are no error: 404 where the object may be gone meanwhile."""

    @property
    def content(self) -> bytes:
        """The body as JSON."""
        return json.dumps(self.body).encode()

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": self.content_type}


def created(path: str, body: Object) -> Request:
    """POST; an object that exists already is no error."""
    return Request("POST", path, body, also_fine=frozenset({404, 409}))


def merged(path: str, body: Object) -> Request:
    """JSON merge patch; an object that is gone meanwhile is no error."""
    patch = "application/merge-patch+json"
    return Request("PATCH", path, body, content_type=patch, also_fine=frozenset({404}))


def applied(path: str, body: Object) -> Request:
    """Server-side apply with strict field validation, as `kubectl apply --server-side` does it."""
    return Request("PATCH", path, body, APPLY, "application/apply-patch+yaml")


def deleted(path: str) -> Request:
    """DELETE in the background; an object that is gone is no error."""
    body = {"propagationPolicy": "Background"}
    return Request("DELETE", path, body, also_fine=frozenset({404}))


@dataclass(frozen=True)
class Address:
    """Where the API server is, and who one is there."""

    server: str
    token: str

    @classmethod
    def of(cls, kubeconfig: Path) -> Self:
        """As `scripts.cluster.apiserver` writes it."""
        config = json.loads(kubeconfig.read_text())
        user = config["users"][0]["user"]
        return cls(config["clusters"][0]["cluster"]["server"], user["token"])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class ApiClient:
    """The sync face."""

    def __init__(self, kubeconfig: Path) -> None:
        address = Address.of(kubeconfig)
        self.kubeconfig = kubeconfig
        self.http = httpx.Client(
            base_url=address.server,
            headers=address.headers,
            verify=False,  # the certificate is the test server's own
            timeout=30,
        )

    def get(self, path: str) -> Object:
        """What is at `path`; raises where there is nothing."""
        reply = self.http.get(path)
        reply.raise_for_status()
        answer: Object = reply.json()
        return answer

    def version(self, kind: str, namespace: str) -> str:
        """The resourceVersion of a collection as it is now."""
        return str(self.get(path_of(kind, namespace))["metadata"]["resourceVersion"])

    def items(self, kind: str, namespace: str, selector: str = "") -> list[Object]:
        """All objects of a kind in a namespace."""
        query = f"?labelSelector={selector}" if selector else ""
        objects: list[Object] = self.get(f"{path_of(kind, namespace)}{query}")["items"]
        return objects

    def events_since(self, kind: str, namespace: str, version: str) -> list[Object]:
        """What a watch of the collection tells since that resourceVersion, in order.

        Nothing that was short is missed by looking too late.
        """
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "2"}
        reply = self.http.get(path_of(kind, namespace), params=query)
        return [json.loads(line) for line in reply.text.splitlines()]

    def send(self, request: Request) -> httpx.Response:
        """Any write."""
        return self.http.request(
            request.method,
            request.path,
            params=dict(request.query),
            content=request.content,
            headers=request.headers,
        )

    def patch(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """JSON merge patch."""
        return self.send(merged(path, dict(body)))

    def apply(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Server-side apply of a whole object."""
        return self.send(applied(path, dict(body)))

    def install_crd(self) -> None:
        """The project's CRD; returns once it is served."""
        self.install(yaml.safe_load(CRD.read_text()))
        self.wait_served("ModelRollout")

    def install(self, crd: Object) -> None:
        """A CustomResourceDefinition."""
        reply = self.apply(f"{CRDS}/{crd['metadata']['name']}", crd)
        assert reply.status_code < 300, reply.text

    def wait_served(self, kind: str) -> None:
        """Wait until the API server serves a kind."""
        path = path_of(kind, "default")
        wait_for(lambda: self.http.get(path).status_code == 200, f"{kind} to be served")

    def namespace(self, name: str) -> None:
        """Make a namespace, where it is not there."""
        reply = self.http.post("/api/v1/namespaces", json={"metadata": {"name": name}})
        assert reply.status_code in {201, 409}, reply.text


@dataclass
class AsyncApiClient:
    """The async face."""

    address: Address
    session: aiohttp.ClientSession

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, kubeconfig: Path) -> AsyncIterator[Self]:
        """Connect as the kubeconfig says."""
        address = await asyncio.to_thread(Address.of, kubeconfig)
        async with aiohttp.ClientSession(
            address.server, headers=address.headers, connector=trusting()
        ) as session:
            yield cls(address, session)

    async def lists(self, namespace: str = "") -> Lists:
        """All kinds as they are now."""
        return {kind: (await self.list(kind, namespace))[0] for kind in KINDS}

    async def list(self, kind: str, namespace: str = "") -> tuple[list[Object], str]:
        """All objects of a kind that are ours, and the resourceVersion of the list."""
        async with self.session.get(path_of(kind, namespace), params=_selector(kind)) as reply:
            body = await reply.json()
            assert reply.status == 200, body
            return body["items"], body["metadata"]["resourceVersion"]

    async def watch(self, kind: str, since: str) -> AsyncIterator[Object]:
        """Events of a kind, without end."""
        query = {"watch": "1", "resourceVersion": since, **_selector(kind)}
        forever = aiohttp.ClientTimeout(total=None)
        async with self.session.get(path_of(kind), params=query, timeout=forever) as reply:
            async for line in reply.content:
                yield json.loads(line)

    async def send(self, request: Request) -> Object:
        """Any write; returns the answer."""
        async with self.session.request(
            request.method,
            request.path,
            params=dict(request.query),
            data=request.content,
            headers=request.headers,
        ) as reply:
            fine = reply.status < 300 or reply.status in request.also_fine
            assert fine, f"{request.method} {request.path}: {await reply.text()}"
            answer: Object = await reply.json()
            return answer

    async def namespace(self, name: str) -> None:
        """Make a namespace."""
        await self.send(Request("POST", "/api/v1/namespaces", {"metadata": {"name": name}}))

    async def apply(self, kind: str, namespace: str, name: str, body: Object) -> None:
        """Server-side apply, as a person would."""
        path = path_of(kind, namespace, name)
        await self.send(applied(path, manifest(kind, name, body)))

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object in the background; one that is gone is no error."""
        await self.send(deleted(path_of(kind, namespace, name)))


def _selector(kind: str) -> dict[str, str]:
    return {} if kind == "ModelRollout" else {"labelSelector": MANAGED}


def trusting() -> aiohttp.TCPConnector:
    """A connector that takes the test server's own certificate."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return aiohttp.TCPConnector(ssl=trust, limit=0)


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 30) -> T:
    """Poll until `probe` gives something true; fails with `what` when it never does."""
    end = time.monotonic() + seconds
    while True:
        if answer := probe():
            return answer
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.05)
