"""Models of other libraries, and those that scikit-learn has to serve itself, beside the servers
that people have for them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import mlflow.lightgbm
import mlflow.xgboost
import numpy as np
import xgboost
from mlflow.models import infer_signature

from rollout_trainer.data import load
from scripts.cluster.paths import REPOSITORY
from tests.bench.inference.beside import by_sklearn
from tests.bench.inference.parts import CONNECTIONS, Bench, with_cpu
from tests.bench.inference.peers import Peer, instances, mlflow_serve, mlserver, ours, split, tensor
from tests.bench.traffic_figures import Figure

TREES = 100
OWN_RUNTIME, MLFLOW = 10, 5
"""Goals: times as many requests a second."""


def boosted(scratch: Path) -> dict[str, tuple[Path, Path, str]]:
    """A model of each library on Iris: MLflow's folder, the library's own file, and MLServer's
    runtime for it.
    """
    data = load(REPOSITORY / "data" / "raw" / "iris.csv")
    codes = np.unique(data.train_labels, return_inverse=True)[1]
    known: dict[str, Any] = {"n_estimators": TREES, "n_jobs": 1}
    forest = xgboost.XGBClassifier(**known).fit(data.train, codes)
    leaves = lightgbm.LGBMClassifier(**known, verbose=-1).fit(data.train, codes).booster_
    example = data.test.head(2)
    xgb, lgb = scratch / "xgboost", scratch / "lightgbm"
    mlflow.xgboost.save_model(
        forest,
        str(xgb),
        signature=infer_signature(example, forest.predict(example)),
        input_example=example,
        pip_requirements=["xgboost"],
    )
    mlflow.lightgbm.save_model(
        leaves,
        str(lgb),
        signature=infer_signature(example, leaves.predict(example)),
        input_example=example,
        pip_requirements=["lightgbm"],
    )
    files = scratch / "forest.json", scratch / "leaves.txt"
    forest.save_model(files[0])
    leaves.save_model(files[1])
    return {
        "xgboost": (xgb, files[0], "mlserver_xgboost.XGBoostModel"),
        "lightgbm": (lgb, files[1], "mlserver_lightgbm.LightGBMModel"),
    }


def libraries(bench: Bench) -> Iterator[Figure]:
    """One row in a request, 16 connections: XGBoost and LightGBM beside MLServer's own runtimes for
    them, and what scikit-learn serves beside `mlflow models serve`.
    """
    for name, (folder, file, runtime) in boosted(bench.scratch).items():
        theirs = mlserver("iris", runtime, file)
        peer = Peer(f"MLServer {name}", theirs, "/v2/models/iris/infer", tensor)
        yield _beside(bench, name, folder, peer, OWN_RUNTIME)
    folder = by_sklearn(bench.scratch)
    peer = Peer("mlflow models serve", mlflow_serve(folder), "/invocations", split)
    yield _beside(bench, "by scikit-learn", folder, peer, MLFLOW)


def _beside(bench: Bench, name: str, folder: Path, peer: Peer, goal: int) -> Figure:
    peers = {"ours": Peer("ours", ours(folder), "/predict/", instances), "theirs": peer}
    paired = replace(bench, peers=peers)
    with paired.running(*peers) as servers:
        loads, cpu = paired.turns(servers, 1, CONNECTIONS)
    metric = f"{name}, 1 row: requests by {peer.name}"
    return with_cpu(paired.requests(metric, loads, "theirs", goal), cpu, "theirs")
