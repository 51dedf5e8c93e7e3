"""The server is what the Open Inference Protocol's own document says: schemathesis makes requests
of that, not of ours.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from tests.unit.inference.iris_bodies import INFER
from tests.unit.inference.schema_checks import CHECKS, EXAMPLES

DOCUMENT = yaml.safe_load(Path(__file__).with_name("open_inference.yaml").read_text())
PATHS = [
    (path, method)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method in {"get", "post"}
]
NAMED = {"MODEL_NAME": "iris", "MODEL_VERSION": "local"}


def document() -> dict[str, Any]:
    """It, with the model that is served: of others it says nothing, and they are 404."""
    made: dict[str, Any] = copy.deepcopy(DOCUMENT)
    for item in made["paths"].values():
        for parameter in item.get("parameters", ()):
            parameter["schema"] = {"type": "string", "enum": [NAMED[parameter["name"]]]}
    return made


def operation(client: TestClient, path: str, method: str) -> Any:
    loaded = schemathesis.openapi.from_dict(document())
    loaded.app = client.app
    return loaded[path][method]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
@pytest.mark.parametrize(("path", "method"), PATHS)
def test_every_answer_is_as_the_protocols_document_says(
    client: TestClient, path: str, method: str, mode: GenerationMode
) -> None:
    @given(case=operation(client, path, method).as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES * 5,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    def answers(case: Any) -> None:
        case.path_parameters = {name: one for name, one in NAMED.items() if f"{{{name}}}" in path}
        case.call_and_validate(checks=CHECKS)

    try:
        answers()
    except Unsatisfiable:
        assert method == "get", "of a route without parameters nothing wrong can be asked"


NAMES = ["predict", "prediction_id", "predict_proba"]
OUTPUTS: dict[str, Any] = {
    "by default": {},
    "all by name": {"outputs": [{"name": name} for name in NAMES]},
    "with an id": {"id": "42", "parameters": {}},
}


@pytest.mark.parametrize("more", OUTPUTS.values(), ids=OUTPUTS.keys())
@pytest.mark.parametrize("body", INFER.values(), ids=INFER.keys())
def test_right_requests_are_answered_as_the_protocols_document_says(
    client: TestClient, body: dict[str, Any], more: dict[str, Any]
) -> None:
    asked = operation(client, PATHS[-1][0], "post").Case(
        body={**body, **more}, path_parameters=NAMED, media_type="application/json"
    )
    assert asked.call_and_validate(checks=CHECKS).status_code == 200
