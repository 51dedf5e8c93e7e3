"""Secrets stay where they are: not in what pods get, not in logs, not in messages of failure."""

import logging

import aiohttp
import pytest
from aiohttp import web

from rollout_operator.adapters.model_registry import ModelRegistry, authorization
from rollout_operator.desired.environment import signing_key
from rollout_operator.domain.observed import Resolved
from rollout_operator.settings import Settings

SECRETS = {
    "MLFLOW_TRACKING_TOKEN": "token-that-nobody-may-see",
    "MLFLOW_TRACKING_USERNAME": "user-that-nobody-may-see",
    "MLFLOW_TRACKING_PASSWORD": "password-that-nobody-may-see",
    "FEEDBACK_KEY": "key-that-nobody-may-see",
    "AWS_SECRET_ACCESS_KEY": "aws-that-nobody-may-see",
}
ENV = {
    "INFERENCE_IMAGE": "i",
    "PROMETHEUS_URL": "http://p",
    "MLFLOW_TRACKING_URI": "http://m",
    **SECRETS,
}


def test_model_servers_get_no_secret_of_the_operator() -> None:
    given = Settings.from_environment(ENV).model_environment
    assert given["MLFLOW_TRACKING_URI"] == "http://m"
    assert not [name for name, value in given.items() if "nobody-may-see" in value]


@pytest.mark.parametrize("status", [200, 401, 500])
async def test_no_secret_is_logged_or_told(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """At the chattiest level, over requests that succeed and that fail, the credentials reach the
    registry and nobody else.
    """
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        version = {
            "name": "iris",
            "version": "1",
            "status": "READY",
            "tags": [{"key": "rollouts.mlops.dev/digest", "value": "sha256:" + "a" * 64}],
        }
        return web.json_response(
            {"model_version": version} if status == 200 else {"message": "no"}, status=status
        )

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        async with aiohttp.ClientSession() as session:
            registry = ModelRegistry(f"http://127.0.0.1:{port}", session, authorization(SECRETS))
            found = await registry.resolve("models:/iris/1")
            failure = await registry.set_tag("iris", "1", "k", "v")
    finally:
        await runner.cleanup()
    assert any(seen), "the registry was given the credentials"
    assert isinstance(found, Resolved) is (status == 200)
    said = caplog.text + repr(found) + failure
    assert "nobody-may-see" not in said
    assert not any(header.split()[-1] in said for header in seen if header)


def test_pods_of_one_rollout_share_a_key_and_no_other_has_it() -> None:
    """Whichever operator process made the pod; with a secret nobody can derive the key from what
    the API shows.
    """
    ours = signing_key("", "uid-1")
    assert ours == signing_key("", "uid-1")
    keys = {
        ours,
        signing_key("", "uid-2"),
        signing_key("secret", "uid-1"),
        signing_key("secret", "uid-2"),
    }
    assert len(keys) == 4
    assert not [key for key in keys if "uid" in key or "secret" in key]
