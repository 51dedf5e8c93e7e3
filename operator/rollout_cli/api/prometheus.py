"""What this program asks of a Prometheus, by whatever way it is reached."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rollout_cli.exit_codes import Failure, Unreachable
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.gates.promql import Snapshot, own_form, query, read, read_own
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.domain.own_metrics import OwnMetric

FRESH = {"nocache": "1"}
"""VictoriaMetrics answers an instant query with what was there 30 s ago without it; others take no
notice. Source: its QueryHandler, in app/vmselect/prometheus.
"""
Labels = Mapping[str, str]
Ask = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
"""GET of an API path of Prometheus: status and body. Raises Unreachable."""


@dataclass(frozen=True, slots=True)
class Range:
    """One series over time."""

    labels: Labels
    """Without those that the expression takes away."""
    points: tuple[tuple[float, float], ...]
    """Unix seconds, value; in ascending time."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Asks one Prometheus."""

    place: str
    """Which one, for people."""
    ask: Ask
    """Reaches it through the API server's proxy, or by its URL."""

    def snapshot(
        self, metric: Metric, window: float, namespace: str, revision: str
    ) -> Snapshot | MetricsUnreachable:
        """What the operator sees of one revision, by its own query; a Prometheus that does not
        answer is an answer too.

        window: how far it looks back, in seconds.
        """
        try:
            return read(
                *self.ask(
                    "query",
                    {"query": query(metric, window, namespace=namespace, revision=revision)},
                )
            )
        except Unreachable as failure:
            return MetricsUnreachable(str(failure))

    def own_snapshot(self, own: OwnMetric) -> Snapshot | MetricsUnreachable:
        """What the operator sees of all revisions of a metric of its configuration."""
        try:
            return read_own(own, *self.ask("query", own_form(own)))
        except Unreachable as failure:
            return MetricsUnreachable(str(failure))

    def instant(self, expression: str) -> list[tuple[Labels, float]]:
        """The series of an instant vector. Raises Unreachable."""
        return [
            (series["metric"], float(series["value"][1]))
            for series in self._result("query", {"query": expression, **FRESH}, "vector")
        ]

    def matrix(self, expression: str, start: float, end: float, step: float) -> list[Range]:
        """Series over time; times in Unix seconds. Raises Unreachable."""
        parameters = {
            "query": expression,
            "start": f"{start:.3f}",
            "end": f"{end:.3f}",
            "step": f"{step:.3f}",
        }
        return [
            Range(
                series["metric"], tuple((float(at), float(value)) for at, value in series["values"])
            )
            for series in self._result("query_range", parameters, "matrix")
        ]

    def values_of(self, label: str) -> list[str]:
        """All values of a label; of `__name__`, the names of all series. Raises Unreachable."""
        status, body = self.ask(f"label/{label}/values", {})
        return [str(value) for value in self._data(status, body)]

    def _result(self, path: str, parameters: Mapping[str, str], kind: str) -> list[dict[str, Any]]:
        status, body = self.ask(path, parameters)
        data = self._data(status, body)
        if not isinstance(data, dict) or data.get("resultType") != kind:
            raise Unreachable(
                f"{self.place} answered with something else than a {kind}; is it Prometheus?"
            )
        found: list[dict[str, Any]] = data["result"]
        return found

    def _data(self, status: int, body: bytes) -> Any:
        try:
            reply = json.loads(body)
            if reply["status"] != "success":
                raise Failure(f"Prometheus refuses the query: {reply.get('error', '')}")
            return reply["data"]
        except (ValueError, KeyError, TypeError) as failure:
            said = body[:200].decode(errors="replace").strip()
            raise Unreachable(
                f"{self.place} answered HTTP {status}, which is not Prometheus: {said}"
            ) from failure
