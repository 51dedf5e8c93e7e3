"""The server answers under whatever path leads to it."""

import re

import pytest
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from rollout_inference.api.prefix import prefixes
from rollout_operator.domain.api.traffic import TAKEN


def answer() -> None: ...


PATHS = ("/predict/", "/predict", "/health/", "/v2", "/v2/health/live", "/v2/models/{name}/infer")
prefix_of = prefixes([*(Route(path, answer) for path in PATHS), Mount("/assets", routes=[])])
PREFIXES = {
    "none": ("/predict/", ""),
    "one segment": ("/iris/predict/", "/iris"),
    "several": ("/team/models/iris/predict", "/team/models/iris"),
    "a model named like a route": ("/v2/models/predict/infer", ""),
    "the same under a prefix": ("/iris/v2/models/predict/infer", "/iris"),
    "a prefix that begins like a route": ("/api/v2/predict/", "/api/v2"),
    "a prefix that is a route": ("/v2/predict/", "/v2"),
    "a route within a route's prefix": ("/v2/health/v2/health/live", "/v2/health"),
    "health under predict": ("/predict/health/", "/predict"),
    "what is mounted": ("/iris/assets/a/predict/", "/iris"),
    "nothing known": ("/iris/other", ""),
    "the prefix alone": ("/iris/", ""),
    "the root": ("/", ""),
    "an empty segment": ("//predict/", "/"),
}


@pytest.mark.parametrize(("path", "prefix"), PREFIXES.values(), ids=PREFIXES.keys())
def test_what_stands_before_a_route(path: str, prefix: str) -> None:
    assert prefix_of(path) == prefix


UNDER = [
    "",
    "/iris",
    "/team/models/iris",
    "/api/v2",
    "/v2",
    "/predict",
    "/health/x",
    "/metrics",
    "/docs",
]


@pytest.mark.parametrize("prefix", UNDER)
def test_every_route_answers_under_a_prefix(client: TestClient, prefix: str) -> None:
    flower = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
    assert client.post(f"{prefix}/predict/", json=flower).json()["predictions"] == ["setosa"]
    assert client.get(f"{prefix}/health/").json()["status"] == "ready"
    assert "ml_request_count_total" in client.get(f"{prefix}/metrics/").text
    assert (
        f'"url":"{prefix}"' in client.get(f"{prefix}/openapi.json").text.replace(" ", "")
        or not prefix
    )


@pytest.mark.parametrize("prefix", ["/v2/models", "/api/v2/models", "/v2/models/iris/versions"])
def test_under_what_names_models_nothing_answers_and_no_rollout_may_ask_for_it(
    client: TestClient, prefix: str
) -> None:
    assert client.post(
        f"{prefix}/predict", json={"instances": [[5.1, 3.5, 1.4, 0.2]]}
    ).status_code in {404, 405}
    assert re.search(TAKEN, prefix)
    assert not any(re.search(TAKEN, other) for other in [*UNDER, "/v2/models/iris"])


def test_what_is_no_route_is_none_under_a_prefix(client: TestClient) -> None:
    assert client.get("/iris/other").status_code == 404
    assert client.get("/iris/").status_code == 404


@pytest.mark.parametrize("prefix", ["", "/iris"])
def test_the_page_of_the_documentation_needs_no_other_host(client: TestClient, prefix: str) -> None:
    page = client.get(f"{prefix}/docs").text
    fetched = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(fetched) == 3
    for one in fetched:
        assert client.get(one).status_code == 200
    assert f"'{prefix}/openapi.json'" in page or f'"{prefix}/openapi.json"' in page
