"""Every field of the spec, right and wrong, on a real API server: refused with a sentence, Stalled
with a reason, or it works.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.audit import differences
from tests.faults.coverage import CHAINS, FIELDS_APART, MUTATIONS
from tests.faults.in_process import Stage
from tests.faults.mutations import ANY, FIELDS, ROUTED, SEED, TRIED, Field, Mutation, likely, wrong
from tests.faults.spec_mutations import Mutant
from tests.faults.stages import stage
from tests.support.kinds import Object

CHAIN = 5
"""Mutations one after another before the seed is asked for again."""
Figure = Callable[[str, float, str, float], None]


def tried(most: int) -> settings:
    """Always the same examples, and a failing one made as small as it can be."""
    return settings(
        max_examples=most,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )


class Rehearsal:
    """Mutants on one stage, one after another; after a failure the next one begins in a namespace
    of its own.
    """

    def __init__(self, runner: asyncio.Runner, on: Stage, name: str) -> None:
        self.runner, self.on, self.name = runner, on, name
        self.taken = self.refused = self.stalled = 0
        self._numbers = itertools.count()
        self._mutant: Mutant | None = None

    def __call__(self, *mutations: Mutation, looks: int | None = None) -> None:
        """Apply all, then take everything back: nothing may be left of it."""
        mutant = self._mutant or self.runner.run(self.fresh())
        self._mutant = None
        self.runner.run(self._tried(mutant, mutations, looks))
        self._mutant = mutant

    async def fresh(self) -> Mutant:
        """A seed that has come to rest."""
        made = Mutant(self.on, f"{self.name}-{next(self._numbers)}")
        await made.begin()
        return made

    async def _tried(
        self, mutant: Mutant, mutations: tuple[Mutation, ...], looks: int | None
    ) -> None:
        spec = SEED
        for one in mutations:
            asked = one.applied(spec)
            if asked.get("modelUri") == SEED["modelUri"]:
                asked = {**asked, "modelUri": TRIED}
            if said := await mutant.put(asked):
                self.refused += 1
                assert any(str(part) in said for path, _ in one.changes for part in path), (
                    f"the sentence names no field: {said}"
                )
                continue
            self.taken += 1
            spec = asked
            if looks is None or one.wrong:
                lists = await mutant.rest()
                self._judged(one, lists["ModelRollout"][0])
            else:
                await mutant.look(looks)
        if spec is not SEED:
            assert not differences(await mutant.reverted(), mutant.before)

    def _judged(self, one: Mutation, rollout: Object) -> None:
        conditions = {c["type"]: c for c in rollout["status"]["conditions"]}
        stalled = conditions["Stalled"]["status"] == "True"
        self.stalled += stalled
        assert stalled or not one.wrong, f"taken, and nothing said against it: {one}"
        if stalled:
            assert conditions["Stalled"]["reason"]
            assert conditions["Stalled"]["message"].strip()


@pytest.fixture
def rehearsal(kubeconfig: Path, request: pytest.FixtureRequest) -> Iterator[Rehearsal]:
    said = request.node.name.lower().replace("[]", "-item").removeprefix("test_")
    name = "".join(c if c.isalnum() else "-" for c in said).strip("-")[-50:].strip("-")
    with asyncio.Runner() as runner:
        made = stage(kubeconfig)
        on = runner.run(made.__aenter__())
        try:
            yield Rehearsal(runner, on, name)
        finally:
            runner.run(made.__aexit__(None, None, None))


@pytest.mark.parametrize("field", FIELDS[::FIELDS_APART], ids=lambda f: f.name)
def test_every_field(field: Field, rehearsal: Rehearsal, figure: Figure) -> None:
    count = 0

    def holds(mutation: Mutation) -> None:
        nonlocal count
        count += 1
        rehearsal(mutation)

    for values in (likely(field), wrong(field)):
        tried(MUTATIONS)(given(values)(holds))()
    figure(
        "mutations of the spec, each taken back", count, "runs", 300 / len(FIELDS[::FIELDS_APART])
    )
    figure("mutations refused at admission", rehearsal.refused, "runs", 0)
    figure("mutations Stalled with a reason", rehearsal.stalled, "runs", 0)


@pytest.mark.parametrize("looks", range(len(CHAINS)))
def test_chains(looks: int, rehearsal: Rehearsal, figure: Figure) -> None:
    """Each mutation is asked for so many passes after the one before, wherever the rollout is by
    then.
    """
    count = 0

    @tried(CHAINS[looks])
    @given(st.lists(ANY, min_size=CHAIN, max_size=CHAIN))
    def holds(mutations: list[Mutation]) -> None:
        nonlocal count
        count += 1
        rehearsal(*mutations, looks=looks)

    holds()
    figure(f"chains of {CHAIN} mutations, then taken back", count, "runs", 100 / len(CHAINS))


def test_what_cannot_be_made_at_rest_is_told_and_nothing_is_taken_away(
    rehearsal: Rehearsal,
) -> None:
    """Gateway API is not installed here: the stable revision goes on answering through its
    Ingress.
    """
    rehearsal.runner.run(_routed(rehearsal))


async def _routed(rehearsal: Rehearsal) -> None:
    mutant = await rehearsal.fresh()
    assert not await mutant.put(Mutation(ROUTED).applied(SEED))
    lists = await mutant.rest()
    (rollout,) = lists["ModelRollout"]
    conditions = {c["type"]: c for c in rollout["status"]["conditions"]}
    assert (rollout["status"]["phase"], conditions["Ready"]["status"]) == ("Promoted", "False")
    assert (conditions["Stalled"]["status"], conditions["Stalled"]["reason"]) == (
        "True",
        "ObjectRefused",
    )
    assert "httproutes" in conditions["Stalled"]["message"]
    assert lists["Ingress"]
    assert not differences(await mutant.reverted(), mutant.before)


def test_what_was_refused_and_is_accepted_is_looked_at_again_at_once(rehearsal: Rehearsal) -> None:
    """An own write wakes nobody, and the status still tells of the refusal."""
    rehearsal.runner.run(_accepted(rehearsal))


async def _accepted(rehearsal: Rehearsal) -> None:
    mutant = await rehearsal.fresh()
    assert not await mutant.put(Mutation(ROUTED).applied(SEED))
    await mutant.rest()
    assert not await mutant.put(SEED)
    assert await mutant.look(1) == mutant.now
    assert await mutant.look(1) is None
