"""Which objects a rollout has, given its spec and status."""

from collections.abc import Mapping

from rollout_operator.desired.common import NO_GATEWAYS, Gateways, Manifest, Owner, Split
from rollout_operator.desired.deployment import deployment
from rollout_operator.desired.network_policy import network_policy
from rollout_operator.desired.pod_disruption_budget import pod_disruption_budget
from rollout_operator.desired.routes import routes
from rollout_operator.desired.service import candidate_service, stable_service
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.credentials import Credentials
from rollout_operator.domain.egress import DNS, Egress
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, COMMITTED
from rollout_operator.domain.route import leads, traffic_of


def build(
    owner: Owner,
    spec: Spec,
    status: Status,
    environment: Mapping[str, str],
    gateways: Gateways = NO_GATEWAYS,
    *,
    egress: Egress | None = (DNS,),
    credentials: Credentials | None = None,
) -> list[Manifest]:
    """Every object that should exist, in the order in which it is applied: routes are narrowed
    before pods change.

    What is not in the list and belongs to the rollout is to be deleted. egress: whom its pods may
    connect to, None for everybody; credentials: what they fetch models with.
    """
    candidate = status.candidate if status.phase in CANDIDATE_RUNS else None
    stable = status.stable
    manifests, not_accepted = list[Manifest](), list[Manifest]()
    # From the first attempt on, and for good: pods that are still ending are as little to be
    # trusted as those that begin.
    began = status.attempt > 0 or status.inspecting is not None
    if began and egress is not None:
        manifests.append(network_policy(owner, egress))
    manifests += [
        candidate_service(owner, revision) for revision in _with_own_service(status, candidate)
    ]
    answering = candidate if candidate is not None and status.phase in COMMITTED else stable
    if answering is not None:
        manifests.append(stable_service(owner, answering.revision))
        on_route = candidate is not None and stable is not None and status.weight > 0
        split = (
            Split(candidate.revision, status.weight)
            if candidate is not None and on_route
            else Split()
        )
        accepted, not_accepted = _ways(owner, spec, status, split, gateways)
        manifests += accepted
    wanted = {r.revision: (r, r.replicas) for r in status.retiring}
    if stable is not None:
        wanted[stable.revision] = (stable, spec.replicas)
    if candidate is not None:
        wanted[candidate.revision] = (candidate, candidate.replicas)
    manifests += [
        deployment(owner, revision, replicas, environment, credentials)
        for revision, replicas in wanted.values()
    ]
    # After all that serves already: while a router, or a webhook, will not have it, it must hold up
    # nothing.
    manifests += not_accepted
    if began:
        # Last, so that it holds up nothing.
        manifests.append(pod_disruption_budget(owner))
    return manifests


def _ways(
    owner: Owner, spec: Spec, status: Status, split: Split, gateways: Gateways
) -> tuple[list[Manifest], list[Manifest]]:
    """Every way by which requests come in; apart, the one that the spec asks for as long as only
    former ones were accepted.
    """
    if not status.routes:
        return routes(owner, owner.name, spec.traffic, split, gateways), []
    # What is said of one route of the rollout (who may ask, how large a body may be) holds for all.
    also = {"annotations": spec.traffic.annotations}
    asked = [
        (
            r.name,
            spec.traffic if leads(r, spec.traffic) else traffic_of(r).model_copy(update=also),
        )
        for r in status.routes
    ]
    head, *former = (routes(owner, name, traffic, split, gateways) for name, traffic in asked)
    kept = [manifest for way in former for manifest in way]
    return (kept, head) if kept and status.routes[0].accepted_at is None else (kept + head, [])


def _with_own_service(status: Status, candidate: Revision | None) -> list[str]:
    """Revisions that the canary route leads to, or that a router may still send requests to by one
    that is closed.
    """
    stable = status.stable
    if stable is None:
        return []
    found = [candidate.revision] if candidate is not None else []
    if any(r.since == stable.since for r in status.retiring):
        found.append(stable.revision)
    return found + [
        r.revision for r in status.retiring if not r.promoted and r.ready_at is not None
    ]
