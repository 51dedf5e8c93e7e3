"""What a request needs: who asks, and how it is answered."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.report.environment import environment
from rollout_cli.view.formatting import span
from rollout_dashboard.hub import Hub
from rollout_dashboard.registry_runs import Runs
from rollout_dashboard.rollout_facts import registry_link
from rollout_dashboard.sessions import LONGEST, OneTimeSecret, Session, Sessions
from rollout_dashboard.settings import Settings
from rollout_dashboard.shared_reads import SharedReads
from rollout_dashboard.viewers import Viewer, Viewers
from rollout_operator.domain.api.names import GROUP, PLURAL

FIRST_LIST = 2.0
"""Seconds that a page waits for the first list; what comes later comes by its stream."""
MOST_BESIDES = 20
"""Namespaces that a viewer may name himself."""


class LoginNeeded(Exception):
    """Nobody is logged in; the message says why, where there was somebody."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is logged in."""

    session: Session
    """His browser's."""
    viewer: Viewer
    """He."""
    fresh: bool
    """Whether the browser does not have the cookie yet."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """All that lives as long as the program."""

    settings: Settings
    """Its configuration."""
    viewers: Viewers
    """Who was seen lately."""
    prometheus: Callable[[KubeApi], Prometheus | None]
    """The Prometheus for a viewer; None for none. Raises Failure, which says why."""
    runs: Runs | None = None
    """Whose runs are shown; None for none."""
    secret: OneTimeSecret | None = None
    """On loopback, what the URL of the command carries; None in a cluster, where tokens are given.
    """
    hub: Hub = field(default_factory=Hub)
    """What is watched."""
    sessions: Sessions = field(default_factory=Sessions)
    """Who is logged in."""
    reads: SharedReads = field(default_factory=SharedReads)
    """What several viewers look at."""
    instance: str = field(default_factory=lambda: secrets.token_hex(4))
    """Which run of the program this is: versions of the hub count in it only."""
    pages: Environment = field(default_factory=lambda: _pages())  # noqa: PLW0108 - defined below

    @property
    def on_loopback(self) -> bool:
        """Whether it acts by a kubeconfig, for whoever started it."""
        return self.secret is not None

    @property
    def over_time(self) -> bool:
        """Whether there may be a Prometheus, so that plots are worth asking for."""
        return self.on_loopback or bool(self.settings.prometheus)

    @property
    def cookie(self) -> str:
        """Name of the session's cookie: cookies do not know ports."""
        if self.settings.secure:
            return "__Host-modelrollout"
        return f"modelrollout-{self.settings.port}"

    def visit(self, request: Request) -> Visit:
        """Who asks. Raises LoginNeeded."""
        session = self.sessions.find(request.cookies.get(self.cookie, ""))
        if self.on_loopback:
            if session is None:
                raise LoginNeeded
            return Visit(session, self.viewers.of(""), fresh=False)
        token = self._from_header(request)
        if token:
            fresh = session is None
            session = session or self.sessions.begin()
            return Visit(session, self.viewers.of(token, session.namespaces), fresh)
        if session is None or not session.token:
            raise LoginNeeded
        return Visit(session, self.viewers.of(session.token, session.namespaces), fresh=False)

    def visit_in(self, request: Request, namespace: str) -> Visit:
        """Who asks for what is in this namespace, which is looked at from now on where he may list
        it and named it himself. Raises LoginNeeded, TokenRefused, Unreachable.
        """
        visit = self.visit(request)
        viewer, session = visit.viewer, visit.session
        if not namespace or self.on_loopback or viewer.sees(namespace):
            return visit
        if len(session.namespaces) < MOST_BESIDES and viewer.may("list", PLURAL, namespace, GROUP):
            session.namespaces |= {namespace}
            return visit if visit.fresh else self.visit(request)
        return visit

    def page(
        self, template: str, visit: Visit | None, status: int = 200, **values: Any
    ) -> Response:
        """A page or a part of one."""
        text = self.render(template, visit, **values)
        answer = HTMLResponse(text, status_code=status)
        if visit is not None and visit.fresh:
            self.give_cookie(answer, visit.session)
        return answer

    def render(self, template: str, visit: Visit | None, **values: Any) -> str:
        """The same as text."""
        return self.pages.get_template(template).render(
            visit=visit,
            settings=self.settings,
            on_loopback=self.on_loopback,
            now=datetime.now(UTC),
            **values,
        )

    def give_cookie(self, answer: Response, session: Session) -> None:
        """Let the browser keep the session's id, out of reach of scripts and of other sites."""
        answer.set_cookie(
            self.cookie,
            session.id,
            max_age=int(LONGEST),
            path="/",
            secure=self.settings.secure,
            httponly=True,
            samesite="strict",
        )

    def _from_header(self, request: Request) -> str:
        named = self.settings.token_header
        if named and (token := request.headers.get(named, "").strip()):
            return token.removeprefix("Bearer ").strip()
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


def _pages() -> Environment:
    pages = environment("rollout_dashboard")
    pages.filters["iso"] = lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    pages.filters["span_until"] = lambda moment, now: span(now - moment)
    pages.filters["in_mlflow"] = lambda uri, base: registry_link(base, uri)
    return pages
