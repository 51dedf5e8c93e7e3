"""The workflows' steps as GitHub Actions runs them, as far as no cluster is needed: outputs,
summary, exit codes, sentences.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.job import Job

GOOD = ("docs/examples/iris.yaml", "models:/iris/7")
HEADER = "sepal_length,sepal_width,petal_length,petal_width,species\n"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param([], "usage:", id="nothing"),
        pytest.param([GOOD[0]], "usage:", id="no model"),
        pytest.param([GOOD[0], "iris/7"], "is no MODEL_URI", id="no scheme"),
        pytest.param(
            [GOOD[0], "models:/iris/latest"], "is no MODEL_URI", id="a word for a version"
        ),
        pytest.param([GOOD[0], "models:/../7"], "is no MODEL_URI", id="a path"),
        pytest.param(
            [GOOD[0], 'models:/iris/7","paused":true,"x":"'],
            "is no MODEL_URI",
            id="more fields by a quote",
        ),
        pytest.param(
            ["docs/examples/none.yaml", "models:/my größe/7"],
            "is no file of this repository",
            id="blank and accents",
        ),
        pytest.param(
            ["docs/examples/none.yaml", "models:/iris@2026-q4"],
            "is no file of this repository",
            id="an alias of digits",
        ),
        pytest.param([GOOD[0], "models:/iris/7\nx"], "is no MODEL_URI", id="a second line"),
        pytest.param([GOOD[0], "models:/iris\u2028/7"], "is no MODEL_URI", id="a line separator"),
        pytest.param(
            [GOOD[0], "models:/iris\u202e/7"], "is no MODEL_URI", id="a mark of direction"
        ),
        pytest.param(
            [GOOD[0], "models:/iris\u00a0x/7"], "is no MODEL_URI", id="a blank that does not break"
        ),
        pytest.param([GOOD[0], "models:/iris/0"], "is no MODEL_URI", id="version 0"),
        pytest.param([*GOOD, "soon"], "is no duration", id="a word for a duration"),
        pytest.param(
            ["docs/examples/none.yaml", GOOD[1]],
            "is no file of this repository",
            id="no such manifest",
        ),
        pytest.param(
            ["/etc/passwd", GOOD[1]], "is no file of this repository", id="a file of the machine"
        ),
        pytest.param(
            ["docs/../../secret", GOOD[1]],
            "is no file of this repository",
            id="out of the repository",
        ),
        pytest.param(["-f", GOOD[1]], "is no file of this repository", id="an option"),
    ],
)
def test_a_deployment_of_nonsense_is_refused_before_the_cluster_is_asked(
    job: Job, words: list[str], sentence: str
) -> None:
    done = job.run("deploy_model.sh", *words)
    assert done.returncode == 64
    assert sentence in done.stderr
    assert "::error::" in done.stdout
    assert not job.told("github_output")


KUBECTL = """#!/bin/sh
case "$1 $*" in
patch*jsonpath*) echo rollouts.mlops.dev/v1alpha1 ModelRollout iris models ;;
modelrollout*)
  echo "        0 s  Promoted    models:/iris/7 is stable."
  echo "$END: for this reason: none"
  exit $CODE
  ;;
esac
"""


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("Promoted", 0),
        ("RolledBack", 1),
        ("Halted", 1),
        ("Invalid", 1),
        ("Stalled", 1),
        ("TimedOut", 2),
        ("Superseded", 3),
    ],
)
def test_a_deployment_ends_with_the_word_and_the_exit_code_of_the_wait(
    job: Job, word: str, code: int
) -> None:
    """No cluster can be made to come to each end at will; that `status` says these words is held by
    its own tests.
    """
    kubectl = job.folder / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    done = job.run(
        "deploy_model.sh",
        *GOOD,
        PATH=f"{kubectl.parent}:{job.env['PATH']}",
        END=word,
        CODE=str(code),
    )
    assert (done.returncode, job.outputs()["verdict"]) == (code, word), done.stdout + done.stderr


def test_validation_tells_of_every_file_before_it_fails(job: Job) -> None:
    raw = job.root / "data/raw"
    shutil.copy(job.root / "data/contracts/iris.yaml", job.root / "data/contracts/a-bad-one.yaml")
    (raw / "a-bad-one.csv").write_text(HEADER + "5.1,35,1.4,0.2,setosa\n")
    done = job.run("validate_data.sh")
    assert done.returncode == 1, done.stdout + done.stderr
    summary = job.told("github_step_summary")
    assert "35 in row 2" in summary
    assert "data/raw/iris.csv meets its contract" in summary
    assert {p.name for p in (job.root / "build/data").iterdir()} == {"a-bad-one.html", "iris.html"}


def test_validation_of_what_is_not_there(job: Job) -> None:
    assert job.run("validate_data.sh", "data/raw/none.csv").returncode == 2


def test_training_gives_the_model_uri_to_the_next_job(job: Job) -> None:
    store = f"sqlite:///{job.folder}/mlflow.db"
    done = job.run(
        "train_model.sh",
        "trainer/recipes/iris.yaml",
        "--set",
        "n_estimators=2",
        MLFLOW_TRACKING_URI=store,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert job.told("github_output") == "model_uri=models:/iris/1\n"
    summary = job.told("github_step_summary")
    assert "data/raw/iris.csv meets its contract" in summary
    assert "held-out rows" in summary


def test_training_on_bad_data_ends_with_the_reason(job: Job) -> None:
    (job.root / "data/raw/iris.csv").write_text(HEADER + "5.1,35,1.4,0.2,setosa\n")
    done = job.run(
        "train_model.sh", "trainer/recipes/iris.yaml", MLFLOW_TRACKING_URI="sqlite:///mlflow.db"
    )
    assert done.returncode == 1
    assert "::error::Data of iris: data/raw/iris.csv breaks its contract" in done.stdout
    assert not job.told("github_output")


@pytest.mark.parametrize(
    ("step", "words", "env", "sentence"),
    [
        pytest.param(
            "train_model.sh", [], {"MLFLOW_TRACKING_URI": "x"}, "Name a recipe", id="no recipe"
        ),
        pytest.param(
            "train_model.sh",
            ["none.yaml"],
            {"MLFLOW_TRACKING_URI": "x"},
            "does not exist",
            id="no such recipe",
        ),
        pytest.param(
            "train_model.sh",
            ["trainer/recipes/iris.yaml"],
            {},
            "MLFLOW_TRACKING_URI is not set",
            id="no registry",
        ),
        pytest.param(
            "write_kubeconfig.sh", [], {}, "secret KUBECONFIG is empty", id="no kubeconfig"
        ),
        pytest.param("release.sh", ["1.0.0"], {}, "is no version", id="a tag without v"),
        pytest.param("release.sh", [], {}, "is no version", id="no tag"),
    ],
)
def test_what_is_missing_is_a_sentence(
    job: Job, step: str, words: list[str], env: dict[str, str], sentence: str
) -> None:
    done = job.run(step, *words, **env)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_kubeconfig_is_readable_for_the_job_alone(job: Job) -> None:
    assert job.run("write_kubeconfig.sh", KUBECONFIG_CONTENT="apiVersion: v1").returncode == 0
    file = Path(job.told("github_env").strip().removeprefix("KUBECONFIG="))
    assert file.read_text() == "apiVersion: v1\n"
    assert file.stat().st_mode & 0o077 == 0


def test_a_fence_cannot_be_ended_by_what_is_in_it(job: Job) -> None:
    script = f"source {job.root}/scripts/steps/common.sh; printf 'a\\n``````````\\nb\\n' | fenced"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["`````text", "a", "````", "b", "`````"]
