"""Ten models that are not what they should be, in real pods: none is executed, none serves, and
each one's reason stands in a condition.
"""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

from rollout_model.digest import tree_digest
from rollout_trainer.data import load
from rollout_trainer.evaluate import evaluate
from rollout_trainer.package import write_package
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit
from scripts.cluster.paths import REPOSITORY
from scripts.demo.rollout import Rollout, eventually
from scripts.kube import Kube
from tests.e2e.conftest import setting
from tests.e2e.harness import DIGEST_TAG, PATIENCE
from tests.support import malicious

NAME = "iris-malicious"
MOST = 2 * 1024**3
"""Bytes of a model that a pod takes: the server's default."""
REAL = (
    "a symbolic link",
    "no signature",
    "an accuracy that is no share",
    "oversized",
    "oversized when unpacked",
)
"""Not among the ten, or done in another way: what cannot be uploaded, and what is a mistake rather
than an attack.
"""


def nothing(_: Path) -> None:
    """The files are a good model's; what is recorded of them is not."""


MODELS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    **{name: one for name, one in malicious.REFUSED.items() if name not in REAL},
    "oversized when unpacked": (
        partial(malicious.spoil_by_unpacked_size, most=MOST),
        "too large: model.skops unpacks to",
    ),
    "another content than recorded": (nothing, "DigestMismatch"),
}


def registered(client: MlflowClient, folder: Path, digest: str) -> str:
    """Upload the folder as it is and register it with this digest; returns the MODEL_URI."""
    experiment = client.get_experiment_by_name(NAME)
    home = experiment.experiment_id if experiment else client.create_experiment(NAME)
    run = client.create_run(home)
    client.log_artifacts(run.info.run_id, str(folder), "model")
    if not client.search_registered_models(f"name = '{NAME}'"):
        client.create_registered_model(NAME)
    made = client.create_model_version(
        NAME, f"{run.info.artifact_uri}/model", run.info.run_id, tags={DIGEST_TAG: digest}
    )
    return f"models:/{NAME}/{made.version}"


def test_malicious_models_are_refused_with_a_reason(
    kube: Kube, rollout: Rollout, tmp_path: Path
) -> None:
    assert len(MODELS) == 13
    mlflow.set_tracking_uri(setting("MLFLOW_TRACKING_URI"))
    client, split = MlflowClient(), load(REPOSITORY / "data" / "raw" / "iris.csv")
    model = fit(split, Recipe(parameters={"n_estimators": 3}))
    write_package(tmp_path / "good", model, split, evaluate(model, split))
    settings = {
        **rollout.settings,
        "strategy": {**rollout.settings["strategy"], "progressDeadline": "20m"},
    }
    waiting: dict[str, tuple[Rollout, str]] = {}
    for number, (name, (spoil, sentence)) in enumerate(MODELS.items()):
        folder = Path(shutil.copytree(tmp_path / "good", tmp_path / str(number) / "model"))
        spoil(folder)
        digest = (
            "sha256:" + "0" * 64 if name == "another content than recorded" else tree_digest(folder)
        )
        one = Rollout(kube, rollout.namespace, f"m{number}", settings)
        one.apply(registered(client, folder, digest))
        waiting[name] = (one, sentence)

    def told() -> bool | None:
        for name, (one, sentence) in list(waiting.items()):
            status = one.status()
            assert not status.get("stable"), f"{one.name} serves"
            if any(sentence in c.get("message", "") for c in status.get("conditions", ())):
                # Its pod would try again and again, beside the other tests.
                kube.delete(one.path)
                del waiting[name]
        return None if waiting else True

    def instead() -> str:
        return "; ".join(
            f"{one.name}: {sentence!r} is not in {one.status().get('conditions')}"
            for one, sentence in waiting.values()
        )

    eventually(told, "the reasons to stand in conditions", 2 * PATIENCE, instead, pause=2)
