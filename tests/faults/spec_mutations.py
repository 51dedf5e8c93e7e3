"""A rollout whose spec is mutated, driven by the operator's own parts under a clock that the test
turns.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollout_operator.controller.reconcile import reconcile
from rollout_operator.domain.own_metrics import PART
from rollout_operator.errors import CallFailed
from tests.faults.audit import end_state
from tests.faults.in_process import A_MOMENT, Stage, Telling
from tests.faults.mutations import SEED, Spec
from tests.faults.stories import NAME, Story, kubelet_of
from tests.support.kinds import GROUP, Lists, Object, fingerprint, path_of
from tests.support.scripted_world import ACCURACY, ScriptedWorld, sample

MOST_LOOKS = 500
BACKOFF = timedelta(seconds=10)
"""Between failures, as the engine does when they go on: an object that is refused for ever holds
two phases for five minutes each.
"""
A_SECOND = 10
"""Requests, and labels, that a revision gets in each second."""
KSTATUS = {"Accepted", "Ready", "Reconciling", "Stalled"}
MEMORY = (
    *(
        "drains",
        "history",
        "rejected",
        "attempt",
        "reported",
        "messages",
        "attemptSince",
        "phaseSince",
        "reason",
        "message",
        "gates",
        "differences",
        "evidence",
        "lastSpec",
        "approvedAt",
    ),
    *("observedGeneration",),
)
"""What status remembers of how it came here: it may differ after a mutation was taken back, and
nothing else may.
"""


@dataclass
class BusyWorld(ScriptedWorld):
    """Every series that a gate can ask for,
    of revisions that answer `A_SECOND` requests a second.
    """

    since: dict[str, float] = field(default_factory=dict)

    def series(self) -> list[Object]:
        now = self.clock()
        return [
            sample(revision, workload, [(now - 1, before), (now, after)], name, **labels)
            for revision, workload in self.revisions.items()
            for name, labels, (before, after) in _series(
                ACCURACY.get(workload.version, 0.95),
                now - self.since.setdefault(revision, now),
            )
        ]

    def own_series(self) -> list[Object]:
        now = self.clock()
        return [
            {
                "metric": {
                    PART: part,
                    "namespace": workload.namespace,
                    "revision": revision,
                    "instance": "10.0.0.9:80",
                },
                "value": [now, str(int(share * A_SECOND * (now - self.since.get(revision, now))))],
            }
            for revision, workload in self.revisions.items()
            for part, share in (("counted", 0.4), ("of", 1.0))
        ]

    def model_version(self, name: str, version: str) -> tuple[int, Object]:
        return super().model_version(name, "4" if version == "@champion" else version)


def _series(
    accuracy: float, seconds: float
) -> list[tuple[str, Mapping[str, str], tuple[float, float]]]:
    """Name, labels and the values of a second ago and of now."""
    made = []
    for name, more, share in (
        ("ml_feedback_total", {"outcome": "correct"}, accuracy),
        ("ml_feedback_total", {"outcome": "wrong"}, 1 - accuracy),
        ("ml_predictions_total", {}, 1.0),
        ("ml_request_count_total", {}, 1.0),
        ("ml_request_errors_total", {}, 0.001),
        *(
            ("ml_request_latency_seconds_bucket", {"le": le}, share)
            for le, share in (("0.1", 0.9), ("0.25", 0.99), ("+Inf", 1.0))
        ),
    ):
        before, after = (float(int(share * A_SECOND * max(0.0, s))) for s in (seconds - 1, seconds))
        made.append((name, more, (before, after)))
    return [("ml_model_accuracy", {}, (accuracy, accuracy)), *made]


class Mutant(Telling):
    """One ModelRollout that began as the seed; `before` is what the cluster was then."""

    def __init__(self, stage: Stage, namespace: str) -> None:
        super().__init__(stage, Story("mutations", (), (), None), namespace)
        self.world = BusyWorld(clock=self._time)
        self.kubelet = kubelet_of(self.world)
        self.failure = ""
        self.before: Object = {}
        self._start()

    async def begin(self) -> None:
        """Bring the seed to rest."""
        await self.stage.api.namespace(self.namespace)
        self.stage.told[self.namespace] = self
        await self.stage.api.apply("ModelRollout", self.namespace, NAME, {"spec": SEED})
        self.before = self._masked(await self.rest())

    async def put(self, spec: Spec) -> str:
        """Ask for this spec; returns what the API server says against it, "" where it takes it."""
        where = path_of("ModelRollout", self.namespace, NAME)
        async with self.stage.api.session.get(where) as reply:
            known = await reply.json()
        body = {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "ModelRollout",
            "metadata": known["metadata"],
            "spec": spec,
        }
        async with self.stage.api.session.put(
            where, json=body, params={"fieldValidation": "Strict"}
        ) as reply:
            answer = await reply.json()
            assert reply.status in {200, 400, 422}, answer
            return "" if reply.status == 200 else str(answer["message"])

    async def look(self, times: int) -> datetime | None:
        """So many passes of the operator, wherever they lead; returns when the last one wants the
        next.
        """
        requeue_at: datetime | None = None
        for _ in range(times):
            lists = await self._played()
            self.now += timedelta(seconds=15)
            requeue_at = await self._look(lists)
        return requeue_at

    async def rest(self) -> Lists:
        """Go on until the status says how it ended and nothing changes any more; raises
        AssertionError where that never comes.
        """
        requeue_at: datetime | None = self.now
        known: object = None
        for _ in range(MOST_LOOKS):
            lists = await self._played()
            version = fingerprint(lists)
            unchanged = version == known and not self.woken
            if unchanged and self._ended(lists["ModelRollout"][0]):
                return lists
            self.now = (
                max(self.now + A_MOMENT, requeue_at or self.now)
                if unchanged
                else self.now + A_MOMENT
            )
            known, self.woken = version, False
            requeue_at = await self._look(lists)
        raise AssertionError(
            f"never at rest: {self.failure} {json.dumps(lists['ModelRollout'][0])}"
        )

    def _ended(self, rollout: Object) -> bool:
        status = rollout.get("status", {})
        truth = {c["type"]: c["status"] for c in status.get("conditions", ())}
        told = status["observedGeneration"] == rollout["metadata"]["generation"]
        stalled = truth.get("Stalled") == "True"
        # A former route goes after removalDelay.
        done = (
            truth.get("Ready") == "True" and not self.failure and len(status.get("routes", ())) <= 1
        )
        waits = bool({"pausedSince", "approvalSince"} & status.keys() or status.get("frozen"))
        return told and not status.get("retiring") and (stalled or done or waits)

    async def _pass(self) -> datetime | None:
        """One pass; whatever is raised beside CallFailed ends the test, as it would end no process
        but stop this rollout.
        """
        try:
            requeue_at = await reconcile((self.namespace, NAME), self.ports, self.now)
        except CallFailed as failure:
            self.failure = str(failure)
            return self.now + BACKOFF
        self.failure = ""
        return requeue_at

    async def reverted(self) -> Object:
        """Go back to the seed; what the cluster is then."""
        assert not await self.put(SEED)
        return self._masked(await self.rest())

    def _masked(self, lists: Lists) -> Object:
        state = end_state(lists, {}, self.world.versions(), self.namespace)
        routes = state[f"ModelRollout {NAME}"]["status"].get("routes") or [{"name": NAME}]
        if (called := routes[0]["name"]) != NAME:
            # What the only route is called depends on what the one before it was called.
            state = json.loads(json.dumps(state).replace(called, NAME))
        status = copy.deepcopy(state[f"ModelRollout {NAME}"]["status"])
        for name in MEMORY:
            status.pop(name, None)
        # Two conditions more speak of the gates that were measured last.
        status["conditions"] = {
            c["type"]: c["status"] for c in status["conditions"] if c["type"] in KSTATUS
        }
        state[f"ModelRollout {NAME}"]["status"] = status
        return state
