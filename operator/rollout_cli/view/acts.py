"""What people told an attempt to do, in words."""

from rollout_operator.domain.api.status import Act


def act(done: Act) -> str:
    """`approve by alice (unverified), 2026-11-30 12:01:07 UTC: labels look right`."""
    who = f"{done.by or 'somebody'}{'' if done.verified else ' (unverified)'}"
    said = f"{done.verb} by {who}, {done.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{said}: {done.reason}" if done.reason else said
