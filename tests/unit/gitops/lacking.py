"""Rollouts that are promoted and not Ready, as the API has them."""

from typing import Any

from rollout_operator.domain.api.conditions import conditions
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason
from tests.support.builders import at, revision, shortage, unrouted

V1 = revision(1)


def rollout(status: Status | None, generation: int = 1, **spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "metadata": {"name": "iris", "generation": generation},
        "spec": {"modelUri": "models:/iris/2", **spec},
    }
    if status is not None:
        stamped = status.model_copy(update={"observed_generation": 1})
        found["status"] = stamped.model_copy(
            update={"conditions": conditions(stamped, at(1))}
        ).to_api()
    return found


def promoted(**lacks: object) -> Status:
    """Promoted, and something lacks."""
    return Status(
        phase=Phase.PROMOTED, stable=V1, reason=Reason.GATES_PASSED, message="good"
    ).model_copy(update=lacks)


LACKING = {
    "promoted, and pods lack": (rollout(promoted(shortage=shortage(False))), False),
    "promoted, and pods lack for too long": (rollout(promoted(shortage=shortage(True))), True),
    "promoted, and its route is not accepted": (rollout(promoted(unrouted=unrouted(False))), False),
    "promoted, and its route is not accepted for too long": (
        rollout(promoted(unrouted=unrouted(True))),
        True,
    ),
    "promoted, and pods lack for too long, and its route a moment": (
        rollout(promoted(shortage=shortage(True), unrouted=unrouted(False))),
        True,
    ),
    "promoted, and an object is refused": (
        rollout(promoted(api_rejection="The API server refused Ingress iris: denied.")),
        True,
    ),
}
"""What is promoted and not Ready, and whether that is for too long: what Argo CD, Flux and kstatus
each have words of their own for.
"""
