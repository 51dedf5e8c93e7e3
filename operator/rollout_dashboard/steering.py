"""What a person may command of a rollout now. Pure."""

from rollout_cli.api.commands_patch import Verb, command_patch
from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Refused

ORDER = (
    Verb.APPROVE,
    Verb.PROMOTE,
    Verb.SKIP,
    Verb.RETRY,
    Verb.PAUSE,
    Verb.RESUME,
    Verb.ABORT,
)
"""Of the buttons: what goes on first, what ends last."""
DANGER = frozenset({Verb.ABORT, Verb.PROMOTE, Verb.SKIP})
"""Commands that put the gates aside, or end an attempt."""


def offered(rollout: Rollout) -> tuple[Verb, ...]:
    """The commands that the operator would carry out now."""
    return tuple(verb for verb in ORDER if not refusal(verb, rollout))


def refusal(verb: Verb, rollout: Rollout) -> str:
    """Why the operator would not do it; "" where it would."""
    try:
        command_patch(verb, rollout)
    except Refused as refused:
        return str(refused)
    return ""
