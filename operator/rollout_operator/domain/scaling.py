"""Who else sets the number of a Deployment's pods, and how often it is put back: a fight that
nobody is told of never ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout_operator.domain.owned_object import OwnedObject

SOONEST = timedelta(seconds=10)
LONGEST = timedelta(minutes=10)
"""Least time between two corrections of one Deployment: it doubles from the one to the other."""
QUIET = timedelta(minutes=2)
"""How long nobody else must have set it, at least, before it is forgotten."""
WITHOUT_METRIC = timedelta(minutes=2)
"""How long an autoscaler must have had no metric before it is told: of new pods there is none for a
minute.
"""
AUTOSCALERS = {"kube-controller-manager": "a HorizontalPodAutoscaler"}
"""Field managers whose name does not say what they are."""


@dataclass(frozen=True, slots=True)
class Contest:
    """A Deployment whose number of pods another has set."""

    manager: str
    """Who has set it."""
    wanted: int
    """The number that it was put back to."""
    last: datetime
    """When it was last put back."""
    times: int = 1
    """How often it was put back by now."""

    @property
    def due(self) -> datetime:
        """Before this it is not put back again."""
        return self.last + self._distance

    @property
    def over(self) -> datetime:
        """When it is forgotten, unless another sets the number again."""
        return self.due + max(QUIET, self._distance)

    @property
    def _distance(self) -> timedelta:
        return min(LONGEST, SOONEST * (1 << min(self.times - 1, 10)))


def put_back(before: Contest | None, manager: str, wanted: int, now: datetime) -> Contest:
    """The contest after the number was put back once more; it begins anew where something else is
    wanted than before.
    """
    known = before is not None and before.wanted == wanted and now < before.over
    return Contest(manager, wanted, now, before.times + 1 if before is not None and known else 1)


def waits(contest: Contest | None, wanted: int, now: datetime) -> bool:
    """Whether the number is left as another has set it for now."""
    return contest is not None and contest.wanted == wanted and now < contest.due


def sentence(deployment: str, manager: str, wanted: int) -> str:
    """What to tell, without numbers that change in a fight."""
    who = f"{manager} ({AUTOSCALERS[manager]})" if manager in AUTOSCALERS else manager
    return (
        f"{who} scales Deployment {deployment}, which is put back to {wanted}, more and more"
        " seldom: scale the ModelRollout instead (spec.replicas, `kubectl scale`, or an autoscaler"
        " with it as its scaleTargetRef)."
    )


def without_metric(objects: Iterable[OwnedObject], now: datetime) -> tuple[str, datetime | None]:
    """Which autoscaler of the rollout has had no metric for long, as a sentence, "" for none; and
    when that will be so of the first of those that have none now.
    """
    blind = sorted(
        (o.without_metric + WITHOUT_METRIC, o.name, o.trouble)
        for o in objects
        if o.without_metric is not None and not o.deleting
    )
    if not blind:
        return "", None
    due, name, trouble = blind[0]
    if now < due:
        return "", due
    return (
        f"Autoscaler {name} has no metric ({trouble}), and changes no number of pods:"
        f" `kubectl describe hpa {name}` says why. cpu needs metrics-server; rps and latency need"
        " prometheus-adapter with the rules of monitoring/prometheus-adapter.yaml."
    ), None
