"""A webhook of MLflow as bytes and headers: whether it is genuine and in time, and what it says. No
I/O, no clock.

Source: mlflow/webhooks/delivery.py of MLflow 3.17.2. X-MLflow-Signature is `v1,` and the base64 of
HMAC-SHA256 with the webhook's secret over `<delivery id>.<timestamp>.<body>`; X-MLflow-Timestamp is
in Unix seconds. A retry repeats id, timestamp and signature.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

SIGNATURE = "X-MLflow-Signature"
TIMESTAMP = "X-MLflow-Timestamp"
DELIVERY_ID = "X-MLflow-Delivery-Id"
DEFAULT_WORKSPACE = "default"


class Headers(NamedTuple):
    """Names of the headers that seal a delivery."""

    signature: str
    timestamp: str
    delivery: str


OF_MLFLOW = Headers(SIGNATURE, TIMESTAMP, DELIVERY_ID)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,12}")
_VERSION = re.compile(r"[1-9][0-9]{0,9}")


class NotGenuine(Exception):
    """Not signed with our secret, too old or too new; the message never says what was expected."""


class Malformed(Exception):
    """Signed, but not what MLflow sends; the message says where."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The headers of a delivery."""

    delivery: str
    """Its id; a retry repeats it."""
    sent_at: int
    """Unix time in seconds."""
    signature: str
    """As it was sent."""


@dataclass(frozen=True, slots=True)
class AliasSet:
    """An alias was set: from now on it names this version of the model."""

    workspace: str
    """MLflow workspace; "default" where the webhook names none."""
    model: str
    """Name of the registered model."""
    alias: str
    """Without an @."""
    version: str
    """Whole number from 1, in decimal digits."""
    at: datetime
    """When MLflow says that it told so, UTC."""

    @property
    def model_uri(self) -> str:
        """The MODEL_URI of the version, `models:/<name>/<version>`."""
        return f"models:/{self.model}/{self.version}"


@dataclass(frozen=True, slots=True)
class Other:
    """Something else happened in the registry."""

    what: str
    """`<entity>.<action>` as MLflow names it, cut to 100 characters."""


Event = AliasSet | Other


def envelope(
    headers: Mapping[str, str],
    now: float,
    max_age: float,
    names: Headers = OF_MLFLOW,
    advice: str = "give the webhook a secret in MLflow",
) -> Envelope:
    """Read the headers; `now` in Unix seconds, `max_age` in seconds and to either side. Raises
    NotGenuine for what is missing, with the advice, or late.
    """
    for name in names:
        if not headers.get(name):
            raise NotGenuine(f"the header {name} is missing: {advice}")
    delivery, sent_at = headers[names.delivery], headers[names.timestamp]
    if not _ID.fullmatch(delivery):
        raise NotGenuine(f"{names.delivery} is no delivery id")
    if not _SECONDS.fullmatch(sent_at):
        raise NotGenuine(f"{names.timestamp} is no Unix time in seconds")
    if abs(age := now - int(sent_at)) > max_age:
        side = "old" if age > 0 else "ahead"
        raise NotGenuine(
            f"{names.timestamp} is {abs(age):.0f} s {side}, at most {max_age:.0f} s are taken: is a"
            " clock wrong?"
        )
    return Envelope(delivery, int(sent_at), headers[names.signature])


def sign(secret: str | bytes, delivery: str, sent_at: int, body: bytes) -> str:
    """The signature that MLflow, or the operator, sends for this body."""
    digest = hmac.new(
        secret.encode() if isinstance(secret, str) else secret,
        f"{delivery}.{sent_at}.".encode() + body,
        hashlib.sha256,
    ).digest()
    return "v1," + base64.b64encode(digest).decode()


def verify(
    secrets: Sequence[str | bytes],
    sealed: Envelope,
    body: bytes,
    differ: str = f"{SIGNATURE} does not fit: the webhook's secret in MLflow and WEBHOOK_SECRET"
    " differ",
) -> None:
    """Raises NotGenuine, with what differs, unless one of the secrets made the signature. Takes as
    long for a wrong signature as for a right one.
    """
    # Bytes that are no UTF-8 come as halves of surrogate pairs.
    given = sealed.signature.encode(errors="surrogateescape")
    matches = [
        hmac.compare_digest(sign(secret, sealed.delivery, sealed.sent_at, body).encode(), given)
        for secret in secrets
    ]
    if not any(matches):
        raise NotGenuine(differ)


def read(body: bytes) -> Event:
    """What a genuine body says; raises Malformed for what MLflow does not send."""
    try:
        payload: Any = json.loads(body)
        what = f"{payload['entity']}.{payload['action']}"
        if what != "model_version_alias.created":
            return Other(what[:100])
        data, workspace = payload["data"], payload.get("workspace") or DEFAULT_WORKSPACE
        at = datetime.fromisoformat(payload["timestamp"])
        model, alias, version = data["name"], data["alias"], data["version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as failure:
        raise Malformed(
            f"the body is not a webhook of MLflow: {type(failure).__name__} {failure}"[:200]
        ) from failure
    if not all(isinstance(text, str) and text for text in (workspace, model, alias, version)):
        raise Malformed("data.name, data.alias and data.version must be texts")
    if not _VERSION.fullmatch(version):
        raise Malformed("data.version is no version number")
    if at.tzinfo is None:
        raise Malformed("timestamp has no time zone")
    return AliasSet(workspace, model, alias, version, at.astimezone(UTC))
