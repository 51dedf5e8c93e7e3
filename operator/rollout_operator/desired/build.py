"""Which objects a rollout has, given its spec and status."""

from collections.abc import Mapping

from rollout_operator.desired.common import NO_GATEWAYS, Gateways, Manifest, Owner, Split
from rollout_operator.desired.deployment import deployment
from rollout_operator.desired.horizontal_pod_autoscaler import horizontal_pod_autoscaler
from rollout_operator.desired.network_policy import network_policy
from rollout_operator.desired.pod_disruption_budget import pod_disruption_budget
from rollout_operator.desired.routes import routes
from rollout_operator.desired.service import (
    candidate_service,
    divided_service,
    stable_service,
)
from rollout_operator.domain.api.autoscaling import Autoscaling
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.credentials import Credentials
from rollout_operator.domain.egress import DNS, Egress
from rollout_operator.domain.feedback_stores import FeedbackStore
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, COMMITTED
from rollout_operator.domain.route import leads, own_names, traffic_of


def build(
    owner: Owner,
    spec: Spec,
    status: Status,
    environment: Mapping[str, str],
    gateways: Gateways = NO_GATEWAYS,
    *,
    egress: Egress | None = (DNS,),
    credentials: Credentials | None = None,
    store: FeedbackStore | None = None,
) -> list[Manifest]:
    """Every object that should exist, in the order in which it is applied: routes are narrowed
    before pods change.

    What is not in the list and belongs to the rollout is to be deleted. egress: whom its pods may
    connect to, None for everybody; credentials: what they fetch models with; store: what
    remembers their labels.
    """
    candidate = status.candidate if status.phase in CANDIDATE_RUNS else None
    stable = status.stable
    manifests, not_accepted = list[Manifest](), list[Manifest]()
    # From the first attempt on, and for good: pods that are still ending are as little to be
    # trusted as those that begin.
    began = status.attempt > 0 or status.inspecting is not None
    if began and egress is not None:
        copies = any(step.shadow for step in spec.strategy.steps)
        manifests.append(network_policy(owner, egress, copies=copies))
    manifests += [
        candidate_service(owner, revision) for revision in _with_own_service(status, candidate)
    ]
    answering = candidate if candidate is not None and status.phase in COMMITTED else stable
    if answering is not None:
        on_route = candidate is not None and stable is not None and status.weight > 0
        by_endpoints = on_route and spec.traffic.provider is Provider.NONE
        manifests.append(_own_service(owner, status, answering.revision, divides=by_endpoints))
        split = (
            Split(candidate.revision, status.weight)
            if candidate is not None and on_route and not by_endpoints
            else Split()
        )
        accepted, not_accepted = _ways(owner, spec, status, split, gateways)
        manifests += accepted
    wanted = dict[str, tuple[Revision, int | None]]()
    wanted |= {r.revision: (r, r.replicas) for r in status.retiring}
    if stable is not None:
        wanted[stable.revision] = (stable, fixed(spec, spec.replicas))
    if candidate is not None:
        wanted[candidate.revision] = (candidate, fixed(spec, candidate.replicas))
    manifests += [
        deployment(owner, revision, replicas, environment, credentials, store=store)
        for revision, replicas in wanted.values()
    ]
    if spec.autoscaling is not None:
        manifests += _autoscalers(owner, spec.autoscaling, stable, candidate)
    # After all that serves already: while a router, or a webhook, will not have it, it must hold up
    # nothing.
    manifests += not_accepted
    if began:
        # Last, so that it holds up nothing.
        manifests.append(pod_disruption_budget(owner))
    return manifests


def fixed(spec: Spec, replicas: int) -> int | None:
    """What the Deployment of a revision that serves says of its pods' number: nothing where it is
    an autoscaler's.
    """
    return replicas if spec.autoscaling is None else None


def _autoscalers(
    owner: Owner, scaling: Autoscaling, stable: Revision | None, candidate: Revision | None
) -> list[Manifest]:
    """One for each revision that serves. Beside a candidate, stable's takes no pods away: a
    rollback sends it all requests at once.
    """
    least = {} if stable is None else {stable.revision: scaling.min}
    if candidate is not None:
        least[candidate.revision] = candidate.replicas
    return [
        horizontal_pod_autoscaler(
            owner,
            revision,
            pods,
            scaling,
            shrinks=candidate is None or revision == candidate.revision,
        )
        for revision, pods in least.items()
    ]


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
    first, *others = status.routes
    asked = spec.traffic if leads(first, spec.traffic) else traffic_of(first)
    names = own_names((*asked.names, *first.leaving), first, others)
    asked = asked.model_copy(update={**also, "host": None, "hosts": names})
    ways = [(first.name, asked)]
    ways += [(r.name, traffic_of(r).model_copy(update=also)) for r in others]
    head, *former = (routes(owner, name, traffic, split, gateways) for name, traffic in ways)
    kept = [manifest for way in former for manifest in way]
    return (kept, head) if kept and status.routes[0].accepted_at is None else (kept + head, [])


def _own_service(owner: Owner, status: Status, answering: str, *, divides: bool) -> Manifest:
    """The Service that the routes lead to; divides: in place of a router.

    What leads there by a former route is divided with the rest.
    """
    if not divides or status.candidate is None:
        return stable_service(owner, answering)
    if status.weight == 100:
        return stable_service(owner, status.candidate.revision)
    # Who retires has the labels of the rollout, too.
    return (
        stable_service(owner, answering) if status.retiring else divided_service(owner, answering)
    )


def _with_own_service(status: Status, candidate: Revision | None) -> list[str]:
    """Revisions that the canary route leads to, or that a router may still send requests to by one
    that is closed.
    """
    stable = status.stable
    if stable is None:
        return []
    found = [candidate.revision] if candidate is not None else []
    if status.watch is not None and status.watch.former not in found:
        # Routers know it already when all requests go there at once.
        found.append(status.watch.former)
    if any(r.since == stable.since for r in status.retiring):
        found.append(stable.revision)
    return found + [
        r.revision for r in status.retiring if not r.promoted and r.ready_at is not None
    ]
