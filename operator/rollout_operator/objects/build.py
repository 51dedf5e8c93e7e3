"""Which objects a rollout has, given its spec and status."""

from collections.abc import Mapping

from rollout_operator.domain.decide import CANDIDATE_RUNS, COMMITTED
from rollout_operator.domain.spec import Spec
from rollout_operator.domain.status import Status
from rollout_operator.objects import Manifest, Owner
from rollout_operator.objects.deployment import deployment
from rollout_operator.objects.ingress import canary_ingress, stable_ingress
from rollout_operator.objects.service import candidate_service, stable_service


def build(owner: Owner, spec: Spec, status: Status, environment: Mapping[str, str]) -> list[Manifest]:
    """Every object that should exist, in the order in which it is applied: routes are narrowed before pods change.

    What is not in the list and belongs to the rollout is to be deleted.
    """
    candidate = status.candidate if status.phase in CANDIDATE_RUNS else None
    stable = status.stable
    manifests: list[Manifest] = []
    if candidate is not None:
        manifests.append(candidate_service(owner, candidate.revision))
    answering = candidate if candidate is not None and status.phase in COMMITTED else stable
    if answering is not None:
        manifests.append(stable_service(owner, answering.revision))
        manifests.append(stable_ingress(owner, spec.traffic))
    if candidate is not None and stable is not None:
        manifests.append(canary_ingress(owner, spec.traffic, candidate.revision, status.weight))
    wanted = {r.revision: (r, r.replicas) for r in status.retiring}
    if stable is not None:
        wanted[stable.revision] = (stable, spec.replicas)
    if candidate is not None:
        wanted[candidate.revision] = (candidate, candidate.replicas)
    manifests += [deployment(owner, revision, replicas, environment) for revision, replicas in wanted.values()]
    return manifests
