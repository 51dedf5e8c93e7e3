"""Rollouts as the API has them, made from the operator's own status."""

import io
from typing import Any

from rich.console import Console, RenderableType

from rollout_cli.api.rollout import Rollout
from rollout_cli.api.snapshot import Pod, Snapshot
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from tests.support.builders import at, revision, spec


def rollout(
    status: Status, of: Spec | None = None, generation: int = 1, **metadata: Any
) -> Rollout:
    """The rollout `iris` in namespace `models` with this status."""
    meta = {
        "name": "iris",
        "namespace": "models",
        "generation": generation,
        "creationTimestamp": "2026-11-23T11:00:00Z",
        **metadata,
    }
    return Rollout.of(
        {
            "metadata": meta,
            "spec": (of or spec("models:/iris/2")).to_api(),
            "status": status.to_api(),
        }
    )


def snapshot(of: Rollout, now: float, **changes: Any) -> Snapshot:
    """It `now` seconds after the start of the story; accuracy is shown from a minute before."""
    values: dict[str, Any] = {"rollout": of, "now": at(now), "since": at(now - 60)}
    return Snapshot(**(values | changes))


def pod(revision: str, trouble: str = "") -> Pod:
    """A pod, Ready where nothing troubles it."""
    return Pod(f"iris-{revision}-x7k2p", revision, not trouble, trouble, 0, at(-5))


def printed(what: RenderableType, width: int = 80, colour: bool = False) -> str:
    """What a terminal of this width shows; every line without what blanks follow."""
    out = io.StringIO()
    system: Any = "standard" if colour else None
    Console(
        file=out, width=width, color_system=system, force_terminal=colour, highlight=False
    ).print(what)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def gate(**changes: Any) -> GateStatus:
    values: dict[str, Any] = {
        "metric": "accuracy",
        "value": 0.8889,
        "threshold": 0.7,
        "samples": 45,
        "measurement": Measurement.PASS,
        "message": "accuracy: said",
        "at": at(2),
        "revision": revision(2).revision,
    }
    return GateStatus(**(values | changes))
