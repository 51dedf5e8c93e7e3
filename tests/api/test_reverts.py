"""After a rollback, from the operator's own message to a pull request: operator and bridge as
processes, a real API server, and GitHub's API over a real Git repository.
"""

import json
from pathlib import Path
from uuid import uuid4

import yaml

from rollout_bridge.outcome import Outcome
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.github_server import TOKEN, github_server
from tests.support.kinds import manifest
from tests.support.message_receivers import secret_folder
from tests.support.mlflow_server import Bridge
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

FILE = "prod/iris.yaml"
KEY = "the-signing-key-of-the-operators-destination"
SPEC = {
    "modelUri": "models:/iris/1",
    "traffic": {"host": "reverts.example.com"},
    "strategy": {"steps": [{"weight": 10, "hold": "1s"}], "scaleDownDelay": "2s"},
    "analysis": {"interval": "1s", "maxHold": "20s"},
}


def test_a_rollback_in_the_cluster_is_asked_for_in_git(
    api: ApiClient,
    ns: str,
    world: ScriptedWorld,
    kubelet: KubeletThread,
    rollout: Rollout,
    tmp_path: Path,
) -> None:
    """Told again by another operator it stays one; merged, the rollout is at rest."""
    first = yaml.safe_dump(manifest("ModelRollout", "iris", {"spec": SPEC}))
    reverts = {
        "reverts": [
            {"namespace": ns, "name": "iris", "repository": "team/production", "path": FILE}
        ]
    }
    with github_server(tmp_path, {FILE: first}) as github, served(world) as url:

        def applied() -> None:
            """As a GitOps client does."""
            into = tmp_path / uuid4().hex
            text = (github.clone(into, "main") / FILE).read_text()
            api.apply(rollout.path, yaml.safe_load(text)).raise_for_status()

        bridge = Bridge(
            tmp_path,
            api.kubeconfig,
            yaml.safe_dump(reverts),
            EVENT_KEY=KEY,
            GITHUB_TOKEN=TOKEN,
            GITHUB_API_URL=github.url,
        )
        base = bridge.url.removesuffix("/webhooks/mlflow")
        folder = secret_folder(tmp_path / "secret", url=f"{base}/events/rollouts", signingKey=KEY)
        told = [{"name": "bridge", "format": "CloudEvents", "folder": folder}]
        log = tmp_path / "operator.log"
        given = {"WATCH_NAMESPACES": ns, "MESSAGES": json.dumps(told)}
        with bridge.running(), OperatorProcess(api.kubeconfig, url, log, **given):
            applied()
            rollout.wait_phase("Promoted", 1, 180)
            # Version 3 is below every threshold.
            github.commit("main", FILE, first.replace("iris/1", "iris/3").encode(), "To version 3")
            applied()
            rollout.wait_phase("RolledBack", 2, 180)
            wait_for(lambda: github.pulls, "the pull request", 180)
            (pull,) = github.pulls
            assert pull["title"] == f"iris: take models:/iris/3 back, RolledBack in {ns}/iris"
            assert "| `accuracy` | `0.62` | `0.7` |" in pull["body"]
            wait_for(lambda: str(Outcome.OPENED) in bridge.outcomes(), "the bridge's word", 180)
            assert "Ignored" in bridge.outcomes(), "of the promotion it was told, too"

            github.merge(pull["head"], "main")
            pull["state"] = "closed"
            applied()
            status = rollout.wait_phase("Promoted", 2, 180)
            assert (status["stable"]["version"], status["reason"]) == ("1", "ReturnedToStable")
            assert len(github.pulls) == 1
