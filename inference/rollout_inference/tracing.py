"""OpenTelemetry where OTEL_EXPORTER_OTLP_ENDPOINT is set: one span for each request to the model, a
child of the caller's.

Configured by OpenTelemetry's own variables only. Source of names:
opentelemetry.io/docs/specs/semconv/http/http-spans.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class Tracing(Protocol):
    """Begins a span; what it returns is ended by `end`."""

    def begin(self, scope: Mapping[str, Any]) -> Any:
        """A span for the request, None where nothing is traced."""

    def end(self, span: Any, status: int, rows: int) -> None:
        """The request was answered."""

    def close(self) -> None:
        """Send what was not sent yet."""


class _None:
    def begin(self, scope: Mapping[str, Any]) -> Any:  # noqa: ARG002
        return None

    def end(self, span: Any, status: int, rows: int) -> None:
        pass

    def close(self) -> None:
        pass


NO_TRACING: Tracing = _None()


class _OpenTelemetry:
    def __init__(self, attributes: Mapping[str, str]) -> None:
        # Only where it is asked for.
        from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415
        from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415

        self._provider = TracerProvider(
            resource=Resource.create(dict(attributes)), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(trace_exporter.OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("rollout_inference")
        self._kind, self._error = SpanKind.SERVER, StatusCode.ERROR
        self._extract = tracecontext.TraceContextTextMapPropagator().extract

    def begin(self, scope: Mapping[str, Any]) -> Any:
        carrier = _carrier(scope["headers"])
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        return self._tracer.start_span(
            f"{scope['method']} {scope['path']}",
            context=self._extract(carrier) if carrier else None,
            kind=self._kind,
            attributes=attributes,
        )

    def end(self, span: Any, status: int, rows: int) -> None:
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("ml.rows", rows)
        if status >= 500:
            span.set_status(self._error)
        span.end()

    def close(self) -> None:
        self._provider.shutdown()


def _carrier(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {
        name.decode(): value.decode("latin-1")
        for name, value in headers
        if name in {b"traceparent", b"tracestate"}
    }


def tracing(env: Mapping[str, str], model: str, version: str, revision: str) -> Tracing:
    """Tracing as the environment asks for it."""
    if not (
        env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    ):
        return NO_TRACING
    name = env.get("OTEL_SERVICE_NAME", "rollout-inference")
    return _OpenTelemetry(
        {"service.name": name, "ml.model": model, "ml.version": version, "ml.revision": revision}
    )
