"""What the operator's order of writes rests on in ingress-nginx, and that it loses no request
there: stories from first deploy to rollback, seen by a controller that lags.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from rollout_operator.controller.apply import DELETED_IN_ORDER
from rollout_operator.desired.build import build
from rollout_operator.desired.common import Manifest, Owner, Split
from rollout_operator.desired.ingress import canary_ingress, stable_ingress
from rollout_operator.domain.api.names import REVISION
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.observed import Workload
from tests.support.builders import START, UID, accuracy, observed, resolved, spec
from tests.support.ingress_nginx import NOBODY, SLOWEST, answering, place, refused, shares

OWNER = Owner(UID, "iris", "models")
HOST = ("iris.example.com", "/")
TRAFFIC = spec().traffic
STABLE = {"iris": stable_ingress(OWNER, "iris", TRAFFIC)}
BOTH = {"iris": frozenset({"v1"}), "iris-v2": frozenset({"v2"})}


def pair(weight: int) -> dict[str, Manifest]:
    """The host's Ingress and its canary, as the operator writes them."""
    return {**STABLE, "iris-canary": canary_ingress(OWNER, "iris", TRAFFIC, Split("v2", weight))}


SHARES: dict[str, tuple[dict[str, Manifest], Mapping[str, frozenset[str]], str, Any]] = {
    "no canary": (STABLE, BOTH, "", {"iris": 100}),
    "10 %": (pair(10), BOTH, "", {"iris": 90, "iris-v2": 10}),
    "50 %": (pair(50), BOTH, "", {"iris": 50, "iris-v2": 50}),
    "100 %": (pair(100), BOTH, "", {"iris-v2": 100}),
    "a tester": (pair(10), BOTH, "true", {"iris-v2": 100}),
    "another value goes by weight": (pair(10), BOTH, "True", {"iris": 90, "iris-v2": 10}),
    "at 100 % the header chooses nothing": (pair(100), BOTH, "true", {"iris-v2": 100}),
    "no pod of the candidate": (pair(50), {"iris": BOTH["iris"]}, "", {"iris": 100}),
    "not for testers either": (pair(50), {"iris": BOTH["iris"]}, "true", {"iris": 100}),
    "not at 100 % either": (pair(100), {"iris": BOTH["iris"]}, "", {"iris": 100}),
    "no pod of stable, at 50 %": (pair(50), {"iris-v2": BOTH["iris-v2"]}, "", {NOBODY: 100}),
    "no pod of stable, at 100 %": (pair(100), {"iris-v2": BOTH["iris-v2"]}, "", {NOBODY: 100}),
    "a canary alone": ({"iris-canary": pair(50)["iris-canary"]}, BOTH, "", {NOBODY: 100}),
}


@pytest.mark.parametrize(
    ("ingresses", "endpoints", "header", "expected"), SHARES.values(), ids=SHARES.keys()
)
def test_what_the_operator_writes_means_what_was_measured(
    ingresses: dict[str, Manifest],
    endpoints: Mapping[str, frozenset[str]],
    header: str,
    expected: dict[str, int],
) -> None:
    assert shares(ingresses, endpoints, HOST, header) == expected


@dataclass
class Story:
    """Plays time against `decide`, and writes what follows from it object by object, as the
    operator does.
    """

    good: dict[int, float]
    """Accuracy by version: below 0.7 it is rolled back."""
    drain: float = 10
    """ROUTER_DRAIN_SECONDS."""
    scale_down: str = "30s"
    """`strategy.scaleDownDelay`."""
    now: float = 0
    status: Status = field(default_factory=Status)
    live: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    """By kind and name, in the order of their creation."""
    writes: list[tuple[float, dict[tuple[str, str], Manifest]]] = field(default_factory=list)
    """All objects after each write, with its second."""
    asked: list[tuple[Manifest, dict[str, Manifest]]] = field(default_factory=list)
    """Every Ingress that was written, beside the Ingresses that were there."""

    def play(self, version: int, seconds: float) -> Status:
        end, wanted = self.now + seconds, self.wanted(version)
        while self.now < end:
            plan_at = self.look(wanted, version)
            self.now = max(self.now + 0.25, min(plan_at, self.now + 1, end))
        return self.status

    def wanted(self, version: int) -> Spec:
        return spec(f"models:/iris/{version}", strategy__scaleDownDelay=self.scale_down)

    def look(self, wanted: Spec, version: int) -> float:
        """One look; returns when the next is due, s."""
        candidate, stable = self.status.candidate, self.status.stable
        running = [r for r in (candidate, stable, *self.status.retiring) if r is not None]
        selected = self.live.get(("Service", "iris"))
        tried = int(candidate.version) if candidate else 0
        plan = decide(
            observed(
                self.now,
                spec=wanted,
                status=self.status,
                drain=timedelta(seconds=self.drain),
                resolution=resolved(version),
                workloads={r.revision: Workload(r.replicas, r.replicas) for r in running},
                stable_endpoints=frozenset(
                    {selected["spec"]["selector"][REVISION]} if selected else ()
                ),
                answers=accuracy(self.good[tried], self.now) if tried else {},
            )
        )
        self.status = plan.status
        self.write(wanted)
        return (plan.requeue_at - START).total_seconds() if plan.requeue_at else self.now + 1

    def write(self, wanted: Spec) -> None:
        made = {
            (m["kind"], m["metadata"]["name"]): m for m in build(OWNER, wanted, self.status, {})
        }
        surplus = [p for p in self.live if p not in made and p[0] in DELETED_IN_ORDER]
        for one, manifest in made.items():
            if self.live.get(one) != manifest:
                if one[0] == "Ingress":
                    self.asked.append((manifest, of(self.live, "Ingress")))
                self.live[one] = manifest
                self.writes.append((self.now, dict(self.live)))
        for one in sorted(surplus, key=lambda p: DELETED_IN_ORDER.index(p[0])):
            del self.live[one]
            self.writes.append((self.now, dict(self.live)))


def of(objects: dict[tuple[str, str], Manifest], kind: str) -> dict[str, Manifest]:
    return {name: one for (its, name), one in objects.items() if its == kind}


def running(objects: dict[tuple[str, str], Manifest]) -> frozenset[str]:
    """Revisions that have pods."""
    return frozenset(
        d["metadata"]["labels"][REVISION]
        for d in of(objects, "Deployment").values()
        if d["spec"]["replicas"]
    )


def lost(story: Story, lag: float = SLOWEST) -> Iterator[str]:
    """What a client can get that nobody serves any more, where each worker goes by the objects of
    any moment up to `lag` seconds before, and by the endpoints of any other such moment.

    Pods end at once: what preStop saves is not counted.
    """
    opened = False
    for number, (now, objects) in enumerate(story.writes):
        seen = [
            before
            for (_, before), (until, _) in zip(
                story.writes[: number + 1], [*story.writes[1:], (now, {})], strict=False
            )
            if until >= now - lag
        ]
        opened = opened or all("iris" in of(one, "Ingress") for one in seen)
        if not opened:
            continue
        for routes in seen:
            for other in seen:
                for revision in answering(
                    of(routes, "Ingress"), of(routes, "Service"), running(other), HOST, REVISION
                ):
                    if revision not in running(objects):
                        yield f"{now:.2f} s: {revision}"


def whole(**changes: Any) -> Story:
    """First deploy, promotion, rollback, and promotion again."""
    story = Story({1: 0.9, 2: 0.95, 3: 0.5, 4: 0.9}, **changes)
    ends = [(1, Phase.PROMOTED), (2, Phase.PROMOTED), (3, Phase.ROLLED_BACK), (4, Phase.PROMOTED)]
    for version, phase in ends:
        assert story.play(version, 150).phase is phase
    return story


DRAINS: dict[str, dict[str, Any]] = {
    "as it is configured": {},
    "the shortest that the slowest lag allows": {"drain": 4.5},
    "pods that go as soon as they may": {"scale_down": "0s"},
}


@pytest.mark.parametrize("changes", DRAINS.values(), ids=DRAINS.keys())
def test_no_request_comes_to_pods_that_are_gone(changes: dict[str, Any]) -> None:
    assert list(lost(whole(**changes))) == []


TOO_SHORT: dict[str, dict[str, Any]] = {
    "no drain": {"drain": 0, "scale_down": "0s"},
    "one of two seconds": {"drain": 2, "scale_down": "0s"},
}


@pytest.mark.parametrize("changes", TOO_SHORT.values(), ids=TOO_SHORT.keys())
def test_a_shorter_drain_would_lose_requests(changes: dict[str, Any]) -> None:
    assert list(lost(whole(**changes)))


def test_the_webhook_takes_every_ingress_in_the_operators_order() -> None:
    asked = whole().asked
    assert {refused(ingress, there) for ingress, there in asked} == {""}
    assert [i["metadata"]["name"] for i, _ in asked[:2]] == ["iris", "iris-canary"]
    weights = [
        i["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"]
        for i, _ in asked
        if i["metadata"]["name"] == "iris-canary"
    ]
    assert weights == ["10", "50", "100", "10", "10", "50", "100"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a host and path that another Ingress has": ({}, "already defined"),
    "another path of the host": ({"path": "/two"}, ""),
    "another host": ({"host": "other.example.com"}, ""),
    "~ in the path": ({"path": "/~iris"}, "invalid paths"),
    "a path of nginx' own": ({"path": "/etc/nginx"}, "invalid words"),
    "the secrets' path": ({"path": "/var/run/secrets/x"}, "invalid words"),
}


@pytest.mark.parametrize(("traffic", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_the_webhook_refuses_another_rollout(traffic: dict[str, Any], why: str) -> None:
    asked = spec(traffic={"host": "iris.example.com", **traffic}).traffic
    younger = stable_ingress(Owner(UID, "younger", "models"), "younger", asked)
    said = refused(younger, STABLE)
    assert why in said
    assert bool(said) == bool(why)


def test_the_canary_of_a_younger_rollout_takes_the_requests_of_the_older() -> None:
    """Why an older rollout's host and path are refused to a younger one before it writes anything:
    the webhook takes a canary whatever it is attached to.
    """
    younger = Owner(UID, "younger", "models")
    canary = canary_ingress(younger, "younger", TRAFFIC, Split("v9", 100))
    assert refused(canary, STABLE) == ""
    endpoints = {**BOTH, "younger-v9": frozenset({"v9"})}
    assert shares({**STABLE, "younger-canary": canary}, endpoints, HOST) == {"younger-v9": 100}
    assert place(canary) == HOST
