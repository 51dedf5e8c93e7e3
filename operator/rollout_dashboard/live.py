"""Server-sent events: what changes reaches the screen; no browser asks again and again."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from rollout_cli.exit_codes import Failure
from rollout_dashboard.context import Dashboard, Visit
from rollout_dashboard.rollout_page import beside
from rollout_dashboard.table_page import change, shown_page
from rollout_dashboard.table_view import Page, View
from rollout_dashboard.viewers import TokenRefused

TOGETHER = 0.1
"""Seconds within which changes are told together."""
QUIET = 5.0
"""Seconds after which a quiet connection is looked after: rights, pods, and that it is still there.
"""


def routes(board: Dashboard) -> APIRouter:
    """`/events`."""
    router = APIRouter()

    @router.get("/events")
    def events(request: Request) -> Response:
        visit = board.visit(request)
        query = request.query_params
        since = request.headers.get("last-event-id") or query.get("since", "")
        rollout = query.get("rollout", "")
        told: _Rollout | _Table = (
            _Rollout(board, visit, rollout, since)
            if rollout
            else _Table(board, visit, View.read(query), since)
        )
        return StreamingResponse(
            _stream(board, visit, told),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    return router


class _Table:
    """What one browser has of the table."""

    def __init__(self, board: Dashboard, visit: Visit, view: View, since: str) -> None:
        self._board, self._visit, self._view = board, visit, view
        self._before: Page | None = None
        # What the page was made from a moment ago is there already.
        if since == f"{board.instance}.{board.hub.version}":
            self._before = shown_page(board, visit, view)

    def news(self) -> list[tuple[str, Any]]:
        after = shown_page(self._board, self._visit, self._view)
        told = change(self._board, self._visit, self._view, self._before, after)
        self._before = after
        return [("rows", told.document())] if told else []


class _Rollout:
    """What one browser has of one rollout."""

    def __init__(self, board: Dashboard, visit: Visit, rollout: str, since: str) -> None:
        self._board, self._visit, self._rollout = board, visit, rollout
        self._known = self._look() if since == f"{board.instance}.{board.hub.version}" else None

    def news(self) -> list[tuple[str, Any]]:
        now = self._look()
        told = [("changed", {"phase": now[1]})] if now != self._known else []
        self._known = now
        return told

    def _look(self) -> tuple[object, ...]:
        row = self._board.hub.row(self._visit.viewer, self._rollout)
        version, phase = ("", "") if row is None else (row.version, row.phase)
        return version, phase, beside(self._board, self._visit, self._rollout)


async def _stream(
    board: Dashboard, visit: Visit, told: "_Table | _Rollout"
) -> AsyncIterator[bytes]:
    changed, trouble, looked = asyncio.Event(), "", 0.0
    board.hub.listen(changed)
    try:
        yield b"retry: 1000\n\n"
        while not board.hub.closed:
            changed.clear()
            try:
                if time.monotonic() - looked > QUIET:
                    # Nobody is shown anything whom the API server has not lately let see it.
                    await asyncio.to_thread(board.hub.look, visit.viewer)
                    if board.sessions.find(visit.session.id) is None:
                        raise TokenRefused("The session is over: log in again.")
                    looked = time.monotonic()
                news = await asyncio.to_thread(told.news)
                now = await asyncio.to_thread(board.hub.trouble, visit.viewer)
            except TokenRefused as refused:
                yield _event(board, "login", {"why": str(refused)})
                return
            except Failure as failure:
                news, now = [], str(failure)
            for kind, document in news:
                yield _event(board, kind, document)
            if now != trouble:
                trouble = now
                yield _event(board, "trouble" if now else "live", {"why": now})
            elif not news:
                yield b": still here\n\n"
            try:
                await asyncio.wait_for(changed.wait(), QUIET)
                await asyncio.sleep(TOGETHER)
            except TimeoutError:
                continue
    finally:
        board.hub.leave(changed)


def _event(board: Dashboard, kind: str, document: Any) -> bytes:
    data = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    version = f"{board.instance}.{board.hub.version}"
    return f"event: {kind}\nid: {version}\ndata: {data}\n\n".encode()
