"""The only module that asks model pods: stable's are told to copy requests."""

import asyncio
from dataclasses import dataclass

import aiohttp

from rollout_operator.domain.replies import first_line
from rollout_operator.domain.shadow import OLD_SERVER, PATH, SIGNATURE

TIMEOUT = aiohttp.ClientTimeout(total=3)
AT_ONCE = 64
NO_ROUTE = frozenset({404, 405})
LONGEST = 128 * 1024
"""Bytes of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of telling one pod."""

    trouble: str = ""
    """Why it does not do as it is told, as a sentence; "" where it does."""
    said: bytes = b""
    """What it answered where it does."""


@dataclass
class ModelPods:
    """Tells pods, each on a connection of its own."""

    session: aiohttp.ClientSession
    """A pool of connections."""

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def tell(self, address: str, body: bytes, signature: str) -> Told:
        """Tell the pod at `host:port`. Never raises for what the pod does."""
        headers = {"Content-Type": "application/json", SIGNATURE: signature}
        async with self._turns:
            try:
                async with self.session.post(
                    f"http://{address}{PATH}",
                    data=body,
                    headers=headers,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                ) as response:
                    said = await _read(response)
                    if response.status == 200:
                        return Told(said=said)
                    if response.status in NO_ROUTE:
                        return Told(f"stable's pods cannot be told to copy requests: {OLD_SERVER}")
                    return Told(
                        f"the pod at {address} does not copy requests: HTTP {response.status}"
                        f" {first_line(said)}"
                    )
            except (TimeoutError, OSError, aiohttp.ClientError) as failure:
                why = str(failure) or type(failure).__name__
        return Told(
            f"the pod at {address} cannot be told to copy requests: {why}; let the operator connect"
            " to model pods (networkPolicy.egressPorts)"
        )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, or what there is of it within LONGEST."""
    said = bytearray()
    async for part in response.content.iter_any():
        said += part
        if len(said) >= LONGEST:
            break
    return bytes(said[:LONGEST])
