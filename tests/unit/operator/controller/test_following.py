"""Which wait the routers of a rollout are watched for."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from rollout_operator.controller.drains import Watched
from rollout_operator.controller.pass_memory import PassMemory
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.routes import follow_routers
from rollout_operator.desired.common import Gateways
from rollout_operator.domain.api.route_status import Route
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.rollout import Rollout
from tests.support.builders import START, on_trial, spec

BETWEEN = START + timedelta(microseconds=1_234_567)
"""A moment of a clock, which a status has to the millisecond only."""
THERE = Route(
    name="iris",
    provider=Provider.INGRESS,
    host="iris.example.com",
    path="/",
    since=START,
    accepted_at=START,
)
STATUSES: dict[str, Status] = {
    "a step of all requests": on_trial(weight=100, step_since=BETWEEN, routes=(THERE,)),
    "a phase that waits": on_trial(
        phase=Phase.ROLLING_BACK, weight=0, phase_since=BETWEEN, routes=(THERE,)
    ),
}


@dataclass
class Begun:
    """What is told to begin."""

    watched: list[Watched] = field(default_factory=list)

    def begin(self, key: tuple[str, str], watched: Watched) -> None:
        self.watched.append(watched)

    def followed(self, *_: Any) -> None:
        return None


@pytest.mark.parametrize("status", STATUSES.values(), ids=STATUSES)
def test_it_is_the_same_wait_once_the_status_was_read_back(status: Status) -> None:
    begun = Begun()
    store = type("S", (), {"find": lambda *_: None})()
    parts = {"drains": begun, "store": store, "memory": PassMemory(), "gateways": Gateways()}
    ports = cast("Ports", type("P", (), {**parts, "drain": timedelta(seconds=10)})())
    raw = {"metadata": {"namespace": "models", "name": "iris", "uid": "u"}}
    for seen in (status, Status.model_validate(status.to_api())):
        follow_routers(Rollout(raw, spec("models:/iris/2"), "", seen), ports, BETWEEN)
    first, again = begun.watched
    assert first.mark == again.mark
