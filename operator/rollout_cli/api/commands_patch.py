"""The commands that steer an attempt: which of them can be carried out now, and what they write.
Pure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Refused
from rollout_operator.domain.api.names import COMMAND_REASON, COMMANDED_BY, GROUP
from rollout_operator.domain.api.spec import Approval
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.last_spec import recalled
from rollout_operator.domain.machine.acts import LONGEST_REASON
from rollout_operator.domain.machine.transitions import ON_TRIAL


class Verb(StrEnum):
    """What a person may command."""

    ABORT = "abort"
    PROMOTE = "promote"
    APPROVE = "approve"
    SKIP = "skip"
    RETRY = "retry"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class CommandPatch:
    """What carries a command out."""

    patch: dict[str, Any]
    """A merge patch of the ModelRollout."""
    sentence: str
    """What it asks for."""


@dataclass(frozen=True, slots=True)
class Said:
    """What stands beside a command: for history and Event."""

    by: str = ""
    """Who gives it; an admission policy, where there is one, writes the name itself."""
    reason: str = ""
    """Why, in that person's words."""


def command_patch(
    verb: Verb, rollout: Rollout, forget_evidence: bool = False, said: Said | None = None
) -> CommandPatch:
    """What carries out `verb` for the attempt under way. Raises Refused, with what could be done,
    where the operator would do nothing.
    """
    if refusal := _refusal(verb, rollout):
        raise Refused(refusal)
    status, beside = rollout.status, _beside(verb, rollout, said or Said())
    if verb in {Verb.PAUSE, Verb.RESUME}:
        paused = verb is Verb.PAUSE
        doing = "holds everything where it is" if paused else "goes on"
        also = {"metadata": {"annotations": beside}} if beside else {}
        return CommandPatch(
            {"spec": {"paused": paused}, **also},
            f"spec.paused is {str(paused).lower()}: {rollout.name} {doing}.",
        )
    written: dict[str, str | None] = {f"{GROUP}/{verb}": str(status.attempt), **beside}
    if forget_evidence:
        written[f"{GROUP}/forget-evidence"] = str(status.attempt)
    about = status.candidate.uri if status.candidate is not None else rollout.requested_uri
    return CommandPatch(
        {"metadata": {"annotations": written}},
        f"Asked the operator to {_asks(verb)} attempt {status.attempt} ({about}).",
    )


def _beside(verb: Verb, rollout: Rollout, said: Said) -> dict[str, str | None]:
    """The annotations beside a command; None takes away what a former one has left."""
    there = rollout.raw["metadata"].get("annotations") or {}
    bound = f"{verb} {rollout.status.attempt}: "
    texts = {COMMANDED_BY: said.by, COMMAND_REASON: " ".join(said.reason.split())}
    if len(texts[COMMAND_REASON]) > LONGEST_REASON:
        raise Refused(f"The reason is too long: write at most {LONGEST_REASON} characters.")
    return {
        name: f"{bound}{text}" if text else None
        for name, text in texts.items()
        if text or name in there
    }


def consequence(verb: Verb, rollout: Rollout) -> str:
    """What follows from a command that is not refused, as a sentence, before it is given."""
    status = rollout.status
    candidate = status.candidate.uri if status.candidate is not None else rollout.requested_uri
    stable = status.stable.uri if status.stable is not None else "nobody"
    if status.watched and status.former is not None:
        former = status.former.uri
        in_watch = {
            Verb.ABORT: (
                f"All requests go back to {former}, and {stable} is not tried again without retry."
            ),
            Verb.PROMOTE: f"The watch of {stable} ends, and the pods of {former} go.",
            Verb.PAUSE: f"{stable} is watched on: a pause holds neither that nor a return.",
        }
        if verb in in_watch:
            return in_watch[verb]
    then = _once_thawed(rollout)
    match verb:
        case Verb.ABORT:
            return (
                f"{candidate} gets no request any more, {stable} answers, and the version is not"
                " tried again without retry."
            )
        case Verb.PROMOTE:
            return (
                f"{candidate} gets all requests and becomes stable, whatever the gates say and"
                f" without any other approval{_unwatched(rollout)}.{then}"
            )
        case Verb.APPROVE:
            return (
                f"{candidate} is promoted as soon as its gates pass, which they go on doing or not."
                f"{then}"
            )
        case Verb.SKIP:
            return f"The step ends without its gates, and {candidate} {_after_step(rollout)}.{then}"
        case Verb.RETRY:
            return f"A new attempt begins with {candidate}, from its first step."
        case Verb.PAUSE:
            return (
                "Weights stay as they are, and nothing is measured: a bad candidate keeps its"
                " share until it is aborted."
            )
        case Verb.RESUME:
            return "It goes on where it was; the time of the pause does not count."
    assert_never(verb)


def _once_thawed(rollout: Rollout) -> str:
    """From when on that can be, where it is frozen; "" where it is not."""
    status = rollout.status
    if not status.frozen:
        return ""
    ends = (
        "" if status.frozen_until is None else f", until {status.frozen_until:%Y-%m-%d %H:%M} UTC"
    )
    return f" Not while it is frozen{ends}."


def _unwatched(rollout: Rollout) -> str:
    """That nobody watches what a person promotes, where its spec asks for a watch."""
    watch = rollout.spec is not None and rollout.spec.strategy.watch
    return "; it is not watched then" if watch else ""


def _after_step(rollout: Rollout) -> str:
    """What becomes of the candidate after the step under way."""
    spec, following = rollout.spec, (rollout.status.step or 0) + 1
    if spec is not None and following < len(spec.strategy.steps):
        return f"gets {spec.strategy.steps[following].weight} % of requests"
    asked = spec is not None and spec.strategy.approval is Approval.REQUIRED
    if asked:
        return "waits for a person's approval"
    watch = spec is not None and spec.strategy.watch
    return "is promoted, and watched" if watch else "is promoted"


def _asks(verb: Verb) -> str:
    return {Verb.SKIP: "skip the step of", Verb.RETRY: "retry what was rolled back in"}.get(
        verb, str(verb)
    )


def _refusal(verb: Verb, rollout: Rollout) -> str:
    """Why the operator would not do it; "" where it would."""
    status = rollout.status
    if status.returning and verb not in {Verb.PAUSE, Verb.RESUME}:
        back = status.candidate.uri if status.candidate is not None else "the version before"
        return f"Nothing to {verb}: {rollout.name} is on its way back to {back}."
    return _held(verb, rollout) or _not_now(verb, rollout)


def _held(verb: Verb, rollout: Rollout) -> str:
    """Why the spec as it is keeps the operator from everything but an abort; "" where it does not,
    or where the command changes the spec.
    """
    wrong = rollout.spec_error or (rollout.status.invalid if rollout.is_observed else "")
    if not wrong or verb in {Verb.PAUSE, Verb.RESUME}:
        return ""
    if verb is not Verb.ABORT:
        return f"Nothing to {verb}: {rollout.name} is held until its spec is corrected: {wrong}"
    if recalled(rollout.status) is None:
        return (
            f"Nothing to abort: {rollout.name} is held until its spec is corrected, and none from"
            f" before is known to go back by: {wrong}"
        )
    return ""


def _not_now(verb: Verb, rollout: Rollout) -> str:
    status, spec = rollout.status, rollout.spec
    here = f"{rollout.name} is in phase {status.phase}"
    match verb:
        case Verb.ABORT if status.phase not in ON_TRIAL and not status.watched:
            return f"Nothing to abort: {here}. To go back to another version, change spec.modelUri."
        case Verb.PROMOTE | Verb.SKIP if status.phase is not Phase.TRIAL and not (
            verb is Verb.PROMOTE and status.watched
        ):
            return f"Nothing to {verb}: {here}, and only a candidate on trial can be."
        case Verb.APPROVE:
            return _not_approved(rollout, here)
        case Verb.SKIP if status.halted or (spec is not None and spec.paused):
            held = "halted: abort, retry or promote" if status.halted else "paused: resume it first"
            return f"No step to skip: {rollout.name} is {held}."
        case Verb.RETRY if status.phase is not Phase.ROLLED_BACK and not status.halted:
            return (
                f"Nothing to retry: {here}. Only what was rolled back or halted can be tried again."
            )
        case Verb.PAUSE if spec is not None and spec.paused:
            return f"{rollout.name} is paused already."
        case Verb.RESUME if spec is not None and not spec.paused:
            halted = (
                " It is halted by onFailure or onNoEvidence: abort, retry or promote it."
                if status.halted
                else ""
            )
            return f"{rollout.name} is not paused.{halted}"
    return ""


def _not_approved(rollout: Rollout, here: str) -> str:
    """Why nothing is there to be approved; "" where it waits for that."""
    status, spec = rollout.status, rollout.spec
    if spec is not None and spec.strategy.approval is Approval.NONE:
        return f"{rollout.name} needs no approval: strategy.approval is None."
    if status.approval_since is not None:
        return ""
    if "approve" in status.handled_commands:
        return f"Attempt {status.attempt} of {rollout.name} is approved already."
    asked = (
        "it is halted: abort, retry or promote it"
        if status.halted
        else "one is asked for when the gates of the last step have passed"
    )
    return f"Nothing waits for approval: {here}, and {asked}."


GITOPS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}
"""Marks that a GitOps tool leaves on what it applies."""


def reverted_by(rollout: Rollout) -> str:
    """What becomes of a changed spec where Git owns it, as a sentence."""
    meta = rollout.raw["metadata"]
    marked = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    tool = next((tool for mark, tool in GITOPS.items() if mark in marked), None)
    if tool is None:
        return (
            "spec.paused is yours: where Git owns this rollout, its next sync sets it back, so"
            " write it in Git too."
        )
    return (
        f"{tool} applies this rollout and will set spec.paused back at its next sync: write it in"
        " Git, or suspend the sync."
    )
