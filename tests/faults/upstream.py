"""The API server itself, past the proxy: what tests, hands and the audit do there."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

GROUP = "rollouts.mlops.dev"
KINDS: Mapping[str, tuple[str, str]] = {
    "ModelRollout": (f"/apis/{GROUP}/v1alpha1", "modelrollouts"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Service": ("/api/v1", "services"),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
}
OURS = f"app.kubernetes.io/managed-by={GROUP}"

Object = dict[str, Any]
Lists = dict[str, list[Object]]
"""Every watched object of a namespace, or of all, by kind."""


def trusting() -> aiohttp.TCPConnector:
    """A connector that takes the test server's own certificate."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return aiohttp.TCPConnector(ssl=trust, limit=0)


@dataclass
class Upstream:
    """Cluster admin at the real API server."""

    server: str
    token: str
    session: aiohttp.ClientSession

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, kubeconfig: Path) -> AsyncIterator[Self]:
        """Connect as the kubeconfig says."""
        config = json.loads(await asyncio.to_thread(kubeconfig.read_text))
        server, token = (
            config["clusters"][0]["cluster"]["server"],
            config["users"][0]["user"]["token"],
        )
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(server, headers=headers, connector=trusting()) as session:
            yield cls(server, token, session)

    async def lists(self, namespace: str = "") -> Lists:
        """All kinds as they are now."""
        return {kind: (await self.list(kind, namespace))[0] for kind in KINDS}

    async def list(self, kind: str, namespace: str = "") -> tuple[list[Object], str]:
        """All objects of a kind that are ours, and the resourceVersion of the list."""
        query = {} if kind == "ModelRollout" else {"labelSelector": OURS}
        async with self.session.get(path(kind, namespace), params=query) as reply:
            body = await reply.json()
            assert reply.status == 200, body
            return body["items"], body["metadata"]["resourceVersion"]

    async def watch(self, kind: str, since: str) -> AsyncIterator[Object]:
        """Events of a kind, without end."""
        query = {
            "watch": "1",
            "resourceVersion": since,
            **({} if kind == "ModelRollout" else {"labelSelector": OURS}),
        }
        async with self.session.get(
            path(kind), params=query, timeout=aiohttp.ClientTimeout(total=None)
        ) as reply:
            async for line in reply.content:
                yield json.loads(line)

    async def namespace(self, name: str) -> None:
        """Make a namespace."""
        async with self.session.post(
            "/api/v1/namespaces", json={"metadata": {"name": name}}
        ) as reply:
            assert reply.status == 201, await reply.text()

    async def apply(self, kind: str, namespace: str, name: str, body: Object) -> None:
        """Server-side apply, as a person would."""
        query = {"fieldManager": "test", "force": "true", "fieldValidation": "Strict"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        whole = {
            "apiVersion": KINDS[kind][0].removeprefix("/apis/").removeprefix("/api/"),
            "kind": kind,
            "metadata": {"name": name},
            **body,
        }
        whole["metadata"] = {"name": name, **body.get("metadata", {})}
        async with self.session.patch(
            f"{path(kind, namespace)}/{name}", data=json.dumps(whole), params=query, headers=headers
        ) as reply:
            assert reply.status < 300, await reply.text()

    async def set_status(self, kind: str, namespace: str, name: str, status: Object) -> None:
        """Write the status of an object, as a controller would; one that is gone meanwhile is no
        error.
        """
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self.session.patch(
            f"{path(kind, namespace)}/{name}/status",
            data=json.dumps({"status": status}),
            headers=headers,
        ) as reply:
            assert reply.status in {200, 404}, await reply.text()

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object in the background; one that is gone is no error."""
        async with self.session.delete(
            f"{path(kind, namespace)}/{name}", json={"propagationPolicy": "Background"}
        ) as reply:
            assert reply.status in {200, 202, 404}, await reply.text()


def path(kind: str, namespace: str = "") -> str:
    """Where the objects of a kind are."""
    root, plural = KINDS[kind]
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
