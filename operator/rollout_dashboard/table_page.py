"""All rollouts: the page, and what of it changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rollout_dashboard.context import FIRST_LIST, Dashboard, Visit
from rollout_dashboard.rows import Row
from rollout_dashboard.table_view import Page, Sort, View, page
from rollout_dashboard.waiting import Group
from rollout_operator.domain.api.words import Phase

COLUMNS = (
    ("Rollout", Sort.NAME),
    ("Phase", Sort.PHASE),
    ("Stable", None),
    ("Candidate", None),
    ("Weight", Sort.WEIGHT),
    ("Gate nearest to failing", Sort.GATE),
    ("Waits for", Sort.ATTENTION),
    ("For", Sort.WAITING),
)
GROUPS = {
    Group.PERSON: "wait for a person",
    Group.TRIAL: "on trial",
    Group.ROLLED_BACK: "rolled back",
    Group.REST: "promoted",
}


def routes(board: Dashboard) -> APIRouter:
    """`/`."""
    router = APIRouter()

    @router.get("/")
    def table(request: Request) -> Response:
        view = View.read(request.query_params)
        visit = board.visit_in(request, view.namespace)
        board.hub.look(visit.viewer, wait=FIRST_LIST)
        shown = shown_page(board, visit, view)
        return board.page(
            "table.html",
            visit,
            title="Rollouts",
            view=view,
            page=shown,
            columns=COLUMNS,
            groups=GROUPS,
            phases=tuple(Phase),
            namespaces=sorted({row.namespace for row in board.hub.rows(visit.viewer)}),
            scope=sorted(visit.viewer.scope()),
            version=f"{board.instance}.{board.hub.version}",
            trouble=board.hub.trouble(visit.viewer),
            reads_first=board.hub.reads_first(visit.viewer),
        )

    return router


def shown_page(board: Dashboard, visit: Visit, view: View) -> Page:
    """What this view shows to this viewer now; made once for all with the same rights."""
    viewer, version = visit.viewer, board.hub.version
    question = ("page", viewer.scope(), view, version)
    return board.reads.read(question, 60, lambda: page(view, board.hub.rows(viewer)))


@dataclass(frozen=True, slots=True)
class Change:
    """What a browser is told of the table."""

    rows: Mapping[str, str]
    """HTML of what is new or changed, by NAMESPACE/NAME."""
    order: Sequence[str] | None
    """All rows in order; None where that has not changed."""
    summary: str | None
    """HTML of the numbers; None where they have not changed."""
    said: Sequence[str]
    """What a screen reader says."""

    def __bool__(self) -> bool:
        return bool(self.rows) or self.order is not None or self.summary is not None

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "rows": dict(self.rows),
            "order": self.order,
            "summary": self.summary,
            "said": list(self.said),
        }


MOST_SAID = 3
"""Changes that a screen reader is told one by one."""


def change(board: Dashboard, visit: Visit, view: View, before: Page | None, after: Page) -> Change:
    """What has changed since `before`; everything where that is None."""
    known: dict[str, Row] = {} if before is None else {row.id: row for row in before.rows}
    changed = [row for row in after.rows if known.get(row.id) != row]
    order = [row.id for row in after.rows]
    counted = None
    if before is None or _numbers(before) != _numbers(after):
        counted = board.render("summary.html", visit, view=view, page=after, groups=GROUPS)
    said = [
        f"{row.name} in {row.namespace} is {row.phase} now."
        for row in changed
        if row.id in known and known[row.id].phase != row.phase
    ]
    if len(said) > MOST_SAID:
        said = [f"{len(said)} rollouts are in another phase now."]
    return Change(
        rows={row.id: row_html(board, row) for row in changed},
        order=order if before is None or order != list(known) else None,
        summary=counted,
        said=said,
    )


def row_html(board: Dashboard, row: Row) -> str:
    """One line; the same for all viewers."""
    return board.reads.read(
        ("row", row), 60, lambda: board.render("row.html", None, row=row).strip()
    )


def _numbers(page: Page) -> tuple[object, ...]:
    return page.matching, page.total, tuple(page.groups.items()), page.number, page.pages
