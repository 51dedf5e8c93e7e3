"""From what was measured to the lines of build/operator.json. Pure."""

from collections.abc import Iterator

from tests.bench.operator.longrun import Fairness, Idle, Soak
from tests.bench.operator.restart import Restart
from tests.bench.operator.waves import Lags, Pace, Wave
from tests.bench.traffic_figures import Figure

PROTOTYPE = "prototype without Services, readiness and verification: 9.0"
GOALS = {200: (1.1, 0.5), 1000: (1.5, 2.0)}
"""By number of rollouts: most that the whole may take of the theoretical time; seconds that a lag
may exceed the interval by.
"""


def line(
    metric: str, value: float, unit: str = "", goal: str = "", met: bool = True, against: str = ""
) -> Figure:
    """One figure, rounded to what it is good for."""
    return Figure(metric, round(value, 3), unit, goal, met, against)


def of_wave(wave: Wave, pace: Pace, ratio: float, mode: str = "") -> Iterator[Figure]:
    """Cost and time of a wave; ratio: this machine's time by the reference machine's; mode: said
    before N where it is not the bare one.
    """
    n = f"{mode}N={wave.rollouts}"
    yield line(
        f"{n}: API requests per promotion",
        wave.per_promotion,
        "",
        "<= 9",
        wave.per_promotion <= 9,
        PROTOTYPE,
    )
    for kind, count in sorted(wave.to_promoted.items()):
        yield line(f"{n}: … {kind}", count / max(1, wave.promoted))
    everything = sum(wave.requests.values()) / wave.rollouts
    yield line(
        f"{n}: API requests per rollout, retirement included",
        everything,
        "",
        "",
        True,
        "one in ten is rolled back",
    )
    cpu, most = 1000 * wave.operator_cpu / wave.rollouts, 7 * ratio
    yield line(
        f"{n}: operator CPU per rollout",
        cpu,
        "ms",
        f"<= {most:.1f}",
        cpu <= most,
        f"7 ms x {ratio:.2f} (loop beside it)",
    )
    yield line(
        f"{n}: API server and etcd CPU per rollout",
        1000 * wave.server_cpu / wave.rollouts,
        "ms",
        "",
        True,
        "prototype: 17-19",
    )
    per_tick = wave.queries / max(1, wave.ticks)
    yield line(
        f"{n}: Prometheus queries per metric and tick",
        per_tick,
        "",
        "<= 1",
        per_tick <= 1.05,
        f"a tick every {pace.tick:g} s",
    )
    took, (most, _) = wave.seconds / pace.theory, GOALS.get(wave.rollouts, (1.5, 2.0))
    yield line(
        f"{n}: time to all terminal by theory",
        took,
        "",
        f"<= {most}",
        took <= most,
        f"theory {pace.theory:.0f} s",
    )
    yield line(
        f"{n}: duplicate, unordered or wrong transitions", len(wave.wrong), "", "0", not wave.wrong
    )


def of_memory(n: str, peak: float) -> Figure:
    """The peak of a process, MiB."""
    return line(f"{n}: peak memory of the operator", peak, "MiB", "<= 100", peak <= 100)


def of_lags(lags: Lags, pace: Pace) -> Iterator[Figure]:
    """How late a weight follows a metric."""
    count = len(lags.of)
    _, most = GOALS.get(count, (1.5, 2.0))
    p99, bound = lags.quantile(0.99), pace.interval + most
    yield line(f"N={count}: lag from metric to weight, p50", lags.quantile(0.5), "s")
    yield line(
        f"N={count}: lag from metric to weight, p99",
        p99,
        "s",
        f"<= {bound:g}",
        p99 <= bound,
        f"interval {pace.interval} s",
    )
    yield line(
        f"N={count}: duplicate or unordered transitions while lags were measured",
        len(lags.wrong),
        "",
        "0",
        not lags.wrong,
    )


def of_idle(idle: Idle) -> Iterator[Figure]:
    """What a minute costs in which nothing happens."""
    n = f"N={idle.rollouts} finished, {idle.seconds:.0f} s idle"
    yield line(f"{n}: API requests", idle.requests, "", "0", not idle.requests)
    yield line(f"{n}: Prometheus queries", idle.queries, "", "0", not idle.queries)
    yield line(f"{n}: operator CPU", 1000 * idle.cpu / idle.seconds, "ms/s")


def of_restart(result: Restart, what: str) -> Iterator[Figure]:
    """A new process before many finished rollouts."""
    n, against = (
        f"restart, {result.rollouts} {what}",
        f"{result.objects} objects in all; prototype, no objects: 7-9 s, 71 MiB",
    )
    yield line(f"{n}: all seen", result.seen, "s", "<= 10", result.seen <= 10, against)
    yield line(f"{n}: first right decision", result.decided, "s", "<= 12", result.decided <= 12)
    yield line(f"{n}: peak memory", result.peak, "MiB", "<= 100", result.peak <= 100)
    yield line(f"{n}: memory once quiet", result.settled, "MiB")
    yield line(f"{n}: operator CPU until then", result.cpu, "s")
    yield line(
        f"{n}: writes and reads of single objects", result.requests, "", "0", not result.requests
    )


def of_soak(result: Soak, rollouts: int) -> Iterator[Figure]:
    """What grows."""
    n = f"soak, {rollouts} rollouts, {result.ticks} looks in {result.seconds:.0f} s"
    yield line(f"{n}: growth of memory", result.memory, "MiB", "< 10", result.memory < 10)
    yield line(f"{n}: growth of tasks", result.tasks, "", "flat", result.tasks <= 5)
    yield line(
        f"{n}: growth of file descriptors", result.descriptors, "", "flat", result.descriptors <= 5
    )
    yield line(
        f"{n}: Prometheus queries per second",
        result.queries / result.seconds,
        "",
        "<= 1",
        result.queries <= result.seconds + 1,
    )
    yield line(
        f"{n}: API requests per rollout and minute", 60 * result.writes / rollouts / result.seconds
    )
    yield line(
        f"{n}: duplicate or unordered transitions", len(result.wrong), "", "0", not result.wrong
    )


def of_fairness(result: Fairness) -> Iterator[Figure]:
    """What rollouts that hang do to the others."""
    n = f"{result.hanging} of {result.healthy + result.hanging} hang"
    before, beside = result.before.quantile(0.99), result.beside.quantile(0.99)
    moved = 100 * (beside - before) / before if before else 0.0
    yield line(f"{n}: lag p99 of the others without them", before, "s")
    yield line(f"{n}: lag p99 of the others beside them", beside, "s")
    yield line(f"{n}: moved by", moved, "%", "<= 10", moved <= 10)
