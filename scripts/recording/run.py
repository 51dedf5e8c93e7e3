"""The run that is recorded: under traffic, a better model is promoted and a worse rolled back."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import yaml

from scripts.demo.models import RECIPES, Registry, train
from scripts.demo.narrate import Narrator
from scripts.demo.rollout import NeverHappened, Rollout, eventually, fresh_namespace, verdict_of
from scripts.demo.story import MODEL, PATIENCE, Place
from scripts.demo.traffic import Traffic, answers_on
from scripts.kube import Kube, Object
from scripts.recording.cast import Cast, NotRecorded
from scripts.recording.terminal import Terminal

NAMESPACE = "rollouts-recording"
COMMAND = ("kubectl", "modelrollout", "get", "iris", "-w")
COLUMNS, ROWS = 84, 32
LOOK = 6.0
"""Seconds that a state of rest is looked at."""
GATES = [
    {"metric": "accuracy", "min": 0.7},
    {"metric": "errorRate", "max": 0.01},
    {"metric": "latencyP95Seconds", "max": 0.5},
]
SETTINGS: Object = {
    "strategy": {
        "steps": [{"weight": 10, "hold": "20s"}, {"weight": 50, "hold": "20s"}],
        "scaleDownDelay": "10s",
    },
    "analysis": {"interval": "10s", "gates": GATES},
}


def record(place: Place, narrator: Narrator) -> Cast:
    """Run it and return what the terminal was sent.

    Raises KubeError, TrainingFailed, NeverHappened or NotRecorded where it cannot go on, or
    where the run is not what it is to show.
    """
    if missing := [p for p in ("kubectl", "kubectl-modelrollout") if shutil.which(p) is None]:
        raise NotRecorded(f"{' and '.join(missing)} not found on PATH: run `make recording`.")
    kube, registry = Kube(), Registry(place.registry_url)
    registry.forget(MODEL)
    models = []
    for recipe in RECIPES:
        models.append(train(registry, MODEL, recipe))
        narrator.say(
            f"{models[-1].uri}  accuracy {models[-1].accuracy:.2f}  ({recipe.story})", "registered"
        )
    fresh_namespace(kube, NAMESPACE)
    rollout = Rollout(kube, NAMESPACE, settings=SETTINGS)
    _roll_out(rollout, models[0].uri, "Promoted")
    narrator.say(f"{models[0].uri} is stable", "Promoted")
    eventually(
        lambda: answers_on(place.ingress_url, rollout.host) or None,
        f"{rollout.host} to answer",
        PATIENCE,
    )
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "KUBECONFIG": str(_kubeconfig(Path(folder)))}
        with Traffic(place.ingress_url, rollout.host, place.rate) as traffic:
            time.sleep(LOOK)
            with Terminal(COMMAND, env, COLUMNS, ROWS) as terminal:
                time.sleep(LOOK)
                _roll_out(rollout, models[1].uri, "Promoted")
                narrator.say(f"{models[1].uri} is stable", "Promoted")
                time.sleep(LOOK)
                _roll_out(rollout, models[2].uri, "RolledBack")
                narrator.say(f"{models[2].uri} is rolled back", "RolledBack")
                time.sleep(LOOK)
    kube.delete(f"/api/v1/namespaces/{NAMESPACE}")
    if traffic.failed:
        raise NotRecorded(
            f"{len(traffic.failed)} of {traffic.sent} requests failed, first with"
            f" {traffic.failed[0].failure}."
        )
    narrator.say(
        f"{len(traffic.answers)} predict requests were answered meanwhile, none failed.", "traffic"
    )
    return Cast(COLUMNS, ROWS, " ".join(COMMAND), terminal.pieces)


def _kubeconfig(folder: Path) -> Path:
    """A copy of KUBECONFIG whose context has the namespace: the command needs no `-n`."""
    path = folder / "kubeconfig"
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    context = next(c for c in config["contexts"] if c["name"] == config["current-context"])
    context["context"]["namespace"] = NAMESPACE
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def _roll_out(rollout: Rollout, uri: str, verdict: str) -> None:
    rollout.apply(uri)

    def ended() -> Object | None:
        status = rollout.status()
        at_rest = status.get("phase") in {"Promoted", "RolledBack", "Invalid"}
        return (verdict_of(status, uri) or None) if at_rest else None

    said = eventually(ended, f"a verdict about {uri}", PATIENCE, rollout.tell)
    if said["verdict"] != verdict:
        raise NeverHappened(
            f"{uri} was to be {verdict}, but is {said['verdict']}: {said['message']}"
        )
