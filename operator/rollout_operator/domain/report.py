"""What the registry is to be told of a rollout: the verdict of each attempt, once it cannot change any more."""

import json
from dataclasses import dataclass
from datetime import datetime

from rollout_operator.domain.status import Phase, Status, Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """One verdict for the registry.

    model and version as the registry knows them; text: the tag's value, JSON; promoted: whether the alias moves here;
    resting: whether the rollout is at rest, so that nothing else will write its status soon.
    """

    attempt: int
    model: str
    version: str
    text: str
    promoted: bool
    resting: bool


def due(status: Status) -> Report | None:
    """The oldest verdict that the registry has not been told; None where it knows all."""
    resting = status.phase in {Phase.PROMOTED, Phase.ROLLED_BACK, Phase.INVALID}
    for ended in reversed(status.history):
        if ended.attempt > status.reported:
            return _report(status, ended.attempt, ended.uri, ended.verdict, ended.reason, ended.message, ended.ended, resting)
    decided = {Phase.SETTLING: Verdict.PROMOTED, Phase.ROLLING_BACK: status.verdict or Verdict.ROLLED_BACK}.get(status.phase)
    if decided is None or status.candidate is None or status.attempt <= status.reported:
        return None
    since = status.phase_since or status.candidate.since
    return _report(status, status.attempt, status.candidate.uri, decided, status.reason, status.message, since, resting)


def _report(  # noqa: PLR0917
    status: Status, attempt: int, uri: str, verdict: Verdict, reason: str, message: str, at: datetime, resting: bool
) -> Report:
    model, version = uri.removeprefix("models:/").rsplit("/", 1)
    evidence = [
        {"metric": g.metric, "value": g.value, "threshold": g.threshold, "samples": g.samples, "measurement": g.measurement}
        for g in status.gates
        if attempt == status.attempt
    ]
    said = {"verdict": verdict, "reason": reason, "message": message, "attempt": attempt, "at": at.isoformat(timespec="seconds")}
    return Report(attempt, model, version, json.dumps({**said, "gates": evidence}), verdict is Verdict.PROMOTED, resting)
