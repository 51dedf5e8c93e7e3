"""One ModelRollout under test, as a person and a reader of its status have it."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import workload_of
from tests.support.kinds import WEIGHT, manifest, path_of


@dataclass
class Rollout:
    """One ModelRollout under test."""

    api: ApiClient
    ns: str
    name: str = "iris"

    @property
    def path(self) -> str:
        return path_of("ModelRollout", self.ns, self.name)

    def apply(self, uri: str, deadline: str = "60s", **spec: Any) -> httpx.Response:
        """Steps of 10 % and 50 % held 1 s, interval 1 s; anything in `spec` replaces a field.

        `deadline` is far off: on a busy machine a new operator process may need 15 s before its
        first look.
        """
        times = {
            "strategy": {
                "steps": [{"weight": 10, "hold": "1s"}, {"weight": 50, "hold": "1s"}],
                "progressDeadline": deadline,
                "scaleDownDelay": "2s",
            }
        }
        traffic = {"host": f"{self.name}.example.com"}
        body = {
            "modelUri": uri,
            "traffic": traffic,
            "analysis": {"interval": "1s", "maxHold": "5s"},
            **times,
            **spec,
        }
        return self.api.apply(self.path, manifest("ModelRollout", self.name, {"spec": body}))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(self.path).get("status", {})
        return found

    def found(self) -> dict[str, Any]:
        """The status; empty where there is no such ModelRollout yet."""
        reply = self.api.http.get(self.path)
        status: dict[str, Any] = reply.json().get("status", {}) if reply.is_success else {}
        return status

    def statuses_since(self, version: str) -> list[dict[str, Any]]:
        """Every status since that resourceVersion, in order."""
        events = self.api.events_since("ModelRollout", self.ns, version)
        objects = (event["object"] for event in events)
        return [o.get("status", {}) for o in objects if o["metadata"]["name"] == self.name]

    def condition(self, kind: str) -> dict[str, Any]:
        return next((c for c in self.status().get("conditions", ()) if c["type"] == kind), {})

    def says(self, kind: str) -> str | None:
        """The message of a condition that is True and speaks of the spec as it is now."""
        condition = self.condition(kind)
        generation = self.api.get(self.path)["metadata"]["generation"]
        current = condition.get("observedGeneration") == generation
        return str(condition["message"]) if current and condition["status"] == "True" else None

    def wait_true(self, kind: str, what: str | None = None, seconds: float = 30) -> dict[str, Any]:
        """Wait until a condition is True."""

        def probe() -> dict[str, Any] | None:
            condition = self.condition(kind)
            return condition if condition.get("status") == "True" else None

        return wait_for(probe, what or kind, seconds)

    def promote(self, version: str, attempt: int, seconds: float = 60, **spec: Any) -> None:
        """Ask for a version of iris, and wait until it is stable and the registry was told."""
        self.apply(f"models:/iris/{version}", **spec)
        self.wait_phase("Promoted", attempt, seconds)
        self.wait_reported(attempt)

    def wait_phase(self, phase: str, attempt: int, seconds: float = 60) -> dict[str, Any]:
        """Wait until this attempt is in this phase."""

        def probe() -> dict[str, Any] | None:
            status = self.status()
            return (
                status
                if status.get("phase") == phase and status.get("attempt") == attempt
                else None
            )

        return wait_for(probe, f"attempt {attempt} in phase {phase}", seconds)

    def wait_change(self, seen: dict[str, Any], seconds: float) -> None:
        """Wait until the status is another than the one seen."""
        wait_for(lambda: self.status() != seen, "a new status", seconds)

    def wait_reported(self, attempt: int) -> None:
        """Wait until the status says that the registry was told the verdict of this attempt.

        Only then the operator is at rest.
        """
        wait_for(lambda: self.status().get("reported") == attempt, "the registry to be told")

    def weight(self) -> int | None:
        """The weight in the canary Ingress; None where there is none."""
        for one in self.api.items("Ingress", self.ns):
            if one["metadata"]["name"] == f"{self.name}-canary":
                return int(one["metadata"]["annotations"][WEIGHT])
        return None

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Deployments by the version they serve."""
        return {
            workload_of(deployment)[1].version: deployment
            for deployment in self.api.items("Deployment", self.ns)
        }
