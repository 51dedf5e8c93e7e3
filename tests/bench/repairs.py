"""How fast a canary route that somebody deleted or edited in the middle of a trial is what was
decided again.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.demo.rollout import WEIGHT, Rollout, eventually
from scripts.kube import Object
from tests.support.kinds import path_of

TIMES = 10
PATIENCE = 300.0
WRONG = 90
"""A weight that nobody decided."""
UNTOUCHED = ("phase", "attempt", "step", "weight", "stepSince", "candidate", "stable")
"""What of a status a foreign hand may not change."""


@dataclass
class Repairs:
    """Seconds from the foreign write until the route was right again; adopted: how often it was
    taken for progress.
    """

    deleted: list[float] = field(default_factory=list)
    edited: list[float] = field(default_factory=list)
    adopted: int = 0


def canary_route(rollout: Rollout) -> str:
    """The object in which the weight stands."""
    if rollout.settings.get("traffic", {}).get("provider") == "HTTPRoute":
        return path_of("HTTPRoute", rollout.namespace, rollout.name)
    return path_of("Ingress", rollout.namespace, f"{rollout.name}-canary")


def edited(route: Object) -> Object:
    """The same route with another weight, as somebody would apply it."""
    made = {
        "apiVersion": route["apiVersion"],
        "kind": route["kind"],
        "metadata": {"name": route["metadata"]["name"]},
    }
    if route["kind"] == "Ingress":
        made["metadata"]["annotations"] = {WEIGHT: str(WRONG)}
        return made
    made["spec"] = copy.deepcopy(route["spec"])
    for backend, weight in zip(
        made["spec"]["rules"][0]["backendRefs"], (100 - WRONG, WRONG), strict=True
    ):
        backend["weight"] = weight
    return made


def measure(rollout: Rollout) -> Repairs:
    """Spoil the route of a rollout on trial, one way and the other; the trial must last longer than
    this does.
    """
    found = Repairs()
    route = canary_route(rollout)
    before = rollout.status()
    decided = eventually(rollout.canary, "the canary route", PATIENCE)

    def spoil(hand: Callable[[], object], times: list[float]) -> None:
        begun = time.monotonic()
        hand()
        what = f"the route to say {decided} again"
        eventually(
            lambda: True if rollout.canary() == decided else None,
            what,
            PATIENCE,
            rollout.tell,
            pause=0.01,
        )
        times.append(time.monotonic() - begun)
        time.sleep(0.5)
        after = rollout.status()
        found.adopted += any(after.get(part) != before.get(part) for part in UNTOUCHED)

    def edit() -> None:
        live = rollout.kube.get(route)
        assert live is not None, f"{route} is not there"
        rollout.kube.apply(route, edited(live))

    for _ in range(TIMES):
        spoil(lambda: rollout.kube.delete(route), found.deleted)
        spoil(edit, found.edited)
    return found
