"""The command line tool as a process."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cli:
    """`kubectl-modelrollout` with this kubeconfig, in this namespace."""

    kubeconfig: Path
    ns: str

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        program = Path(sys.executable).with_name("kubectl-modelrollout")
        variables = {**os.environ, "KUBECONFIG": str(self.kubeconfig), **env}
        arguments = [str(program), *words, *(["-n", self.ns] if "-A" not in words else [])]
        return subprocess.Popen(
            arguments, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __call__(self, *words: str, **env: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        process = self.start(*words, **env)
        out, err = process.communicate(timeout=90)
        return process.returncode, out, err

    def ok(self, *words: str, **env: str) -> str:
        code, out, err = self(*words, **env)
        assert code == 0, err
        return out
