"""Profiles of pods: another one is given in place, and what changes in one is told, and waits to be
taken.
"""

from dataclasses import replace
from typing import Any

import pytest

from rollout_operator.domain.api.status import Phase, Reason, Revision, Status
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.observed import Observed, Workload
from rollout_operator.domain.profiles import Chosen, settings_hash
from tests.support.builders import at, observed, on_trial, resolved, revision, spec

GPU = Chosen("gpu", '{"nodeSelector":{"pool":"gpu"}}')
NEW = Chosen("gpu", '{"nodeSelector":{"pool":"new"}}')
CPU = Chosen("cpu", '{"nodeSelector":{"pool":"cpu"}}')
HASH = settings_hash(NEW.settings)
ON_GPU: dict[str, Any] = {"profile": "gpu", "pod_settings": GPU.settings}
V1 = revision(1, promoted=True, ready_at=at(-600), since=at(-600), **ON_GPU)
V2 = revision(2, **ON_GPU)


def promoted(stable: Revision = V1, **changes: Any) -> Status:
    values = {"phase": Phase.PROMOTED, "phase_since": at(-500), "attempt": 1, "stable": stable}
    return Status(**values | {"reason": Reason.GATES_PASSED, "message": "", **changes})


def look(asked: str = "gpu", profile: Chosen | None = GPU, **changes: Any) -> Observed:
    full = {r.revision: Workload(2, 2) for r in (V1, V2)}
    about = {"spec": spec(profile=asked), "status": promoted(), "workloads": full}
    return observed(0, **{"profile": profile, **about, **changes})


def stable_of(seen: Observed) -> Revision:
    stable = decide(seen).status.stable
    assert stable is not None
    return stable


def test_another_profile_is_given_in_place_and_tries_nothing() -> None:
    plan = decide(look("cpu", CPU))
    assert plan.status.stable == V1.model_copy(
        update={"profile": "cpu", "pod_settings": CPU.settings}
    )
    assert (plan.status.phase, plan.status.attempt, plan.status.outdated) == (Phase.PROMOTED, 1, "")
    assert plan.status.shortage is not None
    assert "as the spec asks; the former ones answer until then" in plan.status.shortage.message
    full = {V1.revision: Workload(2, 2, current=2)}
    after = decide(look("cpu", CPU, status=plan.status, workloads=full)).status
    assert (after.shortage, after.stable) == (None, plan.status.stable)


def test_another_name_of_the_same_settings_replaces_no_pod() -> None:
    status = decide(look("cpu", replace(GPU, name="cpu"))).status
    assert status.stable == V1.model_copy(update={"profile": "cpu"})
    assert status.shortage is None


def test_what_changes_in_a_profile_is_told_once_and_waits() -> None:
    first = decide(look(profile=NEW))
    assert first.status.stable == V1
    assert f"rollouts.mlops.dev/take-profile={HASH}" in first.status.outdated
    assert settings_hash(GPU.settings) in first.status.outdated
    (event,) = first.events
    assert (event.reason, event.message) == (Reason.PROFILE_CHANGED, first.status.outdated)
    assert {c.type: c.status for c in first.status.conditions}["Ready"] == "True"
    again = decide(look(profile=NEW, status=first.status))
    assert (again.status, again.events) == (first.status, ())
    back = decide(look(profile=GPU, status=first.status)).status
    assert back.outdated == ""


TOLD: dict[str, dict[str, Any]] = {
    "by the annotation": {"profile": NEW, "take_profile": HASH},
    "by the profile": {"profile": replace(NEW, at_once=True)},
}


@pytest.mark.parametrize("how", TOLD.values(), ids=TOLD.keys())
def test_what_changed_is_given_in_place_where_it_is_told_to(how: dict[str, Any]) -> None:
    status = decide(look(**how)).status
    assert status.stable == V1.model_copy(update={"pod_settings": NEW.settings})
    assert (status.attempt, status.outdated) == (1, "")
    assert status.shortage is not None
    full = {V1.revision: Workload(2, 2, current=2)}
    assert decide(look(**how, status=status, workloads=full)).status.stable == status.stable


def test_a_default_that_is_configured_later_is_taken_when_told_to() -> None:
    plain = revision(1, promoted=True)
    asked: dict[str, Any] = {"spec": spec(), "status": promoted(plain)}
    default = Chosen("default", GPU.settings)
    assert stable_of(look(profile=default, **asked)) == plain
    told = stable_of(look(profile=replace(default, at_once=True), **asked))
    assert (told.profile, told.pod_settings) == (None, GPU.settings)
    gone = promoted(plain.model_copy(update={"pod_settings": GPU.settings}))
    taken = stable_of(look(profile=Chosen(), take_profile="none", spec=spec(), status=gone))
    assert taken.pod_settings is None


WAITS: dict[str, dict[str, Any]] = {
    "for another hash": {"take_profile": "00000000"},
    "in a pause": {"take_profile": HASH, "spec": spec(profile="gpu", paused=True)},
    "for the end of a trial": {
        "take_profile": HASH,
        "spec": spec("models:/iris/2", profile="gpu"),
        "status": on_trial(stable=V1, candidate=V2.model_copy(update={"ready_at": at(-5)})),
    },
    "where the spec cannot be carried out": {
        "profile": None,
        "take_profile": HASH,
        "spec": None,
        "spec_error": "spec.profile: namespace models has no profile gpu",
    },
}


@pytest.mark.parametrize("seen", WAITS.values(), ids=WAITS.keys())
def test_what_is_not_told_to_now_waits(seen: dict[str, Any]) -> None:
    given = look(**{"profile": NEW, **seen})
    plan = decide(given)
    assert plan.status.stable == V1
    assert decide(replace(given, status=plan.status)).status == plan.status


def test_after_a_rollback_stable_takes_it_too() -> None:
    status = promoted(phase=Phase.ROLLED_BACK, candidate=V2, attempt=2)
    asked: dict[str, Any] = {"spec": spec("models:/iris/2", profile="gpu"), "status": status}
    plan = decide(look(profile=NEW, take_profile=HASH, **asked))
    assert (plan.status.phase, plan.status.attempt) == (Phase.ROLLED_BACK, 2)
    assert plan.status.stable == V1.model_copy(update={"pod_settings": NEW.settings})


def test_a_new_attempt_has_the_profile_as_it_is_now() -> None:
    asked = spec("models:/iris/2", profile="gpu")
    status = decide(look(profile=NEW, spec=asked, resolution=resolved(2))).status
    assert status.candidate is not None
    assert (status.phase, status.candidate.pod_settings) == (Phase.STARTING, NEW.settings)
    assert status.stable == V1


@pytest.mark.parametrize(
    "status",
    [
        on_trial(stable=V1, candidate=V2.model_copy(update={"ready_at": at(-5)})),
        promoted(phase=Phase.ROLLED_BACK, candidate=V2, attempt=2),
    ],
    ids=["on trial", "after a rollback"],
)
def test_another_profile_is_another_attempt_where_one_is_made(status: Status) -> None:
    asked = spec("models:/iris/2", profile="cpu")
    after = decide(look(profile=CPU, spec=asked, status=status, resolution=resolved(2))).status
    assert after.candidate is not None
    assert (after.phase, after.attempt) == (Phase.STARTING, 3)
    assert (after.candidate.profile, after.candidate.pod_settings) == ("cpu", CPU.settings)
    assert after.candidate.revision != V2.revision


def test_the_version_before_is_restored_by_its_pods_whatever_its_profile_says_now() -> None:
    status = promoted(V2.model_copy(update={"promoted": True}), retiring=(V1,), attempt=2)
    after = decide(look(profile=NEW, status=status, resolution=resolved(1))).status
    assert after.candidate is not None
    assert (after.phase, after.reason) == (Phase.PROMOTING, Reason.RESTORED)
    assert (after.candidate.revision, after.candidate.pod_settings) == (
        V1.revision,
        GPU.settings,
    )


def test_a_retry_has_the_profile_as_it_is_now() -> None:
    status = on_trial(stable=V1, candidate=V2.model_copy(update={"ready_at": at(-5)}), halted=True)
    asked: dict[str, Any] = {"spec": spec("models:/iris/2", profile="gpu"), "status": status}
    after = decide(look(profile=NEW, commands={"retry": "2"}, **asked)).status
    assert after.candidate is not None
    assert (after.attempt, after.candidate.pod_settings) == (3, NEW.settings)
