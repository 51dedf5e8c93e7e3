"""GitHub's `repository_dispatch`: a workflow of a repository is told of the new version, and
applies it.

Source: docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event (API version
2022-11-28): 204 when taken.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from rollout_bridge.mappings import DispatchTarget
from rollout_bridge.outcome import Outcome, Result
from rollout_bridge.webhook import AliasSet
from rollout_cli.promotion.github_api import seconds_to_wait, used_up

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)


@dataclass(frozen=True)
class GitHub:
    """GitHub's REST API, as far as dispatches need it."""

    url: str
    """Base URL of the REST API, without a trailing slash."""
    token: str
    """Bearer token; it must be allowed to write the repositories' contents."""
    session: aiohttp.ClientSession
    """Closed by whoever made it."""

    async def request(self, target: DispatchTarget, event: AliasSet, delivery: str) -> Result:
        """Send the dispatch. Never raises for what GitHub does, and never says the token."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "rollout-bridge",
        }
        url = f"{self.url}/repos/{target.repository}/dispatches"
        try:
            async with self.session.post(
                url,
                json=payload(target, event, delivery),
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as reply:
                body = await reply.content.read(4096)
                return judge(target, event, reply.status, reply.headers, body, time.time())
        except (TimeoutError, OSError, aiohttp.ClientError) as failure:
            return Result(
                Outcome.UNAVAILABLE, f"{target}: GitHub did not answer: {type(failure).__name__}."
            )


def payload(target: DispatchTarget, event: AliasSet, delivery: str) -> dict[str, Any]:
    """The body of the request: event_type, and a client_payload of at most ten keys."""
    return {
        "event_type": target.event_type,
        "client_payload": {
            "model_uri": event.model_uri,
            "model": event.model,
            "version": event.version,
            "alias": event.alias,
            "workspace": event.workspace,
            "requested_at": event.at.isoformat(),
            "delivery_id": delivery,
            **target.payload,
        },
    }


def judge(  # noqa: PLR0917
    target: DispatchTarget,
    event: AliasSet,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
) -> Result:
    """What GitHub's answer means; now: in Unix seconds."""
    if status == 204:
        return Result(Outcome.DISPATCHED, f"{target} carries {event.model_uri}.")
    message = _message(body)
    told = f"{target}: GitHub says {status} {message}".rstrip()
    if status >= 500 or status == 408 or used_up(status, headers, message):
        return Result(Outcome.UNAVAILABLE, f"{told}.", seconds_to_wait(headers, now))
    advice = {
        401: "renew GITHUB_TOKEN, and restart the bridge, which reads it at start",
        403: "let the token write the repository's contents",
        404: "correct the mapping's repository, or let the token see it",
    }
    return Result(Outcome.REFUSED, f"{told}: {advice.get(status, 'correct the mapping')}.")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return ""
