"""A job of GitHub Actions, as far as the steps notice: a checkout, and the files that it gives for
outputs, summary and environment.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("scripts/steps", "data", "trainer/recipes", "docs/examples", "crds")


class Job:
    """A checkout of its own in `folder`, so that steps may write into it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        for name in COPIED:
            shutil.copytree(ROOT / name, self.root / name)
        self.folder = folder
        files = {
            name: str(folder / name.lower())
            for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")
        }
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.env = {
            "PATH": path,
            "HOME": str(folder),
            "GITHUB_ACTIONS": "true",
            "RUNNER_TEMP": str(folder),
            **files,
        }

    def run(self, step: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run scripts/steps/<step> with the environment that earlier steps have left, and `env`."""
        left = dict(line.split("=", 1) for line in self.told("github_env").splitlines())
        command = [str(self.root / "scripts/steps" / step), *words]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={**self.env, **left, **env},
        )

    def told(self, name: str) -> str:
        """What a step has written into the file: github_output,
        github_step_summary or github_env.
        """
        file = self.folder / name
        return file.read_text() if file.exists() else ""

    def outputs(self) -> dict[str, str]:
        """The newest value of every output."""
        return dict(line.split("=", 1) for line in self.told("github_output").splitlines())
