"""`promote`, `approve`, `abort`, `retry`, `skip`, `pause`, `resume`: write the command, and see
that the operator took it.
"""

import time
from dataclasses import dataclass

from rollout_cli.api.commands_patch import Said, Verb, command_patch, reverted_by
from rollout_cli.api.kubernetes import KubeApi, rollouts_path
from rollout_cli.api.rollout import Rollout
from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.rollouts import read
from rollout_cli.exit_codes import Failure, Unreachable
from rollout_cli.view.terminal import console

PATIENCE, PAUSE = 30.0, 0.2
"""Seconds: for the operator to react, between two looks."""


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    verb: str
    """A Verb."""
    name: str
    """NAME or mro/NAME."""
    reason: str = ""
    """`--reason`: kept in history and Event."""
    forget_evidence: bool = False
    """`--forget-evidence`, of a retry."""


def run(connection: Connection, request: Request) -> None:
    """Do it. Raises Refused where the operator would do nothing, Unreachable where it does not
    react.
    """
    kube = connection.open()
    verb, rollout = Verb(request.verb), read(kube, request.name)
    said = Said(_user(kube), request.reason)
    command = command_patch(verb, rollout, request.forget_evidence, said)
    kube.patch(rollouts_path(rollout.namespace, rollout.name), command.patch)
    out = console()
    out.print(command.sentence, soft_wrap=True)
    if verb in {Verb.PAUSE, Verb.RESUME}:
        out.print(reverted_by(rollout), style="yellow", soft_wrap=True)
    after = _reaction(kube, rollout)
    if after is None:
        raise Unreachable(
            f"The operator has not reacted for {PATIENCE:.0f} s. The command stays; `kubectl"
            " modelrollout doctor` looks for it."
        )
    paused = "Paused in phase " if after.status.paused_since is not None else ""
    out.print(f"{paused}{after.status.phase}: {after.status.message}", style="dim", soft_wrap=True)


def _user(kube: KubeApi) -> str:
    """Whom the API server takes this person for; "" where it does not say."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = kube.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    except Failure:
        return ""
    return str(answer.get("status", {}).get("userInfo", {}).get("username", ""))


def _reaction(kube: KubeApi, before: Rollout) -> Rollout | None:
    """The rollout once the operator has answered the command; None where it has not in time."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        now = read(kube, before.name)
        if now.is_observed and _answer(now) != _answer(before):
            return now
        time.sleep(PAUSE)
    return None


def _answer(rollout: Rollout) -> tuple[object, ...]:
    """What of a status a command changes."""
    status = rollout.status
    return (
        status.observed_generation,
        status.attempt,
        status.phase,
        status.step,
        status.halted,
        status.handled_commands,
        status.paused_since,
    )
