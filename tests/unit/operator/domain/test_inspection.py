"""A version without a digest: its files are looked at first, and then it is like any other."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rollout_operator.adapters.model_registry import read as read_registry
from rollout_operator.controller.inspection import read
from rollout_operator.desired.common import Owner
from rollout_operator.desired.inspection_pod import INSPECTED, inspection_pod, pod_name
from rollout_operator.domain.api.status import Inspecting, Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.credentials import Credentials
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import DigestMissing, Inspection, Observed, Unpinned
from rollout_operator.domain.verdicts import pinned_by
from tests.support.builders import at, observed, revision, spec

URI = "models:/iris/1"
DIGEST = "sha256:" + "a" * 64
POD = ("pod-uid", 7)
NEW = Unpinned(URI, "1", "run-1")
LOOKING = Status(phase=Phase.PENDING, inspecting=Inspecting(uri=URI, since=at(0)))
GOOD = Inspection(URI, ended=True, digest=DIGEST, signature="[]", known=POD)


def look(second: float, status: Status, found: Inspection | None, **more: Any) -> Observed:
    return observed(second, status=status, resolution=NEW, inspection=found, **more)


def test_a_version_without_a_digest_is_looked_at_before_anything_is_tried() -> None:
    plan = decide(look(0, Status(), None, spec=spec(URI)))
    assert (plan.status.phase, plan.status.reason) == (Phase.PENDING, Reason.INSPECTING)
    assert plan.status.inspecting == Inspecting(uri=URI, since=at(0))
    assert plan.status.candidate is None
    assert plan.requeue_at == at(1)


def test_what_was_seen_becomes_the_digest_that_pods_must_find() -> None:
    seen = look(3, LOOKING, GOOD, spec=spec(URI))
    plan = decide(seen)
    assert plan.status.phase is Phase.STARTING
    assert plan.status.inspecting is None
    assert plan.status.candidate is not None
    assert plan.status.candidate.digest == DIGEST
    assert plan.status.candidate.run == "run-1"
    pinned = pinned_by(seen, plan.status)
    assert pinned is not None
    assert (pinned.model, pinned.version, pinned.digest) == ("iris", "1", DIGEST)


def test_what_was_seen_is_told_once() -> None:
    told = replace(GOOD, summary="0.1 MiB of sklearn, to be served by onnx")
    plan = decide(look(3, LOOKING, told, spec=spec(URI)))
    first, *_ = plan.events
    assert (first.kind, first.reason) == ("Normal", Reason.INSPECTED)
    assert first.message == f"{URI} has {DIGEST}: {told.summary}."
    later = decide(look(4, plan.status, told, spec=spec(URI)))
    assert Reason.INSPECTED not in [event.reason for event in later.events]


def test_nothing_is_recorded_of_what_the_registry_said_itself() -> None:
    plan = decide(look(3, LOOKING, GOOD, spec=spec(URI)))
    assert pinned_by(look(4, plan.status, None), plan.status) is None


def test_while_it_is_looked_at_there_is_time() -> None:
    for second, next_look in ((1, 1), (30, 10)):
        plan = decide(look(second, LOOKING, Inspection(URI, known=POD), spec=spec(URI)))
        assert plan.status.phase is Phase.PENDING
        assert plan.status.inspecting == LOOKING.inspecting
        assert plan.requeue_at == at(second + next_look)


def test_a_pod_that_does_not_come_is_told() -> None:
    found = Inspection(URI, trouble="ErrImagePull: no such image", known=POD)
    plan = decide(look(5, LOOKING, found, spec=spec(URI)))
    assert "ErrImagePull: no such image" in plan.status.message
    late = decide(look(70, LOOKING, found, spec=spec(URI)))
    assert (late.status.phase, late.status.reason) == (Phase.INVALID, Reason.MODEL_CANNOT_SERVE)
    assert "did not end within 1m" in late.status.message


TROUBLE = Inspection(URI, ended=True, digest=DIGEST, trouble="The model is a pickle.", known=POD)
UNREAD = Inspection(URI, ended=True, trouble="The pod says: could not be fetched", known=POD)


@pytest.mark.parametrize(
    ("found", "again"), [(TROUBLE, 600), (UNREAD, 30)], ids=["cannot serve", "not fetched"]
)
def test_what_cannot_be_served_is_said_and_looked_at_again_later(
    found: Inspection, again: float
) -> None:
    plan = decide(look(2, LOOKING, found, spec=spec(URI)))
    assert (plan.status.phase, plan.status.reason) == (Phase.INVALID, Reason.MODEL_CANNOT_SERVE)
    assert found.trouble in plan.status.message
    assert "Stalled" in {c.type for c in plan.status.conditions if c.status == "True"}
    status = plan.status
    for second in (10, again - 1):
        kept = decide(look(second, status, None, spec=spec(URI)))
        assert kept.status.phase is Phase.INVALID
        assert kept.status.inspecting == status.inspecting
    anew = decide(look(again, status, None, spec=spec(URI)))
    assert anew.status.phase is Phase.PENDING
    assert anew.status.inspecting == Inspecting(uri=URI, since=at(again))


def test_another_version_is_looked_at_at_once() -> None:
    status = decide(look(2, LOOKING, TROUBLE, spec=spec(URI))).status
    other = Unpinned("models:/iris/2", "2")
    asked = spec("models:/iris/2")
    plan = decide(observed(3, status=status, spec=asked, resolution=other))
    assert plan.status.inspecting == Inspecting(uri="models:/iris/2", since=at(3))


def test_a_pod_of_another_version_is_no_answer() -> None:
    found = replace(GOOD, uri="models:/iris/9")
    plan = decide(look(2, LOOKING, found, spec=spec(URI)))
    assert plan.status.phase is Phase.PENDING
    assert plan.status.candidate is None


def test_what_serves_goes_on_while_the_next_version_is_looked_at() -> None:
    stable = revision(1, promoted=True)
    status = Status(phase=Phase.PROMOTED, stable=stable)
    asked = spec("models:/iris/2")
    plan: Plan = decide(
        observed(0, status=status, spec=asked, resolution=Unpinned("models:/iris/2", "2"))
    )
    assert plan.status.stable == stable
    assert plan.status.inspecting is not None


def test_an_alias_that_moves_to_a_version_without_a_digest_is_followed() -> None:
    stable = revision(1, promoted=True).model_copy(update={"requested": "models:/iris@champion"})
    status = Status(phase=Phase.PROMOTED, stable=stable)
    asked = spec("models:/iris@champion")
    moved = observed(0, status=status, spec=asked, resolution=Unpinned("models:/iris/2", "2"))
    assert decide(moved).status.inspecting is not None
    same = observed(0, status=status, spec=asked, resolution=Unpinned(stable.uri, "1"))
    assert decide(same).status.phase is Phase.PROMOTED


def reply(**tags: str) -> bytes:
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    version = {"name": "iris", "version": "1", "status": "READY", "run_id": "r", "tags": listed}
    return json.dumps({"model_version": version}).encode()


def test_the_registry_is_read_by_the_policy() -> None:
    assert read_registry(URI, 200, reply(), pin=True) == Unpinned(URI, "1", "r")
    assert isinstance(read_registry(URI, 200, reply()), DigestMissing)
    wrong = reply(**{"rollouts.mlops.dev/digest": "sha256:none"})
    assert isinstance(read_registry(URI, 200, wrong, pin=True), DigestMissing)


OWNER = Owner("uid-1", "iris", "models")


def pod(message: str = "", phase: str = "Running", **meta: Any) -> dict[str, Any]:
    state = {"terminated": {"message": message}} if message else {"running": {}}
    return {
        "metadata": {
            "uid": "pod-uid",
            "resourceVersion": "7",
            "annotations": {INSPECTED: URI},
            "ownerReferences": [{"uid": "uid-1"}],
            **meta,
        },
        "status": {"phase": phase, "containerStatuses": [{"name": "inspect", "state": state}]},
    }


ANSWER = json.dumps({"digest": DIGEST, "signature": "[]", "trouble": "", "serves": "onnx"})


def test_a_pods_last_words_are_read() -> None:
    seen = replace(GOOD, summary="0.0 MiB of no flavour, to be served by onnx")
    assert read(pod(ANSWER, "Succeeded"), "uid-1") == seen
    assert read(pod(), "uid-1") == Inspection(URI, known=POD)
    beside_a_sidecar = pod(ANSWER, "Running")
    assert read(beside_a_sidecar, "uid-1") == seen, "a sidecar that never ends is not waited for"


SUMMARIES = {
    "a conversion": (
        {"bytes": 3 * 2**20, "flavors": ["sklearn"], "serves": "onnx", "points": 3012},
        "3.0 MiB of sklearn, to be served by onnx, held against scikit-learn on 3,012 rows",
    ),
    "scikit-learn, and other versions": (
        {
            "bytes": 1024,
            "flavors": ["python_function", "sklearn"],
            "serves": "sklearn",
            "reason": "labels differ",
            "packages": ["pandas==2.2.3, and the server has 3.0.1"],
        },
        (
            "0.0 MiB of python_function, sklearn, to be served by sklearn (labels differ);"
            " made with pandas==2.2.3, and the server has 3.0.1"
        ),
    ),
}


@pytest.mark.parametrize(("said", "summary"), SUMMARIES.values(), ids=SUMMARIES.keys())
def test_what_was_found_is_summed_up(said: dict[str, Any], summary: str) -> None:
    text = json.dumps({"digest": DIGEST, "signature": "[]", "trouble": "", **said})
    assert read(pod(text, "Succeeded"), "uid-1").summary == summary


def test_what_is_no_answer_is_told_as_it_is() -> None:
    found = read(pod("Killed", "Failed"), "uid-1")
    assert found == Inspection(URI, ended=True, trouble="The pod says: Killed", known=POD)
    evicted = pod(phase="Failed")
    evicted["status"] |= {"containerStatuses": [], "reason": "Evicted", "message": "disk"}
    assert read(evicted, "uid-1").trouble == "Evicted: disk"


def test_a_pod_of_a_former_rollout_says_nothing() -> None:
    """One that is going may be looked at no more; what is somebody else's is left alone."""
    assert read(pod(ANSWER, "Succeeded"), "uid-2") == Inspection()
    going = pod(ANSWER, "Succeeded", deletionTimestamp="2026-11-29T12:00:00Z")
    assert read(going, "uid-1") == Inspection(known=POD)


def test_the_pod_fetches_as_model_pods_do_and_reads_without_credentials() -> None:
    given = Credentials(secret="reader", service_account="models")
    environment = {"MLFLOW_TRACKING_URI": "http://mlflow", "MODEL_ALLOW_PICKLE": "1"}
    asked = Inspecting(uri=URI, since=at(0))
    made = inspection_pod(OWNER, spec(), asked, "image:1", environment, given)
    (step,), (inspect,) = made["spec"]["initContainers"], made["spec"]["containers"]
    assert step["envFrom"] == [{"secretRef": {"name": "reader"}}]
    assert {"name": "MODEL_URI", "value": URI} in step["env"]
    assert "envFrom" not in inspect
    assert {one["name"] for one in inspect["env"]} == {"HOME", "MODEL_ALLOW_PICKLE"}
    assert made["metadata"]["annotations"] == {INSPECTED: URI}
    assert made["spec"]["activeDeadlineSeconds"] == 60
    assert "rollouts.mlops.dev/revision" not in made["metadata"]["labels"]


@pytest.mark.parametrize("name", ["iris", "a" * 63, "a" * 253])
def test_the_pods_name_is_one_that_kubernetes_takes(name: str) -> None:
    found = pod_name(Owner("u", name, "models"))
    assert len(found) <= 63
    assert found != pod_name(Owner("u", f"{name[:-1]}b", "models"))
