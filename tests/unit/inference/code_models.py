"""Models that are code, as their makers log them; what they do is as odd as what makers do."""

import os
import signal
import warnings
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc.model import PythonModel

from rollout_inference.settings import Settings


class Tall(PythonModel):
    """Answers with words, and takes a parameter."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        limit = (params or {}).get("limit", 1.0)
        return np.where(model_input["height"] > limit, "tall", "short")


class Types(PythonModel):
    """Says of what types the frame is that it gets."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        kinds = ",".join(str(kind) for kind in model_input.dtypes)
        rows = model_input.to_numpy(dtype=object)
        return [f"{kinds}:{'|'.join(map(str, row))}" for row in rows]


class Several(PythonModel):
    """Two numbers for each row, by name."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        height = model_input["height"]
        return pd.DataFrame({"double": 2 * height, "half": height / 2})


class Fragile(PythonModel):
    """Dies of 13, fails on 12, refuses 11, prints to standard output, and else says the number of
    its process.
    """

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        print("a line that is no answer", flush=True)
        if (model_input["height"] == 13).any():
            os.kill(os.getpid(), signal.SIGKILL)
        if (model_input["height"] == 12).any():
            raise KeyError("twelve")
        if (model_input["height"] == 11).any():
            raise ValueError("eleven is none")
        return [os.getpid()] * len(model_input)


class Curious(PythonModel):
    """Says what it finds of the server: its environment and its own."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [",".join(sorted(os.environ))] * len(model_input)


class Summing(PythonModel):
    """Answers a batch with one number, which no server of rows can hand out."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return float(model_input["height"].sum())


class Vague(PythonModel):
    """Answers with what JSON has no word for: nothing and infinity, and half of a character."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        height = model_input["height"]
        if (height == 13).any():
            return ["\ud800"] * len(height)
        return np.where(height > 2, np.inf, np.where(height > 1, np.nan, height)).tolist()


class Doubled(PythonModel):
    """Twice the tensor."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return 2 * model_input


HEIGHTS = pd.DataFrame({"height": [0.5, 1.5, 2.5]})


def saved(folder: Path, model: Any, rows: Any = HEIGHTS, **given: Any) -> Settings:
    signature = given.pop("signature", None) or infer_signature(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            str(folder), python_model=model, signature=signature, pip_requirements=[], **given
        )
    return Settings(model_path=folder, model_revision="abc123", feedback_key="key", allow_code=True)
