"""The only module that knows the Kubernetes client: reads, server-side apply, status, Events. Plain dicts in and out."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config

from rollout_operator.domain.names import FIELD_MANAGER, GROUP, KIND, MANAGED_BY, PLURAL, REVISION, ROLLOUT, VERSION
from rollout_operator.errors import CallFailed, Conflict, Gone
from rollout_operator.telemetry import API_REQUESTS

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
PATHS: Mapping[str, tuple[str, str]] = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Service": ("/api/v1", "services"),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "Pod": ("/api/v1", "pods"),
    "Event": ("/api/v1", "events"),
    KIND: (f"/apis/{GROUP}/{VERSION}", PLURAL),
}
"""Where each kind lives in the API."""

PAGE = 500
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Object = dict[str, Any]


def _path(kind: str, namespace: str, name: str = "", subresource: str = "") -> str:
    root, plural = PATHS[kind]
    place = f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
    return "/".join(part for part in (place, name, subresource) if part)


class Cluster:
    """One connection to the API server. Every call ends within 10 s and raises CallFailed, Conflict or Gone."""

    def __init__(self, api: client.ApiClient, writes: asyncio.Semaphore) -> None:
        self._api = api
        self._writes = writes

    @classmethod
    async def connect(cls, write_limit: int) -> Self:
        """Log in as the pod's service account, else by KUBECONFIG (exec plugins included)."""
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except config.ConfigException:
            await config.load_kube_config()  # type: ignore[no-untyped-call]
        return cls(client.ApiClient(), asyncio.Semaphore(write_limit))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def read(self, kind: str, namespace: str, name: str) -> Object:
        """An object as the API server has it now."""
        return await self._call("GET", kind, _path(kind, namespace, name))

    async def metadata(self, kind: str, namespace: str) -> AsyncIterator[Object]:
        """The metadata of every object of a kind that is ours, in pages; namespace "" for all."""
        query = [("limit", str(PAGE))]
        if kind != KIND:
            query.append(("labelSelector", f"{MANAGED_BY}={GROUP}"))
        rest: list[tuple[str, str]] = []
        while True:
            page = await self._call("GET", kind, _path(kind, namespace), query=query + rest, accept=METADATA_ONLY)
            for item in page.get("items") or ():
                yield item["metadata"]
            if not (token := page["metadata"].get("continue")):
                return
            rest = [("continue", token)]

    async def write_status(self, seen: Object, status: Object) -> Object:
        """Replace the status of the ModelRollout `seen`; raises Conflict where it has been written since."""
        meta = seen["metadata"]
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "metadata": {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion")},
            "spec": seen["spec"],
            "status": status,
        }
        async with self._writes:
            return await self._call("PUT", KIND, _path(KIND, meta["namespace"], meta["name"], "status"), body)

    async def apply(self, manifest: Object, resource_version: str | None) -> Object:
        """Server-side apply; with the resourceVersion of the object seen, a late writer gets Conflict and changes nothing."""
        kind, meta = manifest["kind"], manifest["metadata"]
        if resource_version is not None:
            manifest = {**manifest, "metadata": {**meta, "resourceVersion": resource_version}}
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        async with self._writes:
            return await self._call(
                "PATCH", kind, _path(kind, meta["namespace"], meta["name"]), manifest, query, "application/apply-patch+yaml"
            )

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete exactly this object, in the background; one that is gone already is no error."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        async with self._writes:
            try:
                await self._call("DELETE", kind, _path(kind, namespace, name), body)
            except (Gone, Conflict):
                return

    async def pods(self, namespace: str, rollout: str, revision: str) -> list[Object]:
        """The pods of one revision."""
        query = [("labelSelector", f"{ROLLOUT}={rollout},{REVISION}={revision}"), ("limit", "20")]
        found = await self._call("GET", "Pod", _path("Pod", namespace), query=query)
        items: list[Object] = found["items"]
        return items

    async def tell(self, seen: Object, kind: str, reason: str, message: str, once: str) -> None:
        """Post an Event about the ModelRollout `seen`; the same `once` is told only once, whoever tells it."""
        meta = seen["metadata"]
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        told = sha256(f"{meta['uid']}/{once}".encode()).hexdigest()[:16]
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{told}", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                **{k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion")},
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
        }
        try:
            await self._call("POST", "Event", _path("Event", meta["namespace"]), body)
        except Conflict:
            return

    async def _call(  # noqa: PLR0917
        self,
        method: str,
        kind: str,
        path: str,
        body: Object | None = None,
        query: list[tuple[str, str]] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        headers = {"Accept": accept, "Content-Type": content_type}
        code = "none"
        try:
            request = await self._api.param_serialize(
                method, path, query_params=query or [], header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            response = await self._api.call_api(*request, _request_timeout=TIMEOUT)
            raw = await response.read()  # type: ignore[no-untyped-call]
            code = str(response.status)
        except (TimeoutError, OSError, aiohttp.ClientError, client.ApiException) as failure:
            raise CallFailed(f"{method} {path}: {type(failure).__name__} {failure}".strip()) from failure
        finally:
            API_REQUESTS.labels(method, PATHS[kind][1], code).inc()
        return _read(method, path, response.status, raw)


def _read(method: str, path: str, status: int, raw: bytes) -> Object:
    """The answer's object; an error status becomes the exception that fits."""
    try:
        answer: Object = json.loads(raw)
    except ValueError as failure:
        raise CallFailed(f"{method} {path}: HTTP {status}, not JSON") from failure
    if status < 300:
        return answer
    message = f"{method} {path}: HTTP {status} {answer.get('message', '')}"
    match status:
        case 404:
            raise Gone(message)
        case 409:
            raise Conflict(message)
    raise CallFailed(message)
