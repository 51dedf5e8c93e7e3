"""The series of one served model, labelled with model, version and revision. Gates read them: of
each name, one series for each pod.
"""

from collections import deque

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rollout_inference import cpu_limit
from rollout_inference.feedback.book import Book
from rollout_inference.feedback.ledger import Window
from rollout_inference.feedback.prediction_id import Prediction
from rollout_inference.feedback.stored_series import StoredSeries
from rollout_inference.live_profile import LiveProfile
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.settings import Settings
from rollout_inference.shadow.messages import OUTCOMES

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds; what the gates of a rollout ask for comes in beside them."""
NAMES = ("model", "version", "revision")
UNROUTED = PREDICTION, OTHER = "prediction", "other"
"""What a request that finds no route looks like; no part of its path becomes a label."""
MOST_CANDIDATES = 3
"""Candidates whose copies have series."""


class Measured:
    """A gauge and the samples behind it: of the training until enough labels came in, then of
    these. `source` says which of the two.
    """

    def __init__(
        self,
        name: str,
        what: str,
        labels: tuple[str, ...],
        window: Window,
        registry: CollectorRegistry,
    ) -> None:
        self._value = Gauge(name, what, [*NAMES, "source"], registry=registry)
        self._samples = Gauge(
            f"{name}_samples", f"Answers behind {name}", [*NAMES, "source"], registry=registry
        )
        self._labels, self._window, self._live = labels, window, False
        self.value: float | None = None
        self.samples: int | None = None
        self.source = "training"

    def trained(self, value: float | None, samples: int | None) -> None:
        """What the trainer measured on held-out data; None where it did not."""
        self._show(value, samples)

    def add(self, value: float) -> None:
        """What one label says."""
        self._window.add(value)
        if (mean := self._window.mean) is not None:
            self._show_live(mean, self._window.samples)

    def stored(self, mean: float | None, samples: int) -> None:
        """What the newest labels in the store say."""
        if mean is not None and samples >= self._window.least:
            self._show_live(mean, samples)

    def _show_live(self, mean: float, samples: int) -> None:
        if not self._live:
            # Two series of one pod would be ambiguous: what the trainer said goes.
            self._live, self.source = True, "feedback"
            self._value.clear()
            self._samples.clear()
        self._show(mean, samples)

    def _show(self, value: float | None, samples: int | None) -> None:
        self.value, self.samples = value, samples
        if value is not None:
            self._value.labels(*self._labels, self.source).set(value)
        if samples is not None:
            self._samples.labels(*self._labels, self.source).set(samples)


class Metrics:
    """Registered in a registry of their own, so that a process can serve several apps."""

    def __init__(self, settings: Settings, book: Book | None = None) -> None:
        """book: what remembers labels; None where signed ids alone do."""
        names, mine = list(NAMES), (settings.name, settings.version, settings.model_revision)
        self.registry = registry = CollectorRegistry()
        self._mine = mine
        windows = [Window(settings.accuracy_window, settings.accuracy_from) for _ in range(2)]
        self.accuracy = Measured(
            "ml_model_accuracy", "Share of right answers", mine, windows[0], registry
        )
        self.error = Measured(
            "ml_model_absolute_error",
            "Mean absolute error of a regression",
            mine,
            windows[1],
            registry,
        )
        self._trained = Gauge(
            "ml_model_metric",
            "What was measured of the model when it was trained",
            [*names, "metric"],
            registry=registry,
        )
        self._feedback = Counter(
            "ml_feedback",
            "Labels for predictions of a classifier",
            [*names, "outcome"],
            registry=registry,
        )
        self._feedback_error = Counter(
            "ml_feedback_absolute_error",
            "Sum of the absolute errors of a regression's labelled predictions",
            names,
            registry=registry,
        )
        self._feedback_numbers = Counter(
            "ml_feedback_numbers",
            "Labels for predictions of a regression",
            names,
            registry=registry,
        )
        self._values = Counter(
            "ml_feedback_values", "Values that feedback gave predictions", names, registry=registry
        )
        self._value_sum = Counter(
            "ml_feedback_value_sum", "Sum of these values", names, registry=registry
        )
        self._value_squares = Counter(
            "ml_feedback_value_squares", "Sum of their squares", names, registry=registry
        )
        self._clipped = Counter(
            "ml_feedback_values_clipped",
            "Values above MODEL_VALUE_MAX, which are counted as that",
            names,
            registry=registry,
        )
        self._value_max = settings.value_max
        self._refused = Counter(
            "ml_feedback_refused",
            "Labels that were not counted",
            [*names, "reason"],
            registry=registry,
        )
        self._shadow = Counter(
            "ml_shadow",
            "Copies of requests, by what came of them",
            [*names, "candidate", "outcome"],
            registry=registry,
        )
        self._candidates: deque[str] = deque()
        self.copies = Counter(
            "ml_copies", "Copies of stable's requests that were answered", names, registry=registry
        ).labels(*mine)
        self.copy_errors = Counter(
            "ml_copy_errors",
            "Copies of stable's requests that ended in a server error",
            names,
            registry=registry,
        ).labels(*mine)
        self._info = Gauge(
            "ml_model_info",
            "1, and what serves the model",
            [*names, "digest", "runtime", "task"],
            registry=registry,
        )
        self.predictions = Counter(
            "ml_predictions", "Rows predicted", names, registry=registry
        ).labels(*mine)
        self.requests = Counter(
            "ml_request_count", "Predict requests", names, registry=registry
        ).labels(*mine)
        self.errors = Counter(
            "ml_request_errors",
            "Predict requests that ended in a server error, found no route, or had rows that the"
            " model refused",
            names,
            registry=registry,
        ).labels(*mine)
        self.rows_refused = Counter(
            "ml_request_refused",
            "Predict requests with rows that the model itself refused (422)",
            names,
            registry=registry,
        ).labels(*mine)
        self._compared = Counter(
            "ml_runtime_compared", "Live rows compared with scikit-learn", names, registry=registry
        ).labels(*mine)
        self._mismatch = Counter(
            "ml_runtime_mismatch",
            "Live rows that scikit-learn answers otherwise",
            names,
            registry=registry,
        ).labels(*mine)
        unrouted = Counter(
            "ml_request_unrouted",
            "Requests that found no route (404, 405), by what they look like",
            [*names, "kind"],
            registry=registry,
        )
        self._unrouted = {kind: unrouted.labels(*mine, kind) for kind in UNROUTED}
        registry.register(cpu_limit.CpuLimit(NAMES, mine, cpu_limit.files(settings.cgroups)))
        self._book = book
        self._stored = None if book is None else StoredSeries(NAMES, mine, book)
        if self._stored is not None:
            registry.register(self._stored)
        self.profile = LiveProfile(NAMES, mine)
        registry.register(self.profile)
        buckets = sorted({*BUCKETS, *settings.latency_buckets})
        self.latency = Histogram(
            "ml_request_latency_seconds",
            "Time of a predict request that found its route",
            names,
            registry=registry,
            buckets=buckets,
        ).labels(*mine)

    def loaded(self, model: LoadedModel) -> None:
        """Show what is served, and what the trainer measured on held-out data."""
        self.serves(model)
        self.accuracy.trained(model.accuracy, model.samples if model.accuracy is not None else None)
        self.error.trained(
            model.absolute_error, model.samples if model.absolute_error is not None else None
        )
        self.profile.serves(model.signature, model.profile, model.plan.classes, model.plan.task)
        for name, value in model.metrics.items():
            self._trained.labels(*self._mine, name).set(value)
        if self._value_max:
            for counter in (self._values, self._value_sum, self._value_squares, self._clipped):
                counter.labels(*self._mine)
        if self._stored is not None:
            self._stored.regression = model.plan.task == "regressor"
        if model.plan.task == "regressor":
            self._feedback_error.labels(*self._mine)
            self._feedback_numbers.labels(*self._mine)
        else:
            for outcome in ("correct", "wrong"):
                self._feedback.labels(*self._mine, outcome)

    def serves(self, model: LoadedModel) -> None:
        """Show which runtime serves, and no other."""
        self._info.clear()
        self._info.labels(*self._mine, model.digest, model.runtime.name, model.plan.task).set(1)

    def compared(self, rows: int, differ: int) -> None:
        """Live rows were held against scikit-learn."""
        self._compared.inc(rows)
        self._mismatch.inc(differ)

    async def refresh(self) -> None:
        """Have what the store counts as it is now; nothing where there is no store."""
        if self._book is None:
            return
        seen = await self._book.refresh()
        regression = self._stored is not None and self._stored.regression
        (self.error if regression else self.accuracy).stored(seen.mean, seen.samples)

    def labelled(self, prediction: Prediction, right: bool) -> None:
        """Credit a label to the revision that made the prediction; to the live accuracy only where
        that is this one.
        """
        whose = (prediction.model, prediction.version, prediction.revision)
        self._feedback.labels(*whose, "correct" if right else "wrong").inc()
        if whose == self._mine:
            self.accuracy.add(float(right))

    def off_by(self, prediction: Prediction, error: float) -> None:
        """The same for a regression."""
        whose = (prediction.model, prediction.version, prediction.revision)
        self._feedback_error.labels(*whose).inc(error)
        self._feedback_numbers.labels(*whose).inc()
        if whose == self._mine:
            self.error.add(error)

    def valued(self, prediction: Prediction, value: float) -> float:
        """Credit a value from 0 on to the revision that made the prediction; returns what is
        counted, the greatest that there may be where it is above that.
        """
        whose = (prediction.model, prediction.version, prediction.revision)
        counted = float(min(value, self._value_max))
        if counted < value:
            self._clipped.labels(*whose).inc()
        self._values.labels(*whose).inc()
        self._value_sum.labels(*whose).inc(counted)
        self._value_squares.labels(*whose).inc(counted * counted)
        return counted

    def shadows(self, candidate: str) -> None:
        """Requests are copied to this candidate from now on. Of the last few the counts are kept:
        one that is tried again goes on with its own.
        """
        if candidate in self._candidates:
            return
        self._candidates.append(candidate)
        for outcome in OUTCOMES:
            self._shadow.labels(*self._mine, candidate, outcome)
        if len(self._candidates) > MOST_CANDIDATES:
            former = self._candidates.popleft()
            for outcome in OUTCOMES:
                self._shadow.remove(*self._mine, former, outcome)

    def shadowed(self, candidate: str, outcome: str, count: int) -> None:
        """So many copies to the candidate had this outcome."""
        if candidate in self._candidates and outcome in OUTCOMES:
            self._shadow.labels(*self._mine, candidate, outcome).inc(count)

    def copied(self, status: int) -> None:
        """A copy was answered; of what is counted of users' requests it is no part."""
        self.copies.inc()
        if status >= 500:
            self.copy_errors.inc()

    def unrouted(self, kind: str) -> None:
        """A request that found no route. A prediction is one that failed, and took no time of the
        model's; gates see it by that.
        """
        self._unrouted[kind].inc()
        if kind == PREDICTION:
            self.requests.inc()
            self.errors.inc()

    def refused(self, reason: str) -> None:
        """A label that was not counted."""
        self._refused.labels(*self._mine, reason).inc()
