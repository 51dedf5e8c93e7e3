"""What the API server accepts, refuses and fills in, by the CRD alone."""

from typing import Any

import pytest

from tests.support.api_client import ApiClient
from tests.support.kinds import GROUP, path_of
from tests.support.spec_cases import ACCEPTED, MINIMAL, NAMES, REFUSED


def submit(api: ApiClient, spec: dict[str, Any], name: str = "iris") -> tuple[int, dict[str, Any]]:
    body = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }
    reply = api.http.post(
        path_of("ModelRollout", "default"),
        json=body,
        params={"dryRun": "All", "fieldValidation": "Strict"},
    )
    return reply.status_code, reply.json()


@pytest.mark.parametrize(("spec", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_a_sentence(api: ApiClient, spec: dict[str, Any], sentence: str) -> None:
    code, reply = submit(api, spec)
    assert code in {400, 422}, reply
    assert sentence in reply["message"]


@pytest.mark.parametrize(("name", "sentence"), NAMES.values(), ids=NAMES.keys())
def test_names_refused(api: ApiClient, name: str, sentence: str) -> None:
    code, reply = submit(api, MINIMAL, name)
    assert code == 422
    assert sentence in reply["message"]


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(api: ApiClient, spec: dict[str, Any]) -> None:
    code, reply = submit(api, spec)
    assert code == 201, reply


def test_two_lines_are_enough(api: ApiClient) -> None:
    _, made = submit(api, MINIMAL)
    spec = made["spec"]
    assert spec["replicas"] == 2
    assert spec["traffic"] == {
        "host": "iris.example.com",
        "path": "/",
        "provider": "Ingress",
        "ingressClassName": "nginx",
        "removalDelay": "5m",
    }
    assert spec["strategy"]["steps"] == [
        {"weight": 10, "shadow": 0, "hold": "60s"},
        {"weight": 50, "shadow": 0, "hold": "60s"},
    ]
    gate = spec["analysis"]["gates"][0]
    assert (gate["metric"], gate["min"], gate["evidence"]) == ("accuracy", 0.7, "Reported")
    tested = {
        "alpha": {"promote": 0.05, "rollback": 0.05},
        "minSamples": 30,
        "maxSamples": 2000,
        "tolerance": 0,
    }
    assert gate.items() >= {**tested, "labelDelay": "0s", "minCoverage": 0.8}.items()
    assert spec["paused"] is False


def test_a_new_object_is_in_progress_by_kstatus(api: ApiClient) -> None:
    _, made = submit(api, MINIMAL)
    assert made["status"] == {"observedGeneration": -1}
