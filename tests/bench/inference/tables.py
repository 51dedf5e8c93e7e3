"""A pipeline of text and number columns beside the same pipeline in other servers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from rollout_model.onnx_conversion import add_bundle
from rollout_model.trusted_types import TRUSTED_TYPES
from tests.bench.inference.parts import CONNECTIONS, Bench, with_cpu
from tests.bench.inference.peers import Peer, mlflow_serve, mlserver, ours
from tests.bench.traffic_figures import Figure

COUNT = 2_000
GOALS = {"mlflow": 100, "mlserver": 20}
"""Times as many requests a second as theirs."""
KINDS = {"review": "BYTES", "city": "BYTES", "age": "FP64", "spent": "FP64"}
WORDS = ["late", "broken", "kind", "quick", "refund", "never", "good", "bad", "wrong", "fair"]
ROW = {
    "review": "never again, the box came late and broken",
    "city": "Bern",
    "age": 41.0,
    "spent": 12.5,
}


def orders() -> tuple[pd.DataFrame, Any]:
    """Rows, and whether the customer goes; the same every time."""
    random = np.random.default_rng(0)
    words = [*WORDS, *(f"word{n}" for n in range(500))]
    rows = pd.DataFrame(
        {
            "review": [" ".join(random.choice(words, 12)) for _ in range(COUNT)],
            "city": random.choice(["Bern", "Graz", "Lyon", "Oslo"], COUNT),
            "age": random.integers(18, 90, COUNT).astype(float),
            "spent": np.exp(random.normal(3, 1, COUNT)).round(2),
        }
    )
    rows.loc[::9, "age"] = np.nan
    return rows, (rows["review"].str.contains("broken|late") | (rows["spent"] > 50)).astype(int)


def made(scratch: Path) -> tuple[Path, Path]:
    """The pipeline in MLflow's folder, with its conversion, and as a joblib file."""
    rows, labels = orders()
    model = make_pipeline(
        make_column_transformer(
            (TfidfVectorizer(), "review"),
            (OneHotEncoder(handle_unknown="ignore"), ["city"]),
            (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "spent"]),
        ),
        LogisticRegression(max_iter=1_000),
    ).fit(rows, labels)
    folder, file = scratch / "orders", scratch / "orders.joblib"
    mlflow.sklearn.save_model(
        model,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=sorted(TRUSTED_TYPES),
        signature=infer_signature(rows, model.predict(rows)),
        input_example=rows.head(2),
        pip_requirements=["scikit-learn"],
    )
    plan = add_bundle(model, folder, rows)
    assert plan.runtime == "onnx", plan.reason
    joblib.dump(model, file)
    return folder, file


def tensors(_rows: object) -> Any:
    """One row as MLServer's pandas codec takes it."""
    inputs = [
        {
            "name": name,
            "shape": [1, 1],
            "datatype": kind,
            "data": [ROW[name]],
            "parameters": {"content_type": "str" if kind == "BYTES" else "np"},
        }
        for name, kind in KINDS.items()
    ]
    return {"inputs": inputs, "parameters": {"content_type": "pd"}}


def split(_rows: object) -> Any:
    return {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}}


def tables(bench: Bench) -> Iterator[Figure]:
    """One row of text and numbers in a request, 16 connections, with all metrics on."""
    folder, file = made(bench.scratch)
    peers = {
        "ours": Peer("ours", ours(folder), "/predict/", lambda _: {"instances": [ROW]}),
        "mlflow": Peer("mlflow models serve", mlflow_serve(folder), "/invocations", split),
        "mlserver": Peer(
            "MLServer scikit-learn",
            mlserver("orders", "mlserver_sklearn.SKLearnModel", file),
            "/v2/models/orders/infer",
            tensors,
        ),
    }
    with (paired := replace(bench, peers=peers)).running("ours") as own:
        yield Figure(
            "text and numbers: start to ready",
            round(own["ours"].seconds, 2),
            "s",
            "<= 2",
            own["ours"].seconds <= 2,
            "converted by the trainer",
        )
        for name, goal in GOALS.items():
            with paired.running(name) as theirs:
                loads, cpu = paired.turns({**own, **theirs}, 1, CONNECTIONS)
            metric = f"text and numbers, 1 row: requests by {name}"
            yield with_cpu(paired.requests(metric, loads, name, goal), cpu, name)
