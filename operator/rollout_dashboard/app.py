"""The application: its routes, and how what goes wrong is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from rollout_cli.exit_codes import Absent, Failure, Refused, Unreachable
from rollout_dashboard import (
    actions,
    attempt_page,
    evidence_page,
    live,
    login,
    rollout_page,
    runs_page,
    table_page,
)
from rollout_dashboard.context import Dashboard, LoginNeeded
from rollout_dashboard.forms import BadForm
from rollout_dashboard.viewers import TokenRefused
from rollout_dashboard.web_guard import Guard

STATUS = {Absent: 404, Refused: 403, Unreachable: 502}
STATIC = Path(__file__).parent / "static"
TITLES = {403: "Refused", 404: "Not there", 405: "Refused", 502: "Unreachable"}


class Static(StaticFiles):
    """Files of this package; kept by browsers until they have changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file."""
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def create_app(board: Dashboard) -> ASGIApp:
    """The application, behind its guard."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        board.hub.close()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=life)
    for module in (
        table_page,
        live,
        rollout_page,
        evidence_page,
        runs_page,
        attempt_page,
        actions,
        login,
    ):
        app.include_router(module.routes(board))
    app.mount("/static", Static(directory=STATIC))

    @app.get("/healthz")
    def healthz() -> Response:
        return PlainTextResponse("ok")

    @app.exception_handler(LoginNeeded)
    def login_needed(request: Request, _: Exception) -> Response:
        return _to_login(board, request, expired=False)

    @app.exception_handler(TokenRefused)
    def token_refused(request: Request, _: Exception) -> Response:
        session = board.sessions.find(request.cookies.get(board.cookie, ""))
        if session is not None and session.token:
            board.sessions.end(session)
        return _to_login(board, request, expired=True)

    @app.exception_handler(Failure)
    def failed(request: Request, failure: Exception) -> Response:
        status = next((code for kind, code in STATUS.items() if isinstance(failure, kind)), 500)
        return _refused(board, request, str(failure), status)

    @app.exception_handler(BadForm)
    def bad_form(request: Request, failure: Exception) -> Response:
        return _refused(board, request, str(failure), 403)

    @app.exception_handler(HTTPException)
    def not_there(request: Request, failure: Exception) -> Response:
        assert isinstance(failure, HTTPException)
        why = {404: "There is no such page.", 405: "That page cannot be asked so."}
        said = why.get(failure.status_code, str(failure.detail))
        return _refused(board, request, said, failure.status_code)

    return Guard(app, board.settings)


def _refused(board: Dashboard, request: Request, why: str, status: int) -> Response:
    try:
        visit = board.visit(request)
    except LoginNeeded:
        visit = None
    title = TITLES.get(status, "That did not work")
    return board.page("refused.html", visit, status=status, why=why, title=title)


def _to_login(board: Dashboard, request: Request, expired: bool) -> Response:
    """To the login for a page; a plain refusal for what is no page."""
    headers = request.headers
    page = request.method == "GET" and "text/html" in headers.get("accept", "")
    if not page or "hx-request" in headers:
        return PlainTextResponse(
            "Log in again.", status_code=401, headers={"HX-Redirect": "/login"}
        )
    if headers.get("sec-fetch-site") == "cross-site":
        # A link elsewhere led here, and SameSite keeps the cookie back: asked again by a page of
        # ours, the browser sends it.
        return board.page("again.html", None)
    if board.on_loopback or (expired and _by_header(board, request)):
        return board.page("login.html", None, status=401, **_login_values(expired=expired))
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    flag = "&expired=1" if expired else ""
    return RedirectResponse(f"/login?next={quote(target, safe='')}{flag}", status_code=303)


def _login_values(expired: bool) -> dict[str, object]:
    return {"why": "", "bare": True, "target": "/", "out": False, "expired": expired}


def _by_header(board: Dashboard, request: Request) -> bool:
    named = board.settings.token_header
    return "authorization" in request.headers or bool(named and request.headers.get(named))
