"""The router of the abstract cluster: two replicas on one address, which follow each in its own
time, and of which only the quicker one is ever asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollout_operator.desired.common import Manifest
from rollout_operator.domain.api.names import REVISION
from rollout_operator.domain.drain import Question
from rollout_operator.domain.observed import APART, DRAIN, Followed

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


@dataclass(frozen=True)
class Late:
    """A revision that no route leads to any more, and that the slower replica still sends to."""

    revision: str
    since: datetime
    """Since when no route leads to it."""
    quick: datetime | None = None
    """When the quicker replica followed; None where neither has."""


def led(live: Mapping[str, Manifest]) -> frozenset[str]:
    """The revisions that get requests by these objects."""
    services = {
        m["metadata"]["name"]: m["spec"]["selector"].get(REVISION, "")
        for m in live.values()
        if m["kind"] == "Service"
    }
    names = set[str]()
    for one in live.values():
        if one["kind"] == "HTTPRoute":
            backends = (b for rule in one["spec"]["rules"] for b in rule["backendRefs"])
            names |= {b["name"] for b in backends if b["weight"]}
        elif one["kind"] == "Ingress" and not _gives_all_away(one, live):
            (path,) = one["spec"]["rules"][0]["http"]["paths"]
            names.add(path["backend"]["service"]["name"])
    return frozenset(services[name] for name in names if services.get(name))


def _gives_all_away(ingress: Manifest, live: Mapping[str, Manifest]) -> bool:
    canary = live.get(f"Ingress/{ingress['metadata']['name']}-canary")
    return canary is not None and canary["metadata"]["annotations"][WEIGHT] == "100"


def follows_later(
    late: Iterable[Late], before: frozenset[str], after: frozenset[str], now: datetime
) -> tuple[Late, ...]:
    """What replicas lag behind when routes change."""
    kept = {one.revision: one for one in late if one.revision not in after}
    gone = {revision: Late(revision, now) for revision in before - after}
    return tuple(sorted((gone | kept).values(), key=lambda one: one.revision))


def later(late: Iterable[Late], now: datetime) -> tuple[Late, ...]:
    """What is left of it: no replica lags longer than DRAIN, nor longer than APART behind
    another.
    """
    return tuple(
        one
        for one in late
        if now < one.since + DRAIN and (one.quick is None or now < one.quick + APART)
    )


def quicker_follows(late: Iterable[Late], now: datetime) -> tuple[Late, ...]:
    """The quicker replica knows all routes as they are."""
    return tuple(replace(one, quick=one.quick or now) for one in late)


def slower_follows(late: Iterable[Late]) -> tuple[Late, ...]:
    """The slower replica knows what the quicker one does."""
    return tuple(one for one in late if one.quick is None)


def heard_of(
    asked: Question, late: Iterable[Late], to: frozenset[str], since: datetime, now: datetime
) -> Followed:
    """How the quicker replica has answered until now, where routes lead to these revisions and the
    phase began then.
    """
    known = list(late)
    if to != {asked.revision} or any(one.quick is None for one in known):
        return Followed(0, timedelta(0), timedelta(0))
    first = max((one.quick for one in known if one.quick is not None), default=since)
    return Followed(2 * asked.answers, now - max(since, first), max(first - since, timedelta(0)))


def ages(late: Iterable[Late], now: datetime) -> tuple[tuple[str, int, int], ...]:
    """The same without its place in time, in steps of 5 s."""
    return tuple(
        (
            one.revision,
            round((now - one.since).total_seconds() / 5),
            -1 if one.quick is None else round((now - one.quick).total_seconds() / 5),
        )
        for one in late
    )
