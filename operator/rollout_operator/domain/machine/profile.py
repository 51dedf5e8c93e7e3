"""What the operator's profiles say of pods, held against what the pods of stable have."""

from dataclasses import replace

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.machine.decision import Plan, clip
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.profiles import DEFAULT, settings_hash


def with_profile(observed: Observed, revision: Revision) -> Revision:
    """The revision with what the profile says now; as it was where that is not known."""
    if observed.profile is None:
        return revision
    return revision.model_copy(update={"pod_settings": observed.profile.settings})


def _differs(observed: Observed, status: Status) -> bool:
    """Whether the profile that stable was given says something else by now."""
    spec, stable, profile = observed.spec, status.stable, observed.profile
    return (
        spec is not None
        and stable is not None
        and profile is not None
        and stable.profile == spec.profile
        and stable.pod_settings != profile.settings
    )


def outdated(observed: Observed, status: Status) -> str:
    """How the configuration differs from what pods of stable have, and what to do; "" where it does
    not.
    """
    if observed.spec is None or observed.profile is None:
        return status.outdated
    if status.stable is None or not _differs(observed, status):
        return ""
    now = settings_hash(observed.profile.settings)
    before = settings_hash(status.stable.pod_settings)
    return clip(
        f"Profile {observed.profile.name or DEFAULT} is {now} in the operator's configuration, and"
        f" pods of {status.stable.uri} have {before}: new attempts get it. Annotate"
        f" rollouts.mlops.dev/take-profile={now} to replace these pods one by one."
    )


def take_profile(observed: Observed, spec: Spec, plan: Plan) -> Plan:
    """Give stable what its profile says now, where that is told: by the profile itself, or by the
    ModelRollout's annotation. Its Deployment replaces its pods one by one, but in no pause.
    """
    status, profile = plan.status, observed.profile
    if (
        profile is None
        or status.stable is None
        or spec.paused
        or status.phase not in AT_REST
        or not _differs(observed, status)
        or not (profile.at_once or observed.take_profile == settings_hash(profile.settings))
    ):
        return plan
    stable = with_profile(observed, status.stable)
    return replace(
        plan, status=status.model_copy(update={"stable": stable}), requeue_at=observed.now
    )
