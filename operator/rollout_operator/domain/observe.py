"""What a rollout and its objects say by themselves: the part of observing that asks nobody.

The operator adds what it has asked outside. `kubectl modelrollout explain` does the same from where
it is, and sees the rest alike.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from rollout_operator.domain.api.names import (
    COMMAND_REASON,
    COMMANDED_BY,
    TAKE_PROFILE,
    revision_name,
)
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.machine.commands import commanded
from rollout_operator.domain.observed import DRAIN, Observed, Workload
from rollout_operator.domain.owned_object import OwnedObject
from rollout_operator.domain.rollout import Rollout
from rollout_operator.domain.scaling import without_metric
from rollout_operator.domain.windows import freeze_at


def observe(
    rollout: Rollout,
    objects: Iterable[OwnedObject],
    now: datetime,
    image: str,
    drain: timedelta = DRAIN,
    *,
    names_verified: bool = False,
) -> Observed:
    """Everything that the ModelRollout and its objects say; who looks adds what it knows besides.

    image: the model server's, for new revisions; drain: how long routers may lag behind a weight.
    names_verified: whether an admission policy writes who gives commands.
    """
    meta, objects = rollout.raw["metadata"], tuple(objects)
    annotations = meta.get("annotations") or {}
    unscaled, unscaled_at = without_metric(objects, now)
    return Observed(
        now=now,
        uid=meta["uid"],
        name=meta["name"],
        generation=meta["generation"],
        spec=rollout.spec,
        spec_error=rollout.error,
        status=rollout.status,
        image=image,
        commands=commanded(annotations),
        freeze=freeze_at(
            now, rollout.windows, rollout.spec.strategy.windows if rollout.spec is not None else ()
        ),
        commanded_by=annotations.get(COMMANDED_BY, ""),
        command_reason=annotations.get(COMMAND_REASON, ""),
        names_verified=names_verified,
        workloads=workloads(objects),
        stable_endpoints=stable_endpoints(meta["name"], rollout.status, objects),
        drain=drain,
        profile=rollout.profile,
        unscaled=unscaled,
        unscaled_at=unscaled_at,
        take_profile=annotations.get(TAKE_PROFILE, ""),
    )


def workloads(objects: Iterable[OwnedObject]) -> dict[str, Workload]:
    """The Deployments by their revision, without those that are being deleted."""
    return {
        o.revision: Workload(o.ready, o.wanted, o.trouble)
        for o in objects
        if o.kind == "Deployment" and not o.deleting
    }


def stable_endpoints(name: str, status: Status, objects: Iterable[OwnedObject]) -> frozenset[str]:
    """Revisions of the Ready pods behind the stable Service, which is called like the rollout; "?"
    stands for pods of none that is known.
    """
    known = revisions(status)

    def revision(pod: str) -> str:
        return next((r for r in known if pod.startswith(f"{revision_name(name, r)}-")), "?")

    return frozenset(
        revision(pod)
        for o in objects
        if o.kind == "EndpointSlice" and o.service == name
        for pod in o.endpoints
    )


def revisions(status: Status) -> list[str]:
    """Every revision that has pods, or had some a moment ago."""
    candidates = (status.stable, status.candidate, *status.retiring)
    return [r.revision for r in candidates if r is not None]
