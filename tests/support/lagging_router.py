"""A Gateway's router, played: it answers by HTTPRoutes and Services as they were a while ago."""

import json
import random
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from rollout_operator.desired.common import CANDIDATE_HEADER
from rollout_operator.domain.api.names import REVISION
from tests.support.api_client import ApiClient
from tests.support.fake_kubelet import Played
from tests.support.kinds import Object, manifest, path_of

Table = list[tuple[bool, dict[str, int]]]
"""Of each rule whether it is for testers alone, and the weight of each revision."""


class LaggingRouter(Played):
    """Two replicas on one address of loopback, which follow after so many seconds each."""

    def __init__(self, api: ApiClient, namespace: str, *lags: float) -> None:
        super().__init__()
        self.api, self.namespace, self.lags = api, namespace, lags
        self._tables: deque[tuple[float, Table]] = deque()
        self._dice = random.Random(1)
        self.missed: list[str] = []
        """Revisions that requests still went to when their Deployment was gone."""
        self.asked = 0
        router = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                revision = router.answering(self.headers[CANDIDATE_HEADER] == "true")
                self.send_response(200 if revision else 503)
                self.end_headers()
                self.wfile.write(json.dumps({"revision": revision}).encode())

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        path = path_of("Gateway", self.namespace)
        listener = {"name": "web", "port": self._server.server_port, "protocol": "HTTP"}
        spec = {"gatewayClassName": "played", "listeners": [listener]}
        made = manifest("Gateway", "public", {"spec": spec})
        self.api.http.post(path, json=made).raise_for_status()
        address = {"status": {"addresses": [{"type": "IPAddress", "value": "127.0.0.1"}]}}
        self.api.patch(f"{path}/public/status", address).raise_for_status()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._server.shutdown()
        self._server.server_close()

    def turn(self) -> None:
        """Remember what leads where, and see that requests go to no pods that are gone."""
        routes = self.api.items("HTTPRoute", self.namespace)
        services = self.api.items("Service", self.namespace)
        now = time.monotonic()
        self._tables.append((now, _table(routes, services)))
        there = {
            d["metadata"]["labels"][REVISION] for d in self.api.items("Deployment", self.namespace)
        }
        for led in self._led():
            self.missed += led - there

    def leads_to(self, revision: str) -> bool:
        """Whether every replica sends requests to it."""
        return all(revision in led for led in self._led())

    def _led(self) -> list[set[str]]:
        """Of each replica the revisions that get requests."""
        return [
            {r for _, weights in self._known(lag) for r, w in weights.items() if w}
            for lag in self.lags
        ]

    def answering(self, as_tester: bool) -> str:
        """The revision that answers one request; "" for none."""
        self.asked += 1
        # Of two rules that match the one with more headers wins, wherever it stands (Gateway API).
        rules = sorted(self._known(self._dice.choice(self.lags)), key=lambda rule: not rule[0])
        for for_testers, weights in rules:
            if (as_tester or not for_testers) and any(weights.values()):
                return self._dice.choices([*weights], [*weights.values()])[0]
        return ""

    def _known(self, lag: float) -> Table:
        """What a replica knows that lags so far behind."""
        at = time.monotonic() - lag
        return next((table for then, table in reversed(self._tables) if then <= at), [])


def _table(routes: list[Object], services: list[Object]) -> Table:
    selected = {s["metadata"]["name"]: s["spec"]["selector"].get(REVISION, "") for s in services}
    found: Table = []
    for rule in routes[0]["spec"]["rules"] if routes else []:
        weights: dict[str, int] = {}
        for backend in rule["backendRefs"]:
            revision = selected.get(backend["name"], "")
            weights[revision] = weights.get(revision, 0) + backend["weight"]
        found.append(("headers" in rule["matches"][0], weights))
    return found
