"""The servers that ours is measured beside: installed into environments of their own, in the cache,
and started as their manuals say.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib

from rollout_inference.loading.prepare_worker import prepare
from rollout_model import onnx_bundle
from rollout_model.load_policy import LoadPolicy
from rollout_model.serving_plan import ONNX_FILE
from rollout_trainer.data import load
from rollout_trainer.evaluate import evaluate
from rollout_trainer.package import write_package
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit
from scripts.cluster.paths import CACHE, REPOSITORY
from tests.bench.inference.measure import Server, free_port

SERVERS = Path(__file__).parent / "servers"
ROW = [5.1, 3.5, 1.4, 0.2]
ENVIRONMENTS = {
    "mlflow": [
        "mlflow==3.17.2",
        *(f"{name}=={version(name)}" for name in ("scikit-learn", "skops", "pandas", "numpy")),
    ],
    # MLServer's worker fails with newer versions of uvloop.
    "mlserver": [
        "mlserver==1.7.1",
        "mlserver-sklearn==1.7.1",
        "mlserver-xgboost==1.7.1",
        "mlserver-lightgbm==1.7.1",
        f"xgboost=={version('xgboost-cpu')}",
        f"lightgbm=={version('lightgbm')}",
        "uvloop<0.22",
        "onnxruntime",
        f"scikit-learn=={version('scikit-learn')}",
    ],
}
CLIENTS = {"kserve": ["kserve==0.21.0", f"numpy=={version('numpy')}"]}
"""Environments of clients alone, which nothing is measured beside."""


def environment(name: str) -> Path:
    """The bin folder of an environment, made where it is not there or holds something else."""
    packages = (ENVIRONMENTS | CLIENTS)[name]
    folder, wanted = CACHE / "peers" / name, "\n".join(packages)
    mark = folder / "installed.txt"
    if not mark.exists() or mark.read_text() != wanted:
        uv = shutil.which("uv") or str(next((CACHE / "tools").glob("uv-*/bin/uv")))
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True
        )
        python = folder / "bin" / "python"
        subprocess.run(
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--compile-bytecode",
                "--python",
                python,
                *packages,
            ],
            check=True,
        )
        mark.write_text(wanted)
    return folder / "bin"


@dataclass(frozen=True, slots=True)
class Models:
    """The same forest for every server: MLflow's folder, the same without the conversion in it, a
    joblib file, and the ONNX file.
    """

    folder: Path
    plain: Path
    joblib: Path
    onnx: Path


def models(scratch: Path) -> Models:
    """A forest of 100 trees on Iris, as the trainer stores it."""
    folder = scratch / "iris"
    split = load(REPOSITORY / "data" / "raw" / "iris.csv")
    model = fit(split, Recipe(parameters={"n_estimators": 100}))
    write_package(folder, model, split, evaluate(model, split))
    bare = fit(split, Recipe(parameters={"n_estimators": 100}))
    joblib.dump(bare, scratch / "model.joblib")
    plan = prepare(folder, scratch, LoadPolicy())
    assert plan.runtime == "onnx", plan.reason
    plain = Path(
        shutil.copytree(
            folder, scratch / "plain", ignore=shutil.ignore_patterns(onnx_bundle.FOLDER)
        )
    )
    return Models(folder, plain, scratch / "model.joblib", scratch / ONNX_FILE)


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to be measured. start: by a port and a folder for its files; ask: the body for rows,
    None for GET; path: where they go.
    """

    name: str
    start: Callable[[int, Path], Server]
    path: str
    ask: Callable[[list[list[float]]], Any]

    def server(self, scratch: Path) -> Server:
        """A server on a free port, not started yet."""
        folder = scratch / self.name.replace(" ", "-").replace("/", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return self.start(free_port(), folder)


def instances(rows: list[list[float]]) -> Any:
    return {"instances": rows}


def split(rows: list[list[float]]) -> Any:
    return {
        "dataframe_split": {
            "columns": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
            "data": rows,
        }
    }


def tensor(rows: list[list[float]]) -> Any:
    flat = [value for row in rows for value in row]
    return {
        "inputs": [
            {"name": "input", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": flat}
        ]
    }


def ours(model: Path, python: str | Path = sys.executable) -> Callable[[int, Path], Server]:
    """Our server for the model in a folder, by a port and a folder for its files; of the checkout
    whose Python it is.
    """

    def start(port: int, folder: Path) -> Server:
        env = {
            "MODEL_PATH": str(model),
            "MODEL_REVISION": "bench",
            "PORT": str(port),
            "FEEDBACK_KEY": "bench",
        }
        if str(python) != sys.executable:
            env["PYTHONPATH"] = ""  # of this checkout
        env["TERMINATION_LOG"] = str(folder / "termination-log")
        return Server(
            "ours",
            [python, "-m", "rollout_inference"],
            port,
            "/health/",
            env,
            folder / "log",
        )

    return start


def mlflow_serve(model: Path) -> Callable[[int, Path], Server]:
    """`mlflow models serve` of a model's folder, one worker."""

    def start(port: int, folder: Path) -> Server:
        bin_ = environment("mlflow")
        words: list[str | Path] = ["models", "serve", "-m", model, "-h", "127.0.0.1"]
        words += ["-p", str(port), "-w", "1", "--env-manager", "local"]
        env = {"PATH": f"{bin_}:/usr/bin:/bin"}
        return Server("mlflow", [bin_ / "mlflow", *words], port, "/ping", env, folder / "log")

    return start


def mlserver(name: str, implementation: str, uri: Path) -> Callable[[int, Path], Server]:
    """MLServer with one model of this name, in one process."""

    def start(port: int, folder: Path) -> Server:
        bin_ = environment("mlserver")
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings = {"debug": False, "host": "127.0.0.1", "parallel_workers": 0, **ports}
        (folder / "settings.json").write_text(json.dumps(settings))
        described = {
            "name": name,
            "implementation": implementation,
            "parameters": {"uri": str(uri)},
        }
        (folder / "model-settings.json").write_text(json.dumps(described))
        shutil.copy(SERVERS / "mlserver_onnx.py", folder)
        return Server(
            "mlserver",
            [bin_ / "mlserver", "start", folder],
            port,
            f"/v2/models/{name}/ready",
            {"PYTHONPATH": str(folder), "PATH": f"{bin_}:/usr/bin:/bin"},
            folder / "log",
        )

    return start


def peers(made: Models) -> dict[str, Peer]:
    """All servers, ours first."""
    uvicorn: list[str | Path] = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1"]
    uvicorn += ["--log-level", "warning", "--no-access-log", "--app-dir", SERVERS]
    quick: list[str | Path] = ["--loop", "uvloop", "--http", "httptools"]

    def hello(port: int, folder: Path) -> Server:
        return Server(
            "hello",
            [*uvicorn, *quick, "hello:app", "--port", str(port)],
            port,
            "/",
            {},
            folder / "log",
        )

    def naive(port: int, folder: Path) -> Server:
        command: list[str | Path] = [*uvicorn, "naive:app", "--port", str(port)]
        return Server(
            "naive", command, port, "/openapi.json", {"MODEL": str(made.joblib)}, folder / "log"
        )

    infer = "/v2/models/iris/infer"
    return {
        "ours": Peer("ours", ours(made.folder), "/predict/", instances),
        "converting": Peer("ours, converting at start", ours(made.plain), "/predict/", instances),
        "hello": Peer("uvicorn hello-world", hello, "/", lambda _: None),
        "naive": Peer("naive FastAPI", naive, "/predict/", instances),
        "mlflow": Peer("mlflow models serve", mlflow_serve(made.folder), "/invocations", split),
        "mlserver": Peer(
            "MLServer scikit-learn",
            mlserver("iris", "mlserver_sklearn.SKLearnModel", made.joblib),
            infer,
            tensor,
        ),
        "mlserver-onnx": Peer(
            "MLServer same ONNX", mlserver("iris", "mlserver_onnx.Onnx", made.onnx), infer, tensor
        ),
    }
