"""The runs that made stable and candidate, side by side."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rollout_cli.exit_codes import Failure
from rollout_dashboard.context import Dashboard
from rollout_dashboard.registry_runs import Run, Runs
from rollout_dashboard.rollout_facts import Compared, side_by_side
from rollout_dashboard.rollout_page import find

KEPT = 300.0
"""Seconds that a run is kept: one that has ended does not change."""


def routes(board: Dashboard) -> APIRouter:
    """`…/runs`."""
    router = APIRouter(prefix="/rollouts/{namespace}/{name}")

    @router.get("/runs")
    def runs(request: Request, namespace: str, name: str) -> Response:
        visit = board.visit(request)
        status = find(board, visit, namespace, name).status
        why, groups = "", list[tuple[str, tuple[Compared, ...]]]()
        if (source := board.runs) is not None:
            ids = [r.run if r is not None else "" for r in (status.stable, status.candidate)]
            try:
                stable, candidate = (_read(board, source, one) for one in ids)
                groups = [
                    ("Metrics", side_by_side(stable.metrics, candidate.metrics)),
                    ("Parameters and data", side_by_side(stable.parameters, candidate.parameters)),
                ]
            except Failure as failure:
                why = str(failure)
        return board.page("runs.html", visit, why=why, groups=groups)

    return router


def _read(board: Dashboard, source: Runs, run: str) -> Run:
    return board.reads.read(("run", run), KEPT, lambda: source.read(run))
