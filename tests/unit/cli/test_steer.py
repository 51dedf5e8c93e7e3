"""Commands: what they write, and when they are refused."""

from dataclasses import replace
from typing import Any

import pytest

from rollout_cli.api.commands_patch import (
    Said,
    Verb,
    command_patch,
    consequence,
    reverted_by,
)
from rollout_cli.exit_codes import Refused
from rollout_operator.domain.api.names import COMMAND_REASON, COMMANDED_BY, GROUP
from rollout_operator.domain.api.status import Status, Watch
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.last_spec import remembered
from rollout_operator.domain.machine.decide import decide
from tests.support.builders import at, observed, on_trial, ready, resolved, revision, spec
from tests.unit.cli.builders import rollout

TRIAL = on_trial()
ROLLED_BACK = on_trial(phase=Phase.ROLLED_BACK, weight=0)
ASKED = on_trial(step=1, weight=50, reason=Reason.WAITING_FOR_APPROVAL, approval_since=at(0))
FORMER = revision(1, promoted=True)
WATCHED = on_trial(
    phase=Phase.PROMOTED,
    stable=revision(2, promoted=True),
    candidate=None,
    step=None,
    weight=0,
    retiring=(FORMER,),
    watch=Watch(former=FORMER.revision, since=at(0), until=at(86400)),
)
TO_2 = spec("models:/iris/2", strategy__approval="Required")
DONE: dict[str, tuple[Verb, Status]] = {
    "abort a trial": (Verb.ABORT, TRIAL),
    "abort while pods start": (Verb.ABORT, on_trial(phase=Phase.STARTING)),
    "abort what is halted": (Verb.ABORT, on_trial(halted=True)),
    "promote a trial": (Verb.PROMOTE, TRIAL),
    "promote what is halted": (Verb.PROMOTE, on_trial(halted=True)),
    "abort what is watched": (Verb.ABORT, WATCHED),
    "promote what is watched": (Verb.PROMOTE, WATCHED),
    "skip a step": (Verb.SKIP, TRIAL),
    "approve what waits for it": (Verb.APPROVE, ASKED),
    "retry what was rolled back": (Verb.RETRY, ROLLED_BACK),
    "retry what is halted": (Verb.RETRY, on_trial(halted=True)),
}


@pytest.mark.parametrize(("verb", "status"), DONE.values(), ids=DONE.keys())
def test_the_engine_does_what_is_written(verb: Verb, status: Status) -> None:
    written = command_patch(verb, rollout(status, TO_2)).patch["metadata"]["annotations"]
    assert written == {f"{GROUP}/{verb}": "2"}
    seen = observed(
        5,
        spec=TO_2,
        status=status,
        commands={verb: "2"},
        resolution=resolved(2),
        workloads=ready(revision(1), revision(2)),
    )
    after = decide(seen).status
    told = [(s.phase, s.step, s.attempt, s.handled_commands) for s in (after, status)]
    assert told[0] != told[1]


WRONG = "spec.profile: there is no profile gpu."
PLACES = {
    "on trial": TRIAL,
    "that starts": on_trial(phase=Phase.STARTING),
    "that waits for approval": ASKED,
    "that is watched": WATCHED,
    "that was rolled back": ROLLED_BACK,
    "on its way back": on_trial(phase=Phase.SHIFTING, verdict=Verdict.RETURNED),
}


@pytest.mark.parametrize("verb", [v for v in Verb if v not in {Verb.PAUSE, Verb.RESUME}])
@pytest.mark.parametrize("status", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("last", [remembered(TO_2), ""], ids=["known", "never read"])
def test_while_the_spec_cannot_be_read_only_what_the_engine_does_is_taken(
    verb: Verb, status: Status, last: str
) -> None:
    held = status.model_copy(update={"invalid": WRONG, "last_spec": last})
    pods = ready(revision(1), revision(2))
    seen = observed(5, spec=None, spec_error=WRONG, status=held, workloads=pods)
    quiet, told = (decide(replace(seen, commands=c)).status for c in ({}, {str(verb): "2"}))
    if told.phase is not quiet.phase:
        assert command_patch(verb, rollout(held, TO_2)).patch
        return
    assert told == quiet
    with pytest.raises(Refused) as refused:
        command_patch(verb, rollout(held, TO_2))
    if verb is not Verb.ABORT:
        assert str(refused.value).endswith((WRONG, "on its way back to models:/iris/2."))


def test_a_spec_that_was_corrected_meanwhile_holds_nothing() -> None:
    held = TRIAL.model_copy(update={"invalid": WRONG, "observed_generation": 1})
    assert command_patch(Verb.PROMOTE, rollout(held, TO_2, generation=2)).patch


BY_APPROVAL = {"strategy": {"approval": "Required"}}
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
    "abort a return": (
        Verb.ABORT,
        on_trial(phase=Phase.SHIFTING, verdict=Verdict.RETURNED),
        {},
        "is on its way back to models:/iris/2",
    ),
    "approve too early": (Verb.APPROVE, TRIAL, BY_APPROVAL, "when the gates of the last step"),
    "approve what is halted": (
        Verb.APPROVE,
        on_trial(halted=True),
        BY_APPROVAL,
        "abort, retry or promote it",
    ),
    "approve twice": (
        Verb.APPROVE,
        on_trial(handled_commands=("approve",)),
        BY_APPROVAL,
        "approved already",
    ),
    "approve where nobody has to": (Verb.APPROVE, TRIAL, {}, "needs no approval"),
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


SAID = Said("ann", "too slow,\n by far")


@pytest.mark.parametrize(
    ("verb", "there", "said", "written"),
    [
        pytest.param(
            Verb.ABORT,
            {},
            SAID,
            {
                f"{GROUP}/abort": "2",
                COMMANDED_BY: "abort 2: ann",
                COMMAND_REASON: "abort 2: too slow, by far",
            },
            id="who and why stand beside the command",
        ),
        pytest.param(
            Verb.ABORT,
            {COMMAND_REASON: "abort 1: it was slow"},
            Said(),
            {f"{GROUP}/abort": "2", COMMAND_REASON: None},
            id="a former reason is taken away",
        ),
        pytest.param(
            Verb.PAUSE,
            {},
            Said(reason="lunch"),
            {COMMAND_REASON: "pause 2: lunch"},
            id="a pause has a reason too",
        ),
    ],
)
def test_who_commands_and_why(
    verb: Verb, there: dict[str, str], said: Said, written: dict[str, str | None]
) -> None:
    patch = command_patch(verb, rollout(TRIAL, TO_2, annotations=there), said=said).patch
    assert patch["metadata"]["annotations"] == written


def test_a_reason_that_is_too_long() -> None:
    with pytest.raises(Refused, match="at most 512 characters"):
        command_patch(Verb.ABORT, rollout(TRIAL), said=Said(reason="x" * 513))


FROZEN = on_trial(frozen="Frozen until …", frozen_until=at(3600))
CONSEQUENCES: dict[str, tuple[Verb, Status, str]] = {
    "abort": (Verb.ABORT, TRIAL, "models:/iris/2 gets no request any more, models:/iris/1 answers"),
    "promote": (Verb.PROMOTE, TRIAL, "becomes stable, whatever the gates say"),
    "approve": (Verb.APPROVE, ASKED, "is promoted as soon as its gates pass"),
    "abort a watch": (Verb.ABORT, WATCHED, "All requests go back to models:/iris/1"),
    "promote a watch": (Verb.PROMOTE, WATCHED, "the pods of models:/iris/1 go"),
    "skip": (Verb.SKIP, TRIAL, "gets 50 % of requests"),
    "skip the last step": (Verb.SKIP, on_trial(step=1), "waits for a person's approval"),
    "retry": (Verb.RETRY, ROLLED_BACK, "A new attempt begins with models:/iris/2"),
    "pause": (Verb.PAUSE, TRIAL, "nothing is measured"),
    "pause a watch": (Verb.PAUSE, WATCHED, "a pause holds neither that nor a return"),
    "promote what is frozen": (Verb.PROMOTE, FROZEN, "Not while it is frozen, until 2026-11-23"),
    "skip what is frozen": (Verb.SKIP, FROZEN, "Not while it is frozen, until 2026-11-23"),
    "resume": (Verb.RESUME, TRIAL, "the time of the pause does not count"),
}


@pytest.mark.parametrize(
    ("verb", "status", "sentence"), CONSEQUENCES.values(), ids=CONSEQUENCES.keys()
)
def test_what_will_follow_is_said_before(verb: Verb, status: Status, sentence: str) -> None:
    assert sentence in consequence(verb, rollout(status, TO_2))
