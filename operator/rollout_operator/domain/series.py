"""The series that gates read: their names, and which of their samples count."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from rollout_operator.domain.observed import Series

STALE_AFTER = timedelta(seconds=30)
CLOCK_SKEW = timedelta(seconds=5)

ACCURACY, ACCURACY_SAMPLES = "ml_model_accuracy", "ml_model_accuracy_samples"
FEEDBACK, PREDICTIONS = "ml_feedback_total", "ml_predictions_total"
REQUESTS, ERRORS = "ml_request_count_total", "ml_request_errors_total"
LATENCY_BUCKET = "ml_request_latency_seconds_bucket"


class NoEvidence(Exception):
    """The series do not allow a statement; the message says why."""


def fresh(series: Iterable[Series], since: datetime, now: datetime) -> list[Series]:
    """The series whose newest sample counts; raises NoEvidence when none does."""
    found = list(series)
    if not found:
        raise NoEvidence("no series of this revision")
    if any(s.at > (now + CLOCK_SKEW).timestamp() for s in found):
        raise NoEvidence("a sample is from the future: the clocks of Prometheus and the operator differ")
    oldest = max(since, now - STALE_AFTER).timestamp()
    counted = [s for s in found if s.at > oldest]
    if not counted:
        # Neither sentence changes from look to look: a status that says nothing new is not written.
        if max(s.at for s in found) <= since.timestamp():
            raise NoEvidence(f"no sample yet since {since:%H:%M:%S}")
        raise NoEvidence(f"the newest sample is older than {STALE_AFTER.total_seconds():.0f} s")
    twice = [
        f"{name} of pod {pod or '?'}" for (name, pod, *_), n in Counter((s.name, s.pod, s.le, s.outcome) for s in counted).items() if n > 1
    ]
    if twice:
        raise NoEvidence(f"several series: {twice[0]}")
    return counted


def named(series: Iterable[Series], name: str) -> list[Series]:
    """The series of one name."""
    return [s for s in series if s.name == name]
