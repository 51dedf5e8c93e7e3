"""Stable's pods are told what to copy: real HTTP to what answers as pods do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientSession, web

from rollout_inference.shadow.orders import Order, order
from rollout_operator.adapters.model_pods import ModelPods
from rollout_operator.controller import shadows
from rollout_operator.controller.shadows import Shadows
from rollout_operator.domain.shadow import PATH, RENEW, SIGNATURE, Shadow
from rollout_operator.domain.shadow_fields import shadow_fields
from rollout_operator.errors import CallFailed
from scripts.cluster.apiserver import free_port

KEY = ("models", "iris")
SIGNED_BY = "of a test"
FIRST, SECOND = Shadow("stable1", "cand1", 20), Shadow("stable1", "cand1", 100)


@dataclass
class Pods:
    """Pods of one Service, all at one port of this machine."""

    port: int = field(default_factory=free_port)
    status: int = 200
    heard: list[Order] = field(default_factory=list)
    wrong: bool = False
    said: Any = None
    """What they answer; why they refuse, where it is None."""

    async def endpoint_slices(self, namespace: str, service: str) -> list[dict[str, Any]]:
        assert (namespace, service) == KEY
        if self.wrong:
            raise CallFailed("the API server is away")
        endpoint = {
            "targetRef": {"name": "iris-stable1-x-1"},
            "addresses": ["127.0.0.1"],
            "conditions": {"ready": True},
        }
        return [{"ports": [{"name": "http", "port": self.port}], "endpoints": [endpoint]}]

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.heard.append(order(body, request.headers[SIGNATURE].encode(), SIGNED_BY))
        said = {"error": "why"} if self.said is None else self.said
        return web.Response(status=self.status, text=json.dumps(said))


@asynccontextmanager
async def running(pods: Pods, serve: bool = True) -> AsyncIterator[Shadows]:
    app = web.Application()
    app.router.add_post(PATH, pods.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    if serve:
        await web.TCPSite(runner, "127.0.0.1", pods.port).start()
    async with ClientSession() as session:
        seen = shadow_fields('[{"namespaces": ["models"], "fields": ["age"]}]')
        made = Shadows(pods, ModelPods(session), fields=seen)  # type: ignore[arg-type]
        try:
            yield made
        finally:
            await made.close()
            await runner.cleanup()


async def until(probe: Any) -> None:
    for _ in range(2000):
        if probe():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to it")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "RENEW", RENEW / 100)


def test_pods_are_told_again_and_again_and_once_that_it_is_over() -> None:
    async def story() -> None:
        pods = Pods()
        async with running(pods) as telling:
            telling.follow(KEY, FIRST, SIGNED_BY)
            await until(lambda: len(pods.heard) >= 3)
            assert {(o.candidate, o.percent) for o in pods.heard} == {("cand1", 20)}
            telling.follow(KEY, FIRST, SIGNED_BY)
            telling.follow(KEY, SECOND, SIGNED_BY)
            await until(lambda: pods.heard[-1].percent == 100)
            telling.follow(KEY, None, SIGNED_BY)
            await until(lambda: pods.heard[-1].percent == 0)
            told = len(pods.heard)
            await asyncio.sleep(0.3)
            assert len(pods.heard) == told
            assert telling.trouble(KEY) == ""

    asyncio.run(story())


TROUBLE = {
    "a server of before": (404, "makes no copies: promote a version with this operator's image"),
    "another server": (405, "makes no copies"),
    "a server that refuses": (403, 'does not copy requests: HTTP 403 {"error": "why"}'),
}


@pytest.mark.parametrize(("status", "said"), TROUBLE.values(), ids=TROUBLE.keys())
def test_pods_that_do_not_copy_are_told_of(status: int, said: str) -> None:
    async def story() -> None:
        pods = Pods(status=status)
        async with running(pods) as telling:
            telling.follow(KEY, FIRST, SIGNED_BY)
            await until(lambda: telling.trouble(KEY))
            assert said in telling.trouble(KEY)
            pods.status = 200
            await until(lambda: not telling.trouble(KEY))

    asyncio.run(story())


def test_a_pod_that_is_not_reached_is_told_of_with_what_helps() -> None:
    async def story() -> None:
        async with running(Pods(), serve=False) as telling:
            telling.follow(KEY, FIRST, SIGNED_BY)
            await until(lambda: telling.trouble(KEY))
            assert "networkPolicy.egressPorts" in telling.trouble(KEY)

    asyncio.run(story())


def test_while_the_api_server_is_away_the_pods_that_are_known_are_told() -> None:
    async def story() -> None:
        pods = Pods()
        async with running(pods) as telling:
            telling.follow(KEY, FIRST, SIGNED_BY)
            await until(lambda: pods.heard)
            pods.wrong, told = True, len(pods.heard)
            await until(lambda: len(pods.heard) > told + 1)
            telling.forget(KEY)
            await until(lambda: pods.heard[-1].percent == 0)

    asyncio.run(story())


TOLD = {
    "outcome": "different",
    "stable": "a",
    "candidate": "b",
    "at": 1e9,
    "shown": {"age": "41"},
    "masked": [],
}


def test_what_pods_say_of_differences_is_known_and_the_last_of_it_when_it_is_over() -> None:
    async def story() -> None:
        pods = Pods(said={"differences": [TOLD]})
        async with running(pods) as telling:
            began = datetime.now(UTC)
            telling.follow(KEY, FIRST, SIGNED_BY)
            await until(lambda: telling.differences(KEY, began))
            (one,) = telling.differences(KEY, began)
            assert (one.revision, one.sent[0].value) == ("cand1", "41")
            assert {o.fields for o in pods.heard} == {("age",)}
            pods.said = {"differences": [TOLD, {**TOLD, "candidate": "c"}]}
            telling.forget(KEY)
            await until(lambda: len(telling.differences(KEY, began)) == 2)
            # They are of the attempt that has ended, and of no later one.
            assert telling.differences(KEY, datetime.now(UTC)) == ()
            assert telling.differences(("other", "iris"), began) == ()

    asyncio.run(story())


def test_an_answer_of_any_length_is_read_as_far_as_one_can_be_meant() -> None:
    async def story() -> None:
        pods = Pods(said={"differences": [TOLD], "more": "x" * 10_000_000})
        async with running(pods) as telling:
            began = datetime.now(UTC)
            telling.follow(KEY, FIRST, SIGNED_BY)
            await until(lambda: len(pods.heard) >= 3)
            assert telling.differences(KEY, began) == ()
            assert telling.trouble(KEY) == ""

    asyncio.run(story())


def test_an_operator_that_ends_leaves_it_to_the_next_one() -> None:
    async def story() -> None:
        pods = Pods()
        async with running(pods) as telling:
            telling.follow(KEY, FIRST, SIGNED_BY)
            await until(lambda: pods.heard)
        assert {o.percent for o in pods.heard} == {20}

    asyncio.run(story())
