"""How a rollout ended for somebody who waits for it: a pure function of what was asked for and what
is there.
"""

from dataclasses import dataclass

from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Exit
from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.status import Attempt, Condition, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict


@dataclass(frozen=True, slots=True)
class Awaited:
    """What is waited for."""

    uri: str
    """The MODEL_URI."""
    attempt: int = 0
    """Number of the attempt that tries it; 0 where none does yet."""


@dataclass(frozen=True, slots=True)
class WaitResult:
    """The end of the wait, and why."""

    exit: Exit
    """Exit code of the command: PROMOTED, ROLLED_BACK, TIMED_OUT or SUPERSEDED."""
    reason: str
    """One CamelCase word, as in status; of the condition Ready where that is not True."""
    message: str
    """A sentence for people."""
    stopped: str = ""
    """Invalid, Halted or Stalled: ROLLED_BACK with nothing rolled back; "" otherwise."""

    @property
    def word(self) -> str:
        """The end in one word."""
        if self.stopped:
            return self.stopped
        words = {
            Exit.PROMOTED: "Promoted",
            Exit.ROLLED_BACK: "RolledBack",
            Exit.TIMED_OUT: "TimedOut",
            Exit.SUPERSEDED: "Superseded",
        }
        return words[self.exit]


def follow(awaited: Awaited, rollout: Rollout) -> Awaited:
    """The same, with the number of the attempt once there is one."""
    status = rollout.status
    about = [r for r in (status.candidate, status.stable) if r is not None]
    tried = (
        rollout.is_observed
        and rollout.requested_uri == awaited.uri
        and status.phase is not Phase.PENDING
        and about
        and about[0].requested == awaited.uri
    )
    return Awaited(awaited.uri, status.attempt) if tried and not awaited.attempt else awaited


def wait_result(awaited: Awaited, rollout: Rollout) -> WaitResult | None:
    """How it ended; None while it goes on."""
    status = rollout.status
    ended = next(
        (a for a in status.history if awaited.attempt and a.attempt == awaited.attempt), None
    )
    if rollout.requested_uri != awaited.uri:
        if ended is not None and ended.verdict in {Verdict.PROMOTED, Verdict.ROLLED_BACK}:
            return _of(ended)
        return WaitResult(
            Exit.SUPERSEDED,
            Reason.SUPERSEDED,
            f"The spec asks for {rollout.requested_uri} now and not for {awaited.uri} any more.",
        )
    if not rollout.is_observed or _is_to_be_retried(rollout):
        return None
    if ended is not None and status.attempt > ended.attempt:
        return _of(ended)
    return (
        _promoted(rollout)
        if status.phase is Phase.PROMOTED and not status.invalid
        else _at_rest(status)
    )


def lacking(rollout: Rollout) -> Condition | None:
    """Why a promoted rollout is not Ready (pods, its route, an object that was refused); None where
    it is.
    """
    ready = rollout.condition("Ready") if rollout.status.phase is Phase.PROMOTED else None
    return ready if ready is not None and ready.status != "True" else None


def _promoted(rollout: Rollout) -> WaitResult | None:
    """Promoted is who serves; what lacks is waited for until the operator, too,
    calls it stalled.
    """
    lacks, stalled = lacking(rollout), rollout.condition("Stalled")
    if lacks is None:
        return WaitResult(Exit.PROMOTED, rollout.status.reason, rollout.status.message)
    if stalled is not None and stalled.status == "True":
        return WaitResult(
            Exit.ROLLED_BACK, lacks.reason, f"Promoted, but not Ready: {lacks.message}", "Stalled"
        )
    return None


def _at_rest(status: Status) -> WaitResult | None:
    if status.invalid:
        return WaitResult(Exit.ROLLED_BACK, Reason.INVALID_SPEC, status.invalid, "Invalid")
    if status.phase is Phase.INVALID:
        return WaitResult(Exit.ROLLED_BACK, status.reason, status.message, "Invalid")
    if status.phase is Phase.ROLLED_BACK:
        return WaitResult(Exit.ROLLED_BACK, status.reason, status.message)
    if status.halted:
        return WaitResult(
            Exit.ROLLED_BACK, status.reason, f"Not promoted: {status.message}", "Halted"
        )
    return None


def _of(ended: Attempt) -> WaitResult:
    back = dict.fromkeys((Verdict.ROLLED_BACK, Verdict.RETURNED), Exit.ROLLED_BACK)
    ends = {Verdict.PROMOTED: Exit.PROMOTED, **back}
    return WaitResult(ends.get(ended.verdict, Exit.SUPERSEDED), ended.reason, ended.message)


def _is_to_be_retried(rollout: Rollout) -> bool:
    """Whether a `retry` is on its way that the operator has not seen yet."""
    annotations = rollout.raw["metadata"].get("annotations") or {}
    stopped = rollout.status.phase is Phase.ROLLED_BACK or rollout.status.halted
    return stopped and annotations.get(f"{GROUP}/retry") == str(rollout.status.attempt)
