"""The story: a first deploy, a promotion and a rollback, under traffic all the time. The operator
may die in between.
"""

import time
from dataclasses import dataclass
from functools import partial

import httpx

from scripts.demo.models import GATE, RECIPES, Model, Registry, train
from scripts.demo.narrate import Narrator
from scripts.demo.report import Outcome, Report
from scripts.demo.rollout import Rollout, eventually, fresh_namespace, verdict_of
from scripts.demo.shares import shares
from scripts.demo.traffic import Answer, Traffic, answers_on
from scripts.demo.watch import Watch
from scripts.kube import Kube, Object

NAMESPACE = "rollouts-demo"
MODEL = "iris-demo"
PATIENCE = 900.0
"""Seconds for one rollout at most: a killed operator must cost time only."""
SETTINGS: Object = {
    "replicas": 2,
    "strategy": {
        "steps": [
            {"weight": 10, "shadow": 20, "hold": "15s"},
            {"weight": 50, "hold": "15s"},
        ],
        "scaleDownDelay": "10s",
    },
    "analysis": {"interval": "10s"},
}
SCRAPE = 5.0
"""Seconds until Prometheus has certainly scraped the last answers; it does so every 2 s."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it happens."""

    ingress_url: str
    prometheus_url: str
    registry_url: str
    rate: float


def tell_story(place: Place, narrator: Narrator) -> Report:
    """Run the whole demo; raises KubeError,
    TrainingFailed or NeverHappened where it cannot go on.
    """
    kube, registry = Kube(), Registry(place.registry_url)
    kube.delete(
        f"/api/v1/namespaces/{NAMESPACE}"
    )  # what an earlier demo left goes while the models are trained
    models = _models(registry, narrator)
    rollout = Rollout(kube, NAMESPACE, settings=SETTINGS)
    with narrator.busy(lambda: f"making the namespace {NAMESPACE}"):
        fresh_namespace(kube, NAMESPACE)
    outcomes: list[Outcome] = []
    traffic = Traffic(place.ingress_url, rollout.host, place.rate)
    with Watch(rollout, narrator.status) as watch:
        narrator.title(f"2  First deploy: version {models[0].version}")
        outcomes.append(_roll_out(rollout, models[0], "Promoted", narrator, None))
        what = f"{rollout.host} to answer"
        with narrator.busy(lambda: f"waiting for {what}"):
            eventually(lambda: answers_on(place.ingress_url, rollout.host) or None, what, PATIENCE)
        narrator.say(
            f"From here on {place.rate:.0f} predict requests a second go through the Ingress to"
            f" {rollout.host}.",
            "traffic",
        )
        with traffic:
            narrator.title(f"3  A better model: version {models[1].version}")
            outcomes.append(_roll_out(rollout, models[1], "Promoted", narrator, traffic))
            narrator.title(f"4  A worse model: version {models[2].version}")
            outcomes.append(_roll_out(rollout, models[2], "RolledBack", narrator, traffic))
    time.sleep(SCRAPE)
    counted = _counted(place.prometheus_url, {a.revision for a in traffic.answers if a.ok})
    return Report(outcomes, traffic.answers, shares(watch.sightings, traffic.answers), counted)


def _models(registry: Registry, narrator: Narrator) -> list[Model]:
    narrator.title("1  Three Iris models, trained and registered in MLflow")
    registry.forget(MODEL)
    models = []
    for recipe in RECIPES:
        with narrator.busy(partial("training a model ({})".format, recipe.story)):
            model = train(registry, MODEL, recipe)
        relation = "at least" if model.accuracy >= GATE else "below"
        narrator.say(
            f"{model.uri}  accuracy {model.accuracy:.2f}, {relation} {GATE:.2f}  ({recipe.story})",
            "registered",
        )
        models.append(model)
    return models


def _roll_out(
    rollout: Rollout, model: Model, expected: str, narrator: Narrator, traffic: Traffic | None
) -> Outcome:
    """Ask for the model and wait until the attempt for it has a verdict, and the rollout is at
    rest.
    """
    begun, first = time.monotonic(), len(traffic.answers) if traffic else 0
    eventually(lambda: rollout.apply(model.uri), f"the API server to take {model.uri}", 60)
    narrator.say(f"kubectl apply: spec.modelUri is now {model.uri}", "applied")

    def ended() -> Object | None:
        status = rollout.status()
        at_rest = status.get("phase") in {"Promoted", "RolledBack", "Invalid"}
        return (
            status
            if at_rest and (verdict_of(status, model.uri) or status["phase"] == "Invalid")
            else None
        )

    with narrator.busy(
        lambda: _traffic_so_far(traffic) if traffic else f"waiting for {model.uri} to be rolled out"
    ):
        status = eventually(ended, f"a verdict about {model.uri}", PATIENCE, rollout.tell)
        time.sleep(1)  # lets the watch tell the last status before the next part begins
    entry = verdict_of(status, model.uri) or {
        "verdict": status["phase"],
        "reason": status["reason"],
        "message": status["message"],
    }
    answers: list[Answer] = traffic.answers[first:] if traffic else []
    seconds = time.monotonic() - begun - 1
    return Outcome(
        model, expected, entry["verdict"], entry["reason"], entry["message"], seconds, answers
    )


def _traffic_so_far(traffic: Traffic) -> str:
    recent = [a for a in traffic.answers[-200:] if a.ok]
    versions = sorted({a.version for a in recent})
    served = ", ".join(
        f"version {v} {100 * sum(a.version == v for a in recent) / len(recent):.0f} %"
        for v in versions
    )
    return (
        f"{traffic.sent} requests sent, {len(traffic.failed)} failed; of the last {len(recent)}:"
        f" {served}"
    )


def _counted(prometheus_url: str, revisions: set[str]) -> dict[str, int] | None:
    """Predict requests by version that the pods of these revisions counted; None where Prometheus
    does not say.
    """
    chosen = "|".join(sorted(revisions))
    series = f'ml_request_count_total{{namespace="{NAMESPACE}",revision=~"{chosen}"}}'
    query = f"sum by (version) (max_over_time({series}[1h]))"
    try:
        reply = httpx.get(
            f"{prometheus_url.rstrip('/')}/api/v1/query",
            params={"query": query},
            timeout=10,
            trust_env=False,
        )
        return {
            one["metric"]["version"]: int(float(one["value"][1]))
            for one in reply.json()["data"]["result"]
        }
    except (httpx.HTTPError, ValueError, KeyError):
        return None
