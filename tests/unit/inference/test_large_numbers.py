"""Whole numbers beyond 2^53 keep all their digits beside columns of text, in every protocol, alone
as in a batch.
"""

import asyncio
import struct
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel, load_folder
from rollout_inference.settings import Settings
from rollout_model.errors import BadInput
from rollout_model.runtimes import SklearnRuntime
from rollout_model.table import Column, Kind, Table
from tests.unit.inference.conftest import written

IDS = [2**53, 2**53 + 1, 2**53 + 2, 2**62 + 1, -(2**63), 7]
BIRDS = pd.DataFrame({"ring": IDS * 4, "island": ["Dream", "Biscoe"] * 12})
ESTIMATOR = make_pipeline(
    make_column_transformer((OneHotEncoder(), ["ring", "island"])), LinearRegression()
).fit(BIRDS, np.arange(24.0) % 6)
ROWS = [[ring, "Dream"] for ring in IDS]
EXPECTED = ESTIMATOR.predict(pd.DataFrame(ROWS, columns=["ring", "island"]))


@pytest.fixture(scope="module")
def birds_model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_folder(*written(tmp_path_factory.mktemp("models") / "birds", ESTIMATOR, BIRDS))


@pytest.fixture(scope="module")
def http(settings: Settings, birds_model: LoadedModel) -> TestClient:
    return TestClient(create_app(settings, birds_model))


def tensors(ring: dict[str, Any]) -> dict[str, Any]:
    island = {"name": "island", "shape": [6], "datatype": "BYTES", "data": ["Dream"] * 6}
    return {"inputs": [island, {"name": "ring", "shape": [6], "datatype": "INT64", **ring}]}


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "our own": ("/predict/", {"json": {"instances": ROWS}}),
    "MLflow's": (
        "/invocations",
        {"json": {"dataframe_split": {"columns": ["ring", "island"], "data": ROWS}}},
    ),
    "MLflow's, CSV": (
        "/invocations",
        {
            "content": "ring,island\n" + "\n".join(f"{ring},Dream" for ring in IDS),
            "headers": {"Content-Type": "text/csv"},
        },
    ),
    "open inference": ("/v2/models/iris/infer", {"json": tensors({"data": IDS})}),
}


@pytest.mark.parametrize(("path", "sent"), BODIES.values(), ids=BODIES.keys())
def test_every_digit_counts(http: TestClient, path: str, sent: dict[str, Any]) -> None:
    reply = http.post(path, **sent)
    assert reply.status_code == 200, reply.text
    said = reply.json()
    predicted = said["outputs"][0]["data"] if "outputs" in said else said["predictions"]
    assert predicted == pytest.approx(EXPECTED, abs=1e-6)


def test_every_digit_counts_in_binary(http: TestClient) -> None:
    binary = struct.pack("<6q", *IDS)
    head = http.build_request(
        "POST", "/", json=tensors({"parameters": {"binary_data_size": len(binary)}})
    ).content
    headers = {"Inference-Header-Content-Length": str(len(head))}
    reply = http.post("/v2/models/iris/infer", content=head + binary, headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.json()["outputs"][0]["data"] == pytest.approx(EXPECTED, abs=1e-6)


async def test_every_digit_counts_beside_other_requests(birds_model: LoadedModel) -> None:
    runtime = SklearnRuntime(ESTIMATOR, birds_model.signature)
    parts = [birds_model.signature.known([row]) for row in ROWS]
    said = await asyncio.gather(*(runtime.predict(part) for part in parts))
    assert [one.labels[0] for one in said] == pytest.approx(EXPECTED, abs=1e-6)


RING = Column("ring", Kind.LONG, optional=True)


def test_a_batch_that_would_lose_digits_is_none() -> None:
    """Each is then asked alone."""
    large, gap, small = (Table.of([RING], [[cell]]) for cell in (2**53 + 1, None, 7))
    assert large.joined([small]).values[0].tolist() == [2**53 + 1, 7]
    with pytest.raises(ValueError, match="no type in common"):
        large.joined([gap])


REFUSED: dict[str, tuple[Kind, list[Any], str]] = {
    "beyond 64 bits": (Kind.LONG, [1, 2**63], f"row 1: 'ring' must be .* not {2**63}"),
    "beyond 32 bits": (Kind.INTEGER, [2**31], f"row 0: 'ring' must be .* not {2**31}"),
    "beside a gap": (Kind.LONG, [2**53 + 1, None], "row 1: 'ring' is missing beside"),
}


@pytest.mark.parametrize(("kind", "cells", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_column_does_not_hold_is_told(kind: Kind, cells: list[Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Table.of([Column("ring", kind, optional=True)], [[cell] for cell in cells])
