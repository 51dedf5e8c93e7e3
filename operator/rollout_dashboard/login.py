"""Logging in and out: a token that the API server takes, or the one-time secret on loopback."""

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from rollout_cli.exit_codes import Failure
from rollout_dashboard.context import Dashboard
from rollout_dashboard.forms import check_ours, read_form
from rollout_dashboard.settings import LOOPBACK
from rollout_dashboard.viewers import TokenRefused
from rollout_dashboard.web_guard import name_of

LONGEST_TOKEN = 32 * 1024


def routes(board: Dashboard) -> APIRouter:
    """`/login`, `/logout`, `/enter`."""
    router = APIRouter()

    @router.get("/login")
    def ask(request: Request) -> Response:
        return _form(board, request)

    @router.post("/login")
    async def login(request: Request) -> Response:
        return await _login(board, request)

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        visit = board.visit(request)
        check_ours(visit, await read_form(request))
        board.sessions.end(visit.session)
        answer = RedirectResponse("/login?out=1", status_code=303)
        answer.delete_cookie(board.cookie, path="/", secure=board.settings.secure, httponly=True)
        return answer

    @router.get("/enter")
    def enter(code: str = "") -> Response:
        if board.secret is None or not board.secret.take(code):
            return board.page(
                "refused.html",
                None,
                status=403,
                why="That link was used already, or is not of this run: start"
                " `kubectl modelrollout dashboard` again.",
            )
        answer = RedirectResponse("/", status_code=303)
        board.give_cookie(answer, board.sessions.begin())
        return answer

    return router


async def _login(board: Dashboard, request: Request) -> Response:
    if board.on_loopback or _is_bare(board, request):
        return _form(board, request, status=403)
    fields = await read_form(request)
    token = fields.get("token", "").strip()
    if not token or len(token) > LONGEST_TOKEN or not token.isascii() or " " in token:
        return _form(board, request, "Paste a bearer token of the cluster.", status=400)
    viewer = board.viewers.of(token)
    try:
        await run_in_threadpool(viewer.name)
        await run_in_threadpool(viewer.scope)
    except TokenRefused:
        return _form(board, request, "The cluster does not take that token.", status=401)
    except Failure as failure:
        return _form(board, request, str(failure), status=502)
    if (before := board.sessions.find(request.cookies.get(board.cookie, ""))) is not None:
        board.sessions.end(before)
    answer = RedirectResponse(_next(fields.get("next", "")), status_code=303)
    board.give_cookie(answer, board.sessions.begin(token))
    return answer


def _form(board: Dashboard, request: Request, why: str = "", status: int = 200) -> Response:
    return board.page(
        "login.html",
        None,
        status=status,
        why=why,
        bare=_is_bare(board, request),
        target=_next(request.query_params.get("next", "")),
        out="out" in request.query_params,
        expired="expired" in request.query_params,
    )


def _is_bare(board: Dashboard, request: Request) -> bool:
    """Whether a token would go over the network for everybody to read."""
    return not board.settings.secure and name_of(request.headers.get("host", "")) not in LOOPBACK


def _next(target: str) -> str:
    """Where to go after logging in: a path of ours, whatever was asked for."""
    ours = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if ours else "/"
