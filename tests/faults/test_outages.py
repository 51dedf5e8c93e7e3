"""Prometheus and the registry away for minutes, in the middle of it: held, then it goes on; and how
fast a bad model goes.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.faults.audit import WEIGHT, Seen, broken
from tests.faults.coverage import BAD_MODELS, INTERVALS, OUTAGE
from tests.faults.processes import PATIENCE, Show, show
from tests.faults.stories import NAME, spec
from tests.support.kinds import GROUP
from tests.support.scripted_world import Workload

BAD = 0.31
AT_ONCE = 5
"""Rollouts whose models turn bad at about the same time."""
Figure = Callable[..., None]
Status = Mapping[str, Any]


def patient(version: str, **analysis: Any) -> dict[str, Any]:
    """A spec whose steps take seconds, and whose patience is ten minutes."""
    made = spec(version, quick=True, owner="iris")
    made["analysis"] = {"interval": "2s", "maxHold": "10m", **analysis}
    made["strategy"]["progressDeadline"] = "10m"
    return made


class Play:
    """Rollouts in namespaces of their own under one operator process, and a kubelet that plays the
    cluster meanwhile.
    """

    def __init__(self, on: Show) -> None:
        self.on = on

    async def ask(self, namespace: str, wanted: dict[str, Any]) -> None:
        placed = {**wanted, "traffic": {"host": f"{namespace}.example.com"}}
        await self.on.api.apply("ModelRollout", namespace, NAME, {"spec": placed})

    async def status(self, namespace: str) -> Status:
        (one,), _ = await self.on.api.list("ModelRollout", namespace)
        found: Status = one.get("status", {})
        return found

    async def until(self, namespace: str, true_of: Callable[[Status], bool]) -> Status:
        """The first status seen of which it is true."""
        end = time.monotonic() + PATIENCE
        while not true_of(status := await self.status(namespace)):
            assert time.monotonic() < end, f"in vain: {status}"
            await asyncio.sleep(0.05)
        return status

    async def promoted(self, namespace: str, version: str) -> Status:
        return await self.until(
            namespace, lambda s: s.get("phase") == "Promoted" and s["stable"]["version"] == version
        )

    async def through(self, namespace: str, since: float) -> list[Seen]:
        """What watches saw of the ModelRollout after that resourceVersion."""
        events = await self.on.audit.caught_up(namespace)
        assert not broken(events)
        return [e for e in events if e.kind == "ModelRollout" and e.version > since]


@contextlib.asynccontextmanager
async def play(kubeconfig: Path, directory: Path, *namespaces: str) -> AsyncIterator[Play]:
    async with show(kubeconfig, directory, namespaces=namespaces) as on:
        for one in namespaces:
            await on.api.namespace(one)
        kubelet = asyncio.create_task(on.tend(namespaces))
        try:
            yield Play(on)
        finally:
            kubelet.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await kubelet


async def version_now(on: Play, namespace: str) -> int:
    (one,), _ = await on.on.api.list("ModelRollout", namespace)
    return int(one["metadata"]["resourceVersion"])


async def test_prometheus_refuses_in_the_middle_of_a_trial(
    kubeconfig: Path, tmp_path: Path, figure: Figure
) -> None:
    async with play(kubeconfig, tmp_path, ns := "prometheus-away") as on:
        await on.ask(ns, patient("1"))
        await on.promoted(ns, "1")
        await on.ask(ns, patient("2"))
        await on.until(ns, lambda s: s.get("phase") == "Trial" and s["weight"] == 10)
        await on.on.prometheus.down()
        held = await on.until(
            ns, lambda s: bool(s.get("gates")) and s["gates"][0]["measurement"] == "Unreachable"
        )
        since = await version_now(on, ns)
        await asyncio.sleep(OUTAGE)
        meanwhile = await on.through(ns, since)
        assert (await on.status(ns))["weight"] == held["weight"]
        assert {e.raw["status"]["phase"] for e in meanwhile} <= {"Trial"}
        assert {e.raw["status"]["weight"] for e in meanwhile} <= {held["weight"]}
        await on.on.prometheus.up()
        done = await on.promoted(ns, "2")
        assert [h["verdict"] for h in done["history"]] == [
            "Promoted",
            "Promoted",
        ], "one attempt, and no other"
        await on.through(ns, since)
    figure("Prometheus refused mid-trial: held, then promoted", OUTAGE, "seconds", 180)


async def test_the_registry_refuses(kubeconfig: Path, tmp_path: Path, figure: Figure) -> None:
    """A version that is asked for meanwhile is waited for; an attempt under way does not need it,
    and is told of afterwards.
    """
    async with play(
        kubeconfig, tmp_path, asked := "registry-away", tried := "registry-away-mid-trial"
    ) as on:
        await asyncio.gather(*(on.ask(ns, patient("1")) for ns in (asked, tried)))
        await asyncio.gather(*(on.promoted(ns, "1") for ns in (asked, tried)))
        await on.ask(tried, patient("2"))
        await on.until(tried, lambda s: s.get("phase") == "Trial")
        await on.on.registry.down()
        end = time.monotonic() + OUTAGE
        await on.ask(asked, patient("2"))
        await on.until(asked, lambda s: s.get("reason") == "RegistryUnreachable")
        ended = await on.promoted(tried, "2")
        assert ended.get("reported", 0) < ended["attempt"], "nobody can have told it yet"
        await asyncio.sleep(max(0.0, end - time.monotonic()))
        held = await on.status(asked)
        assert (held["phase"], held["weight"], held["stable"]["version"]) == ("Pending", 0, "1")
        assert {c["status"] for c in held["conditions"] if c["type"] == "Reconciling"} == {"True"}
        await on.on.registry.up()
        for ns in (asked, tried):
            done = await on.promoted(ns, "2")
            assert [h["verdict"] for h in done["history"]] == [
                "Promoted",
                "Promoted",
            ], "one attempt, and no other"
            await on.until(ns, lambda s: s.get("reported") == s["attempt"])
            assert on.on.world.aliases[f"{ns}-{NAME}"] == "2"
            assert '"Promoted"' in on.on.world.tags[f"{GROUP}/{ns}.{NAME}"]
            await on.through(ns, 0)
    figure(
        "MLflow refused when a version was asked for, and mid-trial: held or gone on, promoted,"
        " told afterwards",
        OUTAGE,
        "seconds",
        180,
    )


@pytest.mark.parametrize("interval", INTERVALS)
async def test_a_model_that_turns_bad_goes_with_the_first_measurement_of_it(
    interval: int, kubeconfig: Path, tmp_path: Path, figure: Figure
) -> None:
    """From the moment that Prometheus has the bad value to weight 0 in the Ingress; the test
    asserts the order, not the time.
    """
    namespaces = [f"bad-{interval}-{n}" for n in range(BAD_MODELS)]
    waits: list[float] = []
    async with play(kubeconfig, tmp_path, *namespaces) as on:
        for start in range(0, BAD_MODELS, AT_ONCE):
            some = namespaces[start : start + AT_ONCE]
            waits += await asyncio.gather(
                *(_turning_bad(on, ns, interval, random.Random(ns)) for ns in some)
            )
    lag = f"bad value in Prometheus to weight 0, interval {interval} s"
    figure(f"{lag}: within interval + 2 s", sum(w <= interval + 2 for w in waits), "runs", 20)
    figure(f"{lag}: the longest", max(waits), "seconds", interval + 2, "at most")


async def _turning_bad(on: Play, ns: str, interval: int, chance: random.Random) -> float:
    """Seconds from the bad value to weight 0, as a watch sees it."""
    await on.ask(ns, patient("1", interval=f"{interval}s"))
    await on.promoted(ns, "1")
    wanted = patient("2", interval=f"{interval}s")
    wanted["strategy"]["steps"] = [{"weight": 10, "hold": "10m"}]
    await on.ask(ns, wanted)
    await on.until(
        ns,
        lambda s: (
            s.get("phase") == "Trial"
            and bool(s.get("gates"))
            and s["gates"][0]["measurement"] == "Pass"
        ),
    )
    await asyncio.sleep(chance.uniform(0, interval))
    on.on.world.overrides[Workload(ns, NAME, "2")], begun = BAD, time.monotonic()
    end = begun + PATIENCE
    # The Ingress with weight 0 is there for a second only, and then it is gone.
    while (weight := await _weight(on, ns)) not in {"0", ""}:
        assert time.monotonic() < end, f"weight {weight}"
        await asyncio.sleep(0.02)
    waited = time.monotonic() - begun
    await on.until(ns, lambda s: s.get("phase") == "RolledBack")
    statuses = [e.raw["status"] for e in await on.through(ns, 0)]
    known = [s for s in statuses if any(g.get("value") == BAD for g in s.get("gates", ()))]
    assert known, "the bad value was never measured"
    assert not [s for s in known if s["weight"]], (
        "it got requests although its value was known to be bad"
    )
    return waited


async def _weight(on: Play, ns: str) -> str:
    ingresses, _ = await on.on.api.list("Ingress", ns)
    return next(
        (
            i["metadata"]["annotations"][WEIGHT]
            for i in ingresses
            if i["metadata"]["name"] == f"{NAME}-canary"
        ),
        "",
    )
