"""The OpenAPI document says what the server does: schemathesis makes requests of it, right ones and
wrong ones.
"""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    positive_data_acceptance,
)
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.settings import Settings
from tests.unit.inference.schema_checks import CHECKS, EXAMPLES

MOST = 1000
LOOSE = {"/v2/models/{name}/infer"}
"""Paths of which JSON Schema cannot say all: that a tensor has as many numbers as its shape says.
Right requests are in test_protocols.
"""


@pytest.fixture(scope="module")
def client(trained: Path, loaded: LoadedModel) -> TestClient:
    """With room for whatever schemathesis thinks of, 413 is no answer to a wrong schema; and with
    few enough rows to think of more.
    """
    wanted = Settings(model_path=trained, feedback_key="key", max_rows=MOST)
    return TestClient(create_app(wanted, loaded), raise_server_exceptions=False)


OPERATIONS = [
    *(
        ("post", path)
        for path in ("/predict/", "/feedback/", "/invocations", "/v2/models/{name}/infer")
    ),
    *(
        ("get", path)
        for path in (
            "/health/",
            "/health/live",
            "/metrics/",
            "/ping",
            "/version",
            "/v2",
            "/v2/health/ready",
            "/v2/models/{name}",
        )
    ),
]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda word: word)
def test_every_answer_is_as_the_document_says(
    client: TestClient, method: str, path: str, mode: GenerationMode
) -> None:
    check(client, method, path, mode)


def check(client: TestClient, method: str, path: str, mode: GenerationMode) -> None:
    """Ask what the document allows, or what it does not."""
    operation = schemathesis.openapi.from_asgi("/openapi.json", client.app)[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    def answers(case: Any) -> None:
        case.call_and_validate(
            checks=[*CHECKS, *([] if path in LOOSE else [positive_data_acceptance])]
        )

    try:
        answers()
    except Unsatisfiable:
        assert method == "get", "of a route without parameters nothing wrong can be asked"


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("path", ["/predict/", "/feedback/"])
def test_with_a_store_every_answer_is_as_the_document_says(
    trained: Path, loaded: LoadedModel, tmp_path: Path, path: str, mode: GenerationMode
) -> None:
    wanted = Settings(
        model_path=trained,
        feedback_key="key",
        feedback_store=f"sqlite:{tmp_path}/labels",
        max_rows=MOST,
        value_max=200,
    )
    client = TestClient(create_app(wanted, loaded), raise_server_exceptions=False)
    check(client, "post", path, mode)


def test_no_route_is_left_out(client: TestClient) -> None:
    said = client.get("/openapi.json").json()["paths"]
    assert {path for _, path in OPERATIONS} >= set(said) - {
        "/v2/health/live",
        "/v2/models/{name}/ready",
    }


def test_the_document_has_the_models_own_rows(client: TestClient) -> None:
    said = client.get("/openapi.json").json()
    rows = said["components"]["schemas"]["Rows"]
    assert (
        rows["maxItems"]
        == said["components"]["schemas"]["Split"]["properties"]["data"]["maxItems"]
        == MOST
    )
    row, named = rows["items"]["anyOf"]
    assert row["minItems"] == row["maxItems"] == 4
    assert named["required"] == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
