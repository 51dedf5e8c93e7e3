"""Observe, decide, act: one reconcile of one rollout."""

from dataclasses import replace
from datetime import datetime

from rollout_operator.controller.act import act
from rollout_operator.controller.observe import gather, observe
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.raw_objects import Key
from rollout_operator.controller.routes import follow_routers
from rollout_operator.domain.drain import gives_all
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.promotion_proof import with_proof


async def reconcile(key: Key, ports: Ports, now: datetime) -> datetime | None:
    """One reconcile; returns when to look again (None: when something changes). Raises CallFailed
    where a write did not succeed.
    """
    gathered = await gather(key, ports, now)
    if gathered is None:
        return None
    rollout, answers = gathered
    seen = await observe(rollout, answers, ports, now)
    plan = decide(seen)
    status = with_proof(ports.proof_signer, rollout.raw["metadata"], plan.status)
    plan = replace(plan, status=status)
    accepted = await act(rollout.raw, seen, plan, ports)
    if gives_all(status):
        # From its beginning: the next look may only be at the end of the step.
        follow_routers(replace(rollout, status=status), ports, now)
    if accepted:
        return now
    contests = ports.memory.contests(key, now).values()
    moments = [moment for c in contests for moment in (c.due, c.over) if moment > now]
    return min(filter(None, (plan.requeue_at, *moments)), default=None)
