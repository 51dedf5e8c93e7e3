"""The only module of the bridge that knows Kubernetes: one ModelRollout's `spec.modelUri`, by
server-side apply.

Two annotations say who asked and when; the latter orders webhooks, also across restarts and
replicas: one that is older than what was applied last changes nothing. Each apply holds only for
the object as it was read.
"""

import json
import os
from datetime import datetime
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config

from rollout_bridge.mappings import RolloutTarget
from rollout_bridge.outcome import Outcome, Result
from rollout_bridge.webhook import AliasSet
from rollout_operator.domain.api.names import GROUP, KIND, PLURAL, VERSION

FIELD_MANAGER = "rollout-bridge"
REQUESTED_AT = f"{GROUP}/requested-at"
REQUESTED_BY = f"{GROUP}/requested-by"
TIMEOUT = aiohttp.ClientTimeout(total=5, connect=3)
TRIES = 3
NEVER = "1"
"""A resourceVersion that no object of ours has: an apply with it creates, or conflicts."""

Object = dict[str, Any]


class _Unavailable(Exception):
    """The API server did not answer, or cannot now."""


class Rollouts:
    """Applies to the cluster that the pod runs in, else to that of KUBECONFIG."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls) -> Self:
        """Log in as the pod's service account, else by KUBECONFIG."""
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except config.ConfigException:
            await config.load_kube_config(config_file=os.environ.get("KUBECONFIG"))  # type: ignore[no-untyped-call]
        return cls(client.ApiClient())

    async def close(self) -> None:
        """Let go of the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def request(self, target: RolloutTarget, event: AliasSet) -> Result:
        """Let the ModelRollout ask for the version that the alias names now. Never raises for what
        the API server does.
        """
        try:
            for _ in range(TRIES):
                if (result := await self._try(target, event)) is not None:
                    return result
        except _Unavailable as failure:
            return Result(Outcome.UNAVAILABLE, f"{target}: {failure}.")
        return Result(Outcome.UNAVAILABLE, f"{target} is being changed by somebody else.")

    async def _try(self, target: RolloutTarget, event: AliasSet) -> Result | None:
        """One read and one apply; None where the object changed in between."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{target.namespace}/{PLURAL}/{target.name}"
        status, found = await self._call("GET", path)
        if status == 404 and target.template is None:
            message = f"{target} does not exist, and its mapping has no template to make it from."
            return Result(Outcome.REFUSED, message)
        if status not in {200, 404}:
            raise _Unavailable(_api_message(status, found))
        seen = found if status == 200 else None
        if seen is not None and (newest := requested_at(seen)) is not None and newest >= event.at:
            return Result(
                Outcome.STALE, f"{target} was asked for something at {newest.isoformat()} already."
            )
        query = [
            ("fieldManager", FIELD_MANAGER),
            ("fieldValidation", "Strict"),
            ("force", "true" if target.force else "false"),
        ]
        status, answer = await self._call("PATCH", path, manifest(target, event, seen), query)
        if status in {200, 201}:
            return Result(Outcome.APPLIED, f"{target} asks for {event.model_uri}.")
        if status == 409:
            if owners := conflicts(answer):
                advice = (
                    "To let the bridge have it, take the field out of what is applied there, or"
                    " write force: true in the mapping."
                )
                return Result(
                    Outcome.REFUSED,
                    f"{target} belongs to somebody else: {'; '.join(owners)}. {advice}",
                )
            return None
        if status in {400, 422}:
            return Result(Outcome.REFUSED, f"{target} was refused: {_api_message(status, answer)}.")
        raise _Unavailable(_api_message(status, answer))

    async def _call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        query: list[tuple[str, str]] | None = None,
    ) -> tuple[int, Object]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/apply-patch+yaml"
        try:
            request = await self._api.param_serialize(
                method,
                path,
                query_params=query or [],
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._api.call_api(*request, _request_timeout=TIMEOUT)
            raw = await response.read()  # type: ignore[no-untyped-call]
        except (TimeoutError, OSError, aiohttp.ClientError, client.ApiException) as failure:
            raise _Unavailable(
                f"the API server did not answer: {type(failure).__name__}"
            ) from failure
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise _Unavailable(
                f"the API server answered HTTP {response.status} with something else than JSON"
            )
        return int(response.status), answer


def manifest(target: RolloutTarget, event: AliasSet, seen: Object | None) -> Object:
    """What is applied: the template, the MODEL_URI and who asked; only to the object as it was
    seen, or only where there is none.
    """
    meta = {} if seen is None else {"uid": seen["metadata"]["uid"]}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            **meta,
            "resourceVersion": NEVER if seen is None else seen["metadata"]["resourceVersion"],
            "annotations": {
                REQUESTED_AT: event.at.isoformat(timespec="microseconds"),
                REQUESTED_BY: f"mlflow {event.workspace}/{event.model}@{event.alias}",
            },
        },
        "spec": {**(target.template or {}), "modelUri": event.model_uri},
    }


def requested_at(seen: Object) -> datetime | None:
    """When the newest webhook that was applied was told; None where there is none, or something
    else stands there.
    """
    text = (seen["metadata"].get("annotations") or {}).get(REQUESTED_AT, "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def conflicts(answer: Object) -> list[str]:
    """Field and owner of each conflict in a refused apply; empty where the object has only changed
    since it was read.
    """
    causes = (answer.get("details") or {}).get("causes") or []
    return [
        f"{c.get('field', '')} {c.get('message', '')}".strip()
        for c in causes
        if c.get("reason") == "FieldManagerConflict"
    ]


def _api_message(status: int, answer: Object) -> str:
    return f"the API server says {status} {str(answer.get('message', ''))[:400]}".rstrip(" .")
