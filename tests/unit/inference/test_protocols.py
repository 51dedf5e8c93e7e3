"""MLflow's scoring protocol and the Open Inference Protocol: formats, mistakes, and the real
clients, unmodified.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import tritonclient.http
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier
from starlette.testclient import TestClient
from tritonclient.utils import InferenceServerException

from rollout_inference.api.protocols.native import LARGE
from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel, load_folder
from rollout_inference.settings import Settings
from tests.unit.inference.conftest import Save
from tests.unit.inference.iris_bodies import INFER, NAMES, ROWS, SETOSA, VIRGINICA, tensor
from tests.unit.inference.serving import serving

EXPECTED = ["setosa", "virginica"]
TURNED = [list(reversed(row)) for row in ROWS]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
CSV = ",".join(NAMES) + "\n" + "\n".join(",".join(map(str, row)) for row in ROWS) + "\n"

FORMATS: dict[str, Any] = {
    "dataframe_split": {"dataframe_split": {"columns": NAMES, "data": ROWS}},
    "dataframe_split with an index": {
        "dataframe_split": {"index": [3, 4], "columns": NAMES, "data": ROWS}
    },
    "dataframe_split, otherwise ordered": {
        "dataframe_split": {"columns": NAMES[::-1], "data": TURNED}
    },
    "dataframe_split with one column more": {
        "dataframe_split": {"columns": [*NAMES, "id"], "data": [[*r, "x"] for r in ROWS]}
    },
    "dataframe_split without names": {"dataframe_split": {"data": ROWS}},
    "dataframe_records": {"dataframe_records": RECORDS},
    "dataframe_records with one column more": {
        "dataframe_records": [{**r, "colour": "blue"} for r in RECORDS]
    },
    "instances, rows": {"instances": ROWS},
    "instances, records": {"instances": RECORDS},
    "inputs, columns": {"inputs": {name: [row[n] for row in ROWS] for n, name in enumerate(NAMES)}},
    "inputs, rows": {"inputs": ROWS},
    "with params beside it": {"instances": ROWS, "params": None},
    "CSV": CSV,
    "CSV with a column of text that the model does not take": "\n".join(
        f"A{n},{x}" if n else f"id,{x}" for n, x in enumerate(CSV.split())
    ),
    "CSV with an empty cell that the model does not take": "\n".join(
        f"{x}," if n else f"{x},id" for n, x in enumerate(CSV.split())
    ),
    "CSV with a byte-order mark": "\ufeff" + CSV,
    "CSV with one column more": "\n".join(
        f"{line},7" if n else f"{line},id" for n, line in enumerate(CSV.split())
    ),
}


@pytest.mark.parametrize("body", FORMATS.values(), ids=FORMATS.keys())
def test_invocations_takes_every_format_of_mlflow(client: TestClient, body: Any) -> None:
    kind, content = (
        ("text/csv", body) if isinstance(body, str) else ("application/json", json.dumps(body))
    )
    reply = client.post("/invocations", content=content, headers={"Content-Type": kind})
    assert reply.status_code == 200, reply.text
    assert reply.json()["predictions"] == EXPECTED
    assert len(reply.json()["prediction_ids"]) == 2
    assert reply.headers["x-model-revision"] == "abc123"


BAD_INVOCATIONS = {
    "no JSON": (b"{", "application/json", 400, "no JSON"),
    "a list": (b"[]", "application/json", 400, "exactly one of the input fields"),
    "no format": (b"{}", "application/json", 400, "exactly one of the input fields"),
    "two formats": (
        b'{"instances": [[1,2,3,4]], "inputs": [[1,2,3,4]]}',
        "application/json",
        400,
        "exactly one",
    ),
    "a column missing": (
        b'{"dataframe_records": [{"sepal_length": 1}]}',
        "application/json",
        400,
        "lacks 'sepal_width'",
    ),
    "a column missing in columns": (
        b'{"inputs": {"sepal_length": [1]}}',
        "application/json",
        400,
        "'sepal_width' is missing",
    ),
    "columns of two lengths": (
        json.dumps({"inputs": dict(zip(NAMES, ([1], [1], [1], [1, 2]), strict=True))}).encode(),
        "",
        400,
        "differ",
    ),
    "a row too short": (
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}}',
        "application/json",
        400,
        "2 values",
    ),
    "columns that are no names": (
        b'{"dataframe_split": {"columns": [[]], "data": [[1]]}}',
        "application/json",
        400,
        "list of names",
    ),
    "split that is a list": (
        b'{"dataframe_split": []}',
        "application/json",
        400,
        '"columns" and "data"',
    ),
    "null": (b'{"instances": [[null, 1, 1, 1]]}', "application/json", 400, "must be a number"),
    "NaN": (b'{"instances": [[NaN, 1, 1, 1]]}', "application/json", 400, "NaN and infinite"),
    "NaN in what is no JSON": (b'{"instances": [NaN', "application/json", 400, "no JSON"),
    "nothing": (b"", "text/csv", 400, "header line"),
    "a cell that is no number": (CSV.replace("5.1", "x").encode(), "text/csv", 400, "no number"),
    "NaN in CSV": (CSV.replace("5.1", "nan").encode(), "text/csv", 400, "NaN"),
    "no UTF-8": (b"\xff\xfe", "text/csv", 400, "no CSV"),
    "another content type": (
        b"x",
        "application/x-parquet",
        415,
        "only supports the following content types",
    ),
    "another encoding": (b"{}", "application/json; charset=latin-1", 415, "only supports UTF-8"),
    "too much": (b" " * 100_001, "application/json", 413, "larger than"),
}


@pytest.mark.parametrize(
    ("body", "kind", "code", "sentence"), BAD_INVOCATIONS.values(), ids=BAD_INVOCATIONS.keys()
)
def test_invocations_says_what_is_wrong_as_mlflow_does(
    client: TestClient, body: bytes, kind: str, code: int, sentence: str
) -> None:
    reply = client.post(
        "/invocations", content=body, headers={"Content-Type": kind} if kind else {}
    )
    assert reply.status_code == code, reply.text
    if code == 415:
        assert sentence in reply.text
    else:
        assert reply.json()["error_code"] == "BAD_REQUEST"
        assert sentence in reply.json()["message"]


@pytest.mark.parametrize("path", ["/v2/models/iris/infer", "/v2/models/iris/versions/local/infer"])
@pytest.mark.parametrize("body", INFER.values(), ids=INFER.keys())
def test_infer_takes_rows_in_every_shape(client: TestClient, body: Any, path: str) -> None:
    said = client.post(path, json={**body, "id": "mine"}).json()
    assert (said["model_name"], said["model_version"], said["id"]) == ("iris", "local", "mine")
    labels, ids = said["outputs"]
    assert labels == {"name": "predict", "datatype": "BYTES", "shape": [2], "data": EXPECTED}
    assert (ids["name"], len(ids["data"])) == ("prediction_id", 2)


def test_infer_takes_parameters_that_are_null(client: TestClient) -> None:
    body = {
        "inputs": [tensor(parameters=None)["inputs"][0]],
        "outputs": [{"name": "predict", "parameters": None}],
        "parameters": None,
    }
    reply = client.post("/v2/models/iris/infer", json=body)
    assert reply.status_code == 200, reply.text


POINTS = np.random.default_rng(0).normal(size=(40, 2))
SIDES = np.column_stack([POINTS > 0]).astype(int)
WITHOUT_CLASSES: dict[str, tuple[Any, str, list[int]]] = {
    "a clusterer": (KMeans(3, n_init=1, random_state=0).fit(POINTS), "INT64", []),
    "outliers": (IsolationForest(n_estimators=3, random_state=0).fit(POINTS), "INT64", []),
    "codes of several outputs": (DecisionTreeClassifier().fit(POINTS, SIDES), "INT64", [2]),
    "words of several outputs": (
        DecisionTreeClassifier().fit(POINTS, np.array(["no", "yes"])[SIDES]),
        "BYTES",
        [2],
    ),
    "numbers of several outputs": (LinearRegression().fit(POINTS, POINTS * 2), "FP64", [2]),
}


@pytest.mark.parametrize("model", WITHOUT_CLASSES.values(), ids=WITHOUT_CLASSES.keys())
def test_labels_have_their_datatype_and_shape_where_there_is_no_list_of_classes(
    save: Save, model: tuple[Any, str, list[int]]
) -> None:
    estimator, datatype, several = model
    folder, settings = save(estimator, POINTS)
    http = TestClient(create_app(settings, load_folder(folder, settings)))
    described = http.get("/v2/models/model").json()["outputs"][0]
    assert described == {"name": "predict", "datatype": datatype, "shape": [-1, *several]}
    body = {
        "inputs": [{"name": "x", "shape": [40, 2], "datatype": "FP64", "data": POINTS.tolist()}]
    }
    said = http.post("/v2/models/model/infer", json=body).json()["outputs"][0]
    assert (said["datatype"], said["shape"]) == (datatype, [40, *several])
    assert np.reshape(said["data"], said["shape"]).tolist() == estimator.predict(POINTS).tolist()


def test_infer_gives_the_outputs_that_were_asked_for(client: TestClient) -> None:
    said = client.post(
        "/v2/models/iris/infer", json={**tensor(), "outputs": [{"name": "predict_proba"}]}
    ).json()
    (chances,) = said["outputs"]
    assert (chances["name"], chances["shape"], chances["datatype"]) == (
        "predict_proba",
        [2, 3],
        "FP64",
    )
    assert np.array(chances["data"]).reshape(2, 3).sum(axis=1) == pytest.approx([1, 1])


BAD_INFER: dict[str, tuple[Any, str]] = {
    "no inputs": ({}, "inputs"),
    "no tensor": ({"inputs": []}, "one tensor"),
    "another width": (tensor(shape=[4, 2]), "one tensor of shape"),
    "shape and data differ": (tensor(shape=[3, 4]), "its shape [3, 4] says 12"),
    "a negative shape": (tensor(shape=[-1, 4]), "has shape"),
    "three dimensions": (tensor(shape=[2, 2, 2]), "has shape"),
    "text": (tensor(datatype="BYTES"), "datatype BYTES"),
    "truth values": (tensor(data=[True] * 8), "numbers only"),
    "fractions as integers": (tensor(datatype="INT64"), "whole numbers"),
    "beyond single precision": (tensor(data=[1e39] * 8), "beyond"),
    "a huge integer": (tensor(data=[10**400] * 8), "too large"),
    "no rows": (tensor(shape=[0, 4], data=[]), "0 rows"),
    "an output that there is not": (
        {**tensor(), "outputs": [{"name": "logits"}]},
        "no output 'logits'",
    ),
    "binary data that is not there": (tensor(parameters={"binary_data_size": 64}, data=None), "64"),
}


@pytest.mark.parametrize(("body", "sentence"), BAD_INFER.values(), ids=BAD_INFER.keys())
def test_infer_says_what_is_wrong(client: TestClient, body: Any, sentence: str) -> None:
    reply = client.post("/v2/models/iris/infer", json=body)
    assert reply.status_code == 400, reply.text
    assert sentence in reply.json()["error"]


@pytest.mark.parametrize(
    "path", ["/v2/models/other", "/v2/models/iris/versions/9", "/v2/models/other/ready"]
)
def test_another_model_is_not_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404
    assert client.post(f"{path.removesuffix('/ready')}/infer", json=tensor()).status_code == 404


MARK = b"\xef\xbb\xbf"
PROTOCOLS = {
    "our own": ("/predict/", json.dumps({"instances": ROWS}).encode(), "application/json"),
    "MLflow's": (
        "/invocations",
        json.dumps({"dataframe_split": {"columns": NAMES, "data": ROWS}}).encode(),
        "application/json",
    ),
    "MLflow's, CSV": ("/invocations", CSV.encode(), "text/csv"),
    "open inference": ("/v2/models/iris/infer", json.dumps(tensor()).encode(), "application/json"),
}
PACKED: dict[str, Callable[[bytes], tuple[bytes, str]]] = {
    "gzip": lambda body: (gzip.compress(body), "gzip"),
    "gzip of two members": lambda body: (gzip.compress(body[:9]) + gzip.compress(body[9:]), "GZIP"),
    "gzip by its old name": lambda body: (gzip.compress(body), "x-gzip"),
    "deflate": lambda body: (zlib.compress(body), "deflate"),
    "identity": lambda body: (body, "identity"),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED.keys())
@pytest.mark.parametrize("mark", [b"", MARK], ids=["", "with a byte-order mark"])
@pytest.mark.parametrize(("path", "body", "kind"), PROTOCOLS.values(), ids=PROTOCOLS.keys())
def test_a_body_may_be_compressed_and_have_a_byte_order_mark(
    client: TestClient,
    path: str,
    body: bytes,
    kind: str,
    mark: bytes,
    packed: Callable[[bytes], tuple[bytes, str]],
) -> None:
    content, encoding = packed(mark + body)
    said = client.post(
        path, content=content, headers={"Content-Type": kind, "Content-Encoding": encoding}
    )
    assert said.status_code == 200, said.text
    assert (
        said.json()["outputs"][0]["data"]
        if "outputs" in said.json()
        else said.json()["predictions"]
    ) == EXPECTED


BAD_PACKED = {
    "an unknown encoding": (
        b"x",
        "br",
        415,
        "Content-Encoding 'br' is not read: send the body as it is, or as gzip or deflate",
    ),
    "two encodings": (b"x", "gzip, gzip", 415, "is not read"),
    "no gzip": (b"plain text", "gzip", 400, "the body is no gzip"),
    "half of it": (gzip.compress(b"[]" * 100)[:-9], "gzip", 400, "ends too early"),
    "something behind it": (
        gzip.compress(b"[]") + b"plain text",
        "gzip",
        400,
        "the body is no gzip",
    ),
    "a megabyte from a kilobyte": (
        gzip.compress(b" " * 1_000_000),
        "gzip",
        413,
        "larger than 100000 bytes once it is unpacked",
    ),
    "a megabyte in members": (
        gzip.compress(b" " * 50_000) * 9,
        "gzip",
        413,
        "larger than 100000 bytes once it is unpacked",
    ),
    "members without end": (gzip.compress(b"") * 1_000, "gzip", 400, "more than 16 members"),
}


@pytest.mark.parametrize(
    ("content", "encoding", "code", "sentence"), BAD_PACKED.values(), ids=BAD_PACKED.keys()
)
@pytest.mark.parametrize(
    "path", ["/predict/", "/feedback/", "/invocations", "/v2/models/iris/infer"]
)
def test_what_cannot_be_unpacked_gets_a_sentence(
    client: TestClient, path: str, content: bytes, encoding: str, code: int, sentence: str
) -> None:
    reply = client.post(
        path,
        content=content,
        headers={"Content-Type": "application/json", "Content-Encoding": encoding},
    )
    assert reply.status_code == code, reply.text
    assert sentence in reply.json().get("error", reply.json().get("message"))


@pytest.mark.parametrize(
    "path",
    [
        "/health/",
        "/health",
        "/health/live",
        "/ping",
        "/version",
        "/v2/health/live",
        "/iris/health/",
    ],
)
def test_load_balancers_may_ask_by_head(address: tuple[str, int], path: str) -> None:
    """Of a real server: no body follows, and the connection goes on."""
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}") as http:
        for _ in range(2):
            asked, told = http.get(path), http.head(path)
            assert (told.status_code, told.content) == (asked.status_code, b"") == (200, b"")
            assert told.headers["content-length"] == str(len(asked.content))


@pytest.fixture(scope="module")
def address(loaded: LoadedModel, settings: Settings) -> Iterator[tuple[str, int]]:
    """A real server on a free port, as a pod runs it."""
    with serving(settings, loaded) as found:
        yield found


CLIENT_DATA = {
    "a data frame": pd.DataFrame(ROWS, columns=NAMES),
    "an array": np.array(ROWS),
    "a list of rows": ROWS,
}


@pytest.mark.parametrize("data", CLIENT_DATA.values(), ids=CLIENT_DATA.keys())
def test_mlflows_own_client_unmodified(address: tuple[str, int], data: Any) -> None:
    client: Any = ScoringServerClient(*address)  # type: ignore[no-untyped-call]
    client.wait_server_ready()
    assert client.get_version().startswith("3.")
    said = client.invoke(data)
    assert said.get_predictions("ndarray").tolist() == EXPECTED
    assert said.get_predictions("dataframe").iloc[:, 0].tolist() == EXPECTED


@pytest.mark.parametrize("binary", [True, False], ids=["binary tensors, its default", "JSON"])
@pytest.mark.parametrize("kind", ["FP32", "FP64"])
def test_tritons_own_client_unmodified(address: tuple[str, int], binary: bool, kind: str) -> None:
    client = tritonclient.http.InferenceServerClient(f"{address[0]}:{address[1]}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    described = client.get_model_metadata("iris")
    assert [(one["name"], one["shape"]) for one in described["inputs"]] == [("input", [-1, 4])]
    assert described["parameters"]["runtime"] == "onnx"
    rows = tritonclient.http.InferInput("input", [2, 4], kind)
    rows.set_data_from_numpy(
        np.array(ROWS, dtype=np.float32 if kind == "FP32" else np.float64), binary_data=binary
    )
    wanted = [
        tritonclient.http.InferRequestedOutput(name, binary_data=binary)
        for name in ("predict", "predict_proba")
    ]
    said = client.infer("iris", [rows], outputs=wanted, request_id="7")
    labels = [one.decode() if isinstance(one, bytes) else one for one in said.as_numpy("predict")]
    assert labels == EXPECTED
    assert said.as_numpy("predict_proba").sum(axis=1) == pytest.approx([1, 1])
    assert said.get_response()["id"] == "7"
    everything = client.infer("iris", [rows])
    assert len(everything.as_numpy("prediction_id")) == 2
    with pytest.raises(InferenceServerException, match="no output"):
        client.infer("iris", [rows], outputs=[tritonclient.http.InferRequestedOutput("logits")])


LONG = [SETOSA, VIRGINICA] * 8_000
"""More than a body may have that is read in one piece."""
SPOILED = {
    "a word among numbers": ("6.5", "row 15999: 'sepal_length' must be a number, not str"),
    "a row that is too short": (None, "row 15999 has 3 values: send 4 numbers"),
}


@pytest.fixture
def roomy(loaded: LoadedModel, settings: Settings) -> TestClient:
    """With the limits that pods have by default."""
    usual = {"max_body": 8 * 1024**2, "max_rows": 100_000}
    return TestClient(create_app(settings.model_copy(update=usual), loaded))


def test_a_body_that_is_read_in_pieces_gets_the_same_answers(roomy: TestClient) -> None:
    body = {"instances": LONG, "outputs": ["predict"]}
    assert len(json.dumps(body)) > LARGE
    said = roomy.post("/predict/", json=body)
    assert said.status_code == 200, said.text
    few = roomy.post("/predict/", json={"instances": LONG[:2]}).json()["predictions"]
    assert said.json()["predictions"] == few * 8_000
    assert said.json()["outputs"]["predict"] == few * 8_000


@pytest.mark.parametrize(("first", "sentence"), SPOILED.values(), ids=SPOILED.keys())
def test_a_body_that_is_read_in_pieces_gets_the_same_sentence(
    roomy: TestClient, first: str | None, sentence: str
) -> None:
    spoiled = [value for value in (first, *VIRGINICA[1:]) if value is not None]
    reply = roomy.post("/predict/", json={"instances": [*LONG[:-1], spoiled]})
    assert reply.status_code == 422
    assert sentence in reply.json()["error"]
