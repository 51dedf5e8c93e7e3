"""The three models of the story, trained and registered by `python -m rollout_trainer`, as a team's
pipeline would.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

GATE = 0.70
"""The accuracy that a version must have: the default gate of a ModelRollout."""


class TrainingFailed(Exception):
    """A model could not be trained or is not what the story needs; the message says why."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one version is trained, and what the story says of it."""

    options: Sequence[str]
    story: str
    good: bool


RECIPES = (
    Recipe(
        ("--features", "2", "--max-depth", "2", "--n-estimators", "20"),
        "modest: sees only two of the four measurements",
        good=True,
    ),
    Recipe(
        ("--max-depth", "4", "--n-estimators", "25"),
        "good: all four measurements, 25 trees",
        good=True,
    ),
    Recipe(("--shuffle-labels", "1.0"), "bad: learnt from shuffled labels", good=False),
)


@dataclass(frozen=True, slots=True)
class Model:
    """A registered version: its MODEL_URI and its accuracy on held-out flowers, 0 to 1."""

    uri: str
    accuracy: float
    recipe: Recipe

    @property
    def version(self) -> str:
        return self.uri.rsplit("/", 1)[1]


class Registry:
    """The MLflow server's REST interface, as far as the demo needs it."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/2.0/mlflow/", timeout=60, trust_env=False
        )

    def forget(self, name: str) -> None:
        """Delete the registered model `name` with all its versions; one that is not there is no
        error.
        """
        reply = self._http.request("DELETE", "registered-models/delete", json={"name": name})
        if reply.status_code not in {200, 404}:
            raise TrainingFailed(
                f"The registry did not delete {name}: HTTP {reply.status_code} {reply.text[:200]}"
            )

    def has(self, name: str, version: str) -> bool:
        """Whether the version is registered."""
        return (
            self._http.get(
                "model-versions/get", params={"name": name, "version": version}
            ).status_code
            == 200
        )

    def call(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """One call; raises TrainingFailed with the registry's answer where it is an error."""
        reply = (
            self._http.get(path, params=fields)
            if method == "GET"
            else self._http.request(method, path, json=fields)
        )
        if reply.status_code != 200:
            raise TrainingFailed(
                f"The registry refused {path} {fields}: HTTP {reply.status_code} {reply.text[:200]}"
            )
        answer: dict[str, Any] = reply.json()
        return answer

    def accuracy(self, uri: str) -> float:
        """The accuracy that the version's run logged, 0 to 1."""
        name, version = uri.removeprefix("models:/").split("/")
        run = self.call("GET", "model-versions/get", name=name, version=version)["model_version"][
            "run_id"
        ]
        metrics = self.call("GET", "runs/get", run_id=run)["run"]["data"]["metrics"]
        return next(float(m["value"]) for m in metrics if m["key"] == "accuracy")


def train(registry: Registry, name: str, recipe: Recipe) -> Model:
    """Train and register one version of `name`; raises TrainingFailed where that fails or the model
    belies its story.
    """
    command = [sys.executable, "-m", "rollout_trainer", "train", "--name", name, *recipe.options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    lines = done.stdout.split()
    if done.returncode != 0 or not lines or not lines[-1].startswith(f"models:/{name}/"):
        raise TrainingFailed(
            f"{' '.join(command[1:])} failed with exit code {done.returncode}:"
            f" {done.stderr[-1000:]}"
        )
    uri = lines[-1]
    model = Model(uri, registry.accuracy(uri), recipe)
    if (model.accuracy >= GATE) != recipe.good:
        raise TrainingFailed(
            f"{uri} was to be {recipe.story}, but its accuracy is {model.accuracy:.2f} against a"
            f" gate of {GATE:.2f}"
        )
    return model
