"""Clients of other servers get right answers: MLflow's and Triton's by themselves, KServe's and
MLServer's by what they sent when `make test-clients` ran them.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import tritonclient.http
from mlflow.deployments import PredictionsResponse, get_deploy_client
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from pandas.testing import assert_frame_equal

from tests.clients.models import Model, models
from tests.unit.inference.serving import serving

SENT = Path(__file__).parent / "clients"
MODELS = models()
DATATYPES = {"i": "INT64", "f": "FP64", "O": "BYTES"}


@dataclass(frozen=True)
class Served:
    """A model on a real server."""

    name: str
    model: Model
    host: str
    port: int

    def expected(self, output: str, rows: str = "all") -> Any:
        return np.asarray(getattr(self.model.estimator, output)(self.model.part(rows)))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    with ExitStack() as stack:
        found = {}
        for name, model in MODELS.items():
            settings, loaded = model.served(tmp_path_factory.mktemp("clients") / name)
            found[name] = Served(name, model, *stack.enter_context(serving(settings, loaded)))
        yield found


@pytest.fixture(params=list(MODELS))
def one(request: pytest.FixtureRequest, served: dict[str, Served]) -> Served:
    return served[request.param]


def alike(said: Any, expected: Any) -> None:
    if expected.dtype.kind == "f":
        assert np.asarray(said, dtype=np.float64) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    else:
        assert np.asarray(said).tolist() == expected.tolist()


def sent() -> list[Any]:
    """Every request that was kept, with its client's version and the way it was made."""
    found = []
    for path in sorted(SENT.glob("*.json")):
        told = json.loads(path.read_text())
        for asked in told["asked"]:
            words = " ".join((told["client"], asked["model"], asked["way"]))
            found.append(pytest.param(asked, id=words))
    return found


@pytest.mark.parametrize("asked", sent())
def test_what_kserves_and_mlservers_clients_send(
    served: dict[str, Served], asked: dict[str, Any]
) -> None:
    one, body = served[asked["model"]], asked["body"]
    content = base64.b64decode(body) if isinstance(body, str) else json.dumps(body).encode()
    url = f"http://{one.host}:{one.port}{asked['path']}"
    reply = httpx.post(url, content=content, headers=asked["headers"])
    assert reply.status_code == 200, reply.text
    length = reply.headers.get("inference-header-content-length")
    said = tritonclient.http.InferenceServerClient.parse_response_body(
        reply.content, header_length=None if length is None else int(length)
    )
    names = {found["name"] for found in said.get_response()["outputs"]} - {"prediction_id"}
    assert "predict" in names
    for name in names:
        values, expected = said.as_numpy(name), one.expected(name, asked["rows"])
        assert values.shape == expected.shape
        if values.dtype.kind == "O":
            values = np.vectorize(lambda v: v.decode() if isinstance(v, bytes) else v)(values)
        alike(values, expected)


FRAMES = {
    "a frame": lambda rows: rows,
    "a frame with an index": lambda rows: rows.set_index(pd.Index(range(7, 7 + len(rows)))),
    "a frame with columns in another order": lambda rows: rows[rows.columns[::-1]],
}


@pytest.mark.parametrize("form", FRAMES.values(), ids=FRAMES.keys())
def test_mlflows_scoring_client(one: Served, form: Any) -> None:
    client: Any = ScoringServerClient(one.host, one.port)  # type: ignore[no-untyped-call]
    said = client.invoke(form(one.model.rows))
    alike(said.get_predictions("ndarray"), one.expected("predict"))
    found = said.get_predictions("dataframe")
    expected = pd.DataFrame(one.expected("predict").tolist())
    assert_frame_equal(found, expected, rtol=1e-6)


def test_mlflows_scoring_client_with_outputs_by_name(one: Served) -> None:
    client: Any = ScoringServerClient(one.host, one.port)  # type: ignore[no-untyped-call]
    names = ["predict", *(["predict_proba"] if one.model.probable else [])]
    said = client.invoke(one.model.rows, params={"outputs": names})
    assert list(said["outputs"]) == names
    for name in names:
        alike(said["outputs"][name], one.expected(name))


def test_mlflows_deployments_client(one: Served) -> None:
    """Its path has words of a gateway before `invocations`, which are a prefix like any."""
    url = f"http://{one.host}:{one.port}"
    client: Any = get_deploy_client(url)  # type: ignore[no-untyped-call]
    split = one.model.part("whole").to_dict(orient="split")
    said = client.predict(endpoint=one.name, inputs={"dataframe_split": split})
    predicted = PredictionsResponse(said).get_predictions("ndarray")  # type: ignore[no-untyped-call]
    alike(predicted, one.expected("predict", "whole"))


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "JSON"])
def test_tritons_client_with_a_tensor_for_each_column(one: Served, binary: bool) -> None:
    client = tritonclient.http.InferenceServerClient(f"{one.host}:{one.port}")
    assert client.is_model_ready(one.name)
    listed = {found["name"]: found for found in client.get_model_metadata(one.name)["outputs"]}
    tensors, whole = [], one.model.part("whole")
    for name in whole:
        column = whole[name].to_numpy()
        column = column.astype(object) if column.dtype.kind not in "if" else column
        datatype = DATATYPES[column.dtype.kind]
        tensor = tritonclient.http.InferInput(str(name), [len(column)], datatype)
        tensor.set_data_from_numpy(column, binary_data=binary)
        tensors.append(tensor)
    names = ["predict", *(["predict_proba"] if one.model.probable else [])]
    wanted = [tritonclient.http.InferRequestedOutput(name, binary_data=binary) for name in names]
    said = client.infer(one.name, tensors, outputs=wanted)
    for name in names:
        values, expected = said.as_numpy(name), one.expected(name, "whole")
        assert values.shape == expected.shape
        assert listed[name]["shape"] == [-1, *expected.shape[1:]]
        if values.dtype.kind == "O":
            values = np.vectorize(lambda v: v.decode() if isinstance(v, bytes) else v)(values)
        alike(values, expected)
