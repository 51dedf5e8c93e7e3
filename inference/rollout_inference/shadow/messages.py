"""What the server and the process that sends copies tell each other: a packet each, MessagePack."""

import socket

import msgspec

ALIKE, SLOWER, DIFFERENT, FAILED = "same", "slower", "different", "failed"
UNREACHED, DROPPED = "unreached", "dropped"
OUTCOMES = (ALIKE, SLOWER, DIFFERENT, FAILED, UNREACHED, DROPPED)
"""Answered as by stable; the same, much later; otherwise; with an error, or not at all. These four
say something of the candidate. The others do not: no pod was reached, or nothing was sent.
"""
PACKET = 192 * 1024
"""Bytes of the largest packet."""


class Target(msgspec.Struct, frozen=True):
    """Where copies go; the first packet to the process."""

    host: str
    port: int
    token: str
    """Value of the header by which the candidate knows a copy."""
    tolerance: float
    columns: list[str] = []
    """Of the model, in order; the first of them."""
    shown: list[str] = []
    """Those whose values may be kept of a request that is answered otherwise."""


class Copy(msgspec.Struct, frozen=True, array_like=True):
    """One request that was answered."""

    path: str
    headers: list[tuple[bytes, bytes]]
    """Those that say how its body is to be read."""
    body: bytes
    """Unpacked."""
    answer: bytes
    """The body of the answer."""
    seconds: float
    """How long the server took for it."""


class Difference(msgspec.Struct, frozen=True):
    """One copy that was answered otherwise, or not at all: what may be kept of it."""

    outcome: str
    """DIFFERENT or FAILED."""
    stable: str
    """Stable's answer to one row, as JSON; "" where it failed."""
    candidate: str
    """The candidate's, or what came in its place."""
    at: float
    """When it came, Unix time in seconds."""
    shown: dict[str, str] = {}
    """Values that were sent and may be seen, as JSON, by field."""
    masked: list[str] = []
    """Names of the other fields."""


class Came(msgspec.Struct, frozen=True):
    """What came back."""

    counts: dict[str, int]
    """By outcome."""
    differences: list[Difference] = []
    """The newest of each outcome, at most."""


def received(pipe: socket.socket) -> bytes | None:
    """The next packet: b"" once the other side is gone, None where there is none yet."""
    try:
        return pipe.recv(PACKET)
    except BlockingIOError:
        return None
    except OSError:
        return b""
