"""Who has told an attempt what, and why: annotations beside a command, and what is kept of them."""

from dataclasses import replace

from rollout_operator.domain.api.status import MOST_ACTS, Act
from rollout_operator.domain.observed import Observed

LONGEST_NAME, LONGEST_REASON = 256, 512


def act_of(observed: Observed, verb: str) -> Act:
    """What is known of who gives this command to the attempt under way.

    An annotation that speaks of another command, or of another attempt, says nothing of this one.
    """
    by = _beside(observed, verb, observed.commanded_by)[:LONGEST_NAME]
    return Act(
        verb=verb,
        by=by,
        verified=bool(by) and observed.names_verified,
        reason=_beside(observed, verb, observed.command_reason)[:LONGEST_REASON],
        at=observed.now,
    )


def _beside(observed: Observed, verb: str, annotation: str) -> str:
    bound = f"{verb} {observed.status.attempt}:"
    said = annotation.removeprefix(bound) if annotation.startswith(bound) else ""
    return "".join(one if one.isprintable() else " " for one in said).strip()


def with_act(acts: tuple[Act, ...], act: Act) -> tuple[Act, ...]:
    """Acts of one attempt, and one more; of too many the last are kept."""
    return (*acts, act)[-MOST_ACTS:]


def noted(observed: Observed, act: Act) -> Observed:
    """What was observed, with the act among those of its attempt."""
    acts = with_act(observed.status.acts, act)
    return replace(observed, status=observed.status.model_copy(update={"acts": acts}))


def told(act: Act) -> str:
    """The end of a sentence about the act: who it was, and why; "" where neither is known."""
    if not (act.by or act.reason):
        return ""
    who = f"{act.by or 'somebody'}{'' if act.verified else ' (unverified)'}"
    return f" By {who}{': ' + act.reason.rstrip('.') if act.reason else ''}."
