"""The series of one served model, every one labelled with model, version and revision."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rollout_inference.loading import LoadedModel
from rollout_inference.settings import Settings

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds."""


class Metrics:
    """Registered in a registry of their own, so that a process can serve several apps."""

    def __init__(self, settings: Settings) -> None:
        names, values = ["model", "version", "revision"], (settings.name, settings.version, settings.model_revision)
        self.registry = CollectorRegistry()
        self._accuracy = Gauge("ml_model_accuracy", "Share of right answers", [*names, "source"], registry=self.registry)
        self._samples = Gauge("ml_model_accuracy_samples", "Answers behind ml_model_accuracy", [*names, "source"], registry=self.registry)
        self._labels = values
        self.requests = Counter("ml_request_count", "Predict requests", names, registry=self.registry).labels(*values)
        self.errors = Counter("ml_request_errors", "Predict requests that ended in a server error", names, registry=self.registry).labels(
            *values
        )
        self.latency = Histogram(
            "ml_request_latency_seconds", "Time of a predict request", names, registry=self.registry, buckets=BUCKETS
        ).labels(*values)

    def loaded(self, model: LoadedModel) -> None:
        """Show what the trainer measured on held-out data."""
        if model.accuracy is not None:
            self._accuracy.labels(*self._labels, "training").set(model.accuracy)
        if model.samples is not None:
            self._samples.labels(*self._labels, "training").set(model.samples)
