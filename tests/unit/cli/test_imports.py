"""What an import costs: help and completion load nothing slow, and one module the client."""

import subprocess
import sys
from pathlib import Path

import pytest

import rollout_cli

HERE = Path(rollout_cli.__file__).parent
SLOW = ("kubernetes", "cel", "matplotlib", "jinja2", "pydantic", "urllib3")


def loaded(*modules: str) -> set[str]:
    """Which of the slow ones a fresh interpreter has after these imports."""
    code = f"import sys, {', '.join(modules)}; print(*sorted({SLOW!r} & sys.modules.keys()))"
    code = code.replace(repr(SLOW), f"set({SLOW!r})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def modules_of(package: str) -> list[str]:
    """Every module of a package of the command line."""
    files = sorted((HERE / package).glob("*.py"))
    return [f"rollout_cli.{package}.{file.stem}" for file in files]


@pytest.mark.parametrize("entry", ["rollout_cli.app", "rollout_cli.complete"])
def test_help_and_completion_load_nothing_slow(entry: str) -> None:
    assert loaded(entry) == set()


@pytest.mark.parametrize(
    ("package", "needs"),
    [
        ("verbs", set()),
        ("api", {"pydantic"}),
        ("view", {"pydantic"}),
        ("doctor", {"pydantic"}),
        ("offline", {"pydantic", "cel"}),
        ("report", {"pydantic", "jinja2", "matplotlib"}),
        ("commands", {"pydantic", "jinja2", "matplotlib", "cel", "urllib3"}),
        ("cluster", {"pydantic", "urllib3", "kubernetes"}),
    ],
)
def test_a_package_loads_what_it_needs_and_nothing_else(package: str, needs: set[str]) -> None:
    assert loaded(*modules_of(package)) == needs


def test_a_report_without_matplotlib_says_how_to_get_it() -> None:
    """As in the single file of a release, which leaves matplotlib out."""
    code = (
        "import sys; sys.modules['matplotlib'] = None; from rollout_cli.__main__ import run;"
        " sys.exit(run(['report', 'iris']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert "pip install 'model-rollouts[cli]'" in done.stderr
