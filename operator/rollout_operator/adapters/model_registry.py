"""The only module that knows MLflow: resolves a MODEL_URI to a version, its run and its content
digest; writes verdicts back.

Source: mlflow.org/docs/latest/api_reference/rest-api.html (model-versions/get,
model-versions/set-tag, registered-models/alias). The REST API is used directly: the client library
blocks, and would be most of the operator's memory.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from rollout_operator.adapters.tls_files import TlsFiles, TlsFilesError
from rollout_operator.domain.api.names import DIGEST_TAG, SIGNATURE_TAG
from rollout_operator.domain.api.status import LONGEST_SIGNATURE
from rollout_operator.domain.observed import (
    DigestMissing,
    NotFound,
    NotReady,
    RegistryUnreachable,
    Resolution,
    Resolved,
    Unpinned,
)
from rollout_operator.domain.replies import first_line
from rollout_operator.metrics import REGISTRY_REQUESTS

TIMEOUT = aiohttp.ClientTimeout(total=10)
FAILURES = (TimeoutError, OSError, aiohttp.ClientError, TlsFilesError)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_URI = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[0-9]+)|@(?P<alias>.+))")


def authorization(env: Mapping[str, str]) -> dict[str, str]:
    """The Authorization header that MLflow's own variables ask for; empty where there are none."""
    if token := env.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    if user := env.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{env.get('MLFLOW_TRACKING_PASSWORD', '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


@dataclass
class ModelRegistry:
    """Asks an MLflow tracking server."""

    url: str
    """Base URL of the tracking server, without a trailing slash."""
    session: aiohttp.ClientSession
    """The registry's alone: one that hangs holds no connection that others need."""
    headers: Mapping[str, str]
    """Of every request: Authorization, or empty without credentials."""
    pin: bool = False
    """Whether a version without a digest is pinned by its content when it is first seen."""
    tls: TlsFiles = field(default_factory=TlsFiles)
    """The private CA that it is trusted by, and a client certificate."""

    async def set_tag(self, model: str, version: str, key: str, value: str) -> str:
        """Tag a model version; returns what went wrong, "" if nothing."""
        return await self._write(
            "model-versions/set-tag",
            {"name": model, "version": version, "key": key, "value": value},
        )

    async def set_alias(self, model: str, version: str, alias: str) -> str:
        """Let `alias` name this version of the model; returns what went wrong, "" if nothing."""
        return await self._write(
            "registered-models/alias", {"name": model, "alias": alias, "version": version}
        )

    async def _write(self, path: str, body: dict[str, str]) -> str:
        try:
            async with self.session.post(
                f"{self.url}/api/2.0/mlflow/{path}",
                json=body,
                headers=self.headers,
                timeout=TIMEOUT,
                allow_redirects=False,
                ssl=self.tls.context(),
            ) as response:
                answered = await response.text()
                failure = (
                    "" if response.status == 200 else f"HTTP {response.status} {answered[:200]}"
                )
        except FAILURES as broken:
            failure = _broken(broken)
        REGISTRY_REQUESTS.labels("WriteFailed" if failure else "Written").inc()
        return failure

    async def resolve(self, model_uri: str) -> Resolution:
        """What the registry says of `model_uri`; never raises for what registry or network do."""
        match = _URI.fullmatch(model_uri)
        if match is None:
            return NotFound(
                f"{model_uri} is no MODEL_URI: write models:/<name>/<version> or"
                " models:/<name>@<alias>."
            )
        name = match["name"]
        path, parameters = "model-versions/get", {"name": name, "version": match["version"] or ""}
        if match["alias"]:
            path, parameters = "registered-models/alias", {"name": name, "alias": match["alias"]}
        try:
            async with self.session.get(
                f"{self.url}/api/2.0/mlflow/{path}",
                params=parameters,
                headers=self.headers,
                timeout=TIMEOUT,
                allow_redirects=False,
                ssl=self.tls.context(),
            ) as response:
                status, body = response.status, await response.read()
            answer = read(model_uri, status, body, pin=self.pin)
        except FAILURES as failure:
            answer = RegistryUnreachable(f"The registry did not answer: {_broken(failure)}")
        REGISTRY_REQUESTS.labels(type(answer).__name__).inc()
        return answer


def read(model_uri: str, status: int, body: bytes, *, pin: bool = False) -> Resolution:
    """Read a reply of the registry; pin: whether a version without a digest may be looked at."""
    try:
        reply: dict[str, Any] = json.loads(body)
        if not isinstance(reply, dict):
            raise TypeError(type(reply))
    except (ValueError, TypeError):
        return RegistryUnreachable(
            f"The registry answered HTTP {status} {_saying(body)}{_remedy(status, body)}"
        )
    if status != 200:
        code, message = reply.get("error_code", ""), str(reply.get("message", ""))[:200]
        if code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return NotFound(f"The registry has no {model_uri}: {message}")
        return RegistryUnreachable(
            f"The registry answered HTTP {status}: {message}{_remedy(status, body)}"
        )
    try:
        version: dict[str, Any] = reply["model_version"]
        uri = f"models:/{version['name']}/{version['version']}"
        if (state := version.get("status", "READY")) != "READY":
            return NotReady(
                f"{uri} is {state} in the registry: {version.get('status_message', '')}".rstrip(
                    ": "
                )
                + "."
            )
        tags = {t["key"]: t["value"] for t in version.get("tags", [])}
        digest = tags.get(DIGEST_TAG, "")
        if not digest and pin:
            return Unpinned(uri, str(version["version"]), str(version.get("run_id") or ""))
        if not _DIGEST.fullmatch(digest):
            return DigestMissing(
                f"{uri} has no content digest: register it with `python -m rollout_trainer`, which"
                f" sets the tag {DIGEST_TAG} to sha256:<64 hex digits>, so that pods can verify"
                " what they load."
            )
        signature = str(tags.get(SIGNATURE_TAG, ""))
        return Resolved(
            uri=uri,
            version=str(version["version"]),
            digest=digest,
            run=str(version.get("run_id") or ""),
            # A longer one than status can hold is not compared; cut, it could not be read.
            signature=signature if len(signature) <= LONGEST_SIGNATURE else "",
        )
    except (KeyError, TypeError, AttributeError) as failure:
        return RegistryUnreachable(
            f"The registry's answer cannot be read: {type(failure).__name__}."
        )


def _broken(failure: Exception) -> str:
    """Why there is no answer, and what helps against a certificate that is refused; the chart's
    values are named as docs/guides/credentials.md has them.
    """
    match failure:
        case TlsFilesError():
            return str(failure)
        case aiohttp.ClientConnectorCertificateError(certificate_error=error):
            reason = getattr(error, "verify_message", "") or str(error)
            return f"its certificate is not trusted ({reason}): see the chart's mlflow.ca."
        case aiohttp.ClientConnectorSSLError() if "CERTIFICATE" in str(failure).upper():
            return f"{failure}: see the chart's mlflow.ca and mlflow.clientCertificate."
    return f"{type(failure).__name__} {failure}".strip()


def _saying(body: bytes) -> str:
    """The first line of a reply that is no JSON object, without markup,
    as the end of a sentence.
    """
    line = first_line(body)
    return f"and said: {line}." if line else "with something else than a JSON object."


def _remedy(status: int, body: bytes) -> str:
    """What helps against MLflow's own refusals; the chart's values are named as
    docs/guides/install.md has them.
    """
    if b"Invalid Host header" in body:
        return " Name the host of mlflow.trackingUri in MLflow's --allowed-hosts."
    return {
        401: (
            " MLflow wants credentials, or takes others: see the chart's mlflow.credentialsSecret,"
            " which is the operator's; model pods have those of models.credentials."
        ),
        403: " This user may not read it, or there is no such model.",
    }.get(status, "")
