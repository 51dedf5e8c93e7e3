"""How connections are kept and ended."""

import pytest

from rollout_inference.app import create_app
from rollout_inference.server.uvicorn_config import configuration
from rollout_inference.settings import Settings

IDLE = {"Traefik": 90, "nginx": 60}
"""Seconds after which a router closes a connection to a pod that it does not use."""


@pytest.mark.parametrize("seconds", IDLE.values(), ids=IDLE.keys())
def test_the_router_closes_an_idle_connection_before_the_server_does(
    settings: Settings, seconds: int
) -> None:
    config = configuration(create_app(settings), settings)
    assert config.timeout_keep_alive > seconds


def test_requests_under_way_may_end_within_the_pods_grace(settings: Settings) -> None:
    config = configuration(create_app(settings), settings)
    assert config.timeout_graceful_shutdown is not None
    assert 5 + config.timeout_graceful_shutdown < 30
