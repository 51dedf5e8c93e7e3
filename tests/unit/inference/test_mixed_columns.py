"""Models of text, truth values and dates beside numbers: every protocol gives what the pipeline
itself says, and of every wrong cell its row and column.
"""

import asyncio
import json
import math
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tritonclient.http
import yaml
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel, load, load_folder
from rollout_inference.settings import Settings
from rollout_model.errors import LoadFailed
from rollout_model.outcome import PROBABILITIES
from rollout_model.signature import Signature
from tests.unit.inference.conftest import Save, written
from tests.unit.inference.mixed import COLUMNS, birds, pipeline, species
from tests.unit.inference.serving import serving

BIRDS = birds()
SPECIES = species(BIRDS)
MODEL = pipeline().fit(BIRDS, SPECIES)
EXPECTED = MODEL.predict(BIRDS).tolist()
DATES = BIRDS.assign(seen=BIRDS["seen"].dt.strftime("%Y-%m-%dT%H:%M:%S"))
ROWS = [
    [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in row]
    for row in DATES.astype(object).to_numpy().tolist()
]
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
MAY_LACK = {"island", "rings", "ringed"}
"""Columns that had gaps when the signature was made."""
PRESENT = [{name: cell for name, cell in record.items() if cell is not None} for record in RECORDS]
LISTS = {name: [row[n] for row in ROWS] for n, name in enumerate(COLUMNS)}
FINE = dict(RECORDS[1])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    return written(tmp_path_factory.mktemp("models") / "birds", MODEL, BIRDS)


@pytest.fixture(scope="module")
def birds_model(saved: tuple[Path, Settings]) -> LoadedModel:
    return load_folder(*saved)


@pytest.fixture(scope="module")
def http(saved: tuple[Path, Settings], birds_model: LoadedModel) -> TestClient:
    return TestClient(create_app(saved[1], birds_model), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def address(saved: tuple[Path, Settings], birds_model: LoadedModel) -> Iterator[tuple[str, int]]:
    with serving(saved[1], birds_model) as found:
        yield found


BODIES: dict[str, tuple[str, Any]] = {
    "our own, lists": ("/predict/", {"instances": ROWS}),
    "our own, objects": ("/predict/", {"instances": RECORDS}),
    "our own, objects without what is missing": ("/predict/", {"instances": PRESENT}),
    "MLflow, dataframe_split": (
        "/invocations",
        {"dataframe_split": {"columns": COLUMNS, "data": ROWS}},
    ),
    "MLflow, dataframe_split, otherwise ordered, with one column more": (
        "/invocations",
        {
            "dataframe_split": {
                "columns": [*COLUMNS[::-1], "ward"],
                "data": [[*row[::-1], {}] for row in ROWS],
            }
        },
    ),
    "MLflow, dataframe_records": ("/invocations", {"dataframe_records": RECORDS}),
    "MLflow, instances": ("/invocations", {"instances": RECORDS}),
    "MLflow, inputs as columns": ("/invocations", {"inputs": LISTS}),
}


@pytest.mark.parametrize(("path", "body"), BODIES.values(), ids=BODIES.keys())
def test_json_is_answered_as_the_pipeline_does(http: TestClient, path: str, body: Any) -> None:
    reply = http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    assert reply.json()["predictions"] == EXPECTED
    assert len(reply.json()["prediction_ids"]) == len(EXPECTED)


def test_csv_is_answered_as_the_pipeline_does(http: TestClient) -> None:
    """As pandas writes it: gaps are empty cells, truth values True and False."""
    text = BIRDS.assign(ward="x")[["ward", *COLUMNS]].to_csv(index=False)
    reply = http.post("/invocations", content=text, headers={"Content-Type": "text/csv"})
    assert reply.json().get("predictions") == EXPECTED, reply.text


DATATYPES = dict(
    zip(COLUMNS, ["BYTES", "FP64", "INT64", "FP64", "BOOL", "BOOL", "BYTES", "BYTES"], strict=True)
)


def tensors(shape: list[int], rows: int = len(ROWS), **changes: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": shape, "datatype": datatype, "data": LISTS[name][:rows]}
        | changes.get(name, {})
        for name, datatype in DATATYPES.items()
    ]


@pytest.mark.parametrize("shape", [[len(ROWS)], [len(ROWS), 1]], ids=["flat", "as columns"])
def test_a_tensor_for_each_column_is_answered_as_the_pipeline_does(
    http: TestClient, shape: list[int]
) -> None:
    said = http.post("/v2/models/birds/infer", json={"inputs": tensors(shape)[::-1]})
    assert said.status_code == 200, said.text
    labels = said.json()["outputs"][0]
    assert (labels["datatype"], labels["data"]) == ("BYTES", EXPECTED)


def test_the_metadata_has_a_tensor_for_each_column(http: TestClient) -> None:
    said = http.get("/v2/models/birds").json()
    assert {one["name"]: one["datatype"] for one in said["inputs"]} == DATATYPES
    assert all(one["shape"] == [-1, 1] for one in said["inputs"])
    names = [one["name"] for one in said["outputs"]]
    assert names == ["predict", "prediction_id", "predict_proba"]


@pytest.mark.parametrize("binary", [True, False], ids=["binary tensors", "JSON"])
def test_tritons_own_client_unmodified(address: tuple[str, int], binary: bool) -> None:
    """Rows without gaps: a binary text or truth value has nothing to say one with."""
    whole = BIRDS.dropna(subset=["island", "ringed"])
    if not binary:
        whole = whole.dropna()
    client = tritonclient.http.InferenceServerClient(f"{address[0]}:{address[1]}")
    inputs = []
    for described in client.get_model_metadata("birds")["inputs"]:
        name, datatype = described["name"], described["datatype"]
        column = whole[name].dt.strftime("%Y-%m-%d") if name == "seen" else whole[name]
        dtype = {"BYTES": object, "BOOL": bool, "INT64": np.int64, "FP64": np.float64}[datatype]
        tensor = tritonclient.http.InferInput(name, [len(whole), 1], datatype)
        values = column.to_numpy(dtype=dtype).reshape(-1, 1)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    wanted = tritonclient.http.InferRequestedOutput("predict", binary_data=binary)
    said = client.infer("birds", inputs, outputs=[wanted]).as_numpy("predict")
    labels = [one.decode() if isinstance(one, bytes) else one for one in said]
    assert labels == MODEL.predict(whole).tolist()


def test_mlflows_own_client_unmodified(address: tuple[str, int]) -> None:
    client: Any = ScoringServerClient(*address)  # type: ignore[no-untyped-call]
    client.wait_server_ready()
    assert client.invoke(BIRDS).get_predictions("ndarray").tolist() == EXPECTED


async def test_requests_of_one_moment_share_a_run(birds_model: LoadedModel) -> None:
    """Whatever gaps the others have."""
    parts = [birds_model.signature.rows([row], 1) for row in ROWS[:30]]
    outcomes = await asyncio.gather(*(birds_model.runtime.predict(part) for part in parts))
    assert [one.labels[0] for one in outcomes] == EXPECTED[:30]


async def test_a_pod_serves_it_by_onnx_runtime(saved: tuple[Path, Settings]) -> None:
    model = await load(saved[1])
    assert (model.runtime.name, model.plan.reason) == ("onnx", "")
    assert model.runtime.also == (PROBABILITIES,)
    assert model.plan.classes == ["Adelie", "Chinstrap", "Gentoo"]


def test_where_the_model_takes_no_missing_value_is_found_out(birds_model: LoadedModel) -> None:
    closed = {birds_model.signature.names[n] for n in birds_model.signature.closed}
    assert closed == {"mass", "eggs", "tagged", "note"}


def wrong(**cells: Any) -> dict[str, Any]:
    return FINE | cells


WRONG: dict[str, tuple[Any, str]] = {
    "a number for text": (wrong(island=5), "row 1: 'island' must be text, not 5"),
    "a word for a number": (wrong(mass="heavy"), "row 1: 'mass' must be a number, not 'heavy'"),
    "a fraction for a whole number": (wrong(eggs=1.5), "row 1: 'eggs' must be a whole number"),
    "a word for a truth value": (wrong(tagged="yes"), "row 1: 'tagged' must be true or false"),
    "no date": (wrong(seen="soon"), "row 1: 'seen' must be a date such as"),
    "a date with a zone": (wrong(seen="2026-01-01T00:00:00Z"), "row 1: 'seen' has a time zone"),
    "a date that pandas has no room for": (wrong(seen="0001-01-01"), "row 1: 'seen' is of the"),
    "a gap that the model does not take": (
        wrong(note=None),
        "row 1: 'note' is missing, and the model takes no missing values there: send text",
    ),
    "a list for text": (wrong(note=["a"]), "row 1: 'note' must be text, not list"),
    "a column that is not there": (
        {name: cell for name, cell in FINE.items() if name != "mass"},
        "row 1 lacks 'mass'",
    ),
    "too few values": (ROWS[1][:-1], "row 1 has 7 values: send 8 values"),
    "no row": ("Dream", "row 1 has str: send 8 values"),
}


@pytest.mark.parametrize(("row", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_fit_is_said_with_row_and_column(
    http: TestClient, row: Any, sentence: str
) -> None:
    reply = http.post("/predict/", json={"instances": [FINE, row]})
    assert reply.status_code == 422, reply.text
    assert sentence in reply.json()["error"]
    reply = http.post("/invocations", json={"dataframe_records": [FINE, row]})
    assert reply.status_code == 400, reply.text
    assert sentence in reply.json()["message"]


WRONG_CELLS = {
    "a word for a number": ("mass", "heavy", "row 1: 'mass' must be a number, not 'heavy'"),
    "a word for a truth value": ("tagged", "perhaps", "row 1: 'tagged' must be true or false"),
    "no date": ("seen", "soon", "row 1: 'seen' must be a date"),
    "a gap that the model does not take": ("note", "", "row 1: 'note' is missing"),
}


@pytest.mark.parametrize(("name", "cell", "said"), WRONG_CELLS.values(), ids=WRONG_CELLS.keys())
def test_a_wrong_cell_of_csv_is_said_with_row_and_column(
    http: TestClient, name: str, cell: str, said: str
) -> None:
    text = DATES.iloc[1:3].astype(object)
    text.iloc[1, COLUMNS.index(name)] = cell
    reply = http.post(
        "/invocations", content=text.to_csv(index=False), headers={"Content-Type": "text/csv"}
    )
    assert (reply.status_code, said in reply.text) == (400, True), reply.text


TWICE = "the column 'mass' is there 2 times: send it once"


def test_a_column_that_is_named_twice_has_no_value(http: TestClient) -> None:
    split = {"columns": [*COLUMNS, "mass"], "data": [[*ROWS[1], 4200]]}
    reply = http.post("/invocations", json={"dataframe_split": split})
    assert (reply.status_code, TWICE in reply.text) == (400, True), reply.text
    text = DATES.iloc[1:2].assign(other=4200).rename(columns={"other": "mass"})
    content, headers = text.to_csv(index=False), {"Content-Type": "text/csv"}
    reply = http.post("/invocations", content=content, headers=headers)
    assert (reply.status_code, TWICE in reply.text) == (400, True), reply.text


def test_what_the_model_does_not_take_may_be_named_twice(http: TestClient) -> None:
    split = {"columns": [*COLUMNS, "ward", "ward"], "data": [[*ROWS[1], 1, 2]]}
    reply = http.post("/invocations", json={"dataframe_split": split})
    assert reply.json()["predictions"] == EXPECTED[1:2]


BAD_TENSORS: dict[str, tuple[Any, str]] = {
    "text for a number": (
        tensors([2], 2, mass={"datatype": "BYTES", "data": ["a", "b"]}),
        "'mass' is of datatype BYTES: send FP64, or another number",
    ),
    "a number for text": (
        tensors([2], 2, island={"datatype": "FP64", "data": [1, 2]}),
        "'island' is of datatype FP64: send BYTES",
    ),
    "a number within text": (
        tensors([2], 2, island={"data": ["Dream", 2]}),
        "row 1: 'island' must be text, not 2",
    ),
    "a fraction within whole numbers": (
        tensors([2], 2, eggs={"data": [1, 1.5]}),
        "row 1: 'eggs' must be a whole number, not 1.5",
    ),
    "a gap that the model does not take": (
        tensors([2], 2, mass={"data": [1, None]}),
        "row 1: 'mass' is missing",
    ),
    "two columns in one": (tensors([1, 2], 2), "send [rows] or [rows, 1]"),
    "fewer values than the shape says": (
        tensors([2], 2, note={"data": ["a"]}),
        "has 1 values: its shape [2] says 2",
    ),
    "columns of two lengths": (
        tensors([2], 2, note={"shape": [1], "data": ["a"]}),
        "as many rows",
    ),
    "a column that there is not": (
        [*tensors([2], 2), {"name": "ward", "shape": [2], "datatype": "BYTES", "data": ["", ""]}],
        "no column 'ward'",
    ),
    "a column twice": ([*tensors([2], 2), tensors([2], 2)[1]], "there are two tensors 'mass'"),
    "a column that is not there": (tensors([2], 2)[:-1], "the column 'note' is missing"),
    "no rows": (tensors([0], 0), "0 rows"),
    "bytes that are not there": (
        tensors([2], 2, note={"data": None, "parameters": {"binary_data_size": 9}}),
        "'note' has 0 bytes of binary data, not 9",
    ),
}


@pytest.mark.parametrize(("inputs", "said"), BAD_TENSORS.values(), ids=BAD_TENSORS.keys())
def test_infer_says_what_is_wrong(http: TestClient, inputs: Any, said: str) -> None:
    reply = http.post("/v2/models/birds/infer", json={"inputs": inputs})
    assert (reply.status_code, said in reply.text) == (400, True), reply.text


BAD_BYTES = {
    "a length beyond the end": (b"\x09\x00\x00\x00abc", "ends within a text of 9 bytes"),
    "half a length": (b"\x01\x00", "is no text in UTF-8"),
    "no UTF-8": (b"\x02\x00\x00\x00\xff\xfe", "is no text in UTF-8"),
    "one text too many": (b"\x00\x00\x00\x00" * 2, "has 2 values"),
}


@pytest.mark.parametrize(("content", "said"), BAD_BYTES.values(), ids=BAD_BYTES.keys())
def test_binary_text_that_is_none_gets_a_sentence(
    http: TestClient, content: bytes, said: str
) -> None:
    binary = {"data": None, "parameters": {"binary_data_size": len(content)}}
    head = json.dumps({"inputs": tensors([1], 1, note=binary)}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    reply = http.post("/v2/models/birds/infer", content=head + content, headers=headers)
    assert (reply.status_code, said in reply.text) == (400, True), reply.text


def test_the_document_says_each_columns_kind(http: TestClient) -> None:
    rows = http.get("/openapi.json").json()["components"]["schemas"]["Rows"]
    (named,) = rows["items"]["anyOf"]
    kinds = {name: said["type"] for name, said in named["properties"].items()}
    assert set(named["required"]) == set(COLUMNS) - MAY_LACK
    assert kinds["island"] == ["string", "null"]
    assert kinds["note"] == "string"
    assert kinds["mass"] == "number"
    assert kinds["eggs"] == "integer"
    assert kinds["ringed"] == ["boolean", "null"]
    assert "without a time zone" in named["properties"]["seen"]["description"]
    assert re.fullmatch(named["properties"]["seen"]["pattern"], "2026-11-29T12:30:00")
    assert named["example"]["note"] == BIRDS["note"][0]


@pytest.mark.parametrize("rows", [[FINE], RECORDS], ids=["one row", "many"])
def test_labels_are_credited_as_always(http: TestClient, rows: Any) -> None:
    said = http.post("/predict/", json={"instances": rows}).json()
    labels = [
        {"id": one, "label": label}
        for one, label in zip(said["prediction_ids"], said["predictions"], strict=True)
    ]
    results = http.post("/feedback/", json=labels).json()["results"]
    assert {one["outcome"] for one in results} == {"correct"}


TEXTS = BIRDS["note"]


@pytest.mark.parametrize(
    "named", [pytest.param(True, id="a series"), pytest.param(False, id="a list")]
)
def test_a_vectorizer_without_columns_gets_its_texts(save: Save, named: bool) -> None:
    """It would take the name of a frame's only column for the only text."""
    texts: Any = TEXTS if named else TEXTS.tolist()
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, SPECIES)
    folder, settings = save(model, texts)
    served = TestClient(create_app(settings, load_folder(folder, settings)))
    expected = model.predict(texts).tolist()
    for rows in (TEXTS.tolist(), [[text] for text in TEXTS]):
        reply = served.post("/predict/", json={"instances": rows})
        assert reply.json().get("predictions") == expected, reply.text


GAPS = {"None, as Python has it": None, "NaN, as pandas reads it": np.nan}


@pytest.mark.parametrize("gap", GAPS.values(), ids=GAPS.keys())
def test_a_gap_is_what_it_was_in_training(save: Save, gap: Any) -> None:
    """An encoder that is to ignore the unknown would take the other one for unknown in silence."""
    islands = np.array(["Dream", "Biscoe", gap] * 20, dtype=object)
    rows = pd.DataFrame({"island": pd.Series(islands, dtype=object), "mass": np.ones(60)})
    labels = np.array(["white", "grey", "black"] * 20)
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["island"]), remainder="passthrough"
    )
    model = make_pipeline(encoder, LogisticRegression()).fit(rows, labels)
    folder, settings = save(model, rows)
    served = TestClient(create_app(settings, load_folder(folder, settings)))
    sent = [["Dream", 1.0], ["Biscoe", 1.0], [None, 1.0]]
    reply = served.post("/predict/", json={"instances": sent})
    assert reply.json()["predictions"] == ["white", "grey", "black"]


@pytest.mark.parametrize("path", ["/predict/", "/invocations"])
def test_a_row_alone_is_answered_as_beside_others(http: TestClient, path: str) -> None:
    """MLflow's own server gives a gap in text another answer when no other row has text there."""
    alone = [
        http.post(path, json={"instances": [row]}).json()["predictions"][0] for row in ROWS[:40]
    ]
    assert alone == EXPECTED[:40]
    assert any(row[0] is None for row in ROWS[:40])


def test_a_model_without_an_example_is_served(save: Save) -> None:
    folder, settings = save(MODEL, BIRDS)
    _without_example(folder)
    served = TestClient(create_app(settings, load_folder(folder, settings)))
    assert served.post("/predict/", json={"instances": RECORDS}).json()["predictions"] == EXPECTED


def test_a_model_that_refuses_what_is_made_up_is_served(save: Save) -> None:
    """It brings no example, and knows no empty island: then a gap is not taken either."""
    encoder = make_column_transformer((OneHotEncoder(), ["island", "note"]))
    whole = BIRDS.dropna(subset=["island"])[["island", "note"]]
    model = make_pipeline(encoder, LogisticRegression()).fit(whole, species(BIRDS.loc[whole.index]))
    folder, settings = save(model, whole)
    _without_example(folder)
    served = TestClient(create_app(settings, load_folder(folder, settings)))
    rows = whole.to_numpy().tolist()
    reply = served.post("/predict/", json={"instances": rows})
    assert reply.json()["predictions"] == model.predict(whole).tolist()
    assert served.post("/predict/", json={"instances": [[None, "tall, grey"]]}).status_code == 422


def _without_example(folder: Path) -> None:
    path = folder / "MLmodel"
    described = yaml.safe_load(path.read_text())
    del described["saved_input_example_info"]
    path.write_text(yaml.safe_dump(described))


def test_a_model_that_answers_something_else_than_rows_is_refused(save: Save) -> None:
    """Its texts would be the names of two columns."""
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, SPECIES)
    folder, settings = save(model, TEXTS)
    path = folder / "MLmodel"
    described = yaml.safe_load(path.read_text())
    columns = [{"type": "string", "name": name} for name in ("note", "island", "ward")]
    described["signature"]["inputs"] = json.dumps(columns)
    path.write_text(yaml.safe_dump(described))
    with pytest.raises(LoadFailed, match="it gives 3 answers to 2 rows"):
        load_folder(folder, settings)


def test_how_long_a_row_takes_to_read_is_measured(http: TestClient) -> None:
    """So that few are read on the event loop, and many aside."""
    assert 1 <= http.app.state.pace.rows < 100_000  # type: ignore[attr-defined]


def test_numbers_alone_keep_their_road(loaded: LoadedModel) -> None:
    """One array and one look at it, whatever other models take."""
    assert type(loaded.signature) is Signature


NAMES = strategies.sampled_from(
    [*COLUMNS, "instances", "inputs", "dataframe_records", "dataframe_split", "data", "columns"]
)
QUICKLY: dict[str, Any] = {
    "max_examples": 60,
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
PATHS = ["/predict/", "/invocations", "/v2/models/birds/infer"]
LEAVES = (
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(max_size=20)
    | strategies.dates().map(str)
    | strategies.datetimes().map(lambda moment: moment.isoformat())
    | strategies.sampled_from(["Dream", "loud bird", "2026-01-01", 10**400, 1e39])
)
ANYTHING = strategies.recursive(
    LEAVES, lambda inner: strategies.lists(inner) | strategies.dictionaries(NAMES, inner)
)
"""JSON of any form, with the columns' own names among its keys."""
NEARLY = strategies.fixed_dictionaries(dict.fromkeys(COLUMNS, LEAVES | ANYTHING))
"""Rows that have every column, of which each may hold anything."""
GOOD = strategies.fixed_dictionaries(
    {
        name: cells | strategies.none() if name in MAY_LACK else cells
        for name, cells in {
            "island": strategies.sampled_from(["Dream", "Nowhere", ""]),
            "rings": strategies.sampled_from([0, -1.5, 3e38]),
            "ringed": strategies.booleans(),
            "mass": strategies.floats(-3e38, 3e38),
            "eggs": strategies.integers(-(2**60), 2**60),
            "tagged": strategies.booleans(),
            "seen": strategies.datetimes(datetime(1678, 1, 1), datetime(2261, 1, 1)).map(str),
            "note": strategies.text(),
        }.items()
    }
)
"""Rows of which each cell is of its column, and its value perhaps none that was ever seen."""


def tensor_of(name: str) -> Any:
    """A tensor of the column, right or wrong in any of its fields."""
    return strategies.fixed_dictionaries(
        {
            "name": strategies.just(name),
            "shape": strategies.just([1]) | strategies.lists(strategies.integers()),
            "datatype": strategies.just(DATATYPES[name]) | strategies.sampled_from(["FP64", "x"]),
            "data": strategies.lists(LEAVES, min_size=1, max_size=1) | ANYTHING,
        }
    )


@pytest.mark.parametrize("path", PATHS)
@given(
    body=ANYTHING
    | strategies.fixed_dictionaries({"instances": strategies.lists(NEARLY | ANYTHING)})
    | strategies.fixed_dictionaries(
        {
            "inputs": strategies.fixed_dictionaries(
                {name: strategies.lists(LEAVES) for name in COLUMNS}
            )
        }
    )
    | strategies.fixed_dictionaries({"inputs": strategies.tuples(*map(tensor_of, COLUMNS))})
)
@hypothesis(**QUICKLY)
def test_no_json_makes_the_model_fail(http: TestClient, path: str, body: Any) -> None:
    content = json.dumps(body).encode()
    assert http.post(path, content=content).status_code in {200, 400, 422}


@given(rows=strategies.lists(GOOD, min_size=1, max_size=5))
@hypothesis(**QUICKLY)
def test_every_row_of_the_right_kinds_is_answered(http: TestClient, rows: Any) -> None:
    reply = http.post("/predict/", json={"instances": rows})
    assert reply.status_code == 200, reply.text
    assert len(reply.json()["predictions"]) == len(rows)
