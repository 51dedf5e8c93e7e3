"""Secrets stay where they are: not in what pods get, not in logs, not in messages of failure."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from rollout_operator.adapters.model_registry import ModelRegistry, authorization
from rollout_operator.adapters.prometheus import Prometheus
from rollout_operator.adapters.prometheus_login import PrometheusLogin
from rollout_operator.desired.environment import signing_key
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.observed import MetricsUnreachable, Resolved
from rollout_operator.domain.prometheus_access import access
from rollout_operator.settings import Settings
from tests.support.proofs import key, private_pem
from tests.support.scripted_world import Outlet

SECRETS = {
    "MLFLOW_TRACKING_TOKEN": "token-that-nobody-may-see",
    "MLFLOW_TRACKING_USERNAME": "user-that-nobody-may-see",
    "MLFLOW_TRACKING_PASSWORD": "password-that-nobody-may-see",
    "FEEDBACK_KEY": "key-that-nobody-may-see",
    "AWS_SECRET_ACCESS_KEY": "aws-that-nobody-may-see",
    "PROMETHEUS_USERNAME": "operator",
    "PROMETHEUS_PASSWORD": "prometheus-that-nobody-may-see",
    "PROMETHEUS_HEADERS": '{"X-Api-Key": "header-that-nobody-may-see"}',
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


def test_the_settings_do_not_show_what_prometheus_is_sent() -> None:
    by_url = {n: v for n, v in ENV.items() if not n.startswith("PROMETHEUS_")}
    by_url["PROMETHEUS_URL"] = "http://operator:prometheus-that-nobody-may-see@p"
    for env in (ENV, by_url):
        settings = Settings.from_environment(env)
        assert "prometheus-that" not in repr(settings)
        assert "header-that" not in repr(settings)
        assert settings.prometheus_access.password == "prometheus-that-nobody-may-see"


def test_the_key_that_signs_proofs_is_shown_to_nobody() -> None:
    pem = private_pem(key("staging"))
    settings = Settings.from_environment({**ENV, "PROOF_KEY": pem, "PROOF_ENVIRONMENT": "staging"})
    line = pem.splitlines()[1]
    assert settings.proof_signer is not None
    assert line not in repr(settings)
    assert not [value for value in settings.model_environment.values() if line in value]


@contextlib.asynccontextmanager
async def answered(
    answer: Callable[[web.Request], Awaitable[web.Response]],
) -> AsyncIterator[str]:
    """A server's URL that answers everything so."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    async with Outlet.of(app) as outlet:
        yield outlet.url


@pytest.mark.parametrize("by", ["password", "token"])
@pytest.mark.parametrize("status", [200, 302, 401, 403, 500])
async def test_a_proxy_that_repeats_credentials_makes_nobody_tell_them(
    status: int, by: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "token").write_text("token-that-nobody-may-see")
    env = {n: v for n, v in SECRETS.items() if n == "PROMETHEUS_HEADERS" or by == "password"}
    if by == "token":
        env["PROMETHEUS_TOKEN_FILE"] = str(tmp_path / "token")
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        sent = [request.headers["Authorization"], request.headers["X-Api-Key"]]
        login = aiohttp.BasicAuth.decode(sent[0]).password if by == "password" else ""
        seen.extend([*sent, login])
        return web.Response(status=status, text=f"you sent {' and '.join(seen)}")

    async with answered(answer) as url, aiohttp.ClientSession() as session:
        login = PrometheusLogin(access(env))
        told = (await Prometheus(url, session, login).snapshot(Metric.ACCURACY, 0)).answer
    assert isinstance(told, MetricsUnreachable)
    assert [secret for secret in seen if secret.endswith("nobody-may-see")]
    said = caplog.text + told.message + repr(login)
    assert "may-see" not in said
    assert not [secret for secret in seen if secret and secret.split()[-1] in said]


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

    async with answered(answer) as url, aiohttp.ClientSession() as session:
        registry = ModelRegistry(url, session, authorization(SECRETS))
        found = await registry.resolve("models:/iris/1")
        failure = await registry.set_tag("iris", "1", "k", "v")
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
