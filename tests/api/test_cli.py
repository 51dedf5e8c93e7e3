"""The command line tool as a process, against a real API server and the real operator."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api.cli import Cli
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

SLOW: dict[str, Any] = {
    "strategy": {
        "steps": [{"weight": 10, "hold": "10m"}],
        "progressDeadline": "15s",
        "scaleDownDelay": "2s",
    }
}
"""A trial that lasts until somebody ends it."""
NOBODY = "http://127.0.0.1:1"
"""Where no Prometheus listens."""
COLOUR = r"\x1b\[[0-9;]*3[0-7]m"


@pytest.fixture
def cli(api: ApiClient, ns: str) -> Cli:
    return Cli(api.kubeconfig, ns)


@pytest.fixture
def prometheus(world: ScriptedWorld) -> Any:
    with served(world) as url:
        yield url


def test_the_four_ends_of_a_wait(
    cli: Cli, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.apply("models:/iris/1")
    code, out, _ = cli("status", "iris", "--wait", "--timeout", "1m")
    assert code == 0, out
    assert out.splitlines()[-1].startswith(
        "Promoted: models:/iris/1 is stable: accuracy 0.91 is at least 0.7"
    )

    rollout.apply("models:/iris/3")
    code, out, _ = cli("status", "iris", "--wait", "-o", "json")
    ended = json.loads(out)
    assert (code, ended["verdict"], ended["reason"], ended["attempt"]) == (
        1,
        "RolledBack",
        "GateFailed",
        2,
    )
    assert "0.62 is below 0.7" in ended["message"]
    assert ended["stable"] == "models:/iris/1"

    rollout.apply("models:/iris/2", **SLOW)
    rollout.wait_phase("Trial", 3)
    code, out, _ = cli("status", "mro/iris", "--wait", "--timeout", "1s")
    assert (
        code,
        "TimedOut: No verdict on models:/iris/2 within 1s; it is in phase Trial" in out,
    ) == (2, True), out

    waiting = cli.start("status", "iris", "--wait", "--model-uri", "models:/iris/2")
    assert waiting.stdout is not None
    waiting.stdout.readline()
    rollout.apply("models:/iris/1")
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 3, out
    assert "Superseded: The spec asks for models:/iris/1 now" in out


def test_commands_steer_the_attempt(
    cli: Cli, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/2", **SLOW)
    rollout.wait_phase("Trial", 2)

    said = cli.ok("pause", "iris")
    assert "where Git owns this rollout, its next sync sets it back" in said
    assert "Paused in phase Trial" in said
    assert rollout.api.get(rollout.path)["spec"]["paused"] is True
    code, _, err = cli("skip", "iris")
    assert (code, "paused: resume it first" in err) == (77, True)
    assert "goes on" in cli.ok("resume", "iris")

    # Which phase a command sees first depends on how quick the operator is; what it was asked for
    # does not.
    assert "models:/iris/2 was aborted" in cli.ok("abort", "iris")
    rollout.wait_phase("RolledBack", 2)
    assert "retry" in cli.ok("retry", "iris")
    rollout.wait_phase("Trial", 3)
    assert "Asked the operator to promote attempt 3 (models:/iris/2)" in cli.ok("promote", "iris")
    ended = rollout.wait_phase("Promoted", 3)
    assert (ended["stable"]["uri"], ended["history"][0]["reason"]) == (
        "models:/iris/2",
        "PromotedByCommand",
    )


def test_what_get_prints(
    cli: Cli,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    world: ScriptedWorld,
    prometheus: str,
) -> None:
    assert "No ModelRollouts in namespace" in cli.ok("get")
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    world.accuracy["2"] = 0.8889
    rollout.apply("models:/iris/2", **SLOW)
    rollout.wait_phase("Trial", 2)
    wait_for(lambda: rollout.status().get("gates"), "a measurement")

    drawn = cli.ok("get", "iris", "--prometheus", prometheus)
    for part in (
        "Trial · attempt 2",
        "● 10 %",
        "0.889 candidate",
        "0.700 asked",
        "✔ accuracy  0.8889 ≥ 0.7",
        "history",
    ):
        assert part in drawn, drawn
    assert "\x1b" not in drawn, "no colours where nobody looks"
    forced = cli.ok("get", "iris", "--prometheus", prometheus, FORCE_COLOR="1")
    assert re.search(COLOUR, forced)
    assert not re.search(
        COLOUR, cli.ok("get", "iris", "--prometheus", prometheus, FORCE_COLOR="1", NO_COLOR="1")
    )
    assert "did not answer" in cli.ok("get", "iris", "--prometheus", NOBODY), (
        "without Prometheus it says why there is no past"
    )

    assert cli.ok("get", "-o", "name") == "modelrollout.rollouts.mlops.dev/iris\n"
    raw = json.loads(cli.ok("get", "iris", "-o", "json"))
    assert (raw["kind"], raw["spec"]["modelUri"]) == ("ModelRollout", "models:/iris/2")
    listed = yaml.safe_load(cli.ok("get", "-o", "yaml"))
    assert [one["metadata"]["name"] for one in listed["items"]] == ["iris"]
    wide = cli.ok("get", "-A", "-o", "wide")
    assert wide.splitlines()[0].split()[:3] == ["NAMESPACE", "NAME", "PHASE"]
    assert "models:/iris/2" in wide

    with cli.start("get", "iris", "-w", "--prometheus", prometheus) as watching:
        assert watching.stdout is not None
        assert "Trial" in watching.stdout.readline()
        rollout.apply("models:/iris/1")
        line = watching.stdout.readline()
        # An operator that has not reacted within a second is told of first.
        assert "Cancelled" in (
            watching.stdout.readline() if "the operator has not seen that yet" in line else line
        )
        watching.kill()


def test_explain_shows_what_the_operator_sees(
    cli: Cli,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    world: ScriptedWorld,
    prometheus: str,
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    gates = [{"metric": "accuracy", "min": 0.7}, {"metric": "errorRate", "max": 0.01}]
    rollout.apply("models:/iris/2", **SLOW, analysis={"interval": "1s", "gates": gates})
    revision = rollout.wait_phase("Trial", 2)["candidate"]["revision"]
    wait_for(lambda: rollout.status().get("gates"), "a measurement")
    said = cli.ok("explain", "iris", "--prometheus", prometheus)
    joined = " ".join(said.split())
    for part in (
        "If the operator looked now it would stay",
        "Next look at",
        "The step is due at",
        "✔ accuracy ≥ 0.7 (Reported) Pass",
        f'namespace="{cli.ns}", revision="{revision}"}}[300s]',
        "ml_model_accuracy{pod=p} 0.95",
        "◌ errorRate ≤ 0.01 (Reported) NoEvidence",
        "error rate: no series ml_request_count_total of this revision",
    ):
        assert part in joined, said
    world.accuracy["2"] = 0.31
    rollout.wait_phase("RolledBack", 2)
    world.prometheus_down = True
    code, _, err = cli("explain", "iris", "--prometheus", prometheus)
    assert (code, "which is not Prometheus" in err) == (69, True)
    told = cli.ok("history", "iris")
    assert "✖ RolledBack  models:/iris/2" in told
    assert "0.31 is below 0.7" in told
    assert "Not tried again without `kubectl modelrollout retry`: models:/iris/2" in told


WRONG: dict[str, tuple[list[str], int, str]] = {
    "a rollout that is not there": (
        ["get", "rose"],
        66,
        "There is no ModelRollout 'rose' in namespace",
    ),
    "an unknown option": (["get", "--frob"], 64, "No such option: --frob"),
    "an unknown command": (["frob"], 64, "No such command"),
    "a name and all namespaces": (["get", "iris", "-A"], 64, "do not go together"),
    "a timeout that is none": (
        ["status", "iris", "--wait", "--timeout", "soon"],
        64,
        "write 30s, 10m or 1h30m",
    ),
    "an unknown context": (["get", "--context", "prod"], 64, "write one of test"),
    "a kubeconfig that is not there": (
        ["get", "--kubeconfig", "/nowhere"],
        64,
        "give --kubeconfig FILE",
    ),
    "a Prometheus that cannot be read": (
        ["get", "iris", "--prometheus", "nowhere"],
        64,
        "NAMESPACE/SERVICE:PORT",
    ),
}


@pytest.mark.parametrize(("words", "code", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_and_no_verdict(
    cli: Cli, words: list[str], code: int, sentence: str
) -> None:
    found, _, err = cli(*words)
    assert found == code, err
    assert sentence in err


def test_logging_in_by_an_exec_plugin(cli: Cli, api: ApiClient, tmp_path: Path) -> None:
    """As on EKS, GKE and AKS: a program prints the credential."""
    config = json.loads(api.kubeconfig.read_text())
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": config["users"][0]["user"],
    }
    plugin = tmp_path / "login"
    plugin.write_text(
        '#!/bin/sh\n[ -n "$KUBERNETES_EXEC_INFO" ] && [ "$1" = token ] && cat'
        f" <<'E'\n{json.dumps(credential)}\nE\n"
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    run = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "args": ["token"],
        "interactiveMode": "Never",
    }
    config["users"][0]["user"] = {"exec": run}
    config["contexts"][0]["context"]["namespace"] = cli.ns
    mine = tmp_path / "kubeconfig"
    mine.write_text(json.dumps(config))
    env = {**os.environ, "KUBECONFIG": str(mine)}
    program = str(Path(sys.executable).with_name("kubectl-modelrollout"))
    done = subprocess.run([program, "get"], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (
        0,
        f"No ModelRollouts in namespace {cli.ns}. Look in all namespaces with -A.\n",
    ), done.stderr

    plugin.write_text("#!/bin/sh\necho 'your session has expired' >&2; exit 3\n")
    done = subprocess.run([program, "get"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 77
    assert "your session has expired" in done.stderr


def test_without_permission_it_says_so(cli: Cli, api: ApiClient) -> None:
    """Nobody gave this user any right."""
    token = api.http.post(
        "/api/v1/namespaces/default/serviceaccounts", json={"metadata": {"name": "stranger"}}
    )
    assert token.status_code in {201, 409}
    made = api.http.post(
        "/api/v1/namespaces/default/serviceaccounts/stranger/token", json={"spec": {}}
    ).json()["status"]["token"]
    config = json.loads(api.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": made}
    mine = api.kubeconfig.with_name("stranger")
    mine.write_text(json.dumps(config))
    code, _, err = Cli(mine, cli.ns)("get")
    assert code == 77
    assert 'cannot list resource "modelrollouts"' in err


def test_completion_as_kubectl_asks_for_it(cli: Cli, rollout: Rollout) -> None:
    rollout.apply("models:/iris/1")
    program = str(Path(sys.executable).with_name("kubectl_complete-modelrollout"))

    def candidates(*words: str) -> list[str]:
        env = {**os.environ, "KUBECONFIG": str(cli.kubeconfig)}
        return subprocess.run(
            [program, *words], env=env, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    assert candidates("sta") == ["status", ":4"]
    assert candidates("status", "--wa") == ["--wait", ":4"]
    assert candidates("status", "-n", cli.ns, "") == ["iris", ":4"]
    assert candidates("status", "-n", "nowhere", "") == [":4"]
