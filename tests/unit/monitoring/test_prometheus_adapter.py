"""The rules by which prometheus-adapter has what an autoscaler of models follows."""

from pathlib import Path

import yaml

from rollout_inference.metrics import Metrics
from rollout_inference.settings import Settings
from rollout_operator.desired.horizontal_pod_autoscaler import SERIES

FILE = Path(__file__).parents[3] / "monitoring" / "prometheus-adapter.yaml"
RULES = yaml.safe_load(FILE.read_text())["rules"]["custom"]


def test_every_metric_that_an_autoscaler_asks_for_has_a_rule() -> None:
    assert sorted(rule["name"]["as"] for rule in RULES) == sorted(SERIES.values())


def test_the_rules_ask_for_series_of_the_model_server_by_pod() -> None:
    registry = Metrics(Settings(model_path=Path("/model"))).registry
    exported = {f"{m.name}_total" for m in registry.collect() if m.type == "counter"}
    exported |= {f"{m.name}_bucket" for m in registry.collect() if m.type == "histogram"}
    for rule in RULES:
        assert rule["seriesQuery"].split("{")[0] in exported
        assert rule["resources"]["overrides"].keys() == {"namespace", "pod"}
