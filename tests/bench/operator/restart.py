"""A new process meets ten thousand finished rollouts: until it has seen all, until its first right
decision, and how much memory.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from rollout_operator.desired.build import build
from rollout_operator.desired.common import Owner
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.settings import Settings
from tests.bench.operator.process import cpu_seconds, memory
from tests.bench.operator.record import kinds
from tests.bench.operator.stage import NAMESPACE, Stage
from tests.bench.operator.waves import (
    Pace,
    cleaned_up,
    first_deploys,
    promote_all,
    rollout_of,
    spec,
)
from tests.support.kinds import Object, path_of
from tests.support.operator_process import OperatorProcess

FIRST = "m00000"
"""The rollout whose decision is waited for; it is also the pattern of all others."""
PATIENCE = 300.0


@dataclass(frozen=True)
class Restart:
    """What a new process took."""

    rollouts: int
    objects: int
    seen: float
    """Seconds from the start until it had been told of all rollouts."""
    decided: float
    """Seconds from the start until its first decision."""
    cpu: float
    peak: float
    settled: float
    requests: int
    """All that it made until it was quiet, watches aside."""


async def finished(stage: Stage, count: int, pace: Pace, with_objects: bool) -> int:
    """Make `count` rollouts as they are long after a promotion: copies of one that was really
    promoted. Returns how many objects there are.

    Without objects, they are as after a first deploy that was rolled back.
    """
    async with stage.operator() as operator:
        settings = Settings.from_environment(operator.environment)
        await first_deploys(stage, [FIRST], pace)
        await promote_all(stage, operator, [FIRST], 2, pace)
        await stage.until("cleaning up", lambda: cleaned_up(stage, [FIRST]), 60)
    pattern: Object = stage.now[FIRST]["status"]
    made = 0

    async def one(name: str) -> None:
        nonlocal made
        # Its routes are named after it, as its hosts are.
        status = json.loads(json.dumps(pattern).replace(FIRST, name))
        if not with_objects:
            rejected = {k: v for k, v in status.items() if k not in {"stable", "history"}}
            status = {
                **rejected,
                "phase": "RolledBack",
                "reason": "GateFailed",
                "candidate": status["stable"],
            }
        objects = await _finished_one(stage, name, status, pace, settings)
        if (made + objects) // 5000 > made // 5000:
            stage.say(f"  {made + objects} objects made")
        made += objects

    await stage.gather(one(f"m{n:05d}") for n in range(1, count))
    stage.say("  an operator sees them once, and says what it has to say of them")
    async with stage.operator() as operator:
        for _ in range(int(PATIENCE)):
            if await rollouts_known(operator) >= count:
                break
            await asyncio.sleep(1)
        await _quiet(operator)
    return made


async def _finished_one(
    stage: Stage, name: str, status: Object, pace: Pace, settings: Settings
) -> int:
    wanted = spec(name, 8, pace)
    kind = path_of("ModelRollout", NAMESPACE)
    body = {
        "apiVersion": "rollouts.mlops.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": name},
        "spec": wanted,
    }
    async with stage.api.session.post(kind, json=body) as reply:
        assert reply.status == 201, await reply.text()
        live = await reply.json()
    async with stage.api.session.put(
        f"{kind}/{name}/status", json={**live, "status": status}
    ) as reply:
        assert reply.status == 200, await reply.text()
    owner = Owner(live["metadata"]["uid"], name, NAMESPACE)
    decided = Spec.model_validate(live["spec"]), Status.model_validate(status)
    objects = build(owner, *decided, settings.model_environment, egress=settings.model_egress)
    for manifest in objects:
        async with stage.api.session.post(
            path_of(manifest["kind"], NAMESPACE), json=manifest
        ) as reply:
            assert reply.status == 201, await reply.text()
    return 1 + len(objects)


async def restart(stage: Stage, count: int, objects: int, pace: Pace) -> Restart:
    """Ask for another model while no operator runs; then start one."""
    await stage.apply([FIRST], lambda n: spec(n, 11, pace))
    stage.catch_up()
    place = len(stage.requests)
    async with stage.operator() as operator:
        began, seen = time.monotonic(), 0.0
        decided = 0.0
        while not (seen and decided):
            assert time.monotonic() < began + PATIENCE, (
                f"after {PATIENCE:.0f} s: {await rollouts_known(operator)} of {count} seen"
            )
            if not seen and await rollouts_known(operator) >= count:
                seen = time.monotonic() - began
            stage.catch_up()
            if not decided and any(
                r.resource == "modelrollouts/status" and r.name == FIRST
                for r in stage.requests[place:]
            ):
                decided = time.monotonic() - began
            await asyncio.sleep(0.1)
        peak, cpu = memory(operator.pid), cpu_seconds(operator.pid)
        stage.say(
            f"  all seen after {seen:.1f} s, first decision after {decided:.1f} s, {peak:.0f} MiB;"
            " waiting until it is quiet"
        )
        await _quiet(operator)
        stage.catch_up()
        requests = sum(
            n
            for kind, n in kinds(
                r for r in stage.requests[place:] if r.name and rollout_of(r) != FIRST
            ).items()
            if not kind.startswith("list")
        )
        return Restart(
            count,
            objects,
            seen,
            decided,
            cpu,
            max(peak, memory(operator.pid)),
            memory(operator.pid, "VmRSS"),
            requests,
        )


async def _quiet(operator: OperatorProcess) -> None:
    """Until the process has used little CPU for three seconds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        before = cpu_seconds(operator.pid)
        await asyncio.sleep(3)
        if cpu_seconds(operator.pid) - before < 0.3:
            return


async def rollouts_known(operator: OperatorProcess) -> int:
    """How many ModelRollouts it has been told of so far."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{operator.health_port}/healthz") as reply,
        ):
            body: dict[str, Any] = await reply.json()
            return int(body["rollouts"])
    except OSError:
        return 0
