"""What the registry is to be told of a rollout: the verdict of each attempt, once it cannot change
any more.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from rollout_operator.domain.api.gate_results import GateResult
from rollout_operator.domain.api.status import Attempt, Revision, Status
from rollout_operator.domain.api.words import Phase, Verdict
from rollout_operator.domain.observed import Observed


@dataclass(frozen=True, slots=True)
class Report:
    """One verdict for the registry, which calls the model and its version so."""

    attempt: int
    """Its number, from 1."""
    model: str
    """Name of the registered model."""
    version: str
    """The registry's number."""
    text: str
    """The tag's value, JSON."""
    alias: tuple[str, str] | None
    """The model and the version that the alias moves to; None where it stays."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version whose content was seen for the first time."""

    model: str
    """Name of the registered model."""
    version: str
    """The registry's number."""
    digest: str
    """`sha256:<hex>` of its files."""
    signature: str
    """Its inputs as JSON; "" where it has none."""


def pinned_by(observed: Observed, status: Status) -> Pinned | None:
    """The version that an attempt begins with by its inspection; None for all else."""
    found, candidate = observed.inspection, status.candidate
    if found is None or candidate is None or status.inspecting is not None:
        return None
    if not found.digest or (found.uri, found.digest) != (candidate.uri, candidate.digest):
        return None
    model, _, version = candidate.uri.removeprefix("models:/").rpartition("/")
    return Pinned(model, version, found.digest, found.signature)


def pending(status: Status) -> Report | None:
    """The oldest verdict that the registry has not been told; None where it knows all."""
    for ended in reversed(status.history):
        if ended.attempt > status.reported:
            return _report(ended)
    decided = {
        Phase.SETTLING: Verdict.PROMOTED,
        Phase.ROLLING_BACK: status.verdict or Verdict.ROLLED_BACK,
    }.get(status.phase)
    if (
        status.returning
        or decided is None
        or status.candidate is None
        or status.attempt <= status.reported
    ):
        return None
    since = status.phase_since or status.candidate.since
    # In the words that history will have, whichever of the two the registry is told from.
    message = promotion(status) if decided is Verdict.PROMOTED else status.message
    return _report(
        ended_attempt(status, status.candidate, decided, status.reason, message, at=since)
    )


def after(status: Status, attempt: int) -> list[Report]:
    """Every verdict after this attempt, told or not, oldest first."""
    decided = pending(
        status.model_copy(update={"reported": max((h.attempt for h in status.history), default=0)})
    )
    reports = [_report(ended) for ended in reversed(status.history)]
    reports += [decided] if decided is not None else []
    return [report for report in reports if report.attempt > attempt]


def ended_attempt(
    status: Status,
    candidate: Revision,
    verdict: Verdict,
    reason: str,
    message: str,
    *,
    at: datetime,
) -> Attempt:
    """The attempt under way as history has it once it ends at `at`."""
    return Attempt(
        attempt=status.attempt,
        uri=candidate.uri,
        revision=candidate.revision,
        verdict=verdict,
        reason=reason,
        message=message,
        started=status.attempt_since or at,
        ended=at,
        gates=weighed(status),
        acts=status.acts,
    )


def promotion(status: Status) -> str:
    """The sentence that says why the candidate is promoted."""
    said = "; ".join(g.message for g in status.gates)
    return (
        f"{status.candidate.uri if status.candidate else 'Nothing'} is"
        f" stable{': ' + said if said else ''}."
    )


def weighed(status: Status) -> tuple[GateResult, ...]:
    """The gates of the attempt under way as they were last measured, short."""
    return tuple(
        GateResult(
            metric=g.metric,
            value=g.value,
            threshold=g.threshold,
            samples=g.samples,
            measurement=g.measurement,
        )
        for g in status.gates
    )


def _report(ended: Attempt) -> Report:
    model, version = ended.uri.removeprefix("models:/").rsplit("/", 1)
    evidence = [
        {
            "metric": g.metric,
            "value": g.value,
            "threshold": g.threshold,
            "samples": g.samples,
            "measurement": g.measurement,
        }
        for g in ended.gates
    ]
    at = ended.ended.isoformat(timespec="seconds")
    said = {
        "verdict": ended.verdict,
        "reason": ended.reason,
        "message": ended.message,
        "attempt": ended.attempt,
        "at": at,
    }
    return Report(
        ended.attempt,
        model,
        version,
        json.dumps({**said, "gates": evidence}),
        _alias(ended),
    )


def _alias(ended: Attempt) -> tuple[str, str] | None:
    """What answers from now on, where the attempt has changed that."""
    answers = {Verdict.PROMOTED: ended.uri, Verdict.RETURNED: ended.returned_to}.get(ended.verdict)
    if not answers:
        return None
    model, version = answers.removeprefix("models:/").rsplit("/", 1)
    return model, version
