"""`explain` decides on what the operator's look has: of the same moment both make the same."""

import ast
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import Rollout
from rollout_cli.cluster import explanation, explanation_text
from rollout_cli.cluster.explanation import Explanation, MetricAnswers
from rollout_cli.exit_codes import Refused
from rollout_operator.domain.api.names import COMMAND_REASON, COMMANDED_BY, GROUP, REVISION
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.observe import observe
from rollout_operator.domain.observed import DRAIN, Observed, Workload
from rollout_operator.domain.windows import freeze_at, windows
from tests.support.builders import UID, accuracy, at, observed, on_trial, revision, spec
from tests.unit.cli.builders import rollout as made

V1, V2 = revision(1, promoted=True), revision(2, replicas=1)
TO_2 = spec("models:/iris/2")
FAR = "the Gateway has not taken the HTTPRoute over yet"


class Cluster:
    """An API server that has these Deployments of the rollout, and the operator's with these
    variables.
    """

    def __init__(
        self,
        workloads: dict[str, Workload],
        refuses: bool = False,
        leaving: frozenset[str] = frozenset(),
        **variables: str,
    ) -> None:
        self._workloads, self._variables, self._refuses = workloads, variables, refuses
        self._leaving = leaving

    def items(self, path: str, selector: str = "") -> list[dict[str, Any]]:
        if self._refuses:
            raise Refused("no")
        if path == "/apis/apps/v1/deployments":
            env = [{"name": n, "value": v} for n, v in self._variables.items()]
            return [{"spec": {"template": {"spec": {"containers": [{"env": env}]}}}}]
        return [
            {
                "metadata": {
                    "name": f"iris-{r}",
                    "uid": r,
                    "resourceVersion": "1",
                    "labels": {REVISION: r},
                    **({"deletionTimestamp": "2026-11-23T11:00:00Z"} if r in self._leaving else {}),
                },
                "spec": {"replicas": w.wanted},
                "status": {"readyReplicas": w.ready},
            }
            for r, w in self._workloads.items()
        ]


READY = {V1.revision: Workload(2, 2), V2.revision: Workload(1, 1)}


def look(second: float, **changes: Any) -> Observed:
    values: dict[str, Any] = {
        "spec": TO_2,
        "status": on_trial(),
        "workloads": READY,
        "answers": accuracy(0.93, second - 1),
    }
    return observed(second, **(values | changes))


OPEN = {"schedule": "FREQ=DAILY", "start": "2026-01-01T00:00", "duration": "24h"}
"""A window that is always open."""
FROZEN = freeze_at(at(21), windows(json.dumps([OPEN])))
LOOKS: dict[str, Observed] = {
    "nothing special": look(8),
    "a step that is over": look(21),
    "a bad model": look(8, answers=accuracy(0.5, 7)),
    "no evidence": look(21, answers=accuracy(0.93, -60)),
    "a route that the Gateway does not follow": look(21, route_trouble=FAR),
    "an object that is refused": look(
        21, route_trouble="HTTP 403 no quota is left", api_rejection="HTTP 403 no quota is left"
    ),
    "an object of another's": look(
        21, route_trouble="another's", api_rejection="another's", name_taken=True
    ),
    "pods that another scales": look(8, scaled="kubectl scales Deployment iris-1"),
    "an autoscaler without a metric": look(8, unscaled="iris-2: no metrics returned"),
    "visitors that stay": look(8, affinity="Ingress iris has affinity: cookie"),
    "an abort": look(8, commands={"abort": "2"}),
    "an abort whose reason is told": look(
        8,
        commands={"abort": "2"},
        command_reason="abort 2: it is slow",
        commanded_by="abort 2: ann",
    ),
    "an abort of somebody whose name is known for sure": look(
        8, commands={"abort": "2"}, commanded_by="abort 2: ann", names_verified=True
    ),
    "a step that is over, in a window of the configuration": look(21, freeze=FROZEN),
    "a last step that waits for a person": look(
        21,
        status=on_trial(step=1, weight=50),
        spec=spec("models:/iris/2", strategy__approval="Required"),
    ),
    "a promotion by hand": look(8, commands={"promote": "2"}),
    "a skipped step": look(8, commands={"skip": "2"}),
    "a command for another attempt": look(8, commands={"abort": "1"}),
    "an abort while it is paused": look(
        8, commands={"abort": "2"}, spec=spec("models:/iris/2", paused=True)
    ),
    "a retry of what is halted": look(
        8, commands={"retry": "2"}, status=on_trial(halted=True), image="registry.example.com/new:2"
    ),
    "pods that are lost": look(
        8, workloads={V1.revision: Workload(2, 2), V2.revision: Workload(0, 1)}
    ),
    "routers that lag a minute behind": look(21, route_trouble=FAR, drain=timedelta(seconds=60)),
    "all requests, for less than routers lag behind": look(
        15,
        drain=timedelta(seconds=60),
        status=on_trial(phase=Phase.SHIFTING, weight=100, candidate=revision(2, replicas=2)),
    ),
    "all requests, and a route that does not follow": look(
        15,
        route_trouble=FAR,
        status=on_trial(phase=Phase.SHIFTING, weight=100, candidate=revision(2, replicas=1)),
    ),
    "a host that an older rollout has": look(
        8, spec=None, spec_error="a.example.com/ is answered by the older ModelRollout a/b"
    ),
}


def rebuilt(seen: Observed) -> Observed:
    """What `explain` makes of it, after the operator has looked and written what it decided."""
    wanted = seen.spec or TO_2
    noted = decide(replace(seen, commands={})).status
    status = seen.status.model_copy(
        update={
            n: getattr(noted, n)
            for n in (
                "waits_for",
                "api_rejection",
                "scaled",
                "affinity",
                "unscaled",
                "invalid",
                "observed_generation",
            )
        }
    )
    annotations = {f"{GROUP}/{verb}": attempt for verb, attempt in seen.commands.items()}
    annotations |= {COMMANDED_BY: seen.commanded_by, COMMAND_REASON: seen.command_reason}
    rollout = made(status, wanted, uid=UID, annotations=annotations)
    drain = str(int(seen.drain.total_seconds()))
    cluster = Cluster(
        dict(seen.workloads),
        ROUTER_DRAIN_SECONDS=drain,
        INFERENCE_IMAGE=seen.image,
        REQUESTER_POLICY=str(seen.names_verified).lower(),
        ROLLOUT_WINDOWS=json.dumps([OPEN] if seen.freeze.active else []),
    )
    asked = MetricAnswers(seen.answers, seen.baseline, {})
    return explanation.observation(cast("KubeApi", cluster), rollout, wanted, asked, seen.now)


@pytest.mark.parametrize("seen", LOOKS.values(), ids=LOOKS.keys())
def test_it_decides_as_the_operator_does(seen: Observed) -> None:
    theirs, ours = decide(seen), decide(rebuilt(seen))
    told = [
        (
            p.status.phase,
            p.status.step,
            p.status.weight,
            p.status.reason,
            p.status.message,
            p.status.invalid,
        )
        for p in (theirs, ours)
    ]
    assert told[0] == told[1]


def keywords(function: Callable[..., object], called: str) -> set[str | None]:
    """The keywords that a function gives where it calls another."""
    (call,) = [
        n
        for n in ast.walk(ast.parse(inspect.getsource(function)))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == called
    ]
    return {keyword.arg for keyword in call.keywords}


@pytest.mark.parametrize("name", [f.name for f in fields(Observed)])
def test_no_part_of_the_observation_is_left_out(name: str) -> None:
    given = keywords(observe, "Observed") | keywords(explanation.observation, "replace")
    assert name in given


SAME = {"uid", "name", "generation", "baseline"}
"""What a decision takes as it is."""
UNKNOWN = {
    "resolution",
    "inspection",
    "stable_endpoints",
    "reported",
    "outbox",
    "api_rejection",
    "api_rejection_now",
    "unaccepted",
    "heard",
    "uncopied",
    "applied_at",
    "followed",
    "apart",
    "scaled",
    "unscaled_at",
    "claims",
    "recovered",
    "also_running",
    "profile",
    "take_profile",
    "proof",
    "differences",
    "asked_at",
}
"""What only the operator knows: the registry's answer, what a pod says of a version without a
digest, what phase Switching looks at, which verdicts the registry was told, where messages go; and
an object that is
refused on the way, which is trouble of the route; a new route on the way, which is judged where it
is promoted; whether a route answers, which is judged there and on a first deploy; why pods do not
copy requests, which words a sentence; how
routers answer that are waited for, which only ends the wait sooner, and when that began for this
process; who else scales a Deployment, which is told in status; when an autoscaler without a metric
is looked at again; routes of others on the host, which
are told in status and held
as trouble of the route; what a status that was removed is made from, and what ran beside it; what
the profile says of pods, which changes no verdict; the proof that is asked for before an attempt;
copies that were answered otherwise, which are shown and judged by nobody; when Prometheus was
asked, which only moves the next look.
"""


@pytest.mark.parametrize("name", [f.name for f in fields(Observed) if f.name not in SAME | UNKNOWN])
def test_each_part_differs_in_some_look(name: str) -> None:
    """Else the comparison above would compare nothing of it."""
    values = [getattr(rebuilt(seen), name) for seen in LOOKS.values()]
    assert any(value != values[0] for value in values)


def test_a_deployment_that_is_being_deleted_does_not_count() -> None:
    cluster = Cluster(READY, leaving=frozenset({V2.revision}))
    answers, rollout = MetricAnswers(accuracy(0.93, 7), {}, {}), made(on_trial(), TO_2, uid=UID)
    seen = explanation.observation(cast("KubeApi", cluster), rollout, TO_2, answers, look(8).now)
    assert set(seen.workloads) == {V1.revision}


def test_who_may_not_look_at_deployments_is_told_all_the_same() -> None:
    asked, rollout = MetricAnswers(accuracy(0.93, 7), {}, {}), made(on_trial(), TO_2, uid=UID)
    blind = explanation.observation(
        cast("KubeApi", Cluster({}, refuses=True)), rollout, TO_2, asked, look(8).now
    )
    assert (blind.drain, blind.image) == (DRAIN, V2.image)
    assert decide(blind).status.phase is Phase.TRIAL


def test_who_may_not_look_at_deployments_is_told_the_share_that_the_pods_come_to() -> None:
    inside = spec("models:/iris/2", replicas=9, traffic={"provider": "None"})
    half = on_trial(step=1, weight=50, candidate=revision(2, replicas=9))
    rollout = made(half, inside, uid=UID)
    blind = explanation.observation(
        cast("KubeApi", Cluster({}, refuses=True)),
        rollout,
        inside,
        MetricAnswers(accuracy(0.93, 7), {}, {}),
        look(8).now,
    )
    assert decide(blind).status.share == 50


SAID: dict[str, tuple[str, str]] = {
    "nothing special": ("would stay", "Next look at"),
    "a route that the Gateway does not follow": ("would stay: Holding at weight 10: route: ", FAR),
    "an object that is refused": ("would stay: Holding at weight 10: route: ", "no quota is left"),
    "an abort": ("would go to phase RollingBack", "was aborted"),
    "an abort while it is paused": ("would go to phase RollingBack", "was aborted"),
    "a retry of what is halted": ("would go to phase Starting", "Waiting for"),
    "a skipped step": ("would go to step 2", ""),
    "a step that is over, in a window of the configuration": ("would stay: Frozen for", "window"),
    "a last step that waits for a person": ("would stay: ", "waits for a person: approve it"),
    "a host that an older rollout has": (
        "It is held, and nothing is measured: ",
        "answered by the older ModelRollout",
    ),
}


@pytest.mark.parametrize(("name", "sentences"), SAID.items(), ids=SAID.keys())
def test_what_is_said(name: str, sentences: tuple[str, str]) -> None:
    seen = rebuilt(LOOKS[name])
    status = seen.status
    rollout = Rollout(
        {"metadata": {"name": "iris", "namespace": "models", "generation": 1}},
        status,
        seen.spec or TO_2,
    )
    said = "\n".join(explanation_text.next_step(Explanation(rollout, seen.now, (), decide(seen))))
    assert all(sentence in said for sentence in sentences), said


QUEUE = {"queue": {"counts": "Gauge", "better": "Lower", "unit": "jobs", "query": "queue_size"}}


@pytest.mark.parametrize(
    ("cluster", "said", "query"),
    [
        pytest.param(
            Cluster(READY, ROLLOUT_METRICS=json.dumps(QUEUE)),
            "queue 3 jobs is at most 10",
            "queue_size",
            id="as the operator's Deployment has it",
        ),
        pytest.param(
            Cluster({}, refuses=True),
            "queue: how it is asked for stands in the operator's Deployment",
            "",
            id="who may not read that is told so",
        ),
    ],
)
def test_a_metric_of_the_configuration_is_asked_for_as_the_operator_does(
    cluster: Cluster, said: str, query: str
) -> None:
    def ask(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        assert path == "query"
        own = {
            "rollout_part": "value",
            "namespace": rollout.namespace,
            "revision": V2.revision,
        }
        clock = form["query"] == "vector(time())"
        moment = at(8).timestamp()
        one = {"metric": {} if clock else own, "value": [moment, str(moment if clock else 3)]}
        data = {"resultType": "vector", "result": [one]}
        return 200, json.dumps({"status": "success", "data": data}).encode()

    wanted = spec("models:/iris/2", analysis__gates=[{"metric": "queue", "max": 10}])
    rollout = made(on_trial(), wanted, uid=UID)
    told = explanation.explain(
        cast("KubeApi", cluster), Prometheus("Prometheus", ask), rollout, wanted
    )
    (gate,) = told.gates
    assert gate.measured.message.startswith(said)
    assert query in gate.query
    assert bool(gate.query) is bool(query)
