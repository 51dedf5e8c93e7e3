"""Whom the source of a version may lead MLflow's client to."""

import pytest

from rollout_inference.loading.sources import refuse_foreign
from rollout_model.errors import LoadFailed

HERE = {"MLFLOW_TRACKING_URI": "https://reader:secret@mlflow:5000"}
ONE = {**HERE, "MODEL_VOLUMES": "/srv/models:/mnt/more"}
FINE: dict[str, tuple[str, dict[str, str]]] = {
    "MLflow's proxy": ("mlflow-artifacts:/1/models/m-1/artifacts", HERE),
    "the proxy by its name": ("mlflow-artifacts://mlflow:5000/1/models/m-1", HERE),
    "MLflow by its URL": ("https://mlflow:5000/api/2.0/mlflow-artifacts/artifacts/1", HERE),
    "a store": ("s3://models/1", ONE),
    "a folder, where nothing is to be kept": ("file:///srv/models/1", HERE),
    "a folder of a volume": ("file:///srv/models/1/artifacts", ONE),
    "a path of the other volume": ("/mnt/more/1", ONE),
}
FOREIGN: dict[str, tuple[str, dict[str, str], str]] = {
    "another server's proxy": ("mlflow-artifacts://evil:5000/1", HERE, "another server than"),
    "another server": ("http://evil/model", HERE, "another server than MLflow"),
    "another port": ("https://mlflow:6000/model", HERE, "another server than MLflow"),
    "a user in the host's place": ("https://mlflow:5000@evil/model", HERE, "another server than"),
    "the pod's credentials": ("file:///var/run/rollouts/credentials", ONE, "is a folder of this"),
    "the step's own memory": ("/proc/self", ONE, "is a folder of this pod"),
    "a way out of a volume": ("file:///srv/models/../../proc/self", ONE, "is a folder of this pod"),
    "one that is written otherwise": ("file:///srv/models/%2e%2e/etc", ONE, "is a folder of this"),
    "a volume's neighbour": ("file:///srv/models-2", ONE, "is a folder of this pod"),
    "a folder, where no volume is": ("file:///srv", {**HERE, "MODEL_VOLUMES": ""}, "is a folder"),
}


@pytest.mark.parametrize(("source", "env"), FINE.values(), ids=FINE.keys())
def test_what_mlflow_keeps_is_fetched(source: str, env: dict[str, str]) -> None:
    refuse_foreign(source, env)


@pytest.mark.parametrize(("source", "env", "told"), FOREIGN.values(), ids=FOREIGN.keys())
def test_what_would_give_credentials_away_is_refused(
    source: str, env: dict[str, str], told: str
) -> None:
    with pytest.raises(LoadFailed, match=told):
        refuse_foreign(source, env)
