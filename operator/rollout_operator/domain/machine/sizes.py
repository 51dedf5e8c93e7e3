"""How many pods a revision has: their number as the spec has it, or, where an autoscaler decides,
the least that it is left.
"""

import math

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.decision import workload_of
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.service_split import pods_for


def running(observed: Observed, revision: Revision) -> int:
    """Pods that the revision's Deployment asks for now; those of the status where there is none."""
    return workload_of(observed, revision).wanted or revision.replicas


def trial_replicas(spec: Spec, has_stable: bool, step: int | None = None) -> int:
    """Pods of a candidate on trial where their number is fixed: enough for the greatest weight of
    its steps, or as large a share of copies, and all of them where nothing else serves; where their
    number is the split, those of the step, from 0.
    """
    if has_stable and spec.traffic.provider is Provider.NONE:
        steps = spec.strategy.steps
        return pods_for(steps[min(step or 0, len(steps) - 1)].weight, spec.replicas)
    share = max(step.asked for step in spec.strategy.steps) if has_stable else 100
    return max(1, math.ceil(spec.replicas * share / 100))


def step_replicas(observed: Observed, spec: Spec, step: int) -> int:
    """Pods of a candidate for this step, from 0: where an autoscaler decides, its share of what
    stable has now, which shrinks in no trial.
    """
    stable = observed.status.stable
    if stable is None:
        return full_size(observed, spec)
    if spec.autoscaling is None:
        return trial_replicas(spec, True, step)
    share = spec.strategy.steps[min(step, len(spec.strategy.steps) - 1)].asked
    return spec.autoscaling.clamp(math.ceil(running(observed, stable) * share / 100))


def full_size(observed: Observed, spec: Spec) -> int:
    """Pods of what is to answer alone: where an autoscaler decides, what stable has now."""
    stable, scaling = observed.status.stable, spec.autoscaling
    if scaling is None:
        return spec.replicas
    now = running(observed, stable) if stable is not None else scaling.min
    return max(scaling.min, scaling.clamp(now))


GROWING = frozenset({Phase.STARTING, Phase.TRIAL, Phase.PROMOTING})
"""Phases in which a candidate follows spec.replicas; from Shifting on it is as large as it was."""


def candidate_replicas(observed: Observed, spec: Spec, candidate: Revision) -> int:
    """Pods of the candidate in this phase; what an autoscaler is left at least grows only, with
    stable, until a step or the promotion has them.
    """
    status, scaling = observed.status, spec.autoscaling
    if status.phase is Phase.PROMOTING:
        wanted = full_size(observed, spec)
    elif status.phase is Phase.STARTING or (status.phase in GROWING and scaling is None):
        wanted = step_replicas(observed, spec, status.step or 0)
    else:
        wanted = candidate.replicas
    return wanted if scaling is None else scaling.clamp(max(wanted, candidate.replicas))


def scale(observed: Observed, spec: Spec, status: Status) -> int:
    """What the scale subresource says: the spec's number, or how many pods an autoscaler has given
    to what answers.
    """
    answers = status.stable or status.candidate
    if spec.autoscaling is None:
        return spec.replicas
    return running(observed, answers) if answers is not None else spec.autoscaling.min


def as_it_runs(observed: Observed, spec: Spec | None, revision: Revision) -> Revision:
    """The revision with the pods that an autoscaler has given it: they stay as many once none is
    there any more.
    """
    if spec is None or spec.autoscaling is None:
        return revision
    return revision.model_copy(update={"replicas": running(observed, revision)})
