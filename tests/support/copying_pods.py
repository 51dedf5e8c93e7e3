"""Stable's pods as the operator reaches them: one server, at an address of this machine, that hears
what is to be copied, and series of what came of it.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from rollout_inference.shadow.orders import Order, order
from rollout_operator.desired.environment import signing_key
from rollout_operator.domain.shadow import PATH, SIGNATURE
from scripts.cluster.apiserver import free_port
from tests.support.kinds import Object
from tests.support.scripted_world import ScriptedWorld, sample, serving

RATE = 60
"""Copies a second that are compared."""


def own_address() -> str:
    """An address of this machine that is none of the loopback's, which an EndpointSlice may not
    have; nothing is sent.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@dataclass
class CopyingWorld(ScriptedWorld):
    """Series of copies as well: of those versions the answers differ."""

    different: frozenset[str] = frozenset()
    heard: list[Order] = field(default_factory=list)
    """Orders, the newest last."""
    status: int = 200
    """What the pods answer to an order."""
    uid: str = ""
    """Of the ModelRollout, by which orders are signed."""
    differences: list[Object] = field(default_factory=list)
    """What they answer of copies that differed."""
    began: dict[str, float] = field(default_factory=dict)
    """When copying to a candidate began, Unix time."""

    def series(self) -> list[Object]:
        return [*super().series(), *self._copies()]

    def _copies(self) -> Iterator[Object]:
        now = self.clock()
        for candidate, began in list(self.began.items()):
            workload = self.revisions.get(candidate)
            for revision, served in list(self.revisions.items()):
                if workload is None or revision == candidate:
                    continue
                count = float(int(RATE * (now - began)))
                wrong = count / 2 if workload.version in self.different else 0.0
                for outcome, n in (("same", count - wrong), ("different", wrong)):
                    yield sample(
                        revision,
                        served,
                        [(now, n)],
                        "ml_shadow_total",
                        outcome=outcome,
                        candidate=candidate,
                    )

    async def hear(self, request: web.Request) -> web.Response:
        """An order, as a pod hears it."""
        signature = request.headers[SIGNATURE].encode()
        said = order(await request.read(), signature, signing_key("", self.uid))
        self.heard.append(said)
        if said.percent and self.status == 200:
            self.began.setdefault(said.candidate, time.time())
        return web.json_response({"differences": self.differences}, status=self.status)


@contextmanager
def pods_of(world: CopyingWorld) -> Iterator[tuple[str, int]]:
    """Where they answer: address and port."""
    host, port = own_address(), free_port()
    app = web.Application()
    app.router.add_post(PATH, world.hear)
    with serving(app, host, port):
        yield host, port
