"""One rollout: its page, and the part of it that changes."""

import re
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rollout_cli.api.commands_patch import Verb
from rollout_cli.api.kubernetes import rollouts_path
from rollout_cli.api.rollout import Rollout
from rollout_cli.api.snapshot import Pod
from rollout_cli.exit_codes import Absent, Refused
from rollout_cli.report.attempt_record import KubeEvent, events_of
from rollout_dashboard.context import FIRST_LIST, Dashboard, Visit
from rollout_dashboard.rollout_facts import facts
from rollout_dashboard.steering import offered
from rollout_operator.domain.api.names import ROLLOUT

MOMENT = 2.0
"""Seconds that what stands beside a rollout (pods, Events) may be old."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def routes(board: Dashboard) -> APIRouter:
    """`/rollouts/NS/NAME` and its `/fragment`."""
    router = APIRouter(prefix="/rollouts/{namespace}/{name}")

    @router.get("")
    def whole(request: Request, namespace: str, name: str) -> Response:
        return _page(board, request, "rollout.html", namespace, name)

    @router.get("/fragment")
    def fragment(request: Request, namespace: str, name: str) -> Response:
        return _page(board, request, "rollout_parts.html", namespace, name)

    return router


def _page(board: Dashboard, request: Request, template: str, namespace: str, name: str) -> Response:
    api_path(namespace, name)
    visit = board.visit_in(request, namespace)
    board.hub.look(visit.viewer, wait=FIRST_LIST)
    version = f"{board.instance}.{board.hub.version}"
    rollout = find(board, visit, namespace, name)
    result = ""
    if template == "rollout.html":
        result, visit.session.result = visit.session.result, ""
    return board.page(
        template,
        visit,
        title=f"{name} in {namespace}",
        f=facts(
            rollout,
            pods(board, visit, rollout),
            events(board, visit, rollout),
            datetime.now(UTC),
            board.settings.windows,
        ),
        verbs=actions(board, visit, rollout),
        result=result,
        version=version,
        trouble=board.hub.trouble(visit.viewer),
        **links(board),
    )


def links(board: Dashboard) -> dict[str, Any]:
    """Where pages lead out to."""
    return {"mlflow": board.settings.mlflow, "runs": board.runs, "over_time": board.over_time}


def api_path(namespace: str, name: str) -> str:
    """Where a rollout of the address line is in the API. Raises Absent for what is no name there:
    nothing else may be asked for by it.
    """
    if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
        raise Absent("There is no such rollout.")
    return rollouts_path(namespace, name)


def find(board: Dashboard, visit: Visit, namespace: str, name: str) -> Rollout:
    """The rollout as this viewer may read it; read once for all who may list it. Raises Absent,
    Refused, Unreachable.
    """
    viewer, path = visit.viewer, api_path(namespace, name)

    def ask() -> Rollout:
        return Rollout.of(viewer.api.get(path))

    if not viewer.sees(namespace):
        return ask()
    row = board.hub.row(viewer, f"{namespace}/{name}")
    if row is None:
        return ask()
    return board.reads.read(("rollout", namespace, name, row.version), 600, ask)


def pods(board: Dashboard, visit: Visit, rollout: Rollout) -> tuple[Pod, ...] | None:
    """Its pods; None where the viewer may not list them."""
    namespace, name = rollout.namespace, rollout.name
    if not visit.viewer.may("list", "pods", namespace):
        return None

    def ask() -> tuple[Pod, ...]:
        path = f"/api/v1/namespaces/{namespace}/pods"
        return tuple(map(Pod.of, visit.viewer.api.items(path, f"{ROLLOUT}={name}")))

    return board.reads.read(("pods", namespace, name), MOMENT, ask)


def events(board: Dashboard, visit: Visit, rollout: Rollout) -> tuple[KubeEvent, ...] | None:
    """Its Events; None where the viewer may not list them."""
    namespace, uid = rollout.namespace, str(rollout.raw["metadata"]["uid"])
    if not visit.viewer.may("list", "events", namespace):
        return None
    return board.reads.read(
        ("events", namespace, uid), MOMENT, lambda: events_of(visit.viewer.api, namespace, uid)
    )


def beside(board: Dashboard, visit: Visit, rollout: str) -> tuple[object, ...]:
    """What stands beside a rollout, to see whether it has changed. Raises Failure."""
    namespace, _, name = rollout.partition("/")
    try:
        found = find(board, visit, namespace, name)
    except Refused:
        return ()
    return pods(board, visit, found), events(board, visit, found)


def actions(board: Dashboard, visit: Visit, rollout: Rollout) -> tuple[Verb, ...]:
    """What this viewer may do now: where the API server lets him, and the operator would."""
    if board.settings.read_only or not visit.viewer.may_steer(rollout.namespace):
        return ()
    return offered(rollout)
