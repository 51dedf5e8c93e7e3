"""The verbs that steer an attempt: `promote`, `abort`, `retry`, `skip`, `pause`, `resume`."""

from typing import Annotated

import typer

from rollout_cli.cluster.connection import Connection
from rollout_cli.verbs.options import Context, Kubeconfig, Name, Namespace


def promote(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Promote the candidate now, whatever the gates say."""
    _steer(Connection(kubeconfig, context, namespace), "promote", name)


def abort(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Roll the candidate back now."""
    _steer(Connection(kubeconfig, context, namespace), "abort", name)


def retry(
    name: Name,
    forget_evidence: Annotated[
        bool, typer.Option("--forget-evidence", help="Count labels from nought again.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Try a version again that was rolled back, or whose trial was halted."""
    _steer(Connection(kubeconfig, context, namespace), "retry", name, forget_evidence)


def skip(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """End the step under way and go on with the next one."""
    _steer(Connection(kubeconfig, context, namespace), "skip", name)


def pause(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Hold everything where it is: sets spec.paused, which a GitOps tool would set back."""
    _steer(Connection(kubeconfig, context, namespace), "pause", name)


def resume(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Go on after a pause: clears spec.paused, which a GitOps tool would set back."""
    _steer(Connection(kubeconfig, context, namespace), "resume", name)


def _steer(connection: Connection, verb: str, name: str, forget_evidence: bool = False) -> None:
    # Deferred: the operator's models are slow to load, and help does without.
    from rollout_cli.commands import steer as command  # noqa: PLC0415

    command.run(connection, verb, name, forget_evidence)
