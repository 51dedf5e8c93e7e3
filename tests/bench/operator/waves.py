"""Waves of rollouts: all ask for another model at once; what that costs, how long it takes, how
late a weight follows a metric.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.machine.schedule import at_step_ends
from tests.bench.operator.process import cpu_seconds
from tests.bench.operator.record import Request, kinds, share, transgressions, weights
from tests.bench.operator.stage import AT_REST, NAMESPACE, Stage
from tests.support.kinds import Object
from tests.support.operator_process import OperatorProcess
from tests.support.scripted_world import Workload

WEIGHTS = (10, 50, 100)
PATIENCE = 900.0
"""Seconds after which something that is waited for counts as lost; no figure."""
DRAIN = 1.0
SCALE_DOWN = 5.0
FAIL_EVERY = 10
"""One in so many gets a model that fails."""


@dataclass(frozen=True)
class Pace:
    """How quick rollouts are."""

    interval: int
    """Seconds between two looks at the metrics."""
    hold: int
    """Seconds at each weight."""

    @property
    def tick(self) -> float:
        """Seconds for which looks share what one of them has asked Prometheus."""
        return at_step_ends(Spec.model_validate(spec("m00000", 1, self)))

    @property
    def theory(self) -> float:
        """Seconds from asking for a model to its promotion for a rollout that never waits: its
        holds and the drain of the switch.
        """
        return len(WEIGHTS) * self.hold + DRAIN


def names(count: int) -> list[str]:
    """The rollouts of a run."""
    return [f"m{n:05d}" for n in range(count)]


def spec(name: str, version: int, pace: Pace, model: str = "bench", **more: Object) -> Object:
    """Three steps and a promotion."""
    return {
        "modelUri": f"models:/{model}/{version}",
        "replicas": 1,
        "traffic": {"host": f"{name}.example.com"},
        "strategy": {
            "steps": [{"weight": w, "hold": f"{pace.hold}s"} for w in WEIGHTS],
            "scaleDownDelay": f"{SCALE_DOWN:.0f}s",
        },
        "analysis": {"interval": f"{pace.interval}s", **more.get("analysis", {})},
    }


@dataclass(frozen=True)
class Wave:
    """What came out."""

    rollouts: int
    requests: Counter[str]
    """All of the operator until nothing was left to do."""
    to_promoted: Counter[str]
    """Requests until the verdict was carried out."""
    promoted: int
    seconds: float
    """From asking until the last verdict."""
    operator_cpu: float
    """CPU seconds until all was at rest."""
    server_cpu: float
    """CPU seconds of the API server with etcd until all was at rest."""
    queries: int
    ticks: int
    wrong: Sequence[str]

    @property
    def per_promotion(self) -> float:
        """Requests for each promoted rollout from the change of modelUri to Promoted."""
        return sum(self.to_promoted.values()) / self.promoted if self.promoted else 0.0


def at_rest(stage: Stage, of: Sequence[str], attempt: int) -> bool:
    """Whether each has its verdict about this attempt."""
    known = [stage.now.get(n, {}).get("status", {}) for n in of]
    return all(s.get("attempt") == attempt and s["phase"] in AT_REST for s in known)


def told(stage: Stage, of: Sequence[str], attempt: int) -> bool:
    """Whether each has noted that its verdict was told: the write left after a first deploy,
    which has nothing to retire, and which counts to no wave.
    """
    return all(stage.now[n]["status"].get("reported") == attempt for n in of)


def cleaned_up(stage: Stage, of: Sequence[str]) -> bool:
    """Whether no replaced revision waits to go."""
    return not any(stage.now[n]["status"].get("retiring") for n in of)


async def first_deploys(stage: Stage, of: Sequence[str], pace: Pace) -> None:
    """Every rollout gets its first model."""
    stage.say(f"  first deploys of {len(of)} rollouts")
    await stage.apply(of, lambda n: spec(n, 1, pace))
    await stage.until(
        "first deploys", lambda: at_rest(stage, of, 1) and told(stage, of, 1), PATIENCE
    )


def fails(name: str) -> bool:
    """Whether this rollout gets a model that fails."""
    return int(name[1:]) % FAIL_EVERY == FAIL_EVERY - 1


async def promote_all(
    stage: Stage, operator: OperatorProcess, of: Sequence[str], attempt: int, pace: Pace
) -> Wave:
    """All ask for another model at once; one in ten of them fails.
    Metrics are there all the time.
    """
    stage.say(f"  {len(of)} rollouts ask for another model")
    stage.catch_up()
    place, asked = len(stage.requests), len(stage.world.queries)
    cpu, server, began = cpu_seconds(operator.pid), stage.server_cpu(), time.time()
    # Versions repeat every three: 1 and 2 are good, 3 fails.
    await stage.apply(of, lambda n: spec(n, 3 * attempt + (3 if fails(n) else 2), pace))
    ended = await stage.until("verdicts", lambda: at_rest(stage, of, attempt), PATIENCE)
    queries = list(stage.world.queries[asked:])
    await stage.until("cleaning up", lambda: cleaned_up(stage, of), PATIENCE)
    cpu, server = cpu_seconds(operator.pid) - cpu, stage.server_cpu() - server
    requests = stage.requests[place:]
    good = [n for n in of if not fails(n)]
    return Wave(
        rollouts=len(of),
        requests=kinds(requests),
        to_promoted=kinds(until_promoted(requests, good, attempt)),
        promoted=sum(stage.now[n]["status"]["phase"] == "Promoted" for n in good),
        seconds=ended - began,
        operator_cpu=cpu,
        server_cpu=server,
        queries=len(queries),
        ticks=round((ended - began) / pace.tick),
        wrong=transgressions(stage.requests) + unexpected(stage, of),
    )


def until_promoted(requests: Sequence[Request], good: Sequence[str], attempt: int) -> list[Request]:
    """Every request about a rollout up to and with what its promotion calls for; what retires the
    old revision later is not in it.
    """
    retired: dict[str, float] = {}
    for one in requests:
        if one.resource == "modelrollouts/status" and one.answer and one.code == 200:
            status = one.answer["status"]
            if (
                status["phase"] == "Promoted"
                and status["attempt"] == attempt
                and not status.get("retiring")
            ):
                retired.setdefault(one.name, one.began)
    wanted = set(good)
    return [
        r
        for r in requests
        if (n := rollout_of(r)) in wanted and r.began < retired.get(n, float("inf"))
    ]


def rollout_of(request: Request) -> str:
    """The rollout that a request is about: its objects are named after it, and the names of this
    benchmark hold no dash or dot.
    """
    return request.name.split("-")[0].split(".")[0]


def unexpected(stage: Stage, of: Sequence[str]) -> list[str]:
    """Rollouts with another verdict than their model deserves."""
    ended = {n: stage.now[n]["status"]["phase"] for n in of}
    return [
        f"{n}: {phase}"
        for n, phase in ended.items()
        if phase != ("RolledBack" if fails(n) else "Promoted")
    ]


@dataclass(frozen=True)
class Lags:
    """Seconds from the moment that a metric crossed to the end of the write of the weight that
    follows from it, by rollout.
    """

    of: dict[str, float]
    wrong: Sequence[str]

    def quantile(self, part: float, among: Sequence[str] | None = None) -> float:
        """A quantile of the lags, of some of the rollouts where they are named."""
        return share([lag for n, lag in self.of.items() if among is None or n in among], part)


async def cross(
    stage: Stage, of: Sequence[str], attempt: int, pace: Pace, waiting: Sequence[str] | None = None
) -> Lags:
    """All are on trial without a metric; then each one's metric appears at a moment of its own, all
    within one interval.

    waiting: the rollouts that are expected to come so far, where it is not all of them.
    """
    come = list(of if waiting is None else waiting)
    random.seed(len(come))
    versions = {n: 3 * attempt + (3 if fails(n) else 2) for n in of}
    for n in come:
        stage.world.shown_from[Workload(NAMESPACE, n, str(versions[n]))] = float("inf")
    await stage.apply(come, lambda n: spec(n, versions[n], pace))

    def ready() -> bool:
        return all(
            stage.now[n]["status"]["attempt"] == attempt
            and stage.now[n]["status"]["phase"] == "Trial"
            for n in come
        )

    await stage.until("trials without metrics", ready, PATIENCE)
    # So long that every step is due and waits for nothing but evidence.
    await stage.until(
        "steps to be due",
        lambda: all(stage.now[n]["status"].get("noEvidenceSince") for n in come),
        PATIENCE,
    )
    place, start = len(stage.requests), time.time() + 0.5
    crossing = {n: start + random.uniform(0, pace.interval) for n in come}
    for n, moment in crossing.items():
        stage.world.shown_from[Workload(NAMESPACE, n, str(versions[n]))] = moment
    await stage.until("verdicts", lambda: at_rest(stage, come, attempt), PATIENCE)
    lags: dict[str, float] = {}
    for one in weights(stage.requests[place:]):
        if one.rollout in crossing and one.at > crossing[one.rollout]:
            lags.setdefault(one.rollout, one.at - crossing[one.rollout])
    return Lags(lags, transgressions(stage.requests))
