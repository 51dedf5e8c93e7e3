"""Prediction ids: a later label, at any pod, is credited to the revision that predicted.

An id holds model, version and revision, the time, a number used once, and what was predicted;
signed by HMAC-SHA256 (RFC 2104), of which 128 bits are kept. It is no secret: who has it can read
what was predicted, and nobody without the key can make one.
"""

import binascii
import hmac
import itertools
import os
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from rollout_model.errors import Refused

MAC = 16
"""Bytes of the signature in an id."""
LONGEST = 4_096
"""Characters of an id that are looked at."""
_FOREIGN = (
    "the id was not signed by this rollout: send it as the prediction had it, to the host that"
    " made it"
)
_HEAD, _TIME = struct.Struct(">cH"), struct.Struct(">IQ")
_SAFE, _PLAIN = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_KINDS = {"classifier": b"c", "regressor": b"r", "other": b"c"}


@dataclass(frozen=True, slots=True)
class Prediction:
    """What an id says."""

    model: str
    """The registered name."""
    version: str
    """In the registry; "local" for a model of a path."""
    revision: str
    """As in Settings.model_revision; "" where that is not set."""
    issued: int
    """Unix time, s."""
    mark: int
    """Tells it from every other."""
    numeric: bool
    """Whether a label has an error, not an outcome."""
    value: Any
    """What was predicted."""


class Signer:
    """Makes and reads ids; `key` is the same in all pods of a rollout, or made up where it is ""
    and then good for this process only.
    """

    def __init__(self, key: str, model: str, version: str, revision: str) -> None:
        self._key = key.encode() or os.urandom(32)
        padded = (sha256(self._key).digest() if len(self._key) > 64 else self._key).ljust(64, b"\0")
        # HMAC by copies of two states that have the key in them: less than half the time of
        # hmac.digest, and the same result.
        self._inner, self._outer = (
            sha256(bytes(b ^ 0x36 for b in padded)),
            sha256(bytes(b ^ 0x5C for b in padded)),
        )
        self._who = msgspec.msgpack.encode([model, version, revision])
        self._numbers = itertools.count(int.from_bytes(os.urandom(7), "big"))
        self._values: dict[Any, bytes] = {}
        self.task("classifier")

    def task(self, task: str) -> None:
        """What kind of model signs from now on, as in Plan."""
        self._start = _HEAD.pack(_KINDS[task], len(self._who)) + self._who
        self._values.clear()

    def sign(self, values: list[Any], now: float) -> list[str]:
        """One id for each predicted value."""
        time, numbers, known = int(now), self._numbers, self._values
        start, pack = self._start, _TIME.pack
        found = []
        for value in values:
            try:
                said = known.get(value)
            except TypeError:  # a list, of a model with several outputs
                said = None
            if said is None:
                said = msgspec.msgpack.encode(value)
                if isinstance(value, str) and len(known) < 1_000:
                    known[value] = said
            body = start + pack(time, next(numbers)) + said
            found.append(
                binascii.b2a_base64(body + self._mac(body), newline=False)
                .translate(_SAFE)
                .rstrip(b"=")
                .decode()
            )
        return found

    def read(self, text: str) -> Prediction:
        """What the id says; raises Refused where nobody with this key signed it."""
        if not 24 <= len(text) <= LONGEST or not text.isascii():
            raise Refused(_FOREIGN, 403)
        try:
            whole = binascii.a2b_base64(
                text.encode().translate(_PLAIN) + b"=" * (-len(text) % 4), strict_mode=True
            )
        except binascii.Error as failure:
            raise Refused(_FOREIGN, 403) from failure
        body, mac = whole[:-MAC], whole[-MAC:]
        if not hmac.compare_digest(self._mac(body), mac):
            raise Refused(_FOREIGN, 403)
        kind, length = _HEAD.unpack_from(body)
        end = _HEAD.size + length
        model, version, revision = msgspec.msgpack.decode(body[_HEAD.size : end])
        issued, _ = _TIME.unpack_from(body, end)
        value = msgspec.msgpack.decode(body[end + _TIME.size :])
        return Prediction(
            model, version, revision, issued, int.from_bytes(mac[:8], "big"), kind == b"r", value
        )

    def _mac(self, body: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(body)
        outer.update(inner.digest())
        return outer.digest()[:MAC]
