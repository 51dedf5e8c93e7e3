"""`promote`, `abort`, `retry`, `skip`, `pause`, `resume`: write the command, and see that the
operator took it.
"""

import time

from rollout_cli.api.commands_patch import Verb, command_patch, reverted_by
from rollout_cli.api.kubernetes import KubeApi, rollouts_path
from rollout_cli.api.rollout import Rollout
from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.rollouts import read
from rollout_cli.exit_codes import Unreachable
from rollout_cli.view.terminal import console

PATIENCE, PAUSE = 30.0, 0.2
"""Seconds: for the operator to react, between two looks."""


def run(connection: Connection, verb: str, name: str, forget_evidence: bool = False) -> None:
    """Do it. Raises Refused where the operator would do nothing, Unreachable where it does not
    react.
    """
    kube = connection.open()
    rollout = read(kube, name)
    command = command_patch(Verb(verb), rollout, forget_evidence)
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
