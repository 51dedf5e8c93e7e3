"""Workflows by actionlint, with shellcheck for the shell in them; zizmor is part of `make lint`."""

import subprocess
import sys
from pathlib import Path

from tests.support.charts import ROOT, tool


def actionlint(*words: str | Path) -> subprocess.CompletedProcess[str]:
    shellcheck = Path(sys.executable).parent / "shellcheck"
    assert shellcheck.is_file(), "the lint group of uv.lock has it"
    command = [tool("actionlint"), "-shellcheck", shellcheck, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_workflows_are_sound() -> None:
    done = actionlint()
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_unsound_is_noticed(tmp_path: Path) -> None:
    broken = (
        (ROOT / ".github/workflows/deploy.yaml")
        .read_text()
        .replace("steps.deploy.outputs", "steps.deplyo.outputs")
    )
    (tmp_path / "broken.yaml").write_text(broken)
    done = actionlint(tmp_path / "broken.yaml")
    assert done.returncode == 1
    assert "deplyo" in done.stdout
