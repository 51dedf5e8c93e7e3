"""The command line tool where everything is real: the four ends of a wait, and what it reads from Prometheus through the API server."""

import json
import subprocess
import sys
from pathlib import Path

from scripts.demo.rollout import Rollout, eventually
from tests.e2e.harness import PATIENCE, SYSTEM, Trained, hold

PROGRAM = str(Path(sys.executable).with_name("kubectl-modelrollout"))


def start(rollout: Rollout, *words: str) -> subprocess.Popen[str]:
    command = [PROGRAM, *words, "-n", rollout.namespace]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(rollout: Rollout, *words: str) -> tuple[int, str]:
    """Exit code, and what it said."""
    process = start(rollout, *words)
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def with_an_operator(answer: tuple[int, str]) -> tuple[int, str] | None:
    """The doctor's answer, or None where the operator has no available pod at the moment."""
    return None if f"{SYSTEM}/rollout-operator has no available pod" in answer[1] else answer


def with_a_sample(answer: tuple[int, str]) -> str | None:
    """What explain says, or None where Prometheus has no sample of accuracy yet."""
    code, said = answer
    assert code == 0, said
    return said if "ml_model_accuracy{pod=" in said else None


def test_the_four_ends_of_a_wait(rollout: Rollout, models: Trained, tmp_path: Path) -> None:
    rollout.apply(models.modest)
    code, said = run(rollout, "status", rollout.name, "--wait", "--timeout", "3m")
    assert code == 0, said
    assert said.splitlines()[-1].startswith(f"Promoted: {models.modest} is stable: accuracy 0.")

    rollout.apply(models.bad)
    code, said = run(rollout, "status", rollout.name, "--wait", "--timeout", "3m")
    assert code == 1, said
    assert "is below 0.7" in said.splitlines()[-1]

    hold(rollout, 120)
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
    """What explain, report and doctor read from the Prometheus that the operator's Deployment names."""
    revision = rollout.status()["candidate"]["revision"]
    # The trial has begun, but Prometheus may not have scraped its pod yet.
    said = eventually(lambda: with_a_sample(run(rollout, "explain", rollout.name)), "a sample of the candidate in explain", PATIENCE)
    assert f'revision="{revision}"}}[30s]' in said

    file = tmp_path / "report.html"
    code, said = run(rollout, "report", rollout.name, "--file", str(file))
    assert (code, "Without plots" in said) == (0, False), said
    assert f"<strong>{models.good}</strong>" in file.read_text()

    # A test beside this one kills the operator; a doctor who comes just then says so, rightly.
    code, said = eventually(lambda: with_an_operator(run(rollout, "doctor", rollout.name, "-o", "json")), "an available operator", PATIENCE)
    found = json.loads(said)
    assert code == 0, said
    levels = {one["what"]: one["level"] for one in found}
    assert levels.items() >= {"cluster": "good", "definition": "good", "operator": "good", "Prometheus": "good"}.items(), said
    assert any("ml_model_accuracy: 1 pod" in one["found"] for one in found), said
