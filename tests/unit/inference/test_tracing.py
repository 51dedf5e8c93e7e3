"""Traces reach a collector: a real HTTP server that reads OTLP's own messages."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.settings import Settings

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ExportTraceServiceRequest]]:
    """What a collector on a free port receives; the environment names it."""
    received: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    yield received
    server.shutdown()


def test_a_request_is_a_span_of_the_callers_trace(
    settings: Settings, loaded: LoadedModel, collector: list[ExportTraceServiceRequest]
) -> None:
    with TestClient(create_app(settings, loaded)) as client:
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        client.post("/predict/", json={"instances": [[5.1, 3.5, 1.4, 0.2]] * 3}, headers=headers)
        client.post("/predict/", content=b"{")
    (resource,) = [one for request in collector for one in request.resource_spans]
    assert {a.key: a.value.string_value for a in resource.resource.attributes}[
        "ml.revision"
    ] == "abc123"
    first, second = resource.scope_spans[0].spans
    assert (first.name, first.trace_id.hex(), first.parent_span_id.hex()) == (
        "POST /predict/",
        TRACE,
        "b7ad6b7169203331",
    )
    said = {a.key: a.value.int_value for a in first.attributes}
    assert (said["http.response.status_code"], said["ml.rows"]) == (200, 3)
    assert {a.key: a.value.int_value for a in second.attributes}["http.response.status_code"] == 400


def test_without_an_endpoint_nothing_is_traced(
    settings: Settings, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    app = create_app(settings, loaded)
    with TestClient(app):
        assert app.state.tracing.begin({}) is None
