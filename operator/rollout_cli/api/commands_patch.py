"""The commands that steer an attempt: which of them can be carried out now, and what they write.
Pure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Refused
from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.transitions import ON_TRIAL


class Verb(StrEnum):
    """What a person may command."""

    ABORT = "abort"
    PROMOTE = "promote"
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


def command_patch(verb: Verb, rollout: Rollout, forget_evidence: bool = False) -> CommandPatch:
    """What carries out `verb` for the attempt under way. Raises Refused, with what could be done,
    where the operator would do nothing.
    """
    if refusal := _refusal(verb, rollout):
        raise Refused(refusal)
    status = rollout.status
    if verb in {Verb.PAUSE, Verb.RESUME}:
        paused = verb is Verb.PAUSE
        doing = "holds everything where it is" if paused else "goes on"
        return CommandPatch(
            {"spec": {"paused": paused}},
            f"spec.paused is {str(paused).lower()}: {rollout.name} {doing}.",
        )
    written = {f"{GROUP}/{verb}": str(status.attempt)}
    if forget_evidence:
        written[f"{GROUP}/forget-evidence"] = str(status.attempt)
    about = status.candidate.uri if status.candidate is not None else rollout.requested_uri
    return CommandPatch(
        {"metadata": {"annotations": written}},
        f"Asked the operator to {_asks(verb)} attempt {status.attempt} ({about}).",
    )


def _asks(verb: Verb) -> str:
    return {Verb.SKIP: "skip the step of", Verb.RETRY: "retry what was rolled back in"}.get(
        verb, str(verb)
    )


def _refusal(verb: Verb, rollout: Rollout) -> str:
    """Why the operator would not do it; "" where it would."""
    status, spec = rollout.status, rollout.spec
    here = f"{rollout.name} is in phase {status.phase}"
    match verb:
        case Verb.ABORT if status.phase not in ON_TRIAL:
            return f"Nothing to abort: {here}. To go back to another version, change spec.modelUri."
        case Verb.PROMOTE | Verb.SKIP if status.phase is not Phase.TRIAL:
            return f"Nothing to {verb}: {here}, and only a candidate on trial can be."
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
