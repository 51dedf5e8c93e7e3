"""The rules as they are shipped, and what the model server's sources say of themselves."""

from collections.abc import Callable
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from rollout_inference.feedback.ledger import Window
from rollout_inference.metrics import Measured

ROOT = Path(__file__).parents[3]


RULES = yaml.safe_load((ROOT / "monitoring" / "rules.yaml").read_text())


ALL = [rule for group in RULES["groups"] for rule in group["rules"]]


def sources() -> set[str]:
    """Every value of `source` that the model server exports: what the trainer measured, then
    labels.
    """
    registry = CollectorRegistry()
    measured = Measured(
        "ml_model_accuracy", "Share of right answers", ("iris", "1", "abc"), Window(10, 1), registry
    )
    found: set[str] = set()
    shows: tuple[Callable[[], object], ...] = (
        lambda: measured.trained(0.9, 30),
        lambda: measured.add(1.0),
    )
    for show in shows:
        show()
        found |= {
            sample.labels["source"] for metric in registry.collect() for sample in metric.samples
        }
    return found
