"""One attempt: what `report` writes, in the frame of the page; and its plots as JSON."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rollout_cli.api.prometheus import Prometheus
from rollout_cli.exit_codes import Absent, Failure
from rollout_cli.report.attempt_facts import facts
from rollout_cli.report.attempt_record import AttemptRecord, collect
from rollout_dashboard.context import Dashboard, Visit
from rollout_dashboard.rollout_page import find, links
from rollout_dashboard.series import plots

OVER_TIME = 5.0
"""Seconds that what Prometheus said may be old: all who look at an attempt share it."""


def routes(board: Dashboard) -> APIRouter:
    """`…/attempts/N`, `…/attempts/N/series.json` and `…/series.json`."""
    router = APIRouter(prefix="/rollouts/{namespace}/{name}")

    @router.get("/attempts/{number}")
    def attempt(request: Request, namespace: str, name: str, number: str) -> Response:
        visit = board.visit(request)
        rollout = find(board, visit, namespace, name)
        record = collect(visit.viewer.api, None, rollout, _number(number))
        return board.page(
            "attempt.html",
            visit,
            title=f"{name}, attempt {record.attempt}",
            **facts(record),
            **links(board),
        )

    @router.get("/attempts/{number}/series.json")
    def past(request: Request, namespace: str, name: str, number: str) -> Response:
        return _series(board, request, (namespace, name), _number(number))

    @router.get("/series.json")
    def now(request: Request, namespace: str, name: str) -> Response:
        return _series(board, request, (namespace, name), None)

    return router


def _series(
    board: Dashboard, request: Request, place: tuple[str, str], number: int | None
) -> Response:
    visit = board.visit(request)
    rollout = find(board, visit, *place)
    status = rollout.status
    if number is None and status.history and status.attempt == status.history[0].attempt:
        number = status.history[0].attempt
    by = visit.viewer.key if board.on_loopback else "all"

    def ask() -> AttemptRecord:
        prometheus, trouble = _prometheus(board, visit)
        return collect(visit.viewer.api, prometheus, rollout, number, trouble, with_events=False)

    question = ("series", by, *place, str(rollout.raw["metadata"]["uid"]), status.attempt, number)
    try:
        record = board.reads.read(question, OVER_TIME, ask)
        document = {"plots": plots(record), "trouble": record.trouble}
    except Absent:
        if number is not None:
            raise
        document = {"plots": [], "trouble": "No candidate has run yet."}
    return JSONResponse(document)


def _prometheus(board: Dashboard, visit: Visit) -> tuple[Prometheus | None, str]:
    """The Prometheus to ask, or why there is none."""
    try:
        found = board.prometheus(visit.viewer.api)
    except Failure as failure:
        return None, str(failure)
    return found, "" if found is not None else "No Prometheus is set for this dashboard."


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise Absent(f"There is no attempt {text!r}: attempts are numbers.")
    return int(text)
