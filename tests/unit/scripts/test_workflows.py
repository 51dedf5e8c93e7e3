"""What every workflow must be: least rights, pinned actions, and its shell in scripts/, where tests
run it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))
PINNED = re.compile(r"^\s*(- )?uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
COMMANDS = (
    "make test-models",
    "make test-clients",
    "make lint",
    ".ci/run",
    "uv sync --frozen",
    "uv run --no-sync scripts/steps/",
    "uv publish",
    "gh release create",
    "scripts/",
)


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in read(path)["jobs"].values():
        yield from job.get("steps", ())


@pytest.fixture(params=WORKFLOWS, ids=lambda p: p.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_the_workflows_that_are_promised_are_there() -> None:
    assert {p.stem for p in WORKFLOWS} == {
        "ci-lint-test",
        "data-validation",
        "deploy",
        "e2e",
        "model-training",
        "release",
    }


def test_nothing_is_permitted_but_what_a_job_asks_for(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {}
    assert "concurrency" in workflow
    for job in workflow["jobs"].values():
        assert "uses" in job or job["timeout-minutes"]
        if path.stem != "release":
            assert job["permissions"] == {"contents": "read"}


def test_a_release_may_write_what_it_publishes_and_signs_as_itself() -> None:
    jobs = read(ROOT / ".github/workflows/release.yaml")["jobs"]
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "test": {"contents": "read"},
        "images": {"contents": "read", "packages": "write", "id-token": "write"},
        "release": {
            "contents": "write",
            "packages": "write",
            "attestations": "write",
            "id-token": "write",
        },
    }
    assert jobs["images"]["needs"] == "test"
    assert jobs["release"]["needs"] == "images"
    secret = [s for job in jobs.values() for s in job["steps"] if "secrets." in str(s)]
    assert not secret, "nothing is kept that could sign or publish"


def test_actions_are_pinned_and_leave_no_token_behind(path: Path) -> None:
    used = [
        line for line in path.read_text().splitlines() if "uses:" in line and "uses: ./" not in line
    ]
    assert all(PINNED.match(line) for line in used), used
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_shell_lives_in_scripts(path: Path) -> None:
    for step in steps(path):
        if command := step.get("run"):
            assert "\n" not in command.strip(), (
                "one command; what is more belongs in scripts/, where a test can run it"
            )
            assert "${{" not in command, (
                "what comes from outside goes through env, never into the shell's text"
            )
            assert command.startswith(COMMANDS)


def test_every_script_that_a_step_names_can_be_run_and_none_is_idle() -> None:
    named = {
        script
        for p in WORKFLOWS
        for s in steps(p)
        for script in re.findall(r"scripts/\S+\.sh|\.ci/run", s.get("run", ""))
    }
    for script in named:
        assert (ROOT / script).stat().st_mode & 0o111, f"{script} is not executable"
    idle = {
        f"scripts/steps/{p.name}"
        for p in (ROOT / "scripts/steps").glob("*.sh")
        if p.name != "common.sh"
    } - named
    assert not idle


def test_the_deployment_applies_and_waits_and_does_nothing_else() -> None:
    script = (ROOT / "scripts/steps/deploy_model.sh").read_text()
    verbs = {
        line.split("kubectl ", 1)[1].split()[0]
        for line in script.splitlines()
        if "kubectl " in line and not line.startswith("#")
    }
    assert verbs == {"patch", "apply", "modelrollout"}
    assert "kubectl patch --local" in script, (
        "the patch is of the text, not of what is in the cluster"
    )
    # YAML 1.1 reads the key `on` as true.
    told: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/deploy.yaml").read_text())
    assert set(told[True]) == {"workflow_dispatch", "workflow_call", "repository_dispatch"}
