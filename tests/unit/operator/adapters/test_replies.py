"""Replies of Prometheus and of the registry, read from their bytes."""

import json
from typing import Any

import pytest

from rollout_operator.adapters import model_registry
from rollout_operator.adapters.model_registry import authorization
from rollout_operator.domain.gates import promql
from rollout_operator.domain.observed import (
    DigestMissing,
    MetricsUnreachable,
    NotFound,
    NotReady,
    RegistryUnreachable,
    Resolved,
    Series,
)

DIGEST = "sha256:" + "0" * 64


def matrix(*series: dict[str, Any], **more: Any) -> bytes:
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": list(series)}, **more}
    ).encode()


def one(**labels: str) -> dict[str, Any]:
    metric = {
        "__name__": "ml_model_accuracy",
        "namespace": "models",
        "revision": "abc",
        "pod": "p",
        **labels,
    }
    return {"metric": metric, "values": [[1.0, "0.5"], [2.5, "0.9"]]}


UNREADABLE = {
    "HTTP 400": (400, b"{}"),
    "HTTP 422": (422, b"{}"),
    "HTTP 429": (429, b""),
    "HTTP 500": (500, b""),
    "HTTP 503": (503, b""),
    "a redirect": (302, b""),
    "HTML": (200, b"<html>"),
    "truncated JSON": (200, matrix(one())[:-9]),
    "nothing": (200, b""),
    "a list": (200, b"[]"),
    "null": (200, b"null"),
    "status error": (200, b'{"status":"error","data":{"resultType":"matrix","result":[]}}'),
    "a vector": (200, b'{"status":"success","data":{"resultType":"vector","result":[]}}'),
    "a scalar": (200, b'{"status":"success","data":{"resultType":"scalar","result":[1,"0.9"]}}'),
    "warnings": (200, matrix(one(), warnings=["partial data"])),
    "a series without samples": (200, matrix({"metric": {"__name__": "x"}, "values": []})),
    "a value that is no number": (
        200,
        matrix({"metric": {"__name__": "x"}, "values": [[1, "good"]]}),
    ),
    "a series without name": (200, matrix({"metric": {}, "values": [[1, "0.9"]]})),
}


@pytest.mark.parametrize(("status", "body"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_answer_of_prometheus(status: int, body: bytes) -> None:
    assert isinstance(promql.read(status, body), MetricsUnreachable)


TOO_MANY = {
    "status": "error",
    "errorType": "execution",
    "error": "query processing would load too many samples into memory",
}
LOGIN = ("a login page?", "look at prometheus.url")
HELP: dict[str, tuple[int, bytes, tuple[str, ...]]] = {
    "credentials are wanted": (
        401,
        b"Unauthorized",
        ("HTTP 401 and said: Unauthorized.", "prometheus.auth"),
    ),
    "a login page": (200, b"\n <!doctype html><html>", LOGIN),
    "a login page of a proxy that forbids": (
        403,
        b"<!doctype html><title>x</title><h1>Sign in</h1>",
        ("HTTP 403", "Sign in", *LOGIN),
    ),
    "a redirect to a login page": (302, b"", ("HTTP 302 with a redirect", *LOGIN)),
    "a redirect with its page": (
        302,
        b'<a href="https://login.example.com">Found</a>.\n',
        ("HTTP 302 with HTML", "Found", *LOGIN),
    ),
    "too many samples": (
        422,
        json.dumps(TOO_MANY).encode(),
        ("HTTP 422 and said: query processing would load too many samples",),
    ),
    "a proxy that forbids": (
        403,
        b"\nno access for you.\nAsk Bob",
        ("HTTP 403 and said: no access for you",),
    ),
    "a busy one": (503, b"no healthy upstream", ("HTTP 503 and said: no healthy upstream",)),
    "a long line": (500, b"x" * 9000, ("x" * 200,)),
}


@pytest.mark.parametrize(("status", "body", "sentences"), HELP.values(), ids=HELP.keys())
def test_what_helps_is_said(status: int, body: bytes, sentences: tuple[str, ...]) -> None:
    said = promql.read(status, body)
    assert isinstance(said, MetricsUnreachable)
    assert all(sentence in said.message for sentence in sentences), said.message
    assert len(said.message) < 400
    assert "<" not in said.message


def test_the_newest_sample_counts_and_keeps_its_time() -> None:
    answer = promql.read(200, matrix(one(source="training"), one(revision="def")))
    assert not isinstance(answer, MetricsUnreachable)
    assert answer["models", "abc"] == (
        Series("ml_model_accuracy", "p", 2.5, 0.9, "training", first=0.5, gap=1.5),
    )
    assert set(answer) == {("models", "abc"), ("models", "def")}


def test_an_empty_matrix_is_an_answer() -> None:
    assert promql.read(200, matrix()) == {}


def version(**changes: Any) -> bytes:
    tags = [{"key": "rollouts.mlops.dev/digest", "value": DIGEST}]
    found = {
        "name": "iris",
        "version": "7",
        "run_id": "r1",
        "status": "READY",
        "tags": tags,
        **changes,
    }
    return json.dumps({"model_version": found}).encode()


def error(code: str) -> bytes:
    return json.dumps({"error_code": code, "message": "said so"}).encode()


REGISTRY = {
    "a READY version with digest": (200, version(), Resolved("models:/iris/7", "7", DIGEST, "r1")),
    "a version without run": (
        200,
        version(run_id=None),
        Resolved("models:/iris/7", "7", DIGEST, ""),
    ),
    "a pending version": (200, version(status="PENDING_REGISTRATION"), NotReady),
    "a failed version": (
        200,
        version(status="FAILED_REGISTRATION", status_message="disk full"),
        NotReady,
    ),
    "no digest": (200, version(tags=[]), DigestMissing),
    "a digest that is none": (
        200,
        version(tags=[{"key": "rollouts.mlops.dev/digest", "value": "md5:1"}]),
        DigestMissing,
    ),
    "no such version": (404, error("RESOURCE_DOES_NOT_EXIST"), NotFound),
    "an invalid name": (400, error("INVALID_PARAMETER_VALUE"), NotFound),
    "HTTP 500": (500, error("INTERNAL_ERROR"), RegistryUnreachable),
    "HTTP 503 with HTML": (503, b"<html>", RegistryUnreachable),
    "HTTP 404 of a proxy": (404, b"not found", RegistryUnreachable),
    "not authorised": (401, error("UNAUTHENTICATED"), RegistryUnreachable),
    "a list": (200, b"[]", RegistryUnreachable),
    "no version in it": (200, b"{}", RegistryUnreachable),
}


@pytest.mark.parametrize(("status", "body", "expected"), REGISTRY.values(), ids=REGISTRY.keys())
def test_what_the_registry_says(status: int, body: bytes, expected: object) -> None:
    said = model_registry.read("models:/iris/7", status, body)
    assert isinstance(said, expected) if isinstance(expected, type) else said == expected
    assert isinstance(said, Resolved) or getattr(said, "message", "").strip()


REFUSALS: dict[str, tuple[int, bytes, tuple[str, ...]]] = {
    "MLflow's guard of the Host header": (
        403,
        b"Invalid Host header - possible DNS rebinding attack detected",
        ("HTTP 403 and said: Invalid Host header", "--allowed-hosts"),
    ),
    "no credentials": (
        401,
        b"You are not authenticated. Please see the documentation.\n",
        ("not authenticated", "credentialsSecret"),
    ),
    "credentials that pods do not get": (
        401,
        b"",
        ("model pods have those of models.credentials",),
    ),
    "credentials as JSON": (401, error("UNAUTHENTICATED"), ("said so", "credentialsSecret")),
    "no permission": (
        403,
        b"Permission denied",
        ("Permission denied", "may not read it, or there is no such model"),
    ),
    "a page": (
        502,
        (
            b"<html><head><title>502</title><style>b {}</style></head>\n<body><b>Bad</b>"
            b" gateway</body></html>"
        ),
        ("HTTP 502 and said: Bad gateway.",),
    ),
    "nothing": (503, b"", ("HTTP 503 with something else than a JSON object.",)),
    "a long line": (500, b"x" * 9000, ("x" * 200 + ".",)),
}


@pytest.mark.parametrize(("status", "body", "sentences"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_of_the_registry_is_told_in_its_words(
    status: int, body: bytes, sentences: tuple[str, ...]
) -> None:
    said = model_registry.read("models:/iris/7", status, body)
    assert isinstance(said, RegistryUnreachable)
    assert all(sentence in said.message for sentence in sentences), said.message
    assert len(said.message) < 400
    assert "<" not in said.message


@pytest.mark.parametrize(
    ("env", "header"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({"MLFLOW_TRACKING_TOKEN": "t"}, {"Authorization": "Bearer t"}, id="token"),
        pytest.param(
            {"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"},
            {"Authorization": "Basic dTpw"},
            id="user and password",
        ),
    ],
)
def test_authorization(env: dict[str, str], header: dict[str, str]) -> None:
    assert authorization(env) == header
