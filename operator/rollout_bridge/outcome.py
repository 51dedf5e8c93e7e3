"""What becomes of a webhook, and of each target that it leads to."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """One word for the log, the metric and the answer."""

    APPLIED = "Applied"
    DISPATCHED = "Dispatched"
    OPENED = "Opened"
    """A pull request was opened."""
    IGNORED = "Ignored"
    """Genuine, but nothing is configured for it."""
    STALE = "Stale"
    """A newer webhook, or this very one, was applied already."""
    REPLAYED = "Replayed"
    NOT_GENUINE = "NotGenuine"
    MALFORMED = "Malformed"
    TOO_LARGE = "TooLarge"
    REFUSED = "Refused"
    """It will not do better when it is sent again: somebody must change something."""
    UNAVAILABLE = "Unavailable"
    """It may do better when it is sent again."""


STATUS = {
    Outcome.APPLIED: 200,
    Outcome.DISPATCHED: 200,
    Outcome.OPENED: 200,
    Outcome.IGNORED: 200,
    Outcome.STALE: 200,
    Outcome.REPLAYED: 409,
    Outcome.NOT_GENUINE: 401,
    Outcome.MALFORMED: 400,
    Outcome.TOO_LARGE: 413,
    Outcome.REFUSED: 422,
    Outcome.UNAVAILABLE: 503,
}
"""The HTTP status of each answer. MLflow 3.17 sends again after 429, 500, 502, 503, 504 and after
no answer, three times, and waits as long as Retry-After says; after anything else it gives up.
"""

WORST = (Outcome.UNAVAILABLE, Outcome.REFUSED, Outcome.APPLIED, Outcome.DISPATCHED, Outcome.STALE)
"""Of several targets the first of these is told of the whole."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one target, or of a whole webhook."""

    outcome: Outcome
    """Decides the HTTP status, by STATUS."""
    message: str
    """One or more sentences for the log and the answer, without any secret."""
    wait: int = 0
    """Seconds after which it may do better, as who did not take it says; 0 where nobody says."""


def whole(results: list[Result]) -> Result:
    """What became of a webhook that led to these."""
    worst = min(results, key=lambda r: WORST.index(r.outcome)).outcome
    wait = max(r.wait for r in results)
    return Result(worst, " ".join(r.message for r in results), wait)
