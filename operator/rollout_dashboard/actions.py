"""Commands: what will follow, a reason, and then the write, by the viewer's own rights."""

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from rollout_cli.api.commands_patch import (
    Said,
    Verb,
    command_patch,
    consequence,
    reverted_by,
)
from rollout_cli.api.kubernetes import rollouts_path
from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Absent, Refused
from rollout_dashboard.context import Dashboard, Visit
from rollout_dashboard.forms import check_ours, read_form
from rollout_dashboard.rollout_page import api_path
from rollout_dashboard.steering import DANGER, refusal

READ_ONLY = "This dashboard is read-only: nothing can be commanded from here."


def routes(board: Dashboard) -> APIRouter:
    """`/rollouts/NS/NAME/actions/VERB`."""
    router = APIRouter(prefix="/rollouts/{namespace}/{name}/actions/{verb}")

    @router.get("")
    def ask(request: Request, namespace: str, name: str, verb: str) -> Response:
        visit = board.visit(request)
        rollout = _read(visit, namespace, name)
        return _confirmation(board, visit, rollout, _verb(verb))

    @router.post("")
    async def do(request: Request, namespace: str, name: str, verb: str) -> Response:
        visit = board.visit(request)
        fields = await read_form(request)
        check_ours(visit, fields)
        return await run_in_threadpool(
            _carry_out, board, visit, (namespace, name), _verb(verb), fields
        )

    return router


def _carry_out(
    board: Dashboard, visit: Visit, place: tuple[str, str], verb: Verb, fields: dict[str, str]
) -> Response:
    if board.settings.read_only:
        raise Refused(READ_ONLY)
    rollout = _read(visit, *place)
    reason = " ".join(fields.get("reason", "").split())
    if not reason:
        return _confirmation(board, visit, rollout, verb, "Say why: a reason is kept.", 422)
    if fields.get("attempt", "") != str(rollout.status.attempt):
        late = (
            f"That was asked of attempt {fields.get('attempt', '')}, and {rollout.name} is in"
            f" attempt {rollout.status.attempt} by now: look again before you decide."
        )
        return _confirmation(board, visit, rollout, verb, late, 409)
    said = Said(by=visit.viewer.name(), reason=reason)
    try:
        command = command_patch(verb, rollout, said=said)
    except Refused as refused:
        # What was possible a moment ago is not any more, or the reason is too long.
        return _confirmation(board, visit, rollout, verb, str(refused), 409)
    visit.viewer.api.patch(rollouts_path(*place), command.patch)
    kept = f" {reverted_by(rollout)}" if verb in {Verb.PAUSE, Verb.RESUME} else ""
    visit.session.result = command.sentence + kept
    return RedirectResponse(f"/rollouts/{place[0]}/{place[1]}", status_code=303)


def _confirmation(  # noqa: PLR0917
    board: Dashboard, visit: Visit, rollout: Rollout, verb: Verb, why: str = "", status: int = 200
) -> Response:
    cannot = refusal(verb, rollout)
    if board.settings.read_only:
        cannot = READ_ONLY
    elif not visit.viewer.may_steer(rollout.namespace):
        cannot = (
            f"You may not {verb} {rollout.name}: that takes the right to patch ModelRollouts in"
            f" namespace {rollout.namespace}."
        )
    return board.page(
        "confirm.html",
        visit,
        status=status,
        title=f"{str(verb).capitalize()} {rollout.name}",
        rollout=rollout,
        verb=verb,
        danger=verb in DANGER,
        follows="" if cannot else consequence(verb, rollout),
        cannot=cannot,
        why=why,
    )


def _read(visit: Visit, namespace: str, name: str) -> Rollout:
    """As it is now: what is decided on must not be old."""
    return Rollout.of(visit.viewer.api.get(api_path(namespace, name)))


def _verb(text: str) -> Verb:
    try:
        return Verb(text)
    except ValueError as wrong:
        raise Absent(f"There is no command {text!r}.") from wrong
