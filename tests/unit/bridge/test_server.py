"""Answers of the bridge, with a server that plays GitHub on loopback: which of them make MLflow
send again, and what is done twice.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rollout_bridge import replay_guard
from rollout_bridge.github import GitHub
from rollout_bridge.logs import JsonFormatter
from rollout_bridge.mappings import parse
from rollout_bridge.outcome import STATUS, Outcome
from rollout_bridge.replay_guard import Replays
from rollout_bridge.rollouts import conflicts, manifest, requested_at
from rollout_bridge.server import MOST_AT_ONCE, PATH, Bridge, application, inner
from rollout_bridge.settings import Settings
from rollout_bridge.webhook import AliasSet
from tests.unit.bridge.builders import SECRET, alias_set, encoded, signed

TOKEN = "ghp_token-that-nobody-may-see"
MAPPINGS = """
mappings:
- model: iris
  alias: production
  dispatch: {repository: acme/iris, eventType: deploy, payload: {environment: eu}}
- {model: iris, alias: both, dispatch: {repository: acme/one}}
- {model: iris, alias: both, dispatch: {repository: acme/two}}
"""
RETRIED_BY_MLFLOW = {429, 500, 502, 503, 504}


@dataclass
class Hub:
    """GitHub's part: what it got, and what it answers, by repository."""

    answers: dict[str, list[int]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def dispatch(self, request: web.Request) -> web.Response:
        repository = f"{request.match_info['owner']}/{request.match_info['name']}"
        self.got.append((repository, dict(request.headers), await request.json()))
        self.arrived.release()
        await self.hold.wait()
        planned = self.answers.get(repository, [])
        status = planned.pop(0) if planned else 204
        return web.Response(
            status=status, text="" if status == 204 else '{"message": "no"}', headers=self.headers
        )


@dataclass
class Table:
    """The bridge, GitHub, and hands that send."""

    client: TestClient[web.Request, web.Application]
    bridge: Bridge
    hub: Hub

    async def send(
        self, body: bytes | None = None, headers: dict[str, str] | None = None, **how: Any
    ) -> tuple[int, dict[str, Any]]:
        body = encoded(alias_set()) if body is None else body
        head = signed(body, at=int(time.time()), **how) if headers is None else headers
        async with self.client.post(PATH, data=body, headers=head) as reply:
            return reply.status, await reply.json()


@pytest.fixture
async def table() -> AsyncIterator[Table]:
    hub = Hub()
    hub.hold.set()
    app = web.Application()
    app.add_routes([web.post("/repos/{owner}/{name}/dispatches", hub.dispatch)])
    settings = Settings(Path("unused"), (SECRET,), TOKEN, max_body=4096, retry_after=7)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        github = GitHub(str(server.make_url("")).rstrip("/"), TOKEN, session)
        bridge = Bridge(settings, parse(MAPPINGS), Replays(600), None, github)
        async with TestClient(TestServer(application(bridge))) as client:
            yield Table(client, bridge, hub)
            hub.hold.set()


async def test_an_alias_that_was_set_is_dispatched(table: Table) -> None:
    status, answer = await table.send()
    assert (status, answer["outcome"]) == (200, "Dispatched")
    ((repository, headers, body),) = table.hub.got
    assert repository == "acme/iris"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["User-Agent"] == "rollout-bridge"
    assert body["event_type"] == "deploy"
    assert body["client_payload"] == {
        "model_uri": "models:/iris/2",
        "model": "iris",
        "version": "2",
        "alias": "production",
        "workspace": "default",
        "requested_at": "2025-11-24T16:00:00.250000+00:00",
        "delivery_id": "d-1",
        "environment": "eu",
    }
    assert len(body["client_payload"]) <= 10


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        pytest.param(
            alias_set(alias="staging"), Outcome.IGNORED, id="an alias that is not configured"
        ),
        pytest.param(
            alias_set(workspace="team-b"), Outcome.IGNORED, id="a workspace that is not configured"
        ),
        pytest.param(alias_set(action="deleted"), Outcome.IGNORED, id="an alias that was deleted"),
        pytest.param({"hello": 1}, Outcome.MALFORMED, id="signed nonsense"),
        pytest.param(
            alias_set(padding="x" * 5000), Outcome.TOO_LARGE, id="a body that is too large"
        ),
    ],
)
async def test_what_leads_to_nothing(table: Table, body: Any, outcome: Outcome) -> None:
    status, answer = await table.send(encoded(body))
    assert (status, answer["outcome"]) == (STATUS[outcome], outcome)
    assert status not in RETRIED_BY_MLFLOW
    assert table.hub.got == []


async def test_who_is_not_known_is_told_nothing(table: Table) -> None:
    status, answer = await table.send(secret="x" * 32)
    assert (status, answer) == (401, {"outcome": "NotGenuine", "message": "not genuine"})
    assert table.hub.got == []


async def test_a_delivery_that_was_carried_out_is_refused_when_it_comes_again(table: Table) -> None:
    await table.send()
    status, answer = await table.send()
    assert (status, answer["outcome"]) == (409, "Replayed")
    assert len(table.hub.got) == 1
    status, _ = await table.send(delivery="d-2")
    assert status == 200, "another delivery is another request"


@pytest.mark.parametrize("first", [500, 502, 503, 429, 408])
async def test_what_github_cannot_do_now_is_sent_again_by_mlflow(table: Table, first: int) -> None:
    table.hub.answers["acme/iris"] = [first]
    async with table.client.post(
        PATH, data=(body := encoded(alias_set())), headers=signed(body, at=int(time.time()))
    ) as reply:
        assert reply.status in RETRIED_BY_MLFLOW
        assert reply.headers["Retry-After"] == "7"
    status, answer = await table.send()
    assert (status, answer["outcome"]) == (
        200,
        "Dispatched",
    ), "the same delivery again is a retry, and no replay"


WAITS: dict[str, tuple[int, dict[str, str], int]] = {
    "longer than ours": (429, {"Retry-After": "120"}, 120),
    "shorter than ours": (503, {"Retry-After": "1"}, 7),
    "an illness with an end": (503, {"Retry-After": "90"}, 90),
    "longer than a webhook is taken for": (403, {"Retry-After": "3600"}, 270),
    "until the hour is over": (
        403,
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(2**32)},
        270,
    ),
    "until an hour that is over": (
        403,
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1785000000"},
        7,
    ),
    "something that is no number": (429, {"Retry-After": "soon"}, 7),
    "a number without end": (429, {"Retry-After": "9" * 5000}, 7),
}


@pytest.mark.parametrize(("status", "headers", "wait"), WAITS.values(), ids=WAITS.keys())
async def test_mlflow_waits_as_long_as_github_asks(
    table: Table, status: int, headers: dict[str, str], wait: int
) -> None:
    """Three tries in shorter time would lose the webhook, and so would one that comes too late."""
    table.hub.answers["acme/one"], table.hub.headers = [status], headers
    body = encoded(alias_set(alias="both"))
    async with table.client.post(
        PATH, data=body, headers=signed(body, at=int(time.time()))
    ) as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (503, str(wait))


async def test_a_rate_limit_is_sent_again_and_a_missing_right_is_not(table: Table) -> None:
    table.hub.answers["acme/iris"], table.hub.headers = [403], {"X-RateLimit-Remaining": "0"}
    assert (await table.send())[0] == 503
    table.hub.answers["acme/iris"], table.hub.headers = [403], {}
    status, answer = await table.send()
    assert status == 422
    assert "let the token write the repository's contents" in answer["message"]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "renew GITHUB_TOKEN"),
        (404, "correct the mapping's repository"),
        (422, "correct the mapping"),
        (301, "correct"),
    ],
)
async def test_what_somebody_must_change_is_not_sent_again(
    table: Table, status: int, advice: str
) -> None:
    table.hub.answers["acme/iris"] = [status]
    answered, answer = await table.send()
    assert answered not in RETRIED_BY_MLFLOW
    assert advice in answer["message"]


async def test_of_two_targets_only_the_one_that_failed_is_tried_again(table: Table) -> None:
    body = encoded(alias_set(alias="both"))
    table.hub.answers["acme/two"] = [503]
    assert (await table.send(body))[0] == 503
    assert (await table.send(body))[0] == 200
    assert [repository for repository, _, _ in table.hub.got] == [
        "acme/one",
        "acme/two",
        "acme/two",
    ]


async def test_the_same_delivery_twice_at_once_is_carried_out_once(table: Table) -> None:
    table.hub.hold.clear()
    first = asyncio.create_task(table.send())
    await table.hub.arrived.acquire()
    assert (await table.send())[0] == 503
    table.hub.hold.set()
    assert (await first)[0] == 200
    assert len(table.hub.got) == 1


async def test_too_many_at_once_are_sent_away_for_now(table: Table) -> None:
    table.hub.hold.clear()
    crowd = [asyncio.create_task(table.send(delivery=f"d-{n}")) for n in range(MOST_AT_ONCE)]
    for _ in crowd:
        await table.hub.arrived.acquire()
    assert (await table.send(delivery="one-more"))[0] == 503
    table.hub.hold.set()
    assert {status for status, _ in await asyncio.gather(*crowd)} == {200}


async def test_a_body_that_does_not_come_is_not_waited_for(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout_bridge.server.SLOWEST_BODY", 0.05)
    never = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await never.wait()

    async with table.client.post(
        PATH, data=slow(), headers=signed(b"{", at=int(time.time()))
    ) as reply:
        assert reply.status == 400
    never.set()


async def test_a_defect_loses_no_webhook(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(GitHub, "request", broken)
    status, answer = await table.send()
    assert (status, "ZeroDivision" in str(answer)) == (503, False)
    monkeypatch.undo()
    assert (await table.send())[0] == 200


async def test_no_secret_is_logged_or_told(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    table.hub.answers["acme/iris"] = [500, 401]
    answers = [await table.send(), await table.send(), await table.send(secret="x" * 32)]
    assert {status for status, _ in answers} == {503, 422, 401}
    lines = [
        JsonFormatter().format(record)
        for record in caplog.records
        if record.name == "rollout_bridge.server"
    ]
    assert [json.loads(line)["outcome"] for line in lines] == [
        "Unavailable",
        "Refused",
        "NotGenuine",
    ]
    assert json.loads(lines[0])["delivery"] == "d-1"
    assert "nobody-may-see" not in caplog.text + str(answers) + "".join(lines) + repr(
        table.bridge.settings
    )


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_nothing_but_post(table: Table, method: str) -> None:
    async with table.client.request(method, PATH) as reply:
        assert reply.status == 405


async def test_health_and_metrics_are_on_another_port(table: Table) -> None:
    await table.send()
    for path in ("/healthz", "/metrics"):
        async with table.client.get(path) as reply:
            assert reply.status == 404
    async with TestClient(TestServer(inner())) as client:
        assert (await (await client.get("/healthz")).json()) == {"healthy": True}
        text = await (await client.get("/metrics")).text()
    assert 'modelrollout_bridge_webhooks_total{outcome="Dispatched"}' in text


def test_deliveries_are_forgotten_in_time_and_are_not_without_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay_guard, "MOST", 2)
    now = 0.0
    known = Replays(600, clock=lambda: now)
    for delivery in ("a", "b"):
        known.begin(delivery)
        known.end(delivery, over=True)
    with pytest.raises(replay_guard.Busy):
        known.begin("c")
    with pytest.raises(replay_guard.Replayed):
        known.begin("a")
    now = 600.0
    known.begin("c")
    assert known._known.keys() == {"c"}


SEEN = {
    "metadata": {
        "uid": "u",
        "resourceVersion": "7",
        "annotations": {"rollouts.mlops.dev/requested-at": "2026-01-01T00:00:00+00:00"},
    }
}


def test_what_is_applied_is_modeluri_the_template_and_who_asked_and_nothing_else() -> None:
    (target,) = parse(
        "mappings: [{model: iris, alias: a, rollout: {namespace: ns, name: i, template: {traffic:"
        " {host: a.b}}}}]"
    ).targets(
        event := AliasSet(
            "default", "iris", "a", "3", replayed_at := requested_at(SEEN) or pytest.fail("no time")
        )
    )
    body = manifest(target, event, SEEN)  # type: ignore[arg-type]
    assert body["spec"] == {"modelUri": "models:/iris/3", "traffic": {"host": "a.b"}}
    assert (body["metadata"]["uid"], body["metadata"]["resourceVersion"]) == ("u", "7")
    assert requested_at(body) == replayed_at
    assert manifest(target, event, None)["metadata"]["resourceVersion"] == "1"  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-01T00:00:00"])
def test_a_time_that_cannot_be_read_orders_nothing(text: str) -> None:
    assert (
        requested_at({"metadata": {"annotations": {"rollouts.mlops.dev/requested-at": text}}})
        is None
    )
    assert requested_at({"metadata": {}}) is None


def test_a_conflict_names_field_and_owner() -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl"',
        "field": ".spec.modelUri",
    }
    assert conflicts({"details": {"causes": [cause]}}) == ['.spec.modelUri conflict with "kubectl"']
    assert conflicts({"message": "the object has been modified"}) == []
