"""Reads what a form sent, and sees that it is one of ours."""

from urllib.parse import parse_qs

from starlette.requests import Request

from rollout_dashboard.context import Visit
from rollout_dashboard.sessions import same

LONGEST_FORM = 64 * 1024


class BadForm(Exception):
    """It cannot be taken; the message says why."""


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form. Raises BadForm where it is no form, or too long."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise BadForm("A form of this dashboard was expected.")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_FORM:
            raise BadForm("That form is too long.")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError as failure:
        raise BadForm("That form cannot be read.") from failure
    return {name: values[0] for name, values in fields.items()}


def check_ours(visit: Visit, fields: dict[str, str]) -> None:
    """Raises BadForm where the form does not carry this browser's own CSRF token."""
    if not same(fields.get("csrf", ""), visit.session.csrf):
        raise BadForm("That form is not of this session: load the page again, and repeat it.")
