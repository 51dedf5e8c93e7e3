"""A Gateway's controller, played: what it says of HTTPRoutes."""

from typing import Any

from tests.support.api_client import ApiClient
from tests.support.fake_kubelet import Played
from tests.support.kinds import path_of


class Controller(Played):
    """Says of every HTTPRoute that it has taken it over as it is now, as long as `follows`."""

    def __init__(self, api: ApiClient, ns: str) -> None:
        super().__init__()
        self.api, self.path = api, path_of("HTTPRoute", ns)
        self.follows, self.refuses = True, ""

    def turn(self) -> None:
        for route in self.api.get(self.path)["items"]:
            if self.follows:
                self._answer(route)

    def _answer(self, route: dict[str, Any]) -> None:
        generation = route["metadata"]["generation"]
        known = route.get("status", {}).get("parents", [])
        accepted = "False" if self.refuses else "True"
        if (
            known
            and all(c["observedGeneration"] == generation for c in known[0]["conditions"])
            and known[0]["conditions"][0]["status"] == accepted
        ):
            return
        now = "2026-01-01T00:00:00Z"
        conditions = [
            {
                "type": kind,
                "status": "False" if self.refuses and kind == "Accepted" else "True",
                "reason": self.refuses or kind,
                "message": "",
                "lastTransitionTime": now,
                "observedGeneration": generation,
            }
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parents = [
            {
                "parentRef": {"name": "public"},
                "controllerName": "example.com/gateways",
                "conditions": conditions,
            }
        ]
        self.api.patch(
            f"{self.path}/{route['metadata']['name']}/status", {"status": {"parents": parents}}
        )
