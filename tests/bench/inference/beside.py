"""`--beside PATH`: this server beside that of another checkout, with its own .venv, for one row and
16 connections. Ratios are of runs that took turns, so that the machine's mood counts for neither.
"""

import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from rollout_model.trusted_types import TRUSTED_TYPES
from rollout_trainer.data import load
from scripts.cluster.paths import REPOSITORY
from tests.bench.inference.measure import Load, ratio
from tests.bench.inference.parts import CONNECTIONS, Bench
from tests.bench.inference.peers import Peer, instances, ours
from tests.bench.traffic_figures import Figure

WORSE = 0.03
"""Share by which neither figure may be worse."""


def by_sklearn(scratch: Path) -> Path:
    """A model that no conversion is tried of, so that scikit-learn serves it."""
    folder = scratch / "log-probabilities"
    data = load(REPOSITORY / "data" / "raw" / "iris.csv")
    model = LogisticRegression(max_iter=1_000).fit(data.train, data.train_labels)
    mlflow.sklearn.save_model(
        model,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=sorted(TRUSTED_TYPES),
        signature=infer_signature(data.test, model.predict(data.test)),
        input_example=data.test.head(2),
        pip_requirements=["scikit-learn"],
        pyfunc_predict_fn="predict_log_proba",
    )
    return folder


def beside(bench: Bench, other: Path) -> Iterator[Figure]:
    """Requests a second, and CPU time of a request, of this checkout by that of the other."""
    models = {"ONNX Runtime": bench.made.folder, "scikit-learn": by_sklearn(bench.scratch)}
    pythons = {"ours": Path(sys.executable), "beside": other / ".venv" / "bin" / "python"}
    for runtime, folder in models.items():
        peers = {
            name: Peer(name, ours(folder, python), "/predict/", instances)
            for name, python in pythons.items()
        }
        paired = replace(bench, peers=peers)
        with paired.running(*peers) as servers:
            loads, cpu = paired.turns(servers, 1, CONNECTIONS)
        for name, unit, value in (
            ("requests", "1/s", lambda load: load.rate),
            ("median latency", "s", lambda load: load.p50),
        ):
            yield _compared(f"{runtime}: {name}", unit, loads, value)
        spent = cpu["ours"] / cpu["beside"]
        yield Figure(
            f"{runtime}: CPU of a request",
            round(spent, 3),
            "x",
            f"<= {1 + WORSE}",
            spent <= 1 + WORSE,
            f"{cpu['beside']:.1f} µs, ours {cpu['ours']:.1f} µs",
        )


def _compared(
    name: str, unit: str, loads: dict[str, list[Load]], of: Callable[[Load], float]
) -> Figure:
    figures = {which: [of(load) for load in runs] for which, runs in loads.items()}
    value = ratio(figures["ours"], figures["beside"])
    least = unit == "1/s"
    return Figure(
        name,
        round(value, 3),
        "x",
        f">= {1 - WORSE}" if least else f"<= {1 + WORSE}",
        value >= 1 - WORSE if least else value <= 1 + WORSE,
        f"{statistics.median(figures['beside']):.4g} {unit},"
        f" ours {statistics.median(figures['ours']):.4g} {unit}",
    )
