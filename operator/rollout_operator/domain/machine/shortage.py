"""What is promoted and does not serve with all the pods that the spec asks for."""

from rollout_operator.domain.api.status import Shortage, Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.decision import clip, pods, workload_of
from rollout_operator.domain.observed import Observed


def shortage(observed: Observed, status: Status) -> Shortage | None:
    """What is promoted must serve now: which of the pods that the spec asks for are not Ready,
    since when, and why.
    """
    if status.phase is not Phase.PROMOTED or status.stable is None:
        return None
    if observed.spec is None:
        return status.shortage
    workload, scaling = workload_of(observed, status.stable), observed.spec.autoscaling
    # What an autoscaler adds to its least is not missing while it comes.
    wanted = observed.spec.replicas if scaling is None else scaling.min
    same = (
        r
        for r in (observed.status.stable, observed.status.candidate)
        if r is not None and r.revision == status.stable.revision
    )
    # By this very status: none of its pods has them yet, whatever the Deployment says.
    asked = status.stable.resources, status.stable.pod_settings
    resized = any((r.resources, r.pod_settings) != asked for r in same)
    current = 0 if resized else workload.as_asked
    replaced = workload.ready >= wanted
    if replaced and current >= (wanted if scaling is None else max(wanted, workload.ready)):
        return None
    count, how = (
        (current, " as the spec asks; the former ones answer until then")
        if replaced
        else (workload.ready, "")
    )
    before = None if resized else status.shortage
    since = before.since if before is not None else observed.now
    stalled = observed.now >= since + observed.spec.strategy.progress_deadline
    trouble = workload.trouble or observed.api_rejection
    message = clip(
        f"{count} of {pods(wanted)} of {status.stable.uri} {'is' if wanted == 1 else 'are'}"
        f" Ready{how}. {trouble}".strip()
    )
    if not trouble and before is not None and (before.ready, before.wanted) == (count, wanted):
        # Pods are asked why only now and then; what they said then still stands.
        message = before.message
    return Shortage(ready=count, wanted=wanted, since=since, stalled=stalled, message=message)
