"""What `doctor` finds, and what it says to do. Answers are scripted: faults of a cluster must be
there to be found.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from prometheus_client import generate_latest

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import Rollout
from rollout_cli.doctor.check_result import Level, guarded
from rollout_cli.doctor.messages import check_messages
from rollout_cli.doctor.metrics import check_prometheus, check_series
from rollout_cli.doctor.rollouts import check_autoscaler, check_rollout, check_router
from rollout_cli.exit_codes import Absent, Refused
from rollout_operator import metrics
from rollout_operator.domain.api.route_status import Unrouted
from rollout_operator.domain.api.words import Phase
from tests.support.builders import at, on_trial, revision, spec
from tests.unit.cli.builders import rollout

REVISION = revision(1).revision
PROMOTED = on_trial(phase=Phase.PROMOTED, candidate=None, message="It is stable.")


class Scripted:
    """An API server that knows these lists and nothing else."""

    def __init__(self, lists: Mapping[str, list[dict[str, Any]]]) -> None:
        self._lists = lists

    def items(self, path: str, selector: str = "") -> list[dict[str, Any]]:
        return self._lists[path]

    def get(self, path: str) -> dict[str, Any]:
        if path not in self._lists:
            raise Absent(path)
        return {"items": self._lists[path]}


def prometheus(
    answers: Mapping[str, list[dict[str, Any]]], names: list[str] | None = None
) -> Prometheus:
    """Answers the first query part that fits; nothing to all others."""

    def ask(path: str, asked: Mapping[str, str]) -> tuple[int, bytes]:
        if path.startswith("label/"):
            return 200, json.dumps({"status": "success", "data": names or []}).encode()
        found = next((a for part, a in answers.items() if part in asked["query"]), [])
        return 200, json.dumps(
            {"status": "success", "data": {"resultType": "vector", "result": found}}
        ).encode()

    return Prometheus("Prometheus (scripted)", ask)


def vector(value: float, **labels: str) -> list[dict[str, Any]]:
    return [{"metric": labels, "value": [0, str(value)]}]


MINE = f'count by (pod) (ml_model_accuracy{{namespace="models", revision="{REVISION}"}})'
ELSEWHERE = "count by (namespace, revision)"
PHASE = {"modelrollout_phase": vector(1)}
SERIES: dict[str, tuple[Prometheus, Level, str, str]] = {
    "all well": (
        prometheus({MINE: vector(1, pod="a"), "time()": vector(4), **PHASE}),
        Level.GOOD,
        "1 pod, newest sample 4 s old",
        "",
    ),
    "nothing like it": (
        prometheus(PHASE),
        Level.BAD,
        "nothing like it",
        "annotated prometheus.io/scrape",
    ),
    "a name that is close": (
        prometheus(PHASE, ["ml_model_acuracy", "up"]),
        Level.BAD,
        "close to it are ml_model_acuracy",
        "scrape",
    ),
    "without the label": (
        prometheus({ELSEWHERE: vector(1, namespace="models"), **PHASE}),
        Level.BAD,
        "without the label revision",
        "scrape",
    ),
    "under another namespace": (
        prometheus({ELSEWHERE: vector(1, namespace="monitoring", revision=REVISION), **PHASE}),
        Level.BAD,
        "namespace='monitoring'",
        "scrape",
    ),
    "two addresses": (
        prometheus(
            {"> 1": vector(2, pod="a"), MINE: vector(2, pod="a"), "time()": vector(1), **PHASE}
        ),
        Level.BAD,
        "scraped at several addresses",
        "keep one scrape job",
    ),
    "scraped too seldom": (
        prometheus({MINE: vector(1, pod="a"), "time()": vector(130), **PHASE}),
        Level.BAD,
        "130 s old",
        "every two minutes",
    ),
    "no label pod": (
        prometheus({MINE: vector(1), "time()": vector(1), **PHASE}),
        Level.WARNING,
        "no label pod",
        "relabelling",
    ),
    "the operator is not scraped": (
        prometheus({MINE: vector(1, pod="a"), "time()": vector(1)}),
        Level.WARNING,
        "the operator's own series",
        "honor_labels",
    ),
}


@pytest.mark.parametrize(("source", "level", "part", "todo"), SERIES.values(), ids=SERIES.keys())
def test_series(source: Prometheus, level: Level, part: str, todo: str) -> None:
    of = spec("models:/iris/1", analysis__gates=[{"metric": "accuracy", "min": 0.7}])
    found = list(check_series(source, rollout(PROMOTED, of)))
    assert any(f.level is level and part in f.found and todo in f.todo for f in found), found


@pytest.mark.parametrize(
    ("ahead", "levels"),
    [
        pytest.param(0, [Level.GOOD], id="in step"),
        pytest.param(60, [Level.GOOD, Level.WARNING], id="a minute ahead"),
    ],
)
def test_clock(ahead: float, levels: list[Level]) -> None:
    now = datetime.now(UTC).timestamp()
    assert [
        f.level for f in check_prometheus(prometheus({"vector(time())": vector(now + ahead)}))
    ] == levels


def test_victoriametrics_clock_is_not_30_s_behind() -> None:
    """It evaluates instant queries 30 s ago, unless it is told not to."""
    now = datetime.now(UTC).timestamp()

    def ask(path: str, asked: Mapping[str, str]) -> tuple[int, bytes]:
        late = 0.0 if asked.get("nocache") == "1" else 30.0
        data = {"resultType": "vector", "result": vector(now - late)}
        return 200, json.dumps({"status": "success", "data": data}).encode()

    found = list(check_prometheus(Prometheus("VictoriaMetrics", ask)))
    assert [f.level for f in found] == [Level.GOOD]


CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
GATEWAY = "/apis/gateway.networking.k8s.io/v1"
HTTP_ROUTE = {
    "traffic": {
        "provider": "HTTPRoute",
        "host": "a.example.com",
        "parentRefs": [{"name": "public"}],
    }
}


def ingress_class(name: str, controller: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"controller": controller}}


ROUTERS: dict[str, tuple[dict[str, list[dict[str, Any]]], dict[str, Any], Level, str]] = {
    "nginx": (
        {CLASSES: [ingress_class("nginx", "k8s.io/ingress-nginx")]},
        {},
        Level.GOOD,
        "IngressClass nginx",
    ),
    "no class at all": ({CLASSES: []}, {}, Level.BAD, "there is none at all"),
    "another name": (
        {CLASSES: [ingress_class("nginx-public", "k8s.io/ingress-nginx")]},
        {},
        Level.BAD,
        "there is nginx-public",
    ),
    "a controller that nobody knows": (
        {CLASSES: [ingress_class("nginx", "haproxy.org/x")]},
        {},
        Level.WARNING,
        "does not know",
    ),
    "Gateway API": ({GATEWAY: []}, HTTP_ROUTE, Level.GOOD, "Gateway API is installed"),
    "no Gateway API": ({}, HTTP_ROUTE, Level.BAD, "not installed"),
    "none, and none is asked for": (
        {},
        {"traffic": {"provider": "None"}},
        Level.GOOD,
        "callers inside the cluster ask Service iris",
    ),
}


@pytest.mark.parametrize(
    ("lists", "changes", "level", "part"), ROUTERS.values(), ids=ROUTERS.keys()
)
def test_router(
    lists: dict[str, list[dict[str, Any]]], changes: dict[str, Any], level: Level, part: str
) -> None:
    (found,) = check_router(
        cast("KubeApi", Scripted(lists)), rollout(PROMOTED, spec("models:/iris/1", **changes))
    )
    assert (found.level, part in found.found) == (level, True), found
    assert found.todo or level is Level.GOOD


METRICS_SERVER, ADAPTER = "/apis/metrics.k8s.io/v1beta1", "/apis/custom.metrics.k8s.io/v1beta2"
AUTOSCALERS: dict[str, tuple[str, str, Level, str]] = {
    "cpu": ("cpu", METRICS_SERVER, Level.GOOD, ""),
    "cpu without metrics-server": ("cpu", ADAPTER, Level.BAD, "install metrics-server"),
    "rps": ("rps", ADAPTER, Level.GOOD, ""),
    "latency without prometheus-adapter": (
        "latency",
        METRICS_SERVER,
        Level.BAD,
        "install prometheus-adapter",
    ),
}


@pytest.mark.parametrize(
    ("metric", "there", "level", "todo"), AUTOSCALERS.values(), ids=AUTOSCALERS.keys()
)
def test_autoscaler(metric: str, there: str, level: Level, todo: str) -> None:
    scaled = spec("models:/iris/1", autoscaling={"max": 4, "metric": metric, "target": 70})
    kube = cast("KubeApi", Scripted({there: []}))
    (found,) = check_autoscaler(kube, rollout(PROMOTED, scaled))
    assert (found.level, found.todo.startswith(todo)) == (level, True), found


def test_without_autoscaling_no_metric_is_looked_for() -> None:
    assert list(check_autoscaler(cast("KubeApi", Scripted({})), rollout(PROMOTED))) == []


ROLLOUTS: dict[str, tuple[Rollout, Level, str]] = {
    "promoted": (rollout(PROMOTED), Level.GOOD, "It is stable."),
    "not followed": (rollout(PROMOTED, generation=2), Level.BAD, "has not seen the spec"),
    "paused": (rollout(on_trial(paused_since=at(1))), Level.WARNING, "paused in phase Trial"),
    "rolled back": (rollout(on_trial(phase=Phase.ROLLED_BACK)), Level.WARNING, "RolledBack"),
    "halted": (rollout(on_trial(halted=True)), Level.WARNING, "Trial"),
    "a host that is taken": (
        rollout(PROMOTED.model_copy(update={"invalid": "answered by the older a/b"})),
        Level.BAD,
        "the older a/b",
    ),
    "an object that is refused": (
        rollout(PROMOTED.model_copy(update={"api_rejection": "no quota"})),
        Level.BAD,
        "no quota",
    ),
    "a route that is not accepted": (
        rollout(
            PROMOTED.model_copy(
                update={"unrouted": Unrouted(since=at(1), message="NoMatchingParent")}
            )
        ),
        Level.BAD,
        "NoMatchingParent",
    ),
}


@pytest.mark.parametrize(("of", "level", "part"), ROLLOUTS.values(), ids=ROLLOUTS.keys())
def test_rollout(of: Rollout, level: Level, part: str) -> None:
    (found,) = check_rollout(of, at(60))
    assert (found.level, part in found.found) == (level, True), found


@pytest.mark.parametrize(
    ("accepted", "reason"), [(False, "RouteNotAccepted"), (True, "RouteDoesNotAnswer")]
)
def test_a_promoted_rollout_without_its_route_is_told_by_the_reason_of_its_conditions(
    accepted: bool, reason: str
) -> None:
    lacks = Unrouted(since=at(1), accepted=accepted, message="It leads elsewhere.")
    (found,) = check_rollout(rollout(PROMOTED.model_copy(update={"unrouted": lacks})), at(60))
    assert found.todo.endswith(f" {reason}"), found


def test_a_foreign_route_on_the_host_is_told_beside_the_phase() -> None:
    well, scaled = check_rollout(
        rollout(PROMOTED.model_copy(update={"scaled": "kubectl scales Deployment iris-1"})), at(60)
    )
    assert (well.level, scaled.level) == (Level.GOOD, Level.WARNING)
    assert "kubectl scales" in scaled.found
    well, kept = check_rollout(
        rollout(PROMOTED.model_copy(update={"affinity": "Ingress iris has affinity: cookie"})),
        at(60),
    )
    assert (well.level, kept.level) == (Level.GOOD, Level.WARNING)
    assert "affinity: cookie" in kept.found
    well, outdated = check_rollout(
        rollout(PROMOTED.model_copy(update={"outdated": "Profile gpu is 1a2b3c4d"})), at(60)
    )
    assert (well.level, outdated.level) == (Level.GOOD, Level.WARNING)
    assert "profiles.md" in outdated.todo
    well, shared = check_rollout(
        rollout(PROMOTED.model_copy(update={"shared": "Ingress web/shop: no ModelRollout's"})),
        at(60),
    )
    assert (well.level, shared.level) == (Level.GOOD, Level.WARNING)
    assert "Ingress web/shop" in shared.found


def test_what_may_not_be_looked_at_is_no_fault() -> None:
    def refused() -> Any:
        raise Refused("pods is forbidden")
        yield

    (found,) = guarded("pods", refused)
    assert (found.level, "pods is forbidden" in found.found) == (Level.UNKNOWN, True)


MESSAGES = """# HELP modelrollout_messages_pending Messages that wait to be sent
modelrollout_messages_total{destination="team",outcome="delivered"} 12.0
modelrollout_messages_total{destination="team",outcome="failed"} 3.0
modelrollout_messages_total{destination="team",outcome="given_up"} GIVEN_UP
modelrollout_messages_total{destination="team",outcome="dropped"} DROPPED
modelrollout_messages_pending{destination="team"} 2.0
modelrollout_messages_oldest_seconds{destination="team"} AGE
"""


@pytest.mark.parametrize(
    ("age", "given_up", "dropped", "level", "says"),
    [
        pytest.param("0.0", "0.0", "0.0", Level.GOOD, "12 delivered", id="all delivered"),
        pytest.param("59.0", "0.0", "0.0", Level.GOOD, "12 delivered", id="tried for a moment"),
        pytest.param("181.0", "0.0", "0.0", Level.BAD, "2 wait, the oldest for 181 s", id="down"),
        pytest.param("0.0", "4.0", "0.0", Level.BAD, "4 were given up", id="down for too long"),
        pytest.param("0.0", "0.0", "3.0", Level.BAD, "3 were dropped", id="more than are kept"),
    ],
)
def test_a_destination_of_messages(
    age: str, given_up: str, dropped: str, level: Level, says: str
) -> None:
    text = MESSAGES.replace("AGE", age).replace("GIVEN_UP", given_up).replace("DROPPED", dropped)
    (found,) = check_messages(text, "rollouts-system/rollout-operator")
    assert (found.level, says in found.found) == (level, True)
    assert level is Level.GOOD or "test-messages team" in found.todo


def test_the_samples_of_messages_are_read_as_they_are_written() -> None:
    metrics.MESSAGES.labels("written", "given_up").inc()
    text = generate_latest().decode()
    found = {one.what: one.level for one in check_messages(text, "a/b")}
    assert found["messages to written"] is Level.BAD
