"""Every reply of Prometheus through the real reader, the gates and the engine: nothing unproved is
promoted, nothing good rolled back.
"""

import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import aiohttp
import pytest

from rollout_operator.adapters import prometheus
from rollout_operator.adapters.model_registry import ModelRegistry
from rollout_operator.controller.external_queries import Query, ask
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.decide import decide
from tests.faults.replies import (
    BAD,
    GOOD,
    NAMESPACE,
    REPLIES,
    Manner,
    Moment,
    Prometheus,
    Reply,
    Verdict,
    errors,
    gauge,
    labelled,
)
from tests.support.builders import START, at, observed, on_trial, ready, revision, spec

V1, V2 = revision(1, promoted=True), revision(2, replicas=1, ready_at=START)
GATES = {
    "accuracy": {"metric": "accuracy", "min": 0.70},
    "labelled": {"metric": "accuracy", "min": 0.70, "evidence": "Labelled"},
    "errorRate": {"metric": "errorRate", "max": 0.01},
}
SURELY: dict[str, dict[Verdict, Reply]] = {
    "accuracy": {Verdict.GOOD: gauge(GOOD), Verdict.BAD: gauge(BAD)},
    "labelled": {
        Verdict.GOOD: labelled(lambda n: 60 + n, lambda _: 2),
        Verdict.BAD: labelled(lambda _: 0, lambda n: 60 + n),
    },
    "errorRate": {Verdict.GOOD: errors("1000", "2"), Verdict.BAD: errors("1000", "200")},
}
INTERVAL, HOLD, MAX_HOLD = 5, 20, 40
"""Seconds, as `spec` has them: a step may end after HOLD, and without evidence ends at HOLD +
MAX_HOLD.
"""


NEVER_ENDING = {Manner.HANG, Manner.DRIP}
PATIENCE = prometheus.TIMEOUT


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the reader's patience back after a test that has cut it short."""
    monkeypatch.setattr(prometheus, "TIMEOUT", PATIENCE)


@pytest.fixture
async def asked() -> AsyncIterator[tuple[Prometheus, prometheus.Prometheus]]:
    """A server, and the operator's reader of it."""
    server = Prometheus()
    async with server.served() as url, aiohttp.ClientSession() as session:
        yield server, prometheus.Prometheus(url, session)


def wanted(gate: str) -> Spec:
    return spec(
        "models:/iris/2",
        analysis={"interval": f"{INTERVAL}s", "maxHold": f"{MAX_HOLD}s", "gates": [GATES[gate]]},
    )


async def trial(
    asked: tuple[Prometheus, prometheus.Prometheus], gate: str, replies: Sequence[Reply]
) -> tuple[Phase, int]:
    """Look at every interval, with these replies in turn; where the trial leads to, and after how
    many seconds.
    """
    server, reader = asked
    status, metric = on_trial(), Metric.ERROR_RATE if gate == "errorRate" else Metric.ACCURACY
    for n, reply in zip(itertools.count(1), itertools.cycle(replies), strict=False):
        seconds = n * INTERVAL
        now = at(seconds)
        server.reply, server.moment = (
            reply,
            Moment(now.timestamp(), START.timestamp(), V2.revision, n),
        )
        # Waiting for what never ends is cut short, which changes nothing but how long the test
        # takes.
        prometheus.TIMEOUT = (
            aiohttp.ClientTimeout(total=0.15) if reply.manner in NEVER_ENDING else PATIENCE
        )
        answers = await ask(
            Query("", (metric,), now.timestamp()), ModelRegistry("", reader.session, {}), reader
        )
        seen = observed(
            seconds,
            spec=wanted(gate),
            status=status,
            workloads=ready(V1, V2),
            answers=answers.of(NAMESPACE, "iris", V2),
        )
        status = decide(seen).status
        if status.phase is not Phase.TRIAL:
            return status.phase, seconds
    raise AssertionError("unreachable")


def test_the_table_is_long_enough(figure: Callable[..., None]) -> None:
    figure(
        "replies of Prometheus, alone and alternating with good and bad values",
        len(REPLIES) + 1,
        "replies",
        60,
    )
    assert len(REPLIES) >= 60


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
async def test_alone(reply: Reply, asked: tuple[Prometheus, prometheus.Prometheus]) -> None:
    phase, seconds = await trial(asked, reply.gate, [reply])
    match reply.verdict:
        case Verdict.GOOD:
            assert (phase, seconds) == (Phase.PROMOTING, 2 * HOLD)
        case Verdict.BAD:
            assert (phase, seconds) == (Phase.ROLLING_BACK, INTERVAL)
        case Verdict.NONE:
            assert phase is Phase.ROLLING_BACK, "it was promoted without proof"
            assert seconds >= HOLD + MAX_HOLD, (
                "a model that may be good was rolled back before maxHold"
            )


UNSOUND = {name: reply for name, reply in REPLIES.items() if reply.verdict is Verdict.NONE}


@pytest.mark.parametrize("reply", UNSOUND.values(), ids=UNSOUND.keys())
async def test_alternating_with_good_values(
    reply: Reply, asked: tuple[Prometheus, prometheus.Prometheus]
) -> None:
    """However the two fall, a good model is not rolled back before maxHold."""
    good = SURELY[reply.gate][Verdict.GOOD]
    for replies in ([reply, good], [good, reply], [reply, reply, reply, good]):
        phase, seconds = await trial(asked, reply.gate, replies)
        assert phase is Phase.PROMOTING or seconds >= HOLD + MAX_HOLD


@pytest.mark.parametrize("reply", UNSOUND.values(), ids=UNSOUND.keys())
async def test_alternating_with_bad_values(
    reply: Reply, asked: tuple[Prometheus, prometheus.Prometheus]
) -> None:
    """A bad model goes with the first value that can be read, and is never promoted."""
    bad = SURELY[reply.gate][Verdict.BAD]
    phase, seconds = await trial(asked, reply.gate, [reply, reply, bad])
    assert phase is Phase.ROLLING_BACK
    # Predictions without label may have been right: what was counted before stands in the way of a
    # quick verdict.
    assert seconds == 3 * INTERVAL or reply is REPLIES["labels for a tenth of the predictions"]


@pytest.fixture
def closed() -> Iterator[str]:
    """A port that refuses: bound, and nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("gate", GATES)
async def test_refused(gate: str, closed: str) -> None:
    async with aiohttp.ClientSession() as session:
        phase, seconds = await trial(
            (Prometheus(), prometheus.Prometheus(closed, session)), gate, [gauge(GOOD)]
        )
    assert phase is Phase.ROLLING_BACK
    assert seconds >= HOLD + MAX_HOLD
