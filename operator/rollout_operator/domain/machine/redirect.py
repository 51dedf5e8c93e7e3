"""What the spec asks for, held against what is under way."""

from dataclasses import replace

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.machine.decision import BLANK, Plan, candidate_of, enter
from rollout_operator.domain.machine.pending import resolve
from rollout_operator.domain.machine.rollback import close_attempt, roll_back, rolling_back
from rollout_operator.domain.machine.sizes import as_it_runs
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, COMMITTED, ON_TRIAL
from rollout_operator.domain.observed import Observed, Resolved, Unpinned
from rollout_operator.domain.revision import serves, tries


def needs_resolution(spec: Spec, status: Status) -> bool:
    """Whether the registry must be asked before `decide` can go on."""
    if status.phase in COMMITTED or status.returning:
        return False
    return "@" in spec.model_uri or not (is_asked_for(status, spec) or serves(status.stable, spec))


def current_revision(status: Status) -> Revision | None:
    """The revision that the attempt, or its outcome, is about."""
    if status.phase in CANDIDATE_RUNS or status.phase is Phase.ROLLED_BACK:
        return status.candidate
    return status.stable if status.phase is Phase.PROMOTED else None


def is_asked_for(status: Status, spec: Spec) -> bool:
    """Whether what the attempt, or its outcome, is about is what the spec's own words ask for."""
    current = current_revision(status)
    return serves(current, spec) if status.phase is Phase.PROMOTED else tries(current, spec)


def is_resized(status: Status, spec: Spec) -> bool:
    """Whether the model that is promoted is the one that the spec asks for, but with other
    resources, or another profile.
    """
    return (
        status.phase is Phase.PROMOTED
        and serves(status.stable, spec)
        and not tries(status.stable, spec)
    )


def _is_redirected(observed: Observed, spec: Spec) -> bool:
    """Whether the spec, or the alias it names, asks for something else than what is under way."""
    current = current_revision(observed.status)
    status = observed.status
    if status.phase in COMMITTED or status.returning or current is None:
        return False
    named = _named(observed)
    moved = named is not None and named != current.uri
    return not is_asked_for(observed.status, spec) or moved


def follow_spec(observed: Observed, spec: Spec) -> Plan | None:
    """Void an attempt that the spec does not ask for any more: weight 0 at once; back to stable if
    that is what is asked for, else a new attempt.
    """
    if not _is_redirected(observed, spec):
        return None
    status, stable = observed.status, observed.status.stable
    if stable is not None and serves(stable, spec) and not _alias_left(observed, stable):
        return _return_to_stable(observed, spec, stable)
    if status.phase in CANDIDATE_RUNS:
        status = _superseded(observed, spec)
    return resolve(replace(observed, status=status.model_copy(update=BLANK)), spec)


def _return_to_stable(observed: Observed, spec: Spec, stable: Revision) -> Plan:
    if observed.status.phase in ON_TRIAL:
        message = f"Cancelled: the spec now asks for {spec.model_uri}, which is stable."
        return roll_back(observed, Reason.RETURNED_TO_STABLE, message, Verdict.CANCELLED)
    if observed.status.phase is Phase.ROLLED_BACK:
        # The gates that status shows are the candidate's: none of them says anything of stable.
        message = f"{stable.uri} is stable."
        return enter(observed, Phase.PROMOTED, Reason.RETURNED_TO_STABLE, message, **BLANK)
    return rolling_back(observed, spec)


def _superseded(observed: Observed, spec: Spec) -> Status:
    """The status with its attempt ended, by its own verdict where it has one, and the candidate's
    pods kept for a while.
    """
    status, now = observed.status, observed.now
    if status.phase is Phase.ROLLING_BACK and status.verdict is not None:
        status = close_attempt(status, now, status.verdict, status.reason, status.message)
    else:
        message = f"Superseded: the spec now asks for {spec.model_uri}."
        status = close_attempt(status, now, Verdict.SUPERSEDED, Reason.SUPERSEDED, message)
    retired = as_it_runs(
        observed, observed.spec, candidate_of(observed).model_copy(update={"since": now})
    )
    return status.model_copy(update={"retiring": (retired, *status.retiring)})


def _named(observed: Observed) -> str | None:
    """The version that the spec names, as the registry has it now; None where it has not said."""
    said = observed.resolution
    return said.uri if isinstance(said, Resolved | Unpinned) else None


def _alias_left(observed: Observed, stable: Revision) -> bool:
    """Whether the alias leads elsewhere than to stable; where the registry does not say, it is
    where it last led.
    """
    if (named := _named(observed)) is not None:
        return named != stable.uri
    candidate = observed.status.candidate
    return (
        candidate is not None
        and candidate.requested == stable.requested
        and candidate.uri != stable.uri
    )
