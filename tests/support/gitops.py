"""One model in Git: what a team commits, and what is seen of it."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.api_client import wait_for
from tests.support.argo_cd import Application, ThreeWaves
from tests.support.flux import Kustomization
from tests.support.git_repository import GitRepository
from tests.support.rollout import Rollout

MODEL = Path(__file__).parents[2] / "docs" / "examples" / "gitops" / "models" / "iris.yaml"
FILE = "models/iris.yaml"
WAVE = "argocd.argoproj.io/sync-wave"
SHORT, LONG = "2s", "90s"
"""Holds of the first step: to be over soon, and not to be over within a story."""


def settings(name: str, wave: int | None = None) -> str:
    """A ConfigMap that lies beside the model."""
    marks = {} if wave is None else {"annotations": {WAVE: str(wave)}}
    meta = {"name": name, **marks}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})


class Seen:
    """What is seen of each tool: the table of docs/guides/gitops.md."""

    def __init__(self, tools: Sequence[str]) -> None:
        self._tools = tools
        self._rows: dict[str, dict[str, str]] = {}

    def note(self, done: str, tool: str, seen: str) -> None:
        """One cell."""
        self._rows.setdefault(done, {})[tool] = seen

    def write(self, path: Path) -> None:
        """Write what was seen anew; the rest stays as it was seen before."""
        known = json.loads(path.read_text()) if path.exists() else {}
        table = {
            done: {
                tool: cells[tool]
                for tool in self._tools
                if tool in (cells := {**known.get(done, {}), **self._rows.get(done, {})})
            }
            for done in ROWS
        }
        path.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n")


ROWS = (
    DEPLOYED := "first version is stable",
    TRIAL := "while on trial",
    PROMOTED := "good version is promoted",
    ROLLED_BACK := "bad version is rolled back",
    REVERTED := "revert after a rollback: stable",
    IN_MID_TRIAL := "revert at 10 %: weight 0, longest of 5",
    HALTED := "bad version with `onFailure: Pause`",
    UNREGISTERED := "version that is not registered, registered later",
    PAUSED := "`paused: true` in Git, then `false`",
    SUSPENDED := "while the tool is suspended",
    TAKEN_BACK := "another's `modelUri` is taken back",
    MADE_AGAIN := "what another deleted is made again",
    PRUNED := "taken out of Git in mid-trial: gone",
)
"""What is done, in the order of the table."""


@dataclass
class Team:
    """A team whose repository holds one model, and the tool that applies it."""

    client: Application | Kustomization
    repository: GitRepository
    rollout: Rollout
    seen: Seen
    wave: int | None = None
    """The model's sync wave."""

    deployed_after: float = 0.0
    """Seconds from the fetch of the first commit until its version was stable."""

    def why(self) -> str:
        """What the tool shows a person who asks why."""
        return self.client.why(self.rollout.name)

    def event(self, reason: str) -> str:
        """The message of the newest Event of the model with this reason; empty without one."""
        found = self.rollout.api.items("Event", self.rollout.ns)
        return next((str(e["message"]) for e in reversed(found) if e["reason"] == reason), "")

    def note(self, done: str, said: str, seconds: float | None = None) -> None:
        """One cell of the table."""
        timed = "" if seconds is None else f", {seconds:.1f} s after the fetch"
        self.seen.note(done, self.client.title, f"{said}{timed}")

    def manifest(
        self, version: str, hold: str = SHORT, on_failure: str = "Rollback", **spec: Any
    ) -> str:
        """The example's ModelRollout: this version, and holds that suit a test."""
        manifest: dict[str, Any] = yaml.safe_load(MODEL.read_text())
        if self.wave is not None:
            manifest["metadata"]["annotations"] = {WAVE: str(self.wave)}
        manifest["spec"] |= {"modelUri": f"models:/iris/{version}", **spec}
        ten, half = manifest["spec"]["strategy"]["steps"]
        manifest["spec"]["strategy"]["steps"] = [{**ten, "hold": hold}, {**half, "hold": "1s"}]
        manifest["spec"]["strategy"]["scaleDownDelay"] = "1s"
        if on_failure != "Rollback":
            manifest["spec"]["analysis"]["onFailure"] = on_failure
        manifest["spec"]["analysis"] |= {"interval": "1s", "maxHold": "5m"}
        return yaml.safe_dump(manifest)

    def begin(self) -> str:
        """The first commit: version 1. The tool is told of the repository."""
        beside = {"models/other.yaml": settings("other")}
        if isinstance(self.client, ThreeWaves):
            # The model comes last: nothing waits for it.
            self.wave = 2
            for wave in (0, 1):
                name = f"wave-{wave}"
                beside[f"models/{name}.yaml"] = settings(name, wave)
        commit = self.repository.commit({FILE: self.manifest("1"), **beside})
        self.client.begin(self.repository)
        return commit

    def push(self, version: str, hold: str = SHORT, **spec: Any) -> str:
        """Commit another version, and have the tool look."""
        commit = self.repository.commit({FILE: self.manifest(version, hold, **spec)})
        self.client.look()
        return commit

    def on_trial_at(self, weight: int, version: str) -> None:
        """Wait until this version gets this share of requests."""

        def there() -> bool:
            candidate = self.rollout.status().get("candidate") or {}
            return candidate.get("version") == version and self.rollout.weight() == weight

        wait_for(there, f"version {version} at {weight} %", 90)

    def stable_on(self, version: str) -> None:
        """Wait until this version is stable, and nothing is on trial."""

        def there() -> bool:
            status = self.rollout.status()
            stable = (status.get("stable") or {}).get("version")
            return (stable, status.get("phase")) == (version, "Promoted")

        wait_for(there, f"version {version} to be stable", 120)

    def waits_to_say(self, said: str) -> None:
        """Wait until the tool says this of the commit that it has seen last."""
        try:
            wait_for(lambda: self.client.says() == said, said, 60)
        except AssertionError as trouble:
            raise AssertionError(f"{trouble}; it says {self.client.says()}") from trouble

    def seconds_after_fetch(self, commit: str, done: Callable[[], bool]) -> float:
        """How long after the commit was fetched this became true; waits at most three minutes."""
        wait_for(lambda: self.repository.fetched(commit), "the commit to be fetched", 60)
        wait_for(done, "what the commit asks for", 180)
        fetched = self.repository.fetched(commit)
        assert fetched is not None
        return time.monotonic() - fetched
