"""Each gate asked now: its exact query, its series, and what the operator would decide, as
`explain` says it.
"""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rollout_cli.cluster.explanation import explain
from rollout_cli.cluster.explanation_text import next_step, series_lines
from rollout_cli.exit_codes import Failure, Refused, Unreachable
from rollout_cli.view.formatting import PRETTY, rule
from rollout_dashboard.context import Dashboard
from rollout_dashboard.rollout_page import find


def routes(board: Dashboard) -> APIRouter:
    """`…/evidence`."""
    router = APIRouter(prefix="/rollouts/{namespace}/{name}")

    @router.get("/evidence")
    def evidence(request: Request, namespace: str, name: str) -> Response:
        visit = board.visit(request)
        rollout = find(board, visit, namespace, name)
        why, explained, place = "", None, ""
        try:
            if rollout.spec is None:
                raise Refused(rollout.spec_error)
            prometheus = board.prometheus(visit.viewer.api)
            if prometheus is None:
                raise Unreachable("No Prometheus is set for this dashboard.")
            place = prometheus.place
            explained = explain(visit.viewer.api, prometheus, rollout, rollout.spec)
        except Failure as failure:
            why = str(failure)
        return board.page(
            "evidence.html",
            visit,
            why=why,
            place=place,
            at=explained.now if explained is not None else None,
            steps=list(next_step(explained)) if explained is not None else [],
            gates=[
                (gate, rule(gate.gate, PRETTY), list(series_lines(gate, explained.now)))
                for gate in explained.gates
            ]
            if explained is not None
            else [],
        )

    return router
