"""A small run of the operator benchmark: what must hold whatever the machine, so nothing here
depends on time.
"""

from pathlib import Path

from tests.bench.operator.longrun import idle
from tests.bench.operator.stage import stage
from tests.bench.operator.waves import Pace, first_deploys, names, promote_all

ROLLOUTS = 20
PACE = Pace(interval=2, hold=2)
REQUESTS = {
    "update modelrollouts/status": 6,  # attempt, three steps, switch, promoted
    "patch deployments": 1,
    "patch services": 2,  # the candidate's own, and the stable one that it takes over
    "patch ingresses": 3,  # one for each weight
    "delete ingresses": 1,
    "create events": 1,  # the verdict
}
"""Of one promotion in three steps, from the change of modelUri to Promoted.

docs/contributing/benchmarks/operator.md says what each is for.
"""


async def test_what_rollouts_cost(tmp_path: Path) -> None:
    of = names(ROLLOUTS)
    async with stage(tmp_path, print) as on, on.operator() as operator:
        await first_deploys(on, of, PACE)
        wave = await promote_all(on, operator, of, 2, PACE)
        quiet = await idle(on, operator, ROLLOUTS, 4)
    assert not wave.wrong, "duplicate, unordered or wrong transitions"
    assert wave.promoted == ROLLOUTS - ROLLOUTS // 10
    # To the nearest whole number: on a slow machine one promotion or another also notes that its
    # evidence was late.
    asked = {
        k: round(n / wave.promoted) for k, n in wave.to_promoted.items() if not k.startswith("get ")
    }
    assert {k: n for k, n in asked.items() if n} == REQUESTS
    assert wave.queries <= wave.ticks + 2, (
        "one query for each metric and tick, whatever the number of rollouts"
    )
    assert (quiet.requests, quiet.queries) == (0, 0)
