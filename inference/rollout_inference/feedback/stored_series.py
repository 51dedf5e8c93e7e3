"""The series of what the store has counted. Every pod of a rollout has the same ones, so whoever
adds pods up takes the greatest, not the sum.
"""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rollout_inference.feedback.book import Book
from rollout_inference.feedback.store import Counts, Whose

OUTCOMES = ("correct", "wrong")
_SUMS = {
    "numbers": "Labels for predictions of a regression",
    "absolute_error": "Sum of the absolute errors of a regression's labelled predictions",
    "values": "Values that feedback gave predictions",
    "value_sum": "Sum of these values",
    "value_squares": "Sum of their squares",
    "values_clipped": "Values above MODEL_VALUE_MAX, which are counted as that",
}
_CORRECTED = ("absolute_error",)
"""Those that a correction may take back."""
_NOTHING = Counts(0.0, 0.0)
SERIES: Mapping[str, tuple[str, ...]] = {
    "ml_feedback_store_up": (),
    "ml_feedback_store_entries": (),
    "ml_feedback_unremembered": ("reason",),
    "ml_feedback_stored": ("outcome",),
    "ml_feedback_retracted": ("outcome",),
    **{f"ml_feedback_stored_{name}": () for name in _SUMS},
    **{f"ml_feedback_retracted_{name}": () for name in _CORRECTED},
}
"""Labels beside model, version and revision, by name without suffix."""


class StoredSeries(Collector):
    """Reads the book's last snapshot; `names` and `mine` are labels and their values."""

    def __init__(self, names: Sequence[str], mine: Whose, book: Book) -> None:
        self._names, self._mine, self._book = list(names), mine, book
        self.regression: bool | None = None
        """What the served model is; None before there is one."""

    def collect(self) -> Iterator[Metric]:
        """Nothing of the store before it has answered once: a 0 would be a claim."""
        book, mine = self._book, self._mine
        up = GaugeMetricFamily(
            "ml_feedback_store_up", "Whether the feedback store answers", labels=self._names
        )
        up.add_metric(mine, float(book.up))
        yield up
        lost = CounterMetricFamily(
            "ml_feedback_unremembered",
            "Predictions with a request id that labels will not find",
            labels=[*self._names, "reason"],
        )
        for reason, count in book.unremembered.items():
            lost.add_metric([*mine, reason], count)
        yield lost
        if book.known:
            yield from self._stored()

    def _stored(self) -> Iterator[Metric]:
        seen = self._book.seen
        kept = GaugeMetricFamily(
            "ml_feedback_store_entries", "Predictions that are remembered", labels=self._names
        )
        kept.add_metric(self._mine, seen.entries)
        yield kept
        counts = dict(seen.counts)
        if self.regression is False:
            for outcome in OUTCOMES:
                counts.setdefault((self._mine, outcome), _NOTHING)
        stored = CounterMetricFamily(
            "ml_feedback_stored",
            "Labels for predictions of a classifier, corrected ones again; the same in every pod",
            labels=[*self._names, "outcome"],
        )
        retracted = CounterMetricFamily(
            "ml_feedback_retracted",
            "Of these, those that a correction took back; the same in every pod",
            labels=[*self._names, "outcome"],
        )
        for (whose, name), one in sorted(counts.items()):
            if name in OUTCOMES:
                stored.add_metric([*whose, name], one.added)
                retracted.add_metric([*whose, name], one.retracted)
        yield stored
        yield retracted
        for name, what in _SUMS.items():
            of_name = {whose: one for (whose, other), one in counts.items() if other == name}
            if not of_name:
                continue
            added = CounterMetricFamily(
                f"ml_feedback_stored_{name}", f"{what}; the same in every pod", labels=self._names
            )
            for whose, one in sorted(of_name.items()):
                added.add_metric(whose, one.added)
            yield added
            if name in _CORRECTED:
                back = CounterMetricFamily(
                    f"ml_feedback_retracted_{name}",
                    "Of that, what corrections took back; the same in every pod",
                    labels=self._names,
                )
                for whose, one in sorted(of_name.items()):
                    back.add_metric(whose, one.retracted)
                yield back
