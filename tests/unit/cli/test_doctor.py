"""What `doctor` finds, and what it says to do. Answers are scripted: faults of a cluster must be
there to be found.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import Rollout
from rollout_cli.doctor.check_result import Level, guarded
from rollout_cli.doctor.metrics import check_prometheus, check_series
from rollout_cli.doctor.rollouts import check_rollout, check_router
from rollout_cli.exit_codes import Absent, Refused
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
