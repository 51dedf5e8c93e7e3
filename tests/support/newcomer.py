"""Somebody who has a cluster, Prometheus, MLflow and a router, and types what a page says."""

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scripts.cluster import gobuild
from scripts.cluster.images import PASSED_ARGUMENTS
from scripts.cluster.paths import CACHE
from scripts.release.tools import program

ROOT = Path(__file__).parents[2]
PATIENCE = 1200.0
"""Seconds for all that is typed at once: images are built in it, and packages fetched."""

QUICK_STARTS: Mapping[str, tuple[Sequence[str], int]] = {
    "README.md": (["Quick start A: with Helm, on your cluster"], 1),
    "docs/getting-started/quickstart-helm.md": (
        [
            "1. Build the images",
            "2. Install the operator",
            "3. Check what it depends on",
            "4. Train a model and ask for it",
            "5. Roll out a second version",
        ],
        2,
    ),
}
"""Of each page: the sections that are typed, to a watch that goes on until Ctrl-C; and the version,
and attempt, that is promoted by then.
"""


class Newcomer:
    """One with a fresh checkout, home and shell."""

    def __init__(self, folder: Path, kubeconfig: str) -> None:
        self.checkout = folder / "checkout"
        self._clone()
        programs = folder / "programs"
        programs.mkdir()
        (programs / "kubectl").symlink_to(gobuild.program("kubectl"))
        (programs / "kubectl-krew").symlink_to(program("krew"))
        # The registry here has no certificate.
        helm = shlex.quote(str(gobuild.program("helm")))
        plain = f"""case " $*" in *" oci://"*) exec {helm} "$@" --plain-http;; esac"""
        script(programs / "helm", f'{plain}\nexec {helm} "$@"')
        python = f"PYTHONPATH={ROOT} exec {shlex.quote(sys.executable)}"
        script(programs / "docker", f'{python} -m tests.support.docker_words "$@"')
        kept = {k: os.environ[k] for k in PASSED_ARGUMENTS if k in os.environ}
        self.env = {
            # As krew's own page has it written into one's profile.
            "PATH": f"{folder / '.krew/bin'}:{programs}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "KUBECONFIG": kubeconfig,
            "ROLLOUTS_CACHE": str(CACHE),
            "PIP_CACHE_DIR": str(CACHE / "pip"),
            **kept,
        }
        self.folder = folder

    def _clone(self) -> None:
        """All files that Git knows, as they stand here."""
        listed = subprocess.run(
            ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True
        ).stdout
        self.checkout.mkdir()
        copy = ["tar", "-C", str(ROOT), "--null", "--files-from=-", "-cf", "-"]
        packed = subprocess.run(copy, input=listed.encode(), capture_output=True, check=True)
        subprocess.run(["tar", "-C", self.checkout, "-xf", "-"], input=packed.stdout, check=True)

    def types(
        self, blocks: Iterable[str], instead: Mapping[str, str], until: str = ""
    ) -> list[str]:
        """Type blocks, one after the other, in one shell that ends where a command fails; words
        that stand for the reader's own are replaced. Where the last command does not end by
        itself, Ctrl-C is pressed once a line has `until`. Returns what each block printed.
        """
        typed = "".join(f"echo '{_MARK}'{n}\n{block}" for n, block in enumerate(blocks))
        for word, own in instead.items():
            typed = typed.replace(word, own)
        file = self.folder / "typed.sh"
        file.write_text(typed)
        process = subprocess.Popen(
            # Whoever runs the tests in the background has SIGINT ignored, and its children too.
            ["env", "--default-signal=INT", "bash", "--norc", "-eu", str(file)],
            cwd=self.checkout,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        late = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
        late.start()
        printed: list[str] = []
        pressed = False
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(_MARK):
                    printed.append("")
                    continue
                printed[-1] += line
                print(line, end="")
                last = len(printed) == typed.count(_MARK)
                if until and last and until in line and not pressed:
                    os.killpg(process.pid, signal.SIGINT)
                    pressed = True
            code = process.wait()
        finally:
            late.cancel()
        ended = pressed if until else code == 0
        assert ended, f"What was typed ended with {code}:\n{printed[-1][-3000:]}"
        return printed


def script(file: Path, text: str) -> None:
    """Write a program for sh."""
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


_MARK = "# typed: "
