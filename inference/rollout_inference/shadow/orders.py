"""What the operator tells a pod to copy, and how pods know copies from users' requests: both are
signed by the key that all pods of one rollout have, because whoever reaches a route of the rollout
reaches these as well.
"""

import hmac
import socket
import time
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

from rollout_inference.settings import Settings
from rollout_model.errors import Refused

PATH = "/shadow/"
SIGNATURE = b"x-shadow-signature"
COPY = b"x-model-copy"
"""Header of a copy."""
MOST_SKEW = 300.0
"""Seconds that an order may be old, or ahead: clocks differ, and what is older was heard by others.
"""
LONGEST_LEASE = 60.0
SERVICE_PORT = 80


class Order(msgspec.Struct, frozen=True):
    """What is to be copied, to whom."""

    candidate: str
    """Its revision."""
    percent: int
    """Share of requests; 0 for none any more."""
    seconds: float
    """How long this holds without being said again."""
    at: float
    """When it was said, Unix time in seconds."""
    fields: tuple[str, ...] = ()
    """Fields of requests whose values may be kept where answers differ; by default none."""


_ORDER = msgspec.json.Decoder(Order)


def copy_token(key: str, revision: str) -> bytes:
    """What a copy for this revision carries; b"" without a key, where none is known for one."""
    return b"" if not key else _mac(key, b"copy\0" + revision.encode()).encode()


def _mac(key: str, what: bytes) -> str:
    return hmac.new(key.encode(), what, sha256).hexdigest()


def order(body: bytes, signature: bytes, key: str, now: float | None = None) -> Order:
    """What the operator says; now: Unix time. Raises Refused."""
    if not key:
        raise Refused("this server has no FEEDBACK_KEY, so nobody can tell it to copy", 403)
    if not hmac.compare_digest(_mac(key, b"shadow\0" + body).encode(), signature):
        raise Refused("only the operator tells what is copied: the signature is not its own", 403)
    try:
        said = _ORDER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as failure:
        raise Refused(f"the order cannot be read: {failure}") from failure
    if abs((time.time() if now is None else now) - said.at) > MOST_SKEW:
        raise Refused("the order is old, or the clocks of the operator and this pod differ", 403)
    if not (0 <= said.percent <= 100 and 0 < said.seconds <= LONGEST_LEASE):
        raise Refused(f"percent is from 0 to 100, and seconds from 0 to {LONGEST_LEASE:g}")
    return said


def address_of(candidate: str, settings: Settings, pod: str | None = None) -> tuple[str, int]:
    """Host and port of the candidate: the Service beside this pod's own, whatever an order says, so
    that no request goes anywhere else. Raises Refused where this is no pod of a rollout.

    pod: its name; the host's where it is None.
    """
    if settings.shadow_url:
        parts = urlsplit(settings.shadow_url)
        return str(parts.hostname), parts.port or SERVICE_PORT
    name = socket.gethostname() if pod is None else pod
    rollout, mine, _ = name.rpartition(f"-{settings.model_revision}-")
    if not (settings.model_revision and mine and candidate.isalnum()):
        raise Refused(
            "this server is no pod of a rollout, so it knows no candidate: set MODEL_SHADOW_URL"
        )
    return f"{rollout}-{candidate}", SERVICE_PORT
