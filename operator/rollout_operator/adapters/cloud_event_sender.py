"""Messages for programs: CloudEvents by HTTP POST, in the structured mode of their HTTP binding.

Source: CloudEvents 1.0.2, github.com/cloudevents/spec (http-protocol-binding.md, json-format.md).
They are signed as Standard Webhooks has it (github.com/standard-webhooks/standard-webhooks), which
receivers have libraries for.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from rollout_operator.adapters.secret_files import (
    SIGNING_KEY,
    TOKEN,
    URL,
    SecretFileError,
    optional,
    secret,
)
from rollout_operator.domain.message_text import Message

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
PREFIX = "whsec_"
"""Of a signing key in base64, as Standard Webhooks writes it; any other is taken as it is."""


@dataclass
class CloudEventSender:
    """Posts to the URL of a folder; its files may change at any time."""

    folder: str
    """Holds `url`, and where wanted `token` and `signingKey`."""
    session: aiohttp.ClientSession = field(repr=False)
    """A pool of connections."""
    timeout: float = 30.0
    """Seconds for one try."""

    async def send(self, message: Message) -> str:
        """Post it; "" where the answer is a 2xx, else what went wrong."""
        body = json.dumps(message.cloud_event(), separators=(",", ":")).encode()
        try:
            url = secret(self.folder, URL)
            headers = self._headers(message.id, body)
        except SecretFileError as failure:
            return str(failure)
        if urlsplit(url).scheme not in {"http", "https"}:
            return f"{self.folder}/{URL} is no URL for CloudEvents: write https://…"
        try:
            async with self.session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self.timeout),
            ) as reply:
                if reply.ok and reply.status < 300:
                    return ""
                return f"HTTP {reply.status}"
        except TimeoutError:
            return f"no answer within {self.timeout:.0f} s"
        except aiohttp.ClientConnectorError as failure:
            return f"not reached ({failure.os_error.strerror or type(failure).__name__})"
        except (aiohttp.ClientError, ValueError) as failure:
            # Their own words hold the URL, and with it what is secret.
            return f"not reached ({type(failure).__name__})"

    def _headers(self, id_: str, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "rollout-operator"}
        if token := optional(self.folder, TOKEN):
            headers["Authorization"] = f"Bearer {token}"
        if key := optional(self.folder, SIGNING_KEY):
            at = str(int(time.time()))
            headers |= {
                "webhook-id": id_,
                "webhook-timestamp": at,
                "webhook-signature": signature(key, id_, at, body),
            }
        return headers


def signature(key: str, id_: str, at: str, body: bytes) -> str:
    """`v1,<base64>` of the HMAC-SHA256 over id, time and body. Raises SecretFileError for a key
    that begins with PREFIX and is no base64.
    """
    raw = key.encode()
    if key.startswith(PREFIX):
        try:
            raw = base64.b64decode(key.removeprefix(PREFIX), validate=True)
        except binascii.Error as failure:
            raise SecretFileError(
                f"{SIGNING_KEY} begins with {PREFIX} and goes on with no base64"
            ) from failure
    made = hmac.new(raw, f"{id_}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"
