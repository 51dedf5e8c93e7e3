"""Every series, label and value that is written of, in documents, rules, their tests and the
dashboard, is one that is exported.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from rollout_bridge import metrics as bridge_metrics
from rollout_bridge.outcome import Outcome
from rollout_inference import cpu_limit, live_profile
from rollout_inference.api.protocols.feedback import REASONS
from rollout_inference.feedback import stored_series
from rollout_inference.feedback.book import REASONS as UNREMEMBERED
from rollout_inference.metrics import UNROUTED, Metrics
from rollout_inference.settings import Settings
from rollout_inference.shadow.messages import OUTCOMES
from rollout_model.flavors import EXTRAS, SKLEARN
from rollout_model.pyfunc import PyfuncRuntime
from rollout_model.runtimes import OnnxRuntime
from rollout_operator import errors, metrics
from rollout_operator.desired.horizontal_pod_autoscaler import SERIES
from rollout_operator.domain.api.analysis import BUILT_IN, EvidenceKind
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.observed import Resolution
from tests.unit.monitoring.rules import ALL, ROOT, sources

SCRAPED = frozenset({"namespace", "pod", "job", "instance", "service", "container", "node"})
"""What Prometheus adds to every series."""
SERVED = frozenset({"model", "version", "revision"})
VALUES: dict[tuple[str, str], set[str]] = {
    ("ml_model_accuracy", "source"): sources(),
    ("ml_model_accuracy_samples", "source"): sources(),
    ("ml_model_absolute_error", "source"): sources(),
    ("ml_model_absolute_error_samples", "source"): sources(),
    ("ml_feedback", "outcome"): {"correct", "wrong"},
    ("ml_feedback_refused", "reason"): set(REASONS.values()),
    ("ml_feedback_stored", "outcome"): {"correct", "wrong"},
    ("ml_feedback_retracted", "outcome"): {"correct", "wrong"},
    ("ml_feedback_unremembered", "reason"): set(UNREMEMBERED),
    ("ml_model_info", "runtime"): {OnnxRuntime.name, PyfuncRuntime.name, SKLEARN, *EXTRAS},
    ("ml_model_info", "task"): {"classifier", "regressor", "other"},
    ("ml_request_unrouted", "kind"): set(UNROUTED),
    ("ml_shadow", "outcome"): set(OUTCOMES),
    ("modelrollout_attempts", "verdict"): {one.value for one in Verdict},
    ("modelrollout_bridge_webhooks", "outcome"): {one.value for one in Outcome},
    ("modelrollout_drain_seconds", "known"): {"true", "false"},
    ("modelrollout_drain_seconds", "phase"): {one.value for one in Phase},
    ("modelrollout_gate_bound", "bound"): {"lower", "upper"},
    ("modelrollout_gate_bound", "evidence"): {one.value for one in EvidenceKind},
    ("modelrollout_gate_bound", "gate"): {one.value for one in BUILT_IN},
    ("modelrollout_gate_threshold", "evidence"): {one.value for one in EvidenceKind},
    ("modelrollout_gate_threshold", "gate"): {one.value for one in BUILT_IN},
    ("modelrollout_gate_value", "evidence"): {one.value for one in EvidenceKind},
    ("modelrollout_gate_value", "gate"): {one.value for one in BUILT_IN},
    ("modelrollout_messages", "outcome"): set(metrics.MESSAGE_OUTCOMES),
    ("modelrollout_phase", "phase"): {one.value for one in Phase},
    ("modelrollout_prometheus_queries", "metric"): {one.value for one in BUILT_IN},
    ("modelrollout_prometheus_queries", "outcome"): {"ok", "unreachable"},
    ("modelrollout_reconcile_errors", "kind"): {
        one.__name__
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.CallFailed)
    },
    ("modelrollout_registry_requests", "outcome"): (
        {one.__name__ for one in get_args(Resolution)} | {"Written", "WriteFailed"}
    ),
    ("modelrollout_router_lag_seconds", "provider"): {one.value for one in Provider},
    ("modelrollout_held", "reason"): {"Paused", "Frozen", "WaitingForApproval"},
    ("modelrollout_stalled", "reason"): {one.value for one in Reason},
    ("modelrollout_transitions", "phase"): {one.value for one in Phase},
    ("modelrollout_transitions", "reason"): {one.value for one in Reason},
}
"""What a label may be where it is a word of ours; what is not here may be anything."""
NAMES = {
    ("ml_model_metric", "metric"),
    ("ml_shadow", "candidate"),
    ("modelrollout_router_lag_seconds", "router"),
    ("ml_input", "column"),
    ("ml_input_trained", "column"),
    *((name, "bin") for name in live_profile.SERIES),
}
"""Labels whose values are names of others: whatever numbers a model's metrics.json has, columns,
categories and classes, and Gateways.
"""


def wrapped(registry: CollectorRegistry) -> dict[str, frozenset[str]]:
    """Label names by name of the series, without suffix."""
    found: dict[str, frozenset[str]] = {}
    for collector in list(vars(registry)["_collector_to_names"]):
        if "_labelnames" in vars(collector):
            found[vars(collector)["_name"]] = frozenset(vars(collector)["_labelnames"])
    return found


def exported() -> dict[str, frozenset[str]]:
    """The same of the operator, the bridge and the model server; `le` of histograms aside."""
    assert bridge_metrics.WEBHOOKS, "imported, and so registered"
    known = wrapped(REGISTRY)
    for family in metrics.FAMILIES:
        samples: Any = family.samples
        known[family.name] = frozenset({"namespace", "name", *samples.labels})
    served = wrapped(Metrics(Settings(model_path=Path("/model"))).registry)
    assert all(labels >= SERVED for labels in served.values())
    served |= dict.fromkeys(cpu_limit.SERIES, frozenset(SERVED))
    served |= {name: SERVED | set(more) for name, more in stored_series.SERIES.items()}
    of_answers, of_inputs = SERVED | {"bin"}, SERVED | {"column", "bin"}
    for name in live_profile.SERIES:
        served[name] = of_inputs if "input" in name else of_answers
    return known | served


KNOWN = exported()
RECORDED = {
    rule["record"]: (
        frozenset(re.split(r",\s*", match[1]))
        if (match := re.search(r"\bby \(([a-z_, ]+)\)", rule["expr"]))
        else frozenset()
    )
    for rule in ALL
    if "record" in rule
}


def base(series: str) -> str:
    """The name under which a series is registered."""
    return next(
        (
            name
            for s in ("_total", "_bucket", "_count", "_sum")
            if (name := series.removesuffix(s)) != series and name in KNOWN
        ),
        series,
    )


@dataclass(frozen=True)
class Written:
    """One selector: series, label and values, and where it stands; no values where only the label
    is named.
    """

    file: str
    series: str
    label: str
    values: tuple[str, ...]


SELECTOR = re.compile(r"\b((?:ml|modelrollout|namespace_revision)_?[a-z0-9_:]*)\{([^{}]*)\}")
ITEM = re.compile(r'\s*([a-z_]+)\s*(?:(=~|!~|!=|=)\s*"?([^"]*)"?)?\s*')


def pages() -> list[Path]:
    """Where people read of series, and what asks for them."""
    found = [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "monitoring").glob("*.*"),
        *(ROOT / "charts").rglob("files/*.*"),
    ]
    return sorted(
        {
            *found,
            *(ROOT / "notebooks").glob("*.ipynb"),
            *(ROOT / "charts").glob("*/templates/**/*.*"),
        }
    )


def text(file: Path) -> str:
    """As it is meant: without JSON's and Markdown's escapes."""
    return (
        file.read_text(encoding="utf-8")
        .replace('\\"', '"')
        .replace("\\|", "|")
        .replace('"|"', "|")
        .replace("\\n", "\n")
    )


def written() -> Iterator[Written]:
    for file in pages():
        place = file.relative_to(ROOT).as_posix()
        for series, inside in SELECTOR.findall(text(file)):
            for one in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", inside):
                item = ITEM.fullmatch(one)
                if item is None:
                    continue
                label, operator, value = item.groups()
                values = tuple(re.split(r"\|", value)) if value and "$" not in value else ()
                yield Written(
                    place, series, label, values if operator in {"=", "!="} or values else ()
                )


SELECTORS = sorted(set(written()), key=lambda one: (one.file, one.series, one.label, one.values))


def allowed(series: str) -> frozenset[str]:
    """The labels that a series may have."""
    if series in RECORDED:
        return RECORDED[series]
    more = {"le"} if series.endswith("_bucket") else set()
    return KNOWN[base(series)] | SCRAPED | more


@pytest.mark.parametrize("file", sorted({one.file for one in SELECTORS}))
def test_a_selector_asks_for_what_is_exported(file: str) -> None:
    wrong = []
    for one in SELECTORS:
        if one.file != file:
            continue
        if one.series not in RECORDED and base(one.series) not in KNOWN:
            wrong.append(f"{one.series}: no such series")
        elif one.label not in allowed(one.series):
            wrong.append(f"{one.series}: no label {one.label}")
        elif (of := VALUES.get((base(one.series), one.label))) is not None:
            wrong += [
                f"{one.series}: {one.label} is never {value}"
                for value in one.values
                if value not in of
            ]
    assert wrong == []


def test_selectors_are_found_where_they_stand() -> None:
    """A pattern that matches nothing would hold for ever."""
    assert {
        "docs/reference/metrics.md",
        "docs/operations/runbooks/ModelErrorRateHigh.md",
        "monitoring/rules.yaml",
        "monitoring/rules.test.yaml",
        "monitoring/dashboard.json",
    } <= {one.file for one in SELECTORS}
    assert (
        Written("monitoring/rules.test.yaml", "modelrollout_phase", "phase", ("Trial",))
        in SELECTORS
    )


def test_every_label_of_ours_has_its_words_here() -> None:
    """A new series or label is in the tests above once somebody says whether its values are
    words.
    """
    free = SERVED | {"namespace", "name", "digest", "verb", "resource", "code", "destination"}
    found = {(series, label) for series, labels in KNOWN.items() for label in labels - free}
    assert found - NAMES == VALUES.keys()
    assert all(VALUES.values())


NAME = re.compile(r"(?<![\w/.:-])(?:ml|modelrollout)_[a-z0-9_]+[a-z0-9](?![\w*…/-])")


@pytest.mark.parametrize("file", pages(), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_series_that_is_named_is_one_that_is_exported(file: Path) -> None:
    # What prometheus-adapter makes of them has names of its own: test_prometheus_adapter.py.
    named = set(NAME.findall(text(file))) - set(SERIES.values())
    assert {name for name in named if base(name) not in KNOWN} == set()
