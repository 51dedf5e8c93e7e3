"""ModelRollouts as a team's cluster has them: every phase, every kind of wait, every verdict.

Their statuses are values of the operator's own types, with the conditions that its own function
makes of them; the API server takes them as it takes the operator's.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rollout_operator.domain.api.analysis import EvidenceKind
from rollout_operator.domain.api.conditions import conditions
from rollout_operator.domain.api.differences import Difference, SentValue
from rollout_operator.domain.api.gate_results import GateResult, GateStatus, Measurement
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Attempt, Rejected, Revision, Shortage, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.observed import Resolved
from rollout_operator.domain.revision import revision_of
from tests.support.api_client import ApiClient
from tests.support.builders import IMAGE
from tests.support.kinds import Object, manifest, path_of

TEAM_A, TEAM_B = "team-a", "team-b"
SIGNATURE = json.dumps(
    {
        "inputs": json.dumps([{"name": "amount", "type": "double", "required": True}]),
        "outputs": json.dumps([{"type": "long", "required": True}]),
    }
)
LASTED = timedelta(minutes=60)
"""How long attempts were on trial that have ended."""
GATES: list[Object] = [
    {"metric": "accuracy", "min": 0.9, "evidence": "Labelled"},
    {"metric": "errorRate", "max": 0.01},
    {"metric": "latencyP95Seconds", "max": 0.25},
]


@dataclass(frozen=True)
class Seed:
    """One rollout to be."""

    namespace: str
    name: str
    spec: Spec
    status: Status

    @property
    def place(self) -> str:
        """As people write it: team-a/iris."""
        return f"{self.namespace}/{self.name}"

    @property
    def path(self) -> str:
        """In the API."""
        return path_of("ModelRollout", self.namespace, self.name)

    def replant(self, api: ApiClient) -> None:
        """Have it as it was, whatever became of it: the same object still, to which its Events
        belong.
        """
        for _ in range(5):
            there = api.get(self.path)
            whole = self._manifest | {"metadata": self._kept(there)}
            reply = api.http.put(self.path, json=whole)
            if reply.status_code != 409:
                break
        assert reply.status_code == 200, reply.text
        there = reply.json()
        status = {**self.status.to_api(), "observedGeneration": there["metadata"]["generation"]}
        whole = self._manifest | {"metadata": self._kept(there), "status": status}
        reply = api.http.put(f"{self.path}/status", json=whole)
        assert reply.status_code == 200, reply.text

    @property
    def _manifest(self) -> Object:
        return manifest("ModelRollout", self.name, {"spec": self.spec.to_api()})

    def _kept(self, there: Object) -> Object:
        """Of its metadata."""
        return {
            **self._manifest["metadata"],
            "namespace": self.namespace,
            "resourceVersion": there["metadata"]["resourceVersion"],
        }

    def plant(self, api: ApiClient) -> None:
        """Make it."""
        path = self.path
        for reply in (
            api.apply(path, self._manifest),
            api.patch(f"{path}/status", {"status": self.status.to_api()}),
        ):
            assert reply.status_code < 300, reply.text


@dataclass(frozen=True)
class Story:
    """What seeds are made from: a name, a place and the time now."""

    name: str
    namespace: str
    now: datetime

    def ago(self, **time: float) -> datetime:
        """So long before now."""
        return self.now - timedelta(**time)

    def spec(self, version: int, **changes: Any) -> Spec:
        """Three steps, three gates."""
        raw = {
            "modelUri": f"models:/{self.name}/{version}",
            "replicas": 2,
            "traffic": {"host": f"{self.name}.example.com"},
            "strategy": {
                "steps": [
                    {"weight": 5, "hold": "10m"},
                    {"weight": 20, "hold": "30m"},
                    {"weight": 50, "hold": "30m"},
                ]
            },
            "analysis": {"interval": "15s", "maxHold": "2h", "gates": GATES},
        }
        return Spec.model_validate({**raw, **changes})

    def revision(self, version: int, since: datetime, **changes: Any) -> Revision:
        """A version with pods that were Ready a minute after it came."""
        resolved = Resolved(
            uri=f"models:/{self.name}/{version}",
            version=str(version),
            digest="sha256:" + f"{version:064x}",
            run=f"{version:032x}",
            signature=SIGNATURE,
        )
        made = revision_of(resolved, self.spec(version), f"{self.place}", IMAGE, since)
        ready = {"ready_at": since + timedelta(minutes=1)}
        return made.model_copy(update={**ready, **changes})

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.name}"

    def stable(self, version: int = 1) -> Revision:
        """The version that answers, for nine days."""
        return self.revision(version, self.ago(days=9), promoted=True)

    def attempt(
        self,
        number: int,
        verdict: Verdict,
        reason: Reason,
        message: str,
        began: datetime | None = None,
    ) -> Attempt:
        """One that has ended; where nothing else is said, it began as many days ago as its number
        is below ten.
        """
        failed = reason is Reason.GATE_FAILED
        began = began or self.ago(days=10 - number)
        result = GateResult(
            metric="accuracy",
            value=0.852 if failed else 0.931,
            threshold=0.9,
            samples=412,
            measurement=Measurement.FAIL if failed else Measurement.PASS,
        )
        return Attempt(
            attempt=number,
            uri=f"models:/{self.name}/{number}",
            revision=self.revision(number, began).revision,
            verdict=verdict,
            reason=reason,
            message=message,
            started=began,
            ended=began + LASTED,
            gates=(result,),
        )

    def history(self) -> tuple[Attempt, ...]:
        """One attempt, which was promoted."""
        said = f"models:/{self.name}/1 is stable: accuracy 0.931 is at least 0.9, 412 samples."
        return (self.attempt(1, Verdict.PROMOTED, Reason.GATES_PASSED, said),)

    def gates(self, revision: Revision, labels: int = 312) -> tuple[GateStatus, ...]:
        """All three measured: labels are on their way, the others pass."""
        common: dict[str, Any] = {"at": self.ago(seconds=7), "revision": revision.revision}
        return (
            GateStatus(
                metric="accuracy",
                evidence=EvidenceKind.LABELLED,
                value=0.926,
                lower=0.887,
                upper=0.957,
                threshold=0.9,
                samples=labels,
                evidence_for=0.61,
                evidence_against=0.04,
                labels_left=190,
                eta=self.now + timedelta(minutes=21),
                coverage=0.94,
                design_effect=1.1,
                measurement=Measurement.NO_EVIDENCE,
                message="accuracy: 0.926 of 312 labels, from 0.887 to 0.957; about 190 more needed",
                **common,
            ),
            GateStatus(
                metric="errorRate",
                value=0.0021,
                threshold=0.01,
                samples=4211,
                measurement=Measurement.PASS,
                message="errorRate: 0.0021 is at most 0.01, 4211 requests",
                **common,
            ),
            GateStatus(
                metric="latencyP95Seconds",
                value=0.118,
                threshold=0.25,
                samples=4211,
                measurement=Measurement.PASS,
                message="latencyP95Seconds: 0.118 is at most 0.25, 4211 requests",
                **common,
            ),
        )

    def seed(self, spec: Spec, **status: Any) -> Seed:
        """The rollout, with the conditions that follow from its status."""
        made = Status(**{"observed_generation": 1, "history": self.history(), **status})
        made = made.model_copy(update={"conditions": conditions(made, self.now)})
        return Seed(self.namespace, self.name, spec, made)

    def under_way(self, phase: Phase, reason: Reason, message: str, **changes: Any) -> Seed:
        """Version 2 beside version 1, its pods Ready for half an hour."""
        candidate = self.revision(2, self.ago(minutes=31), replicas=1)
        values: dict[str, Any] = {
            "phase": phase,
            "phase_since": self.ago(minutes=30),
            "attempt": 2,
            "attempt_since": self.ago(minutes=31),
            "stable": self.stable(),
            "candidate": candidate,
            "step": 1,
            "step_since": self.ago(minutes=20),
            "weight": 20,
            "gates": self.gates(candidate),
            "reason": reason,
            "message": message,
        }
        return self.seed(changes.pop("spec", self.spec(2)), **{**values, **changes})

    def promoted(self, **changes: Any) -> Seed:
        """Version 2 has become stable four days ago."""
        said = f"models:/{self.name}/2 is stable: accuracy 0.931 is at least 0.9, 412 samples."
        values: dict[str, Any] = {
            "phase": Phase.PROMOTED,
            "phase_since": self.ago(days=4),
            "attempt": 2,
            "attempt_since": self.ago(days=4, hours=1),
            "stable": self.revision(2, self.ago(days=4), promoted=True),
            "replicas": 2,
            "reported": 2,
            "reason": Reason.GATES_PASSED,
            "message": said,
            "history": (
                self.attempt(2, Verdict.PROMOTED, Reason.GATES_PASSED, said),
                *self.history(),
            ),
        }
        return self.seed(self.spec(2), **{**values, **changes})

    def rolled_back(self) -> Seed:
        """Version 2 failed its gate two hours ago."""
        said = f"models:/{self.name}/2 was rolled back: accuracy 0.852 is below 0.9, 412 samples."
        candidate = self.revision(2, self.ago(hours=3))
        rejected = Rejected(
            revision=candidate.revision,
            uri=candidate.uri,
            reason=Reason.GATE_FAILED,
            message=said,
            at=self.ago(hours=2),
        )
        failing = self.gates(candidate)[0].model_copy(
            update={
                "value": 0.852,
                "lower": 0.811,
                "upper": 0.887,
                "samples": 412,
                "evidence_for": 0.0,
                "evidence_against": 1.0,
                "labels_left": None,
                "eta": None,
                "measurement": Measurement.FAIL,
                "message": "accuracy: 0.852 of 412 labels, from 0.811 to 0.887, is below 0.9",
            }
        )
        return self.seed(
            self.spec(2),
            phase=Phase.ROLLED_BACK,
            phase_since=self.ago(hours=2),
            attempt=2,
            attempt_since=self.ago(hours=3),
            stable=self.stable(),
            candidate=candidate,
            gates=(failing, *self.gates(candidate)[1:]),
            differences=(
                Difference(
                    revision=candidate.revision,
                    outcome="different",
                    at=self.ago(hours=2, minutes=30),
                    stable='{"predict":214000.0}',
                    candidate='{"predict":187500.0}',
                    sent=(SentValue(field="rooms", value="4"),),
                    masked=("address", "year_built"),
                ),
                Difference(
                    revision=candidate.revision,
                    outcome="failed",
                    at=self.ago(hours=2, minutes=20),
                    candidate="HTTP 500",
                    masked=("rooms", "address", "year_built"),
                ),
            ),
            reported=2,
            reason=Reason.GATE_FAILED,
            message=said,
            rejected=(rejected,),
            history=(
                self.attempt(2, Verdict.ROLLED_BACK, Reason.GATE_FAILED, said, self.ago(hours=3)),
                *self.history(),
            ),
        )


def seeds(now: datetime | None = None) -> tuple[Seed, ...]:
    """One rollout for each phase and each kind of wait, in two namespaces."""
    at = now or datetime.now(UTC).replace(microsecond=0)

    def a(name: str) -> Story:
        return Story(name, TEAM_A, at)

    def b(name: str) -> Story:
        return Story(name, TEAM_B, at)

    measuring = "Step 2 of 3: 20 % go to models:/{0}/2; accuracy needs about 190 more labels."
    passed = "models:/{0}/2 takes over: accuracy 0.931 is at least 0.9, 412 samples."
    failed = "accuracy 0.852 is below 0.9, 412 samples."
    return (
        a("churn").under_way(Phase.TRIAL, Reason.MEASURING, measuring.format("churn")),
        a("fraud").under_way(
            Phase.TRIAL,
            Reason.GATE_FAILED,
            f"Halted: {failed} Abort, retry or promote it.",
            halted=True,
            weight=0,
        ),
        a("prices").rolled_back(),
        a("iris").promoted(),
        a("demand").under_way(
            Phase.TRIAL,
            Reason.MEASURING,
            measuring.format("demand"),
            paused_since=at - timedelta(minutes=12),
            spec=a("demand").spec(2, paused=True),
        ),
        a("vision").seed(
            a("vision").spec(1),
            phase=Phase.INVALID,
            phase_since=at - timedelta(minutes=4),
            attempt=1,
            reason=Reason.MODEL_VERSION_NOT_FOUND,
            message="models:/vision/1 is not in the registry: register it, or change modelUri.",
            history=(),
        ),
        b("ranking").under_way(
            Phase.STARTING,
            Reason.WAITING_FOR_PODS,
            "0 of 1 pods of models:/ranking/2 are Ready: Insufficient cpu.",
            step=None,
            step_since=None,
            weight=0,
            gates=(),
        ),
        b("search").under_way(
            Phase.PROMOTING, Reason.GATES_PASSED, passed.format("search"), step=2, weight=50
        ),
        b("offers").under_way(
            Phase.SHIFTING, Reason.GATES_PASSED, passed.format("offers"), step=2, weight=100
        ),
        b("speech").under_way(
            Phase.SWITCHING, Reason.GATES_PASSED, passed.format("speech"), step=2, weight=100
        ),
        b("routes").under_way(
            Phase.SETTLING, Reason.GATES_PASSED, passed.format("routes"), step=2, weight=0
        ),
        b("credit").under_way(Phase.ROLLING_BACK, Reason.GATE_FAILED, failed, step=None, weight=0),
        b("texts").seed(
            b("texts").spec(1),
            phase=Phase.PENDING,
            phase_since=at - timedelta(seconds=20),
            attempt=1,
            reason=Reason.REGISTRY_UNREACHABLE,
            message="The registry does not answer: connection refused. It is asked again.",
            history=(),
        ),
        b("alerts").promoted(
            shortage=Shortage(
                ready=1,
                wanted=2,
                since=at - timedelta(minutes=25),
                stalled=True,
                message="1 of 2 pods is Ready. exceeded quota: pods",
            )
        ),
    )


def crowd(count: int, on_trial: int, namespaces: Sequence[str]) -> Iterator[Seed]:
    """So many rollouts: the first ones on trial, of the others one in ten rolled back."""
    at = datetime.now(UTC).replace(microsecond=0)
    for number in range(count):
        story = Story(f"model-{number:04}", namespaces[number % len(namespaces)], at)
        if number < on_trial:
            yield story.under_way(
                Phase.TRIAL,
                Reason.MEASURING,
                f"Step 2 of 3: 20 % go to models:/{story.name}/2; accuracy needs more labels.",
            )
        else:
            yield story.rolled_back() if number % 10 == 9 else story.promoted()


def plant(api: ApiClient, some: Sequence[Seed]) -> None:
    """Make their namespaces, and then them."""
    for namespace in sorted({seed.namespace for seed in some}):
        api.namespace(namespace)
    for seed in some:
        seed.plant(api)


def leaks(text: str, but: str = "") -> set[str]:
    """Rollouts, but those of a namespace, of which a text names a version."""
    return {
        seed.place
        for seed in seeds()
        if seed.namespace != but and re.search(rf"\b{seed.name}/\d", text)
    }
