"""What Prometheus may reply, sound and unsound, as bytes from a real HTTP server (list:
reliability.md).
"""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from aiohttp import web

NAMESPACE = "models"
GOOD, BAD = "0.93", "0.62"


@dataclass(frozen=True)
class Moment:
    """When a reply is made, and for whom."""

    now: float
    """Unix time of the look."""
    ready: float
    """When the candidate's pods became Ready, Unix time."""
    revision: str
    """The candidate's."""
    n: int
    """Number of the look."""


class Verdict(Enum):
    """What a reply is evidence of."""

    NONE = auto()
    GOOD = auto()
    BAD = auto()


class Manner(Enum):
    """How a reply is delivered."""

    WHOLE = auto()
    HANG = auto()
    DRIP = auto()
    CUT = auto()
    RESET = auto()


@dataclass(frozen=True)
class Reply:
    """One kind of reply."""

    body: Callable[[Moment], bytes]
    verdict: Verdict = Verdict.NONE
    status: int = 200
    manner: Manner = Manner.WHOLE
    headers: Mapping[str, str] = field(default_factory=dict)
    gate: str = "accuracy"
    """Which gate reads it."""


def series(
    at: Moment,
    *values: Any,
    name: str = "ml_model_accuracy",
    when: float | None = None,
    **labels: Any,
) -> dict[str, Any]:
    """One series with these values, the last of them sampled a second ago, or at `when`."""
    newest = at.now - 1 if when is None else when
    known = {
        "__name__": name,
        "namespace": NAMESPACE,
        "revision": at.revision,
        "pod": "a",
        **labels,
    }
    metric = {k: v for k, v in known.items() if v is not None}
    return {
        "metric": metric,
        "values": [[newest - 5 * (len(values) - 1 - k), v] for k, v in enumerate(values)],
    }


def matrix(*found: Any, **more: Any) -> bytes:
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": list(found)}, **more}
    ).encode()


def gauge(*values: Any, verdict: Verdict = Verdict.NONE, **changes: Any) -> Reply:
    """A matrix with one series of accuracy."""
    return Reply(lambda at: matrix(series(at, *values, **changes)), verdict)


def at_time(when: Callable[[Moment], Any]) -> Reply:
    """A good value, sampled at some other time."""
    return Reply(lambda at: matrix(series(at, GOOD, when=when(at))))


def fixed(body: bytes, status: int = 200) -> Reply:
    return Reply(lambda _: body, status=status)


def sound(at: Moment) -> bytes:
    """A good reply."""
    return matrix(series(at, GOOD))


def labels(at: Moment, right: float, wrong: float, pod: str = "a") -> Iterator[dict[str, Any]]:
    yield series(at, str(right), name="ml_feedback_total", outcome="correct", pod=pod)
    yield series(at, str(wrong), name="ml_feedback_total", outcome="wrong", pod=pod)
    yield series(at, str(right + wrong), name="ml_predictions_total", pod=pod)


def requests(at: Moment, total: str, errors: str | None) -> Iterator[dict[str, Any]]:
    yield series(at, total, name="ml_request_count_total")
    if errors is not None:
        yield series(at, errors, name="ml_request_errors_total")


def labelled(
    right: Callable[[int], float], wrong: Callable[[int], float], verdict: Verdict = Verdict.NONE
) -> Reply:
    """Counters of labels, by the number of the look."""
    return Reply(lambda at: matrix(*labels(at, right(at.n), wrong(at.n))), verdict, gate="labelled")


def errors(total: str, failed: str | None, verdict: Verdict = Verdict.NONE) -> Reply:
    return Reply(lambda at: matrix(*requests(at, total, failed)), verdict, gate="errorRate")


def refusing(status: int) -> Reply:
    """An error of the API as Prometheus words it; a good answer with the wrong status would not be
    one either.
    """
    return Reply(sound, status=status)


REPLIES: dict[str, Reply] = {
    # Sound ones: the table would prove nothing if nothing could be promoted or rolled back.
    "a good value": gauge(GOOD, verdict=Verdict.GOOD),
    "exactly the threshold": gauge("0.70", verdict=Verdict.GOOD),
    "one": gauge("1", verdict=Verdict.GOOD),
    "just below the threshold": gauge("0.6999", verdict=Verdict.BAD),
    "zero": gauge("0", verdict=Verdict.BAD),
    "no pod label": gauge(GOOD, pod=None, verdict=Verdict.GOOD),
    "infos beside the data": Reply(
        lambda at: matrix(series(at, GOOD), infos=["PromQL info"]), Verdict.GOOD
    ),
    "good after bad within the window": gauge(BAD, GOOD, verdict=Verdict.GOOD),
    "two pods, the worse below": Reply(
        lambda at: matrix(series(at, GOOD), series(at, "0.5", pod="b")), Verdict.BAD
    ),
    "two pods, one long gone": Reply(
        lambda at: matrix(series(at, GOOD), series(at, "0.5", pod="b", when=at.now - 40)),
        Verdict.GOOD,
    ),
    # Values.
    "no series": fixed(matrix()),
    "NaN": gauge("NaN"),
    "+Inf": gauge("+Inf"),
    "-Inf": gauge("-Inf"),
    "below 0": gauge("-0.1"),
    "above 1": gauge("1.01"),
    "percent": gauge("93"),
    "huge": gauge("1e308"),
    "too huge for a float": gauge("1e999"),
    "a word": gauge("good"),
    "an empty value": gauge(""),
    "null": gauge(None),
    "a list for a value": gauge([GOOD]),
    "NaN as JSON has it not": Reply(lambda at: matrix(series(at, float("nan")))),
    "Infinity as JSON has it not": Reply(lambda at: matrix(series(at, float("inf")))),
    "a hexadecimal value": gauge("0x1p-1"),
    "two pods, one NaN": Reply(lambda at: matrix(series(at, GOOD), series(at, "NaN", pod="b"))),
    "two pods, one above 1": Reply(lambda at: matrix(series(at, GOOD), series(at, "1.5", pod="b"))),
    # Several series.
    "two series of one pod": Reply(
        lambda at: matrix(series(at, GOOD, job="a"), series(at, GOOD, job="b"))
    ),
    "two series of one pod that differ": Reply(
        lambda at: matrix(series(at, GOOD, source="training"), series(at, BAD, source="feedback"))
    ),
    "only how many labels there were": Reply(
        lambda at: matrix(series(at, "60", name="ml_model_accuracy_samples"))
    ),
    # Times.
    "stale": at_time(lambda at: at.now - 31),
    "from before the trial": at_time(lambda at: at.ready - 1),
    "from the moment of Ready": at_time(lambda at: at.ready),
    "from the future": at_time(lambda at: at.now + 60),
    "in milliseconds": at_time(lambda at: at.now * 1000),
    "at 0": at_time(lambda _: 0),
    "at no time": Reply(lambda at: matrix({**series(at, GOOD), "values": [[None, GOOD]]})),
    "at a time that is NaN": Reply(
        lambda at: matrix({**series(at, GOOD), "values": [[float("nan"), GOOD]]})
    ),
    "at a time that is infinite": Reply(
        lambda at: matrix({**series(at, GOOD), "values": [[float("inf"), GOOD]]})
    ),
    # Whose.
    "of another revision": gauge(GOOD, revision="0123456789"),
    "of a rollout of that name that was deleted": gauge(
        GOOD, revision="deadbeef00", pod="iris-deadbeef00-x"
    ),
    "of another namespace": gauge(GOOD, namespace="others"),
    "of no revision": gauge(GOOD, revision=None),
    "of no namespace": gauge(GOOD, namespace=None),
    "of no name": gauge(GOOD, name=None),
    "of stable, which is good": Reply(
        lambda at: matrix(series(at, GOOD, revision="stable0000"), series(at, "NaN"))
    ),
    # Shapes.
    "a scalar": Reply(
        lambda at: json.dumps(
            {"status": "success", "data": {"resultType": "scalar", "result": [at.now, GOOD]}}
        ).encode()
    ),
    "a string": fixed(b'{"status":"success","data":{"resultType":"string","result":[1,"0.93"]}}'),
    "a vector": Reply(
        lambda at: json.dumps(
            {
                "status": "success",
                "data": {
                    "resultType": "vector",
                    "result": [{**series(at, GOOD), "value": [at.now, GOOD]}],
                },
            }
        ).encode()
    ),
    "a matrix that is an object": fixed(
        b'{"status":"success","data":{"resultType":"matrix","result":{}}}'
    ),
    "a matrix that is null": fixed(
        b'{"status":"success","data":{"resultType":"matrix","result":null}}'
    ),
    "a series without samples": Reply(lambda at: matrix({**series(at, GOOD), "values": []})),
    "a native histogram": Reply(
        lambda at: matrix(
            {"metric": series(at, GOOD)["metric"], "histograms": [[at.now, {"count": "5"}]]}
        )
    ),
    "a sample of one part": Reply(lambda at: matrix({**series(at, GOOD), "values": [[at.now]]})),
    "warnings": Reply(
        lambda at: matrix(series(at, GOOD), warnings=["partial data: a store did not answer"])
    ),
    "status error": Reply(lambda at: sound(at).replace(b"success", b"error")),
    "no status": Reply(lambda at: sound(at).replace(b'"status"', b'"state"')),
    "no data": fixed(b'{"status":"success"}'),
    "a list": fixed(b"[]"),
    "JSON null": fixed(b"null"),
    "nothing": fixed(b""),
    "HTML": Reply(
        lambda _: b"<html><body>0.93</body></html>", headers={"Content-Type": "text/html"}
    ),
    "truncated JSON": Reply(lambda at: sound(at)[:-20]),
    "two answers in one": Reply(lambda at: sound(at) * 2),
    "a byte order mark and no UTF-8": fixed(b"\xff\xfe\x00{"),
    "compressed, and not saying so": Reply(lambda at: gzip.compress(sound(at))),
    "not compressed, and saying so": Reply(sound, headers={"Content-Encoding": "gzip"}),
    # HTTP and TCP.
    **{
        f"HTTP {status}": refusing(status)
        for status in (203, 400, 401, 403, 404, 422, 429, 500, 502, 503, 504)
    },
    "HTTP 204": fixed(b"", 204),
    **{
        f"a redirect ({status}) to a good answer": Reply(
            lambda _: b"", status=status, headers={"Location": "/good"}
        )
        for status in (301, 302, 307)
    },
    "no reply at all": Reply(sound, manner=Manner.HANG),
    "a reply that never ends": Reply(sound, manner=Manner.DRIP),
    "a connection cut in the body": Reply(sound, manner=Manner.CUT),
    "a connection reset": Reply(sound, manner=Manner.RESET),
    # Counts of requests.
    "few errors": errors("1000", "2", Verdict.GOOD),
    "many errors": errors("1000", "200", Verdict.BAD),
    "fewer requests than are needed": errors("29", "29"),
    "no requests": errors("0", "0"),
    "no counter of errors": errors("1000", None),
    "more errors than requests": errors("100", "101"),
    "requests that are NaN": errors("NaN", "0"),
    "errors below 0": errors("1000", "-1"),
    "errors that are infinite": errors("1000", "+Inf"),
    # Counts of labels, by an anytime-valid test.
    "many right labels": labelled(lambda n: 60 + n, lambda _: 4, Verdict.GOOD),
    "six wrong labels": labelled(lambda _: 0, lambda _: 6, Verdict.BAD),
    "fewer labels than are needed": labelled(lambda _: 29, lambda _: 0),
    "labels at the threshold": labelled(lambda _: 70, lambda _: 30),
    "counters that begin anew at every look": labelled(lambda n: 3 + n % 2, lambda n: 1 + n % 2),
    "labels that are NaN": labelled(lambda _: float("nan"), lambda _: 0),
    "labels below 0": labelled(lambda _: -6, lambda _: -1),
    "a restarted pod with few labels": Reply(
        lambda at: matrix(*labels(at, 2, 0, f"pod-{min(at.n, 2)}")), gate="labelled"
    ),
    "labels for a tenth of the predictions": Reply(
        lambda at: matrix(
            *list(labels(at, 60, 4))[:2], series(at, "640", name="ml_predictions_total")
        ),
        gate="labelled",
    ),
}


class Prometheus:
    """A server that gives the next look's reply to whoever asks; refused: its port is closed."""

    def __init__(self) -> None:
        self.reply = fixed(b"")
        self.moment = Moment(0, 0, "", 0)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/api/v1/query", self._query)
        app.router.add_route("*", "/good", self._good)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _good(self, _: web.Request) -> web.Response:
        return web.Response(body=sound(self.moment), content_type="application/json")

    async def _query(self, request: web.Request) -> web.StreamResponse:
        reply, body = self.reply, self.reply.body(self.moment)
        if reply.manner is Manner.WHOLE:
            return web.Response(
                status=reply.status,
                body=body,
                headers={"Content-Type": "application/json", **reply.headers},
            )
        assert request.transport is not None
        if reply.manner is Manner.HANG:
            await asyncio.sleep(60)
        if reply.manner is not Manner.RESET:
            stream = web.StreamResponse(headers={"Content-Length": str(len(body) + 1000)})
            await stream.prepare(request)
            with contextlib.suppress(ConnectionError):
                await stream.write(body)
                while reply.manner is Manner.DRIP:
                    await asyncio.sleep(0.02)
                    await stream.write(b" ")
        request.transport.abort()
        return web.Response()
