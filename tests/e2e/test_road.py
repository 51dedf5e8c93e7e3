"""The road from raw data to a promoted model: the steps of the training and deploy workflows, in
their order, on the real cluster.
"""

import json
from pathlib import Path

import pytest

from scripts.demo.rollout import Rollout
from tests.e2e.conftest import setting
from tests.e2e.harness import PATIENCE
from tests.support.job import Job

NAME = "iris-road"


@pytest.fixture
def job(tmp_path: Path, rollout: Rollout) -> Job:
    """A checkout with a manifest for this test's namespace, in which the cluster and the registry
    are given as a workflow gets them.
    """
    made = Job(tmp_path)
    (made.root / "docs/examples/road.yaml").write_text(
        json.dumps(rollout.manifest(f"models:/{NAME}/1"))
    )
    made.env["MLFLOW_TRACKING_URI"] = setting("MLFLOW_TRACKING_URI")
    kubeconfig = Path(setting("KUBECONFIG")).read_text()
    assert made.run("write_kubeconfig.sh", KUBECONFIG_CONTENT=kubeconfig).returncode == 0
    return made


def trained(job: Job, *options: str) -> str:
    """Run the training workflow's step; returns its MODEL_URI."""
    done = job.run("train_model.sh", "trainer/recipes/iris.yaml", "--name", NAME, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return job.outputs()["model_uri"]


def test_from_raw_data_to_a_promoted_model_and_a_bad_one_refused(
    job: Job, rollout: Rollout
) -> None:
    done = job.run("validate_data.sh")
    assert done.returncode == 0, done.stdout + done.stderr

    good = trained(job, "--n-estimators", "25", "--max-depth", "4")
    done = job.run("deploy_model.sh", "docs/examples/road.yaml", good, f"{PATIENCE:.0f}s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert job.outputs() == {
        "model_uri": good,
        "verdict": "Promoted",
        "rollout": rollout.name,
        "namespace": rollout.namespace,
    }
    assert rollout.status()["stable"]["uri"] == good
    assert f"{good}, Promoted" in job.told("github_step_summary")

    bad = trained(job, "--shuffle-labels", "1.0")
    assert bad != good
    done = job.run("deploy_model.sh", "docs/examples/road.yaml", bad, f"{PATIENCE:.0f}s")
    assert done.returncode == 1, done.stdout + done.stderr
    assert job.outputs()["verdict"] == "RolledBack"
    (error,) = [line for line in done.stdout.splitlines() if line.startswith("::error::")]
    assert f"{bad}: RolledBack: " in error
    assert "below 0.7" in error, "the reason, with the threshold"
    assert "below 0.7" in job.told("github_step_summary")
    assert rollout.status()["stable"]["uri"] == good

    assert trained(job, "--n-estimators", "25", "--max-depth", "4") == good, (
        "the same data and recipe are the same version"
    )
    (job.root / "data/raw/iris.csv").write_text(
        "sepal_length,sepal_width,petal_length,petal_width,species\n5.1,35,1.4,0.2,setosa\n"
    )
    done = job.run("train_model.sh", "trainer/recipes/iris.yaml", "--name", NAME)
    assert done.returncode == 1
    assert "data/raw/iris.csv breaks its contract" in done.stderr
