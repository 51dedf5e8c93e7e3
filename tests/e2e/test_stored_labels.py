"""Labels by the caller's own ids on real pods with a store: late, twice, corrected, in any order,
while pods are killed and replaced, and after all that answered are gone. The counts are those of an
oracle, and a gate decides by them.
"""

import csv
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from scripts.demo.rollout import Rollout, eventually, verdict_of
from scripts.demo.traffic import TIMEOUT
from scripts.kube import Kube, Object
from tests.e2e.conftest import setting
from tests.e2e.harness import NOTHING, PATIENCE, Trained, hold, kubectl, sigkill
from tests.e2e.label_stores import LabelStore, label_store
from tests.e2e.labelling import CANDIDATE, DATA, KINDS

REQUESTS = 60
"""Labels of each trial: with fewer none is promoted, and there are no more."""
DUPLICATES, CORRECTIONS = 0.3, 0.1
GATE = {"metric": "accuracy", "min": 0.7, "evidence": "Labelled", "minSamples": REQUESTS}
IN_A_BATCH = 15


@dataclass(frozen=True)
class Answered:
    """What a caller has of one request."""

    name: str
    revision: str
    said: str
    right: str

    def label(self, label: str, version: int = 0) -> dict[str, Any]:
        return {"request_id": self.name, "label": label, "version": version}


@dataclass
class Caller:
    """Asks by ids of its own, tries again what was not answered, and counts what it says."""

    url: str
    host: str
    chance: random.Random = field(default_factory=lambda: random.Random(23))
    answered: list[Answered] = field(default_factory=list)
    labelled: list[Answered] = field(default_factory=list)
    """Those that a label was sent of."""

    def __post_init__(self) -> None:
        self.http = httpx.Client(
            base_url=self.url, headers={"Host": self.host}, timeout=TIMEOUT, trust_env=False
        )
        with DATA.open() as file:
            self.flowers = [
                ([float(value) for value in list(row.values())[:4]], row["species"])
                for row in csv.DictReader(file)
            ]

    def ask(self, many: int, of: str, headers: Mapping[str, str] = NOTHING) -> list[Answered]:
        """So many predictions of one revision, by whichever of its pods."""
        found = list[Answered]()
        while len(found) < many:
            flower, species = self.chance.choice(self.flowers)
            name = f"order-{len(self.answered)}"
            body = {"request_id": name, "instances": [flower]}
            reply = self._sent("/predict/", body, headers)
            told = reply.json()
            one = Answered(name, told["revision"], told["predictions"][0], species)
            self.answered.append(one)
            if one.revision == of:
                found.append(one)
        return found

    def _sent(self, path: str, body: Any, headers: Mapping[str, str] = NOTHING) -> httpx.Response:
        """The answer of a pod that has the store."""

        def answer() -> httpx.Response | None:
            reply = self.http.post(path, json=body, headers=headers)
            noted = reply.headers.get("X-Feedback-Remembered", "true") == "true"
            return reply if reply.status_code == 200 and noted else None

        return eventually(answer, f"an answer from {path}", PATIENCE)

    def labels(self, of: list[Answered]) -> Iterator[list[dict[str, Any]]]:
        """What is sent of them, in batches: some labels twice, some first wrong and then corrected,
        in any order; the last is that of one that none was sent of before.
        """
        *most, last = of
        due = [one.label(one.right) for one in most]
        for one in self.chance.sample(most, round(CORRECTIONS * len(most))):
            wrong = next(kind for kind in KINDS if kind != one.right)
            due.remove(one.label(one.right))
            due += [one.label(wrong), one.label(one.right, version=1)]
        due += self.chance.sample(due, round(DUPLICATES * len(due)))
        self.chance.shuffle(due)
        self.labelled += of
        yield from (due[n : n + IN_A_BATCH] for n in range(0, len(due), IN_A_BATCH))
        yield [last.label(last.right)]

    def send(self, labels: list[dict[str, Any]]) -> None:
        """Until each has been taken, by whatever pod."""
        left = labels
        while left:
            headers = self.chance.choice([NOTHING, CANDIDATE])
            results = self._sent("/feedback/", left, headers).json()["results"]
            refused = [one for one in results if one.get("status", 503) != 503]
            assert not refused, refused[:3]
            left = [one for one, said in zip(left, results, strict=True) if "error" in said]

    def oracle(self) -> dict[str, tuple[int, int]]:
        """Right ones and all that were labelled, by revision."""
        found = dict[str, tuple[int, int]]()
        for one in self.labelled:
            good, every = found.get(one.revision, (0, 0))
            found[one.revision] = good + (one.said == one.right), every + 1
        return found


def counted(namespace: str) -> dict[str, tuple[int, int]]:
    """Right ones and all, by revision, as Prometheus has them of pods that all tell the same."""
    found = dict[str, dict[str, float]]()
    for name, sign in (("stored", 1), ("retracted", -1)):
        series = f'ml_feedback_{name}_total{{namespace="{namespace}"}}'
        query = {"query": f"max by (revision, outcome) ({series})"}
        reply = httpx.get(f"{setting('PROMETHEUS_URL')}/api/v1/query", params=query).json()
        for one in reply["data"]["result"]:
            outcomes = found.setdefault(one["metric"]["revision"], {"correct": 0, "wrong": 0})
            outcomes[one["metric"]["outcome"]] += sign * float(one["value"][1])
    return {
        revision: (int(said["correct"]), int(said["correct"] + said["wrong"]))
        for revision, said in found.items()
        if any(said.values())
    }


def pods(kube: Kube, rollout: Rollout) -> list[Object]:
    """Its pods that run."""
    path = f"/api/v1/namespaces/{rollout.namespace}/pods"
    found = kube.items(path, f"rollouts.mlops.dev/rollout={rollout.name}")
    return [pod for pod in found if pod["status"].get("containerStatuses", [{}])[0].get("ready")]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, kube: Kube, rollout: Rollout) -> Iterator[LabelStore]:
    with label_store(request.param, kube, rollout) as made:
        rollout.settings["replicas"] = made.replicas
        yield made


def test_stored_labels_decide(
    kube: Kube, rollout: Rollout, models: Trained, store: LabelStore, ingress_url: str
) -> None:
    rollout.apply(models.modest)
    modest = rollout.wait("Promoted", models.modest, PATIENCE)["stable"]["revision"]
    caller = Caller(ingress_url, rollout.host)
    early, late = caller.ask(20, modest), caller.ask(20, modest)
    hold(rollout, 4)
    rollout.settings["analysis"] = {"interval": "2s", "gates": [dict(GATE)]}
    rollout.apply(models.good)
    good = rollout.wait("Trial", models.good, PATIENCE)["candidate"]["revision"]
    judged = caller.ask(REQUESTS, good, CANDIDATE)
    first, *rest = [*caller.labels(early), *caller.labels(judged)]
    caller.send(first)
    sigkill(kube, pods(kube, rollout))
    store.crash()
    for number, batch in enumerate(rest):
        if number == 2:
            store.rotate()
            names = [pod["metadata"]["name"] for pod in pods(kube, rollout)]
            kubectl("delete", "pods", "-n", rollout.namespace, "--force", "--wait=false", *names)
        caller.send(batch)
    ended = verdict_of(rollout.wait("Promoted", models.good, PATIENCE), models.good)
    assert shown(ended) == ("Pass", REQUESTS, accuracy(judged))

    def replaced() -> bool | None:
        return not any(modest in pod["metadata"]["name"] for pod in pods(kube, rollout)) or None

    eventually(replaced, "all pods that answered first to go", PATIENCE, rollout.tell)
    for batch in caller.labels(late):
        caller.send(batch)
    rollout.apply(models.bad)
    bad = rollout.wait("Trial", models.bad, PATIENCE)["candidate"]["revision"]
    judged = caller.ask(REQUESTS, bad, CANDIDATE)
    for batch in caller.labels(judged):
        caller.send(batch)
    measured, samples, value = shown(
        verdict_of(rollout.wait("RolledBack", models.bad, PATIENCE), models.bad)
    )
    # It may be proved before all labels have come: minSamples is what it takes to pass.
    assert (measured, samples <= REQUESTS) == ("Fail", True)
    assert samples < REQUESTS or value == accuracy(judged)
    eventually(
        lambda: counted(rollout.namespace) == caller.oracle() or None,
        f"the counts to be {caller.oracle()}",
        60,
        lambda: f"They are {counted(rollout.namespace)}",
    )


def accuracy(of: list[Answered]) -> Any:
    """As the status rounds it."""
    return pytest.approx(sum(one.said == one.right for one in of) / len(of), abs=1e-3)


def shown(ended: Object) -> tuple[str, int, float]:
    """What the only gate of a verdict says."""
    (gate,) = ended["gates"]
    return gate["measurement"], gate["samples"], float(gate["value"])
