"""The parts of the operator benchmark, each on an API server of its own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.operator import calibration, figures
from tests.bench.operator.longrun import fairness, idle, soak
from tests.bench.operator.process import memory
from tests.bench.operator.restart import finished, restart
from tests.bench.operator.stage import Say, Stage, stage
from tests.bench.operator.waves import Pace, cleaned_up, cross, first_deploys, names, promote_all
from tests.bench.traffic_figures import Figure
from tests.support.operator_process import OperatorProcess


@dataclass(frozen=True)
class Bench:
    """What is asked for."""

    rollouts: list[int]
    """Rollouts of each wave."""
    full: list[int]
    """Rollouts of each wave in full mode."""
    interval: int
    """Seconds between two looks at the metrics."""
    hold: int
    """Seconds at each weight."""
    finished: int
    """Rollouts that a new process meets."""
    soaked: int
    """Rollouts of the soak."""
    ticks: int
    """Looks that the soak lasts."""
    idle: float
    """Seconds in which nothing happens."""
    say: Say

    @property
    def pace(self) -> Pace:
        """The pace of every rollout."""
        return Pace(self.interval, self.hold)

    @property
    def quick(self) -> Pace:
        """The pace where time does not matter."""
        return Pace(1, 1)


async def waves(bench: Bench, directory: Path) -> list[Figure]:
    """All rollouts ask for another model at once: requests, CPU, memory, time; then how late
    weights follow metrics.
    """
    found: list[Figure] = []
    for count in bench.rollouts:
        bench.say(f"{count} rollouts")
        of = names(count)
        async with stage(directory / str(count), bench.say) as on, on.operator() as operator:
            found += await _wave(bench, on, operator, of)
            lags = await cross(on, of, 3, bench.pace)
            found += figures.of_lags(lags, bench.pace)
            found.append(figures.of_memory(f"N={count}", memory(operator.pid)))
            if count == max(bench.rollouts):
                bench.say("  a minute in which nothing happens")
                await on.until("cleaning up", lambda: cleaned_up(on, of), 120)  # noqa: B023 - waited for here
                found += figures.of_idle(await idle(on, operator, count, bench.idle))
            _complain(bench, lags.wrong)
    return found


async def _wave(
    bench: Bench, on: Stage, operator: OperatorProcess, of: list[str], mode: str = ""
) -> list[Figure]:
    """All get their first model, and then ask for another one at once."""
    await first_deploys(on, of, bench.pace)
    async with calibration.beside() as ratios:
        wave = await promote_all(on, operator, of, 2, bench.pace)
    _complain(bench, wave.wrong)
    return list(figures.of_wave(wave, bench.pace, calibration.typical(ratios), mode))


def _complain(bench: Bench, wrong: Sequence[str]) -> None:
    for text in wrong[:5]:
        bench.say(f"  wrong: {text}")


async def full(bench: Bench, directory: Path) -> list[Figure]:
    """The same wave in full mode: Kubernetes' own controllers and scheduler, and kwok's nodes,
    share the machine.
    """
    found: list[Figure] = []
    for count in bench.full:
        bench.say(f"{count} rollouts, full mode")
        of = names(count)
        async with (
            stage(directory / str(count), bench.say, full=True) as on,
            on.operator() as operator,
        ):
            found += await _wave(bench, on, operator, of, "full mode, ")
            found.append(figures.of_memory(f"full mode, N={count}", memory(operator.pid)))
    return found


async def restarts(bench: Bench, directory: Path) -> list[Figure]:
    """A new process meets many finished rollouts, with and without the objects that they own."""
    found: list[Figure] = []
    for what, with_objects in (
        ("ModelRollouts alone", False),
        ("rollouts with their objects", True),
    ):
        bench.say(f"{bench.finished} {what}")
        async with stage(directory / what.split()[0], bench.say) as on:
            objects = await finished(on, bench.finished, bench.quick, with_objects)
            result = await restart(on, bench.finished, objects, bench.quick)
        found += figures.of_restart(result, what)
    return found


async def soaked(bench: Bench, directory: Path) -> list[Figure]:
    """Rollouts on trial for an hour, measured every second: what grows."""
    of = names(bench.soaked)
    async with stage(directory, bench.say) as on, on.operator() as operator:
        await first_deploys(on, of, bench.quick)
        return list(figures.of_soak(await soak(on, operator, of, bench.ticks), len(of)))


async def fair(bench: Bench, directory: Path) -> list[Figure]:
    """Rollouts whose metrics, image or registry hang, beside many others."""
    async with stage(directory, bench.say) as on, on.operator():
        count = max(bench.rollouts)
        return list(
            figures.of_fairness(await fairness(on, names(count), max(3, count // 20), bench.pace))
        )


PARTS: Mapping[str, Callable[[Bench, Path], Awaitable[list[Figure]]]] = {
    "waves": waves,
    "full": full,
    "restart": restarts,
    "soak": soaked,
    "fairness": fair,
}
