"""What this process remembers of its own reconciles, beside what the watches tell: what it wrote,
what the API server rejected, and whose number of pods it put back.
"""

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rollout_operator.controller.raw_objects import Key, WatchEvent
from rollout_operator.domain.api.api_types import as_read_back
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.drain import gives_all, waits_since
from rollout_operator.domain.scaling import Contest


@dataclass(frozen=True, slots=True)
class Rejection:
    """What the API server said against an object."""

    since: datetime
    """When an object of the rollout was first rejected, UTC."""
    message: str
    """Why, as a sentence; "" in NOT_REJECTED."""
    foreign: bool = False
    """Whether another's object has its name."""
    harmless: bool = False
    """Whether nothing rests on the object."""

    def lasting(self, before: datetime) -> str:
        """The message, where it is of `before` or older; another's object does not go by itself,
        and is told at once.
        """
        return self.message if self.since <= before or self.foreign else ""


NOT_REJECTED = Rejection(datetime.min.replace(tzinfo=UTC), "")


@dataclass
class PassMemory:
    """Of each rollout, until it is gone; a new process begins with nothing."""

    _own_writes: dict[Key, set[WatchEvent]] = field(default_factory=lambda: defaultdict(set))
    _rejections: dict[Key, Rejection] = field(default_factory=dict)
    _contests: dict[Key, dict[str, Contest]] = field(default_factory=dict)
    """By the name of the Deployment."""
    _left: dict[Key, set[str]] = field(default_factory=dict)
    """Names of the Deployments whose autoscaler this process has deleted."""
    _rejected_pods: dict[Key, str] = field(default_factory=dict)
    _applied: dict[Key, tuple[Phase, datetime | None, datetime]] = field(default_factory=dict)
    """Of what waits for routers: the phase, when it began, and when the objects were first as it
    asks.
    """

    def applied(self, key: Key, status: Status, at: datetime) -> None:
        """Remember that all objects are as this status asks; it counts from the first time in its
        phase, and as long as somebody waits for routers.
        """
        if not (status.retiring or waits_since(status) is not None):
            self._applied.pop(key, None)
        elif self.applied_at(key, status) is None:
            self._applied[key] = (status.phase, _since(status), at)

    def applied_at(self, key: Key, status: Status) -> datetime | None:
        """When all objects were first as the phase of this status asks, or its step of all
        requests; None for not yet.
        """
        phase, since, at = self._applied.get(key, (None, None, None))
        return at if (phase, since) == (status.phase, _since(status)) else None

    def wrote(self, key: Key, event: WatchEvent) -> None:
        """Remember what the watch will tell of a write by this process."""
        self._own_writes[key].add(event)

    def take_own_writes(self, key: Key) -> set[WatchEvent]:
        """What this process wrote since it was last asked: a watch may tell of it before the API
        server answers, and it is no news.
        """
        return self._own_writes.pop(key, set())

    def reject(self, key: Key, rejection: Rejection) -> None:
        """Remember that the API server does not have an object of the rollout; it counts from the
        first time.
        """
        before = self._rejections.get(key)
        since = rejection.since if before is None else before.since
        self._rejections[key] = replace(rejection, since=since)

    def rejection(self, key: Key) -> Rejection:
        """What the API server says against an object of the rollout; NOT_REJECTED for nothing."""
        return self._rejections.get(key, NOT_REJECTED)

    def accept(self, key: Key) -> bool:
        """Every object of the rollout is as it should be; says whether one was rejected before."""
        return self._rejections.pop(key, None) is not None

    def reject_pod(self, key: Key, message: str) -> None:
        """Remember that the API server does not have the pod that inspects; "" for it has."""
        if message:
            self._rejected_pods[key] = message
        else:
            self._rejected_pods.pop(key, None)

    def pod_rejection(self, key: Key) -> str:
        """What it says against that pod; "" where it says nothing."""
        return self._rejected_pods.get(key, "")

    def contest(self, key: Key, deployment: str, contest: Contest) -> None:
        """Remember that the number of pods was put back."""
        self._contests.setdefault(key, {})[deployment] = contest

    def contests(self, key: Key, now: datetime) -> Mapping[str, Contest]:
        """The Deployments of the rollout whose number of pods another has set lately, by name."""
        if key not in self._contests:
            return {}
        left = {name: c for name, c in self._contests[key].items() if now < c.over}
        self._contests[key] = left
        if not left:
            del self._contests[key]
        return left

    def leave(self, key: Key, deployment: str) -> None:
        """Remember that the autoscaler of a Deployment is deleted: the number that it has set is
        nobody else's until all is as it should be again.
        """
        self._left.setdefault(key, set()).add(deployment)

    def left(self, key: Key) -> Set[str]:
        """The Deployments that have the number of an autoscaler which is deleted, by name."""
        return self._left.get(key, frozenset())

    def settle(self, key: Key) -> None:
        """All objects are as they should be: whoever sets a number from now on is another."""
        self._left.pop(key, None)

    def forget(self, key: Key) -> None:
        """The rollout is gone."""
        self._own_writes.pop(key, None)
        self._rejections.pop(key, None)
        self._contests.pop(key, None)
        self._left.pop(key, None)
        self._rejected_pods.pop(key, None)
        self._applied.pop(key, None)


def _since(status: Status) -> datetime | None:
    """When that began which the objects are to follow."""
    since = status.step_since if gives_all(status) else status.phase_since
    return since and as_read_back(since)
