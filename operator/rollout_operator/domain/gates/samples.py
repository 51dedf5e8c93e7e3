"""The series that gates read: their names, and which of their samples count."""

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from rollout_operator.domain.api.gate_results import PodCounts
from rollout_operator.domain.observed import Series

STALE_AFTER = timedelta(seconds=30)
"""How old a sample may be where scrapes are 15 s apart or less."""
LONGEST_WINDOW = timedelta(minutes=5)
"""What is scraped less often than every two minutes is no evidence of now; Prometheus' own
look-back is as long.
"""
SCRAPES = 2.5
"""How many scrape intervals a sample counts: one scrape may be late or lost."""
OFTEN = 15.5
"""Seconds between scrapes (15, and what they jitter) for which STALE_AFTER is enough."""
NOISE = 1e-6
"""By how much sums of values from 0 to 1 that are no counts may be off, for each value."""
CLOCK_SKEW = timedelta(seconds=5)
_ROUGHLY = 15
"""Seconds in which it is told how far samples are behind."""

ACCURACY, ACCURACY_SAMPLES = "ml_model_accuracy", "ml_model_accuracy_samples"
FEEDBACK, PREDICTIONS = "ml_feedback_total", "ml_predictions_total"
STORED, RETRACTED = "ml_feedback_stored_total", "ml_feedback_retracted_total"
"""Labels that a store has counted, and those of them that corrections took back: the same in every
pod, so the greatest are read, not their sum.
"""
REQUESTS, ERRORS = "ml_request_count_total", "ml_request_errors_total"
LATENCY_BUCKET = "ml_request_latency_seconds_bucket"
PREDICTED = "ml_predicted_total"
SHADOW = "ml_shadow_total"
INPUT, INPUT_TRAINED = "ml_input_total", "ml_input_trained"
DRIFT = "ml_input_drift"
"""How the query for input drift calls what it computes."""
DRIFT_PSI, DRIFT_ROWS, DRIFT_PREDICTIONS = "psi", "rows", "predictions"
"""What the query for input drift calls its three answers, in the label `bin`."""
CPU_PERIODS, CPU_THROTTLED = "ml_cpu_periods_total", "ml_cpu_throttled_periods_total"

COUNTED, COUNTED_OF = "counted", "of"
"""Parts of a metric of one's own: a share of counters as they were scraped, by process."""
MEAN, MEAN_OF, MEAN_SQUARES = "mean", "meanOf", "meanSquares"
"""A mean of counters as they were scraped, of values from 0 to 1: sum, count, and sum of squares.
"""
SHARE, SUM, SAMPLES = "share", "sum", "samples"
"""A share or a mean that an expression makes of series: what is divided, and by what."""
VALUE = "value"
"""A percentile or a gauge."""
OWN_PARTS = frozenset(
    {COUNTED, COUNTED_OF, MEAN, MEAN_OF, MEAN_SQUARES, SHARE, SUM, SAMPLES, VALUE}
)
MOST_COUNTED = 2.0**53
"""Beyond it a counter of floating point no longer tells one from the next."""


def is_count(value: float) -> bool:
    """Whether a counter can have that value."""
    return 0 <= value <= MOST_COUNTED


class NoEvidence(Exception):
    """The series do not allow a statement; the message says why."""


class NeedsHelp(NoEvidence):
    """Waiting alone will not do: somebody has to send labels, or change the gate or the version."""


def window(gap: float) -> float:
    """How long a sample counts, and how far a query looks back, where scrapes are `gap` seconds
    apart; in seconds.
    """
    longest = LONGEST_WINDOW.total_seconds()
    return STALE_AFTER.total_seconds() if gap <= OFTEN else min(SCRAPES * gap, longest)


def learned(series: Iterable[Series], asked: float, now: float) -> float:
    """The window that the next query needs, in seconds, after an answer at `now` (Unix time, s)
    with a window of `asked` seconds.

    Where no series has two samples, or there is none, scrapes may be further apart than the window:
    it grows until two are seen. Where all samples are too old to count, it stays: a narrower one
    would show nothing, and nobody could be told how old they are.
    """
    found = list(series)
    gaps = [s.gap for s in found if s.gap]
    if not gaps:
        return min(SCRAPES * asked, LONGEST_WINDOW.total_seconds())
    needed = window(max(gaps))
    return max(asked, needed) if max(s.at for s in found) <= now - needed else needed


def fresh(series: Iterable[Series], since: datetime, now: datetime) -> list[Series]:
    """The series whose newest sample counts; raises NoEvidence when none does."""
    found = list(series)
    if not found:
        raise NoEvidence("no series of this revision")
    if any(s.at > (now + CLOCK_SKEW).timestamp() for s in found):
        raise NoEvidence(
            "a sample is from the future: the clocks of Prometheus and the operator differ"
        )
    recent = [
        s
        for s in found
        if s.at - s.reach > since.timestamp() and s.at > now.timestamp() - window(s.gap)
    ]
    # What one job says of a pod may have ended while another's last sample still counts.
    counted = _running(recent)
    if not _running(found) or (recent and not counted):
        raise NoEvidence("no series of this revision: the pods that had some are gone")
    if not counted:
        # Neither sentence changes from look to look, or not at each: a status that says nothing new
        # is not written.
        if max(s.at - s.reach for s in found) <= since.timestamp():
            reach = max(s.reach for s in found)
            only = f", and it is of the last {reach:.0f} s" if reach else ""
            raise NoEvidence(f"no sample yet since {since:%H:%M:%S}{only}")
        oldest, age = max(window(s.gap) for s in found), now.timestamp() - max(s.at for s in found)
        behind = max(oldest, age // _ROUGHLY * _ROUGHLY)
        raise NoEvidence(
            f"the newest sample is {behind:.0f} s behind, or more, and counts for {oldest:.0f} s"
        )
    return _once(counted)


def _running(series: list[Series]) -> list[Series]:
    """The series of pods that still run: where all that a pod says ends in NaN at once,
    VictoriaMetrics tells that the pod is gone.
    """
    of_pod: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        of_pod[one.pod].append(one)
    return [
        s
        for of_one in of_pod.values()
        if not (len(of_one) > 1 and all(math.isnan(s.value) for s in of_one))
        for s in of_one
    ]


def bound_of(one: Series) -> float:
    """The upper bound of a bucket, in seconds: "1", "1.0" and "1e0" are one. Raises NoEvidence
    where the label `le` is no number.
    """
    try:
        bound = float(one.le)
    except ValueError:
        bound = math.nan
    if math.isnan(bound):
        raise NoEvidence(
            f"{one.name} of pod {one.pod or '?'} has le={one.le!r}, which is no bucket's bound"
        )
    return bound


def _once(series: list[Series]) -> list[Series]:
    """Each series once. Raises NoEvidence where several are there and nothing proves that they are
    the same pod's.

    Two jobs, or two Prometheus servers, may scrape one pod at one address: then the newest sample
    is what it says now. Where a series takes another's place, or one of the jobs has found the pod
    gone, VictoriaMetrics ends its series with NaN: then what the other says counts, as it does on
    Prometheus.
    """
    found: dict[tuple[str, str, float, str, str, str, str], Series] = {}
    for one in series:
        bound = bound_of(one) if one.le else 0.0
        key = (one.name, one.pod, bound, one.outcome, one.column, one.bin, one.candidate)
        other = found.get(key)
        if other is None:
            found[key] = one
        elif one.pod and one.instance and one.instance == other.instance:
            found[key] = max(one, other, key=lambda s: (not math.isnan(s.value), s.at, s.job))
        elif one.name in OWN_PARTS:
            raise NoEvidence(
                f"several series of one {'pod' if one.pod else 'revision'}: have the metric's"
                " expression yield one"
            )
        else:
            who = sorted(f"job {s.job or '?'} at {s.instance or '?'}" for s in (one, other))
            raise NoEvidence(
                f"several series: {one.name} of pod {one.pod or '?'}: {' and '.join(who)}"
            )
    return list(found.values())


def telling(series: Iterable[Series]) -> None:
    """Raises NoEvidence where a metric of one's own tells nothing, though it is there, or sums of
    values from 0 to 1 are none of such values.
    """
    sums: dict[str, dict[str, float]] = defaultdict(dict)
    for one in series:
        if one.lacks:
            raise NeedsHelp(one.lacks)
        if one.scale is not None:
            sums[one.pod][one.name] = one.value
    for of in sums.values():
        if MEAN_OF not in of:
            continue
        count, total, squares = (of.get(name, math.nan) for name in (MEAN_OF, MEAN, MEAN_SQUARES))
        noise = NOISE * max(1.0, count)
        if not -noise <= squares <= total + noise <= count + 2 * noise:
            raise NoEvidence("values lie beyond the bounds that the metric's configuration has")


def named(series: Iterable[Series], name: str) -> list[Series]:
    """The series of one name."""
    return [s for s in series if s.name == name]


IN_STORE, TAKEN_BACK = "/store", "/retracted"
"""What the place of a store's counters begins with, where pods have their names; no pod can have
such a one.
"""


def store_place(kind: str, revision: str) -> str:
    """What stands in the place of a pod's name. A store has counters of each revision: those of one
    do not go on with another's.
    """
    return f"{kind}/{revision}"


def is_of_store(pod: str, *kinds: str) -> bool:
    """Whether it is such a place; of these kinds, where some are named."""
    return pod.startswith(tuple(f"{kind}/" for kind in kinds or (IN_STORE, TAKEN_BACK)))


def store_of(pod: str) -> str:
    """The place of a store's labels to which this one belongs; "" where it is none of a store."""
    kind, _, revision = pod.rpartition("/")
    return store_place(IN_STORE, revision) if kind in {IN_STORE, TAKEN_BACK} else ""


def in_store(series: Iterable[Series], revision: str = "") -> tuple[PodCounts, ...]:
    """Labels that a store has counted, and those that it has counted no more since, as if each were
    a pod's; empty where there is no store.

    Every pod tells what it last read there, and counters there never fall, so the pod with the most
    has read it last. What it tells is of one moment. Raises NoEvidence where it is no count.
    """
    of_pods: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    at: dict[str, float] = {}
    for one in series:
        if one.name in {STORED, RETRACTED}:
            if not is_count(one.value):
                raise NoEvidence(f"{one.name} of pod {one.pod or '?'} is {one.value}, not a count")
            of_pods[one.pod][one.name, one.outcome] = one.value
            at[one.pod] = min(one.at, at.get(one.pod, math.inf))
    whole = [pod for pod, of in of_pods.items() if any(name == STORED for name, _ in of)]
    if not whole:
        return ()
    last = max(whole, key=lambda pod: (math.fsum(of_pods[pod].values()), at[pod], pod))
    # That nothing was added since is news, too.
    newest = max(at[pod] for pod in whole)
    return tuple(
        PodCounts(
            pod=store_place(place, revision),
            good=of_pods[last].get((name, "correct"), 0.0),
            total=math.fsum(n for (which, _), n in of_pods[last].items() if which == name),
            at=newest,
        )
        for place, name in ((IN_STORE, STORED), (TAKEN_BACK, RETRACTED))
    )
