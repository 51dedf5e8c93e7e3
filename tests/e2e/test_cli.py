"""The command line tool where everything is real: the four ends of a wait, and what it reads from
Prometheus through the API server.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from scripts.demo.rollout import Rollout, eventually
from tests.e2e.harness import PATIENCE, Trained, hold

PROGRAM = str(Path(sys.executable).with_name("kubectl-modelrollout"))


def start(rollout: Rollout, *words: str) -> subprocess.Popen[str]:
    command = [PROGRAM, *words, "-n", rollout.namespace]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(rollout: Rollout, *words: str) -> tuple[int, str]:
    """Exit code, and what it said."""
    process = start(rollout, *words)
    said, _ = process.communicate(timeout=PATIENCE + 60)
    return process.returncode, said


def succeeds(rollout: Rollout, *words: str, saying: str) -> str:
    """What the command says once it exits with 0 and says this: an operator just killed, or one
    scrape missed, only costs time.
    """
    last = ""

    def probe() -> str | None:
        nonlocal last
        code, said = run(rollout, *words)
        last = f"It exited with {code}: {said}"
        return said if code == 0 and saying in said else None

    return eventually(probe, f"`{' '.join(words)}` to say {saying!r}", PATIENCE, lambda: last)


def test_the_four_ends_of_a_wait(rollout: Rollout, models: Trained, tmp_path: Path) -> None:
    rollout.apply(models.modest)
    code, said = run(rollout, "status", rollout.name, "--wait", "--timeout", f"{PATIENCE:.0f}s")
    assert code == 0, said
    assert said.splitlines()[-1].startswith(f"Promoted: {models.modest} is stable: accuracy 0.")

    rollout.apply(models.bad)
    code, said = run(rollout, "status", rollout.name, "--wait", "--timeout", f"{PATIENCE:.0f}s")
    assert code == 1, said
    assert "is below 0.7" in said.splitlines()[-1]

    hold(rollout, 900)
    rollout.apply(models.good)
    rollout.wait("Trial", models.good, PATIENCE)
    code, said = run(rollout, "status", rollout.name, "--wait", "--timeout", "1s")
    assert code == 2, said
    assert f"TimedOut: No verdict on {models.good} within 1s" in said

    look_closer(rollout, models, tmp_path)

    waiting = start(rollout, "status", rollout.name, "--wait")
    assert waiting.stdout is not None
    waiting.stdout.readline()
    rollout.apply(models.modest)
    said, _ = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 3, said
    assert f"Superseded: The spec asks for {models.modest} now" in said


def look_closer(rollout: Rollout, models: Trained, tmp_path: Path) -> None:
    """What explain, report and doctor read from the Prometheus that the operator's Deployment
    names.
    """
    revision = rollout.status()["candidate"]["revision"]
    # The trial has begun, but Prometheus may not have scraped its pod yet.
    said = succeeds(rollout, "explain", rollout.name, saying="ml_model_accuracy{pod=")
    assert re.search(rf'revision="{revision}"\}}\[\d+s\]', said), said

    file = tmp_path / "report.html"
    code, said = run(rollout, "report", rollout.name, "--file", str(file))
    assert (code, "Without plots" in said) == (0, False), said
    assert f"<strong>{models.good}</strong>" in file.read_text()

    # A test beside this one kills the operator; a doctor who comes just then says so, rightly.
    said = succeeds(
        rollout, "doctor", rollout.name, "-o", "json", saying="ml_model_accuracy: 1 pod"
    )
    found = json.loads(said)
    levels = {one["what"]: one["level"] for one in found}
    assert (
        levels.items()
        >= {
            "cluster": "good",
            "definition": "good",
            "operator": "good",
            "Prometheus": "good",
        }.items()
    ), said
    assert any("ml_model_accuracy: 1 pod" in one["found"] for one in found), said
