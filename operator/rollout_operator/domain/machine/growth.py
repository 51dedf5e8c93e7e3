"""Between two steps: the pods that a greater weight needs, where an autoscaler has their number."""

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import ScaleUp
from rollout_operator.domain.api.words import Reason
from rollout_operator.domain.machine.decision import (
    Plan,
    candidate_of,
    pods,
    stay,
    workload_of,
)
from rollout_operator.domain.machine.rollback import roll_back
from rollout_operator.domain.machine.schedule import next_measurement
from rollout_operator.domain.machine.sizes import step_replicas
from rollout_operator.domain.observed import Observed


def next_size(observed: Observed, spec: Spec, step: int) -> int:
    """Pods for the step after this one, of which none is taken back while they are waited for."""
    least = candidate_of(observed).replicas
    wanted = max(least, step_replicas(observed, spec, step + 1))
    return wanted if spec.autoscaling is None else spec.autoscaling.clamp(wanted)


def grow(observed: Observed, spec: Spec, to: int | None = None) -> Plan | None:
    """Wait for the pods that the next step needs; None where they are Ready, or there is no next.

    to: another step, from 0, in place of the next.

    A fixed number of pods is that of the greatest weight from the beginning. What an autoscaler has
    given a small share would be overrun by a greater one before it could follow.
    """
    status, candidate = observed.status, candidate_of(observed)
    step = status.step if to is None else to - 1
    if spec.autoscaling is None or step is None or step + 1 >= len(spec.strategy.steps):
        return None
    wanted = next_size(observed, spec, step)
    if workload_of(observed, candidate).ready >= wanted:
        return None
    # Where all came that were waited for before, and stable has grown since, it is another wait.
    came = workload_of(observed, candidate).ready >= candidate.replicas
    since = observed.now if came else status.grows_since or observed.now
    scale_up = status.scale_up
    if wanted > candidate.replicas:
        scale_up = ScaleUp(wanted=wanted, since=observed.now)
    place = f"step {step + 2} of {len(spec.strategy.steps)}"
    over = since + spec.strategy.progress_deadline
    if observed.now >= over:
        message = (
            f"{candidate.uri} has not got the {pods(wanted)} that {place} needs for"
            f" {spec.strategy.progress_deadline}."
        )
        return roll_back(observed, Reason.PROGRESS_DEADLINE_EXCEEDED, message)
    return stay(
        observed,
        Reason.WAITING_FOR_PODS,
        f"Waiting for {pods(wanted)} of {candidate.uri}, which {place} needs.",
        requeue_at=min(over, next_measurement(observed, spec)),
        candidate=candidate.model_copy(update={"replicas": wanted}),
        grows_since=since,
        scale_up=scale_up,
        no_evidence_since=None,
    )
