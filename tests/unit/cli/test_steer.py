"""Commands: what they write, and when they are refused."""

from typing import Any

import pytest

from rollout_cli.api.commands_patch import Verb, command_patch, reverted_by
from rollout_cli.exit_codes import Refused
from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.decide import decide
from tests.support.builders import at, observed, on_trial, ready, resolved, revision, spec
from tests.unit.cli.builders import rollout

TRIAL = on_trial()
ROLLED_BACK = on_trial(phase=Phase.ROLLED_BACK, weight=0)
DONE: dict[str, tuple[Verb, Status]] = {
    "abort a trial": (Verb.ABORT, TRIAL),
    "abort while pods start": (Verb.ABORT, on_trial(phase=Phase.STARTING)),
    "abort what is halted": (Verb.ABORT, on_trial(halted=True)),
    "promote a trial": (Verb.PROMOTE, TRIAL),
    "promote what is halted": (Verb.PROMOTE, on_trial(halted=True)),
    "skip a step": (Verb.SKIP, TRIAL),
    "retry what was rolled back": (Verb.RETRY, ROLLED_BACK),
    "retry what is halted": (Verb.RETRY, on_trial(halted=True)),
}


@pytest.mark.parametrize(("verb", "status"), DONE.values(), ids=DONE.keys())
def test_the_engine_does_what_is_written(verb: Verb, status: Status) -> None:
    written = command_patch(verb, rollout(status)).patch["metadata"]["annotations"]
    assert written == {f"{GROUP}/{verb}": "2"}
    seen = observed(
        5,
        spec=spec("models:/iris/2"),
        status=status,
        commands={verb: "2"},
        resolution=resolved(2),
        workloads=ready(revision(1), revision(2)),
    )
    after = decide(seen).status
    assert (after.phase, after.step, after.attempt) != (status.phase, status.step, status.attempt)


REFUSED: dict[str, tuple[Verb, Status, dict[str, Any], str]] = {
    "abort what is promoted": (
        Verb.ABORT,
        on_trial(phase=Phase.PROMOTED, candidate=None),
        {},
        "change spec.modelUri",
    ),
    "abort what switches already": (
        Verb.ABORT,
        on_trial(phase=Phase.SWITCHING),
        {},
        "Nothing to abort",
    ),
    "promote what starts": (
        Verb.PROMOTE,
        on_trial(phase=Phase.STARTING),
        {},
        "only a candidate on trial",
    ),
    "skip what is halted": (Verb.SKIP, on_trial(halted=True), {}, "abort, retry or promote"),
    "skip while paused": (Verb.SKIP, TRIAL, {"paused": True}, "resume it first"),
    "retry a trial": (Verb.RETRY, TRIAL, {}, "Only what was rolled back"),
    "pause twice": (Verb.PAUSE, TRIAL, {"paused": True}, "paused already"),
    "resume what runs": (Verb.RESUME, TRIAL, {}, "is not paused"),
    "resume what is halted": (Verb.RESUME, on_trial(halted=True), {}, "halted by onFailure"),
}


@pytest.mark.parametrize(
    ("verb", "status", "changes", "sentence"), REFUSED.values(), ids=REFUSED.keys()
)
def test_refused_with_what_can_be_done(
    verb: Verb, status: Status, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        command_patch(verb, rollout(status, spec("models:/iris/2", **changes)))


@pytest.mark.parametrize(
    ("verb", "before", "after"), [(Verb.PAUSE, False, True), (Verb.RESUME, True, False)]
)
def test_pausing_writes_the_users_field(verb: Verb, before: bool, after: bool) -> None:
    assert command_patch(
        verb, rollout(on_trial(paused_since=at(1)), spec("models:/iris/2", paused=before))
    ).patch == {"spec": {"paused": after}}


def test_forgetting_evidence_goes_with_the_retry() -> None:
    written = command_patch(Verb.RETRY, rollout(ROLLED_BACK), forget_evidence=True).patch[
        "metadata"
    ]["annotations"]
    assert written == {f"{GROUP}/retry": "2", f"{GROUP}/forget-evidence": "2"}


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        pytest.param(
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux applies", id="Flux"
        ),
        pytest.param(
            {"annotations": {"argocd.argoproj.io/tracking-id": "x"}},
            "Argo CD applies",
            id="Argo CD",
        ),
        pytest.param({}, "where Git owns", id="nobody known"),
    ],
)
def test_who_would_set_it_back(metadata: dict[str, Any], named: str) -> None:
    assert named in reverted_by(rollout(TRIAL, **metadata))
