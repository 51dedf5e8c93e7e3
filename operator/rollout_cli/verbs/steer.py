"""The verbs that steer: `promote`, `approve`, `abort`, `retry`, `skip`, `pause`, `resume`."""

from typing import Annotated

import typer

from rollout_cli.cluster.connection import Connection
from rollout_cli.verbs.options import Context, Kubeconfig, Name, Namespace

Reason = Annotated[str, typer.Option("--reason", help="Why: kept in history and Event.")]


def promote(
    name: Name,
    reason: Reason = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Promote the candidate now, whatever the gates say."""
    _steer(Connection(kubeconfig, context, namespace), "promote", name, reason)


def approve(
    name: Name,
    reason: Reason = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Let an attempt be promoted that waits for a person (strategy.approval)."""
    _steer(Connection(kubeconfig, context, namespace), "approve", name, reason)


def abort(
    name: Name,
    reason: Reason = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Roll the candidate back now."""
    _steer(Connection(kubeconfig, context, namespace), "abort", name, reason)


def retry(
    name: Name,
    reason: Reason = "",
    forget_evidence: Annotated[
        bool, typer.Option("--forget-evidence", help="Count labels from nought again.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Try a version again that was rolled back, or whose trial was halted."""
    _steer(Connection(kubeconfig, context, namespace), "retry", name, reason, forget_evidence)


def skip(
    name: Name,
    reason: Reason = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """End the step under way and go on with the next one."""
    _steer(Connection(kubeconfig, context, namespace), "skip", name, reason)


def pause(
    name: Name,
    reason: Reason = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Hold everything where it is: sets spec.paused, which a GitOps tool would set back."""
    _steer(Connection(kubeconfig, context, namespace), "pause", name, reason)


def resume(
    name: Name,
    reason: Reason = "",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Go on after a pause: clears spec.paused, which a GitOps tool would set back."""
    _steer(Connection(kubeconfig, context, namespace), "resume", name, reason)


def _steer(
    connection: Connection, verb: str, name: str, reason: str, forget_evidence: bool = False
) -> None:
    # Deferred: the operator's models are slow to load, and help does without.
    from rollout_cli.commands import steer as command  # noqa: PLC0415

    command.run(connection, command.Request(verb, name, reason, forget_evidence))
