"""Copies of stable's requests: who gets them, and how stable's pods are told.

Operator and model server share no code. What they agree on is here: the route, the form of the
message, and that it is signed by the rollout's own key, because whoever reaches a route of the
rollout reaches this one as well.
"""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import zip_longest
from typing import Any, Final

from rollout_operator.domain.api.differences import (
    MOST_DIFFERENCES,
    MOST_OF_AN_OUTCOME,
    Difference,
    SentValue,
)
from rollout_operator.domain.api.names import revision_name
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase

PATH: Final = "/shadow/"
SIGNATURE: Final = "X-Shadow-Signature"
LEASE: Final = timedelta(seconds=20)
"""How long a pod goes on copying without being told again: the operator may be gone."""
RENEW: Final = timedelta(seconds=5)
"""How often pods are told: new ones begin, and the others go on."""
OLD_SERVER: Final = (
    "their model server makes no copies: promote a version with this operator's image first, or"
    " take shadow out of the steps"
)


@dataclass(frozen=True, slots=True)
class Shadow:
    """Whose requests are copied to whom."""

    stable: str
    """The revision whose pods copy."""
    candidate: str
    """The revision that gets the copies, by the Service of its own."""
    percent: int
    """Share of stable's requests, from 1 to 100."""
    fields: tuple[str, ...] = ()
    """Fields of requests whose values may be kept where answers differ."""


def shadow_of(spec: Spec, status: Status) -> Shadow | None:
    """The copies that the step of a trial asks for; None for none."""
    stable, candidate, step = status.stable, status.candidate, status.step
    if status.phase is not Phase.TRIAL or stable is None or candidate is None or step is None:
        return None
    steps = spec.strategy.steps
    percent = steps[min(step, len(steps) - 1)].shadow
    return Shadow(stable.revision, candidate.revision, percent) if percent else None


def message(shadow: Shadow, now: datetime, key: str, *, ends: bool = False) -> tuple[bytes, str]:
    """What pods are told, and its signature.

    key: the rollout's, by which its pods sign prediction ids. ends: whether copying is over.
    """
    said = {
        "candidate": shadow.candidate,
        "percent": 0 if ends else shadow.percent,
        "seconds": LEASE.total_seconds(),
        "at": round(now.timestamp(), 3),
        "fields": shadow.fields,
    }
    body = json.dumps(said, ensure_ascii=False).encode()
    return body, hmac.new(key.encode(), b"shadow\0" + body, sha256).hexdigest()


def differences(said: bytes, revision: str) -> tuple[Difference, ...]:
    """Answers that differed, of what a pod says to a message. A pod may say anything, for models
    are code: what is no difference in form and size is left out.

    revision: the candidate's.
    """
    try:
        found = json.loads(said)["differences"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    listed = found[:MOST_DIFFERENCES] if isinstance(found, list) else ()
    return tuple(d for one in listed if (d := _difference(one, revision)) is not None)


def _difference(one: Any, revision: str) -> Difference | None:
    try:
        return Difference(
            revision=revision,
            outcome=one["outcome"],
            at=datetime.fromtimestamp(one["at"], UTC),
            stable=one["stable"],
            candidate=one["candidate"],
            sent=tuple(SentValue(field=n, value=v) for n, v in one["shown"].items()),
            masked=tuple(one["masked"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        return None


def sampled(by_pod: Iterable[tuple[Difference, ...]]) -> tuple[Difference, ...]:
    """A few of those that pods tell, oldest first: of each pod its first, then its second, …"""
    kept = dict[str, list[Difference]]()
    for round_ in zip_longest(*by_pod):
        for one in filter(None, round_):
            alike = kept.setdefault(one.outcome, [])
            if len(alike) < MOST_OF_AN_OUTCOME:
                alike.append(one)
    return tuple(sorted((one for each in kept.values() for one in each), key=lambda d: d.at))


def pods_to_tell(
    slices: Iterable[Mapping[str, Any]], rollout: str, shadow: Shadow
) -> tuple[str, ...]:
    """Addresses `host:port` of stable's Ready pods, by the EndpointSlices of the rollout's Service;
    of one that divides connections, the candidate's pods are passed over.
    """
    found = set[str]()
    begins = f"{revision_name(rollout, shadow.stable)}-"
    for one in slices:
        port = next((p["port"] for p in one.get("ports") or () if p.get("name") == "http"), None)
        if port is None:
            continue
        for endpoint in one.get("endpoints") or ():
            name = (endpoint.get("targetRef") or {}).get("name", "")
            ready = (endpoint.get("conditions") or {}).get("ready")
            if ready and name.startswith(begins) and endpoint.get("addresses"):
                address = endpoint["addresses"][0]
                host = f"[{address}]" if one.get("addressType") == "IPv6" else address
                found.add(f"{host}:{port}")
    return tuple(sorted(found))
