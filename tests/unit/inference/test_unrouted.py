"""Requests that find no route are requests: a gate sees predictions that went astray, and neither
browsers nor scanners nor probes.
"""

import re

import pytest
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.settings import Settings

ROW = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
JSON, FORM = (
    {"Content-Type": "application/json"},
    {"Content-Type": "application/x-www-form-urlencoded"},
)


@pytest.fixture
def fresh(settings: Settings, loaded: LoadedModel) -> TestClient:
    return TestClient(create_app(settings, loaded), raise_server_exceptions=False)


def counted(client: TestClient) -> dict[str, float]:
    """Requests, errors and unrouted ones by kind, as Prometheus would read them; and how many had
    their time taken.
    """
    text = client.get("/metrics/").text
    found = {
        name: float(value)
        for name, value in re.findall(
            r"^ml_request_(count|errors)_total\{.*} (.*)$", text, re.MULTILINE
        )
    }
    unrouted = re.findall(r'^ml_request_unrouted_total\{kind="(\w+)".*} (.*)$', text, re.MULTILINE)
    timed = re.findall(r"^ml_request_latency_seconds_count\{.*} (.*)$", text, re.MULTILINE)
    return {**found, **{kind: float(value) for kind, value in unrouted}, "timed": float(timed[0])}


ASTRAY = {
    "the router took the path away": ("POST", "/", JSON),
    "a word behind the route": ("POST", "/iris/predict/now", FORM),
    "a path of another server": ("POST", "/v1/models/iris:predict", JSON),
    "CSV to nowhere": ("POST", "/iris", {"Content-Type": "text/csv; charset=utf-8"}),
    "the version that was there before": ("POST", "/v2/models/iris/versions/6/infer", JSON),
    "another model's name": ("POST", "/v2/models/other/infer", {}),
    "a prediction to a page": ("POST", "/health/", JSON),
}


@pytest.mark.parametrize(("method", "path", "headers"), ASTRAY.values(), ids=ASTRAY.keys())
def test_a_prediction_that_finds_no_route_is_a_request_that_failed(
    fresh: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    assert fresh.request(method, path, content=ROW, headers=headers).status_code in {404, 405}
    assert counted(fresh) == {"count": 1, "errors": 1, "prediction": 1, "other": 0, "timed": 0}


HARMLESS = {
    "a browser": ("GET", "/favicon.ico", {}),
    "a crawler": ("GET", "/robots.txt", {}),
    "a scanner that reads": ("GET", "/.env", {}),
    "a scanner that posts a form": ("POST", "/wp-login.php", FORM),
    "a scanner that posts XML": ("POST", "/xmlrpc.php", {"Content-Type": "text/xml"}),
    "a person who looks at a route": ("GET", "/predict/", {}),
    "a load balancer that asks the root": ("HEAD", "/", {}),
    "a method that nobody has": ("PROPFIND", "/", {}),
}


@pytest.mark.parametrize(("method", "path", "headers"), HARMLESS.values(), ids=HARMLESS.keys())
def test_what_is_no_prediction_is_counted_apart(
    fresh: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    assert fresh.request(
        method, path, content=b"x=1" if method == "POST" else None, headers=headers
    ).status_code in {404, 405}
    assert counted(fresh) == {"count": 0, "errors": 0, "prediction": 0, "other": 1, "timed": 0}


@pytest.mark.parametrize(
    "path",
    [
        "/health/",
        "/health",
        "/health/live",
        "/ping",
        "/version",
        "/metrics",
        "/v2/health/ready",
        "/docs",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_finds_its_route_is_not_among_them(fresh: TestClient, method: str, path: str) -> None:
    assert fresh.request(method, path).status_code == 200
    assert counted(fresh) == {"count": 0, "errors": 0, "prediction": 0, "other": 0, "timed": 0}


def test_no_path_becomes_a_label(fresh: TestClient) -> None:
    before = len(fresh.get("/metrics/").text.splitlines())
    for number in range(50):
        fresh.post(f"/{number}/predict/{number}", content=ROW)
        fresh.get(f"/{number}")
    assert len(fresh.get("/metrics/").text.splitlines()) == before
