"""What one would write first: a `def` endpoint that calls scikit-learn.
MODEL names a joblib file.
"""

import os

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Request(BaseModel):
    instances: list[list[float]]


class Response(BaseModel):
    predictions: list[str]
    probabilities: list[list[float]]


@app.post("/predict/")
def predict(request: Request) -> Response:
    rows = np.array(request.instances)
    return Response(
        predictions=model.predict(rows).tolist(), probabilities=model.predict_proba(rows).tolist()
    )
