"""The HTTP side of the bridge: POST /webhooks/mlflow and /events/rollouts on one port;
/healthz and /metrics on another.
"""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from rollout_bridge.github import GitHub
from rollout_bridge.mappings import DispatchTarget, Mappings, RolloutTarget, Target
from rollout_bridge.metrics import LAST_APPLIED, SECONDS, WEBHOOKS
from rollout_bridge.outcome import STATUS, Outcome, Result, whole
from rollout_bridge.replay_guard import Busy, Replayed, Replays
from rollout_bridge.reverts import Reverts
from rollout_bridge.rollout_event import NAMES, TakenBack, open_event, read_event
from rollout_bridge.rollouts import Rollouts
from rollout_bridge.settings import Settings
from rollout_bridge.webhook import (
    AliasSet,
    Envelope,
    Event,
    Malformed,
    NotGenuine,
    envelope,
    read,
    verify,
)
from rollout_cli.promotion.github import GitHub as PullRequests

PATH, EVENTS = "/webhooks/mlflow", "/events/rollouts"
SLOWEST_BODY = 10.0
"""Seconds within which the whole body must be there."""
SPARE = 30
"""Seconds by which a webhook that is sent again comes before it is too old."""
MOST_AT_ONCE = 32
"""Webhooks under way; MLflow sends ten at once."""

log = logging.getLogger(__name__)
Answer = Callable[[web.Request, dict[str, str]], Awaitable[Result]]
"""What becomes of a request; what is known of it is noted for the log. Raises NotGenuine, Malformed
and HTTPRequestEntityTooLarge.
"""

for _outcome in Outcome:
    # A counter that is there from the start shows its first increase.
    WEBHOOKS.labels(_outcome)


@dataclass
class Bridge:
    """Answers webhooks."""

    settings: Settings
    """Secrets, limits and the Retry-After of an answer."""
    mappings: Mappings
    """Which alias of which model leads to which targets."""
    replays: Replays
    """Which deliveries were carried out already."""
    rollouts: Rollouts | None
    """Writes ModelRollouts; None where no mapping needs it."""
    github: GitHub | None
    """Sends dispatches; None where no mapping needs it."""
    reverts: Reverts | None = None
    """Opens pull requests after rollbacks; None where none are configured."""
    under_way: int = 0
    """Webhooks being answered; beyond MOST_AT_ONCE the answer is 503."""

    async def webhook(self, request: web.Request) -> web.Response:
        """Answer one webhook; the answer's status tells MLflow whether to send it again."""
        return await self._reply(request, "a webhook", self._answer)

    async def event(self, request: web.Request) -> web.Response:
        """Answer one event of the operator, which sends again what is not answered by a 2xx."""
        return await self._reply(request, "an event", self._follow)

    async def _reply(self, request: web.Request, what: str, answer: Answer) -> web.Response:
        began, told = time.monotonic(), dict[str, str]()
        self.under_way += 1
        try:
            if self.under_way > MOST_AT_ONCE:
                result = Result(Outcome.UNAVAILABLE, f"{MOST_AT_ONCE} webhooks are under way.")
            else:
                result = await answer(request, told)
        except NotGenuine as failure:
            result = Result(Outcome.NOT_GENUINE, f"Refused {what}: {failure}.")
        except Malformed as failure:
            result = Result(Outcome.MALFORMED, f"Refused {what}: {failure}.")
        except web.HTTPRequestEntityTooLarge:
            result = Result(
                Outcome.TOO_LARGE, f"The body has more than {self.settings.max_body} bytes."
            )
        except Exception:
            # A defect must not lose the webhook.
            log.exception("A webhook could not be handled", extra={"fields": told})
            result = Result(Outcome.UNAVAILABLE, "The bridge failed; its log says how.")
        finally:
            self.under_way -= 1
        seconds = time.monotonic() - began
        WEBHOOKS.labels(result.outcome).inc()
        SECONDS.observe(seconds)
        status = STATUS[result.outcome]
        level = (
            logging.ERROR
            if status in {422, 503}
            else logging.WARNING
            if status >= 400
            else logging.INFO
        )
        log.log(
            level,
            result.message,
            extra={"fields": {"outcome": result.outcome, **told, "seconds": round(seconds, 3)}},
        )
        # A delivery that is sent again has its first timestamp, which must not be too old then.
        wait = max(min(result.wait, self.settings.max_age - SPARE), self.settings.retry_after)
        headers = {"Retry-After": str(wait)} if status == 503 else {}
        # Who is not known learns nothing more than that.
        message = "not genuine" if result.outcome is Outcome.NOT_GENUINE else result.message
        return web.json_response(
            {"outcome": result.outcome, "message": message}, status=status, headers=headers
        )

    async def _answer(self, request: web.Request, told: dict[str, str]) -> Result:
        sealed, event = await self._open(request)
        told["delivery"] = sealed.delivery
        if not isinstance(event, AliasSet):
            return Result(
                Outcome.IGNORED, f"{event.what} leads to nothing: only an alias that is set does."
            )
        told |= {"model": event.model, "alias": event.alias, "version": event.version}
        if not (targets := self.mappings.targets(event)):
            return Result(
                Outcome.IGNORED,
                f"No mapping for {event.model}@{event.alias} in workspace {event.workspace}.",
            )
        return await self._once(sealed.delivery, targets, event)

    async def _follow(self, request: web.Request, told: dict[str, str]) -> Result:
        keys, age = self.settings.event_keys, self.settings.max_age
        # What is late is not read, and what is not signed is not looked into.
        envelope(request.headers, time.time(), age, NAMES)
        body = await self._body(request)
        sealed = open_event(request.headers, time.time(), age, keys, body)
        event = read_event(body)
        told["delivery"] = sealed.delivery
        if not isinstance(event, TakenBack):
            return Result(
                Outcome.IGNORED, f"{event.what} leads to nothing: only what is taken back does."
            )
        told |= {"rollout": event.place, "version": event.uri}
        if self.reverts is None:
            return Result(Outcome.IGNORED, "No revert is configured.")
        result = await self.reverts.request(event)
        if result.outcome is Outcome.OPENED:
            LAST_APPLIED.set_to_current_time()
        return result

    async def _body(self, request: web.Request) -> bytes:
        """Raises Malformed and HTTPRequestEntityTooLarge."""
        try:
            return await asyncio.wait_for(request.read(), SLOWEST_BODY)
        except (TimeoutError, ConnectionError) as failure:
            raise Malformed(f"the body was not there within {SLOWEST_BODY:.0f} s") from failure

    async def _open(self, request: web.Request) -> tuple[Envelope, Event]:
        """Raises NotGenuine, Malformed and HTTPRequestEntityTooLarge. What is not in time or not
        signed is not read any further.
        """
        sealed = envelope(request.headers, time.time(), self.settings.max_age)
        body = await self._body(request)
        verify(self.settings.secrets, sealed, body)
        return sealed, read(body)

    async def _once(self, delivery: str, targets: list[Target], event: AliasSet) -> Result:
        try:
            done = self.replays.begin(delivery)
        except Replayed as failure:
            return Result(Outcome.REPLAYED, f"Refused a webhook: {failure}.")
        except Busy as failure:
            return Result(Outcome.UNAVAILABLE, f"Not now: {failure}.")
        over = False
        try:
            result = await self._carry_out(targets, event, delivery, done)
            over = result.outcome is not Outcome.UNAVAILABLE
        finally:
            self.replays.end(delivery, over=over)
        return result

    async def _carry_out(
        self, targets: list[Target], event: AliasSet, delivery: str, done: set[str]
    ) -> Result:
        results = []
        for target in targets:
            if str(target) in done:
                continue
            result = await self._one(target, event, delivery)
            results.append(result)
            if result.outcome is not Outcome.UNAVAILABLE:
                done.add(str(target))
            if result.outcome in {Outcome.APPLIED, Outcome.DISPATCHED}:
                LAST_APPLIED.set_to_current_time()
        return whole(results)

    async def _one(self, target: Target, event: AliasSet, delivery: str) -> Result:
        match target:
            case RolloutTarget():
                assert self.rollouts is not None
                return await self.rollouts.request(target, event)
            case DispatchTarget():
                assert self.github is not None
                return await self.github.request(target, event, delivery)


def application(bridge: Bridge) -> web.Application:
    """What is reachable for MLflow."""
    app = web.Application(client_max_size=bridge.settings.max_body)
    app.add_routes([web.post(PATH, bridge.webhook), web.post(EVENTS, bridge.event)])
    return app


def inner() -> web.Application:
    """What is reachable for kubelet and Prometheus."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"healthy": True})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", health), web.get("/metrics", metrics)])
    return app


def _github_of(settings: Settings) -> Callable[[str], PullRequests]:
    return lambda repository: PullRequests(settings.github_url, settings.github_token, repository)


async def serve(settings: Settings, mappings: Mappings) -> None:
    """Serve until SIGTERM or SIGINT; what is under way is answered first, within 20 s."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        rollouts = await Rollouts.connect() if mappings.rollouts else None
        if rollouts is not None:
            stack.push_async_callback(rollouts.close)
        github = (
            GitHub(settings.github_url, settings.github_token, session)
            if mappings.dispatches
            else None
        )
        # A timestamp may be as much ahead as it may be old: so long would a delivery be taken a
        # second time.
        replays = Replays(2.0 * settings.max_age)
        reverts = Reverts(mappings, _github_of(settings)) if mappings.reverts else None
        bridge = Bridge(settings, mappings, replays, rollouts, github, reverts)
        for app, port in ((inner(), settings.metrics_port), (application(bridge), settings.port)):
            runner = web.AppRunner(
                app, handle_signals=False, access_log=None, shutdown_timeout=20.0
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, port=port).start()
        log.info(
            "Listening for MLflow's webhooks, and the operator's events",
            extra={
                "fields": {
                    "port": settings.port,
                    "mappings": len(mappings.mappings),
                    "reverts": len(mappings.reverts),
                }
            },
        )
        await stop.wait()
