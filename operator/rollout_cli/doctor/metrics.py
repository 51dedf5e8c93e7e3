"""Prometheus, and the series that the gates of a rollout read."""

import difflib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.operator_deployment import OPERATOR, variables
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import Rollout
from rollout_cli.doctor.check_result import CheckResult, bad, good, warning
from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.gates.promql import Snapshot
from rollout_operator.domain.gates.samples import (
    ACCURACY,
    FEEDBACK,
    INPUT,
    LATENCY_BUCKET,
    LONGEST_WINDOW,
    PREDICTED,
    REQUESTS,
    SCRAPES,
)
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.domain.own_metrics import By, OwnMetric, configured_metrics

MOST_SKEW = 5.0
"""Seconds between two clocks from which on samples seem to come from the future."""


def check_prometheus(prometheus: Prometheus) -> Iterator[CheckResult]:
    """Whether Prometheus answers, and its clock."""
    theirs = prometheus.instant("vector(time())")[0][1]
    skew = theirs - datetime.now(UTC).timestamp()
    yield good("Prometheus", f"{prometheus.place} answers")
    if abs(skew) > MOST_SKEW:
        todo = (
            "let both take their time by NTP; the operator refuses samples from more than 5 s ahead"
            " of its own clock"
        )
        yield warning(
            "clocks",
            f"Prometheus is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine",
            todo,
        )


def check_own_metrics(kube: KubeApi, prometheus: Prometheus) -> Iterator[CheckResult]:
    """Whether Prometheus answers the query of each metric of the operator's configuration."""
    for deployment in kube.items("/apis/apps/v1/deployments", OPERATOR):
        try:
            own = configured_metrics(variables(deployment))
        except ValueError as wrong:
            yield bad("metrics", str(wrong), "correct `metrics` in the chart's values")
            continue
        for name, metric in own.by_name.items():
            yield check_own_metric(f"metric {name}", metric, prometheus.own_snapshot(metric))


def check_own_metric(
    what: str, metric: OwnMetric, found: Snapshot | MetricsUnreachable
) -> CheckResult:
    """What it means that Prometheus answered with this."""
    label = "pod" if metric.by is By.POD else "revision"
    if isinstance(found, MetricsUnreachable):
        return bad(what, found.message, "try its query in Prometheus, and correct it in the chart")
    if not found:
        return warning(
            what,
            f"no series within {metric.stale}",
            "gates on it have no evidence: see that what it counts is scraped, and how often",
        )
    if lost := [key for key in found if not all(key)]:
        missing = "namespace" if not lost[0][0] else label
        return bad(
            what,
            f"series without the label {missing}, by which revisions are known",
            f"have the expression keep namespace and {label}",
        )
    if lacks := next((s.lacks for series in found.values() for s in series if s.lacks), ""):
        return warning(what, lacks, "gates on it have no evidence as long as that is so")
    some = f"{len(found)} {'Deployment' if label == 'pod' else 'revision'}"
    return good(what, f"{some}{'s' if len(found) != 1 else ''} have series")


def check_series(prometheus: Prometheus, rollout: Rollout) -> Iterator[CheckResult]:
    """The series that the gates of a rollout read: there, labelled, fresh and single."""
    status = rollout.status
    serving = status.candidate if status.phase in {Phase.TRIAL, Phase.SHIFTING} else status.stable
    if serving is None or rollout.spec is None:
        return
    what = f"series of {rollout.namespace}/{rollout.name}"
    of = f'namespace="{rollout.namespace}", revision="{serving.revision}"'
    for name in _needed(rollout.spec.analysis.gates):
        yield from _one_series(prometheus, what, name, of, rollout.namespace, serving.revision)
    told = prometheus.instant(
        f'modelrollout_phase{{namespace="{rollout.namespace}", name="{rollout.name}"}}'
    )
    if not told:
        todo = (
            "scrape port 8081 of the operator with honor_labels: true (docs/guides/install.md);"
            " gates do not need it, alerts and `report` do"
        )
        yield warning(what, "the operator's own series of it are missing", todo)


def _needed(gates: Sequence[Gate]) -> list[str]:
    names: list[str] = []
    for gate in gates:
        match gate.metric:
            case Metric.ACCURACY:
                names.append(FEEDBACK if gate.labelled else ACCURACY)
            case Metric.ERROR_RATE:
                names.append(REQUESTS)
            case Metric.LATENCY_P95:
                names.append(LATENCY_BUCKET)
            case Metric.PREDICTION_SHIFT:
                names.append(PREDICTED)
            case Metric.INPUT_DRIFT:
                names.append(INPUT)
            case Metric.OWN:
                # check_own_metrics has tried it.
                pass
    return list(dict.fromkeys(names))


def _one_series(  # noqa: PLR0917
    prometheus: Prometheus, what: str, name: str, of: str, namespace: str, revision: str
) -> Iterator[CheckResult]:
    found = prometheus.instant(f"count by (pod) ({name}{{{of}}})")
    if not found:
        yield bad(
            what,
            f"{name} of revision {revision} is"
            f" missing{_elsewhere(prometheus, name, namespace, revision)}",
            _scrape(name),
        )
        return
    if any("pod" not in labels for labels, _ in found):
        yield warning(
            what,
            f"{name} has no label pod",
            "add a relabelling that sets pod: pods of one revision are told apart by it",
        )
    # Two jobs at one address count once.
    twice = prometheus.instant(f"count by (pod) (count by (pod, instance) ({name}{{{of}}})) > 1")
    if twice:
        pods = ", ".join(sorted(labels.get("pod", "?") for labels, _ in twice))
        todo = "keep one scrape job for model pods: the gates refuse to choose"
        yield bad(what, f"{name} of {pods} is scraped at several addresses", todo)
    age = prometheus.instant(f"time() - max(timestamp({name}{{{of}}}))")
    seconds = age[0][1] if age else 0.0
    if seconds > LONGEST_WINDOW.total_seconds() / SCRAPES:
        todo = (
            "scrape model pods at least every two minutes: a sample counts for two and a half"
            " scrapes, five minutes at most"
        )
        yield bad(what, f"the newest sample of {name} is {seconds:.0f} s old", todo)
    elif not twice:
        yield good(
            what,
            f"{name}: {len(found)} pod{'s' if len(found) != 1 else ''}, newest sample {seconds:.0f}"
            " s old",
        )


def _elsewhere(prometheus: Prometheus, name: str, namespace: str, revision: str) -> str:
    """What is there instead: the name under other labels, or the closest names."""
    others = prometheus.instant(f"count by (namespace, revision) ({name})")
    if any(labels.get("revision") == revision for labels, _ in others):
        place = next(
            labels.get("namespace") for labels, _ in others if labels.get("revision") == revision
        )
        return (
            f" in namespace {namespace}; it is there with namespace={place!r}: the scrape job must"
            " set namespace to the pod's"
        )
    if any(not labels.get("revision") for labels, _ in others):
        return (
            "; it is there without the label revision: keep the labels that the model server sets"
        )
    if others:
        return "; other revisions have it"
    close = difflib.get_close_matches(name, prometheus.values_of("__name__"), 3, 0.6)
    return f"; close to it are {', '.join(close)}" if close else "; Prometheus has nothing like it"


def _scrape(name: str) -> str:
    if name == FEEDBACK:
        return (
            "send labels to /feedback/, and see that Prometheus scrapes the model pods"
            " (docs/guides/install.md)"
        )
    return (
        "see that Prometheus scrapes pods annotated prometheus.io/scrape, or enable modelPodMonitor"
        " in the chart (docs/guides/install.md)"
    )
