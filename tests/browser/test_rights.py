"""A viewer without rights sees nothing and can do nothing: every route of the dashboard, by every
method, with four kinds of token, forged headers and foreign forms.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route

from rollout_cli.api.commands_patch import Verb
from rollout_dashboard.app import create_app
from rollout_dashboard.server import in_cluster
from rollout_dashboard.settings import Settings
from rollout_dashboard.web_guard import Guard
from rollout_operator.domain.api.names import PLURAL
from tests.support.api_client import ApiClient
from tests.support.audit_log import AuditLog
from tests.support.board_client import BoardClient
from tests.support.dashboard_process import DashboardProcess
from tests.support.kinds import path_of
from tests.support.seeded_board import People, SeededBoard
from tests.support.seeds import TEAM_A, TEAM_B, leaks, seeds

KINDS = ("nobody", "stranger", "reader", "admin")
"""Without a token; with one and no rights; one who may read TEAM_A; one who may steer it, too."""
REVIEWS = ("selfsubjectaccessreviews", "selfsubjectreviews")
ROLLOUT = "/rollouts/{namespace}/{name}"
OTHER_METHODS = frozenset({"HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
(CHURN,) = (seed for seed in seeds() if seed.name == "churn")
"""The rollout on trial that is tried at."""


class Outcome(Enum):
    """What somebody gets who asks."""

    OPEN = "as everybody, and nothing of any rollout"
    LOGIN = "asked to log in"
    NOTHING = "a page or stream without any rollout"
    REFUSED = "refused"
    SEES = "it, and nothing of other namespaces"
    DONE = "it is done"


OPEN, LOGIN, NOTHING, REFUSED, SEES, DONE = Outcome
EXPECTED: Mapping[tuple[str, str], tuple[Outcome, ...]] = {
    ("GET", "/"): (LOGIN, NOTHING, SEES, SEES),
    ("GET", "/events"): (LOGIN, NOTHING, SEES, SEES),
    ("GET", ROLLOUT): (LOGIN, REFUSED, SEES, SEES),
    ("GET", f"{ROLLOUT}/fragment"): (LOGIN, REFUSED, SEES, SEES),
    ("GET", f"{ROLLOUT}/evidence"): (LOGIN, REFUSED, SEES, SEES),
    ("GET", f"{ROLLOUT}/runs"): (LOGIN, REFUSED, SEES, SEES),
    ("GET", f"{ROLLOUT}/series.json"): (LOGIN, REFUSED, SEES, SEES),
    ("GET", f"{ROLLOUT}/attempts/{{number}}"): (LOGIN, REFUSED, SEES, SEES),
    ("GET", f"{ROLLOUT}/attempts/{{number}}/series.json"): (LOGIN, REFUSED, SEES, SEES),
    ("GET", f"{ROLLOUT}/actions/{{verb}}"): (LOGIN, REFUSED, SEES, SEES),
    ("POST", f"{ROLLOUT}/actions/{{verb}}"): (LOGIN, REFUSED, REFUSED, DONE),
    ("GET", "/login"): (OPEN, OPEN, OPEN, OPEN),
    ("POST", "/login"): (LOGIN, LOGIN, LOGIN, LOGIN),  # with a token that is none
    ("POST", "/logout"): (LOGIN, DONE, DONE, DONE),
    ("GET", "/enter"): (REFUSED, REFUSED, REFUSED, REFUSED),  # no loopback, no secret
    ("GET", "/healthz"): (OPEN, OPEN, OPEN, OPEN),
    ("GET", "/static"): (OPEN, OPEN, OPEN, OPEN),
}
"""By KINDS, for a rollout of TEAM_A. One of TEAM_B is to all of them as to the stranger."""


def served_routes(of: Any) -> Iterator[tuple[str, str]]:
    """Method and path of everything that an application or router answers."""
    for route in of.routes:
        if isinstance(route, Mount):
            yield "GET", route.path
        elif (router := getattr(route, "original_router", None)) is not None:
            yield from served_routes(router)
        else:
            assert isinstance(route, Route), f"a route of a kind that is new here: {route}"
            yield from ((method, route.path) for method in route.methods or ())


def test_no_route_is_forgotten() -> None:
    settings = Settings(api_server="https://192.0.2.1")
    guard = create_app(in_cluster(settings))
    assert isinstance(guard, Guard)
    assert set(served_routes(guard.app)) == set(EXPECTED)


@pytest.fixture(scope="module")
def clients(stage: SeededBoard) -> dict[str, BoardClient]:
    """Each of KINDS with a session."""
    return {kind: session(stage, kind) for kind in KINDS}


def session(stage: SeededBoard, kind: str) -> BoardClient:
    """A new session of one of KINDS."""
    if kind == "nobody":
        return BoardClient(stage.board.url)
    return BoardClient.of(stage.board.url, getattr(stage.people, kind).token)


def versions(api: ApiClient) -> dict[str, str]:
    """The resourceVersion of every rollout: the same where nothing was written."""
    return {
        one["metadata"]["uid"]: one["metadata"]["resourceVersion"]
        for one in api.get(path_of("ModelRollout"))["items"]
    }


def filled(route: str, namespace: str, verb: str = "pause") -> str:
    """The path of a route for a rollout on trial; a parameter that is new here fails."""
    if route == "/static":
        return "/static/dashboard.js"
    name = "churn" if namespace == TEAM_A else "search"
    return route.format(namespace=namespace, name=name, number="1", verb=verb)


def asked(client: BoardClient, method: str, path: str) -> httpx.Response:
    """Ask as a page of the dashboard would; of a stream of events, the first one."""
    headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    if method == "POST":
        page = client.http.get("/", headers=headers)
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        return client.post(
            path,
            headers,
            csrf=csrf[1] if csrf else "",
            attempt="2",
            reason="tried",
            token="none-that-is-right",
        )
    with client.http.stream(method, path, headers=headers) as reply:
        if reply.headers.get("content-type", "").startswith("text/event-stream"):
            body = ""
            for line in reply.iter_lines():
                body += f"{line}\n"
                if line.startswith("data:"):
                    break
            return httpx.Response(reply.status_code, headers=reply.headers, text=body)
        reply.read()
        return reply


def outcome(reply: httpx.Response, method: str) -> Outcome:
    """What came of it."""
    location = reply.headers.get("location", "")
    if reply.status_code == 401 or (location.startswith("/login?next=")):
        return LOGIN
    if reply.status_code in {400, 403, 404, 409}:
        return REFUSED
    if reply.status_code == 303:
        return DONE
    assert (reply.status_code, method) == (200, "GET"), f"HTTP {reply.status_code}: {reply.text}"
    return SEES


@pytest.mark.parametrize(
    ("method", "route"), EXPECTED, ids=[f"{method} {route}" for method, route in EXPECTED]
)
def test_each_gets_what_rbac_allows(
    stage: SeededBoard, clients: dict[str, BoardClient], method: str, route: str
) -> None:
    for kind, namespace in itertools.product(KINDS, (TEAM_A, TEAM_B)):
        case = f"{kind}, {namespace}"
        wanted = EXPECTED[method, route][KINDS.index(kind)]
        if namespace == TEAM_B and "{" in route and kind != "nobody":
            wanted = REFUSED
        # What ends a session, or begins one, has one of its own.
        own = route in {"/login", "/logout"}
        client, before = session(stage, kind) if own else clients[kind], versions(stage.api)
        reply = asked(client, method, filled(route, namespace))
        got = outcome(reply, method)
        assert got is {OPEN: SEES, NOTHING: SEES}.get(wanted, wanted), f"{case}: {reply.text}"
        sees = TEAM_A if wanted is SEES else ""
        assert leaks(reply.text, but=sees) == set(), case
        is_written = wanted is DONE and "{verb}" in route
        assert (versions(stage.api) == before) is not is_written, case
        if is_written:
            CHURN.replant(stage.api)


@pytest.mark.parametrize("route", sorted({route for _, route in EXPECTED}))
def test_no_other_method_is_answered(
    api: ApiClient, clients: dict[str, BoardClient], route: str
) -> None:
    before, path = versions(api), filled(route, TEAM_A)
    others = {*OTHER_METHODS, "GET", "POST"} - {m for m, r in EXPECTED if r == route}
    if route == "/static":
        others -= {"HEAD"}
    for kind, method in itertools.product(KINDS, sorted(others)):
        ours = {"Origin": clients[kind].url, "Sec-Fetch-Site": "same-origin"}
        reply = clients[kind].http.request(method, path, headers=ours)
        said = f"{method} by {kind}: {reply.status_code}"
        assert reply.status_code in {401, 403, 404, 405}, said
        assert leaks(reply.text) == set(), said
    assert versions(api) == before


@pytest.mark.parametrize("verb", list(Verb))
def test_nobody_steers_without_the_right(
    api: ApiClient, clients: dict[str, BoardClient], verb: Verb
) -> None:
    before = versions(api)
    for kind, namespace in itertools.product(KINDS, (TEAM_A, TEAM_B)):
        if (kind, namespace) != ("admin", TEAM_A):
            path = filled(f"{ROLLOUT}/actions/{{verb}}", namespace, verb)
            reply = asked(clients[kind], "POST", path)
            wanted = LOGIN if kind == "nobody" else REFUSED
            assert outcome(reply, "POST") is wanted, f"{kind}, {namespace}: {reply.text}"
    assert versions(api) == before


FORGED: Mapping[str, Mapping[str, str]] = {
    "a user by a proxy's header": {"X-Remote-User": "admin", "X-Forwarded-User": "admin"},
    "groups by a proxy's header": {
        "X-Remote-Group": "system:masters",
        "X-Forwarded-Groups": "system:masters",
    },
    "impersonation": {"Impersonate-User": "admin", "Impersonate-Group": "system:masters"},
    "a token's header that is not configured": {
        "X-Forwarded-Access-Token": "TOKEN",
        "X-Auth-Request-Access-Token": "TOKEN",
    },
    "basic authentication": {"Authorization": "Basic YWRtaW46YWRtaW4="},
    "a bearer token that is none": {"Authorization": "Bearer not-a-token"},
    "an empty bearer token": {"Authorization": "Bearer"},
    "another address": {"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1"},
    "another host": {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"},
    "another scheme": {"X-Forwarded-Proto": "https"},
    "another path": {"X-Original-Url": "/rollouts/team-a/churn", "X-Rewrite-Url": "/login"},
    "another method": {"X-Http-Method-Override": "POST", "X-Method-Override": "POST"},
}


@pytest.mark.parametrize("kind", ["nobody", "stranger"])
@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_forged_headers_open_nothing(
    audit: AuditLog,
    people: People,
    clients: dict[str, BoardClient],
    forged: Mapping[str, str],
    kind: str,
) -> None:
    client = clients[kind]
    asked(client, "GET", "/")
    before = audit.asked()
    sent = {k: v.replace("TOKEN", people.admin.token) for k, v in forged.items()}
    for method, route in EXPECTED:
        if method == "GET" and route not in {"/events", "/static"}:
            reply = client.http.get(filled(route, TEAM_A), headers={"Accept": "text/html", **sent})
            assert reply.status_code in {200, 303, 400, 401, 403, 404}, f"{route}: {reply.text}"
            assert leaks(reply.text) == set(), route
            assert "evil.example" not in str(reply.headers), route
    # Whatever was asked of the API server meanwhile, was asked by somebody who is logged in.
    users = {one.user for one in audit.asked() - before}
    assert users <= {who.user for who in (people.stranger, people.reader, people.admin)}
    reads = {one.resource for one in audit.asked() - before if one.user == people.stranger.user}
    assert reads <= {*REVIEWS, "namespaces", PLURAL}


CSRF: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "without a CSRF token": ({}, {"csrf": ""}),
    "with the token of another's session": ({}, {"csrf": "OTHER"}),
    "from another site": ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, {}),
    "from another port": ({"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}, {}),
    "from another site, by an old browser": ({"Origin": "https://evil.example"}, {}),
    "from a file": ({"Origin": "null"}, {}),
    "from an origin that is none": ({"Origin": "http://["}, {}),
    "as JSON": ({"Content-Type": "application/json"}, {}),
    "as plain text": ({"Content-Type": "text/plain"}, {}),
    "as another kind of form": ({"Content-Type": "multipart/form-data; boundary=x"}, {}),
    "without a reason": ({}, {"reason": " "}),
    "of an attempt that is over": ({}, {"attempt": "1"}),
    "with a command that is none": ({}, {"VERB": "delete"}),
}


@pytest.mark.parametrize(("headers", "changes"), CSRF.values(), ids=CSRF)
def test_a_form_that_is_not_ours_does_nothing(
    api: ApiClient,
    clients: dict[str, BoardClient],
    headers: Mapping[str, str],
    changes: Mapping[str, str],
) -> None:
    client, before = clients["admin"], versions(api)
    fields = {"csrf": client.csrf(), "attempt": "2", "reason": "tried", **changes}
    if fields["csrf"] == "OTHER":
        fields["csrf"] = clients["reader"].csrf()
    verb = fields.pop("VERB", "abort")
    path = filled(f"{ROLLOUT}/actions/{{verb}}", TEAM_A, verb)
    # Only what the case says of where it comes from.
    ours = {"Origin": client.url, "Sec-Fetch-Site": "same-origin"}
    come_from = {} if "Origin" in headers else ours
    reply = client.http.post(path, data=fields, headers={**come_from, **headers})
    assert 400 <= reply.status_code < 500, reply.text
    assert versions(api) == before


@pytest.mark.parametrize("verb", list(Verb))
def test_a_link_commands_nothing(
    api: ApiClient, clients: dict[str, BoardClient], verb: Verb
) -> None:
    client, before = clients["admin"], versions(api)
    query = {"csrf": client.csrf(), "attempt": "2", "reason": "tried"}
    path = filled(f"{ROLLOUT}/actions/{{verb}}", TEAM_A, verb)
    assert client.http.get(path, params=query).status_code == 200
    assert versions(api) == before


@pytest.mark.parametrize(
    "name",
    ["churn%3Fwatch=true", "churn%23", "%2e%2e", "churn%2Fstatus", "CHURN", "churn%00", "-"],
)
@pytest.mark.parametrize("part", ["", "/fragment", "/actions/abort"])
def test_an_address_asks_for_nothing_else(
    audit: AuditLog, clients: dict[str, BoardClient], name: str, part: str
) -> None:
    client = clients["admin"]
    before = audit.asked()
    for path in (f"/rollouts/{TEAM_A}/{name}{part}", f"/rollouts/{name}/churn{part}"):
        reply = client.http.send(client.http.build_request("GET", client.url + path))
        assert reply.status_code == 404, reply.text
    assert {one.resource for one in audit.asked() - before} <= {PLURAL, *REVIEWS}


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("evil.example", id="a name of a foreign site"),
        pytest.param("evil.example:PORT", id="with our port"),
        pytest.param("127.0.0.1.evil.example:PORT", id="that begins like ours"),
        pytest.param("127.0.0.1:1", id="with another port"),
        pytest.param("127.0.0.1", id="without a port"),
        pytest.param("[::1", id="that is no name"),
        pytest.param("", id="of nothing"),
    ],
)
def test_it_answers_by_its_own_name_only(
    clients: dict[str, BoardClient], board: DashboardProcess, host: str
) -> None:
    # A foreign site's name that leads to this address: DNS rebinding.
    named = host.replace("PORT", str(board.port))
    reply = clients["admin"].http.get("/", headers={"Host": named})
    assert reply.status_code in {400, 403}, reply.text
    assert leaks(reply.text) == set()


@pytest.mark.parametrize(
    ("site", "mode", "answered"),
    [
        pytest.param("cross-site", "no-cors", False, id="a picture or script elsewhere"),
        pytest.param("cross-site", "cors", False, id="a fetch from elsewhere"),
        pytest.param("same-site", "cors", False, id="a fetch from another port"),
        pytest.param("same-origin", "cors", True, id="a fetch of ours"),
        pytest.param("none", "navigate", True, id="an address that somebody typed"),
    ],
)
def test_other_sites_cannot_read(
    clients: dict[str, BoardClient], site: str, mode: str, answered: bool
) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Accept": "text/html"}
    reply = clients["admin"].http.get("/", headers=headers)
    assert (reply.status_code == 200) is answered
    assert (leaks(reply.text) != set()) is answered


def test_a_session_that_somebody_planted_is_not_used(
    board: DashboardProcess, people: People, clients: dict[str, BoardClient]
) -> None:
    planted = clients["reader"].http.cookies
    victim = BoardClient(board.url)
    victim.http.cookies.update(planted)
    victim.log_in(people.admin.token)
    (mine,) = {c.value for c in victim.http.cookies.jar} - {c.value for c in planted.jar}
    assert mine
    # And the one that was planted is over: who planted it is not in the victim's place.
    again = BoardClient(board.url)
    again.http.cookies.update(planted)
    assert outcome(asked(again, "GET", "/"), "GET") is LOGIN


def test_a_made_up_session_is_none(board: DashboardProcess, people: People) -> None:
    client = BoardClient.of(board.url, people.admin.token)
    (name,) = {cookie.name for cookie in client.http.cookies.jar}
    forger = BoardClient(board.url)
    forger.http.cookies.set(name, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "127.0.0.1")
    assert outcome(asked(forger, "GET", "/"), "GET") is LOGIN


def test_after_logging_out_the_cookie_opens_nothing(
    board: DashboardProcess, people: People
) -> None:
    client = BoardClient.of(board.url, people.admin.token)
    kept = dict(client.http.cookies)
    assert asked(client, "POST", "/logout").status_code == 303
    thief = BoardClient(board.url)
    thief.http.cookies.update(kept)
    assert outcome(asked(thief, "GET", "/"), "GET") is LOGIN


@pytest.mark.parametrize(
    ("public", "secure"),
    [
        pytest.param("", False, id="on loopback"),
        pytest.param("https://rollouts.example.com", True, id="by TLS"),
    ],
)
def test_the_cookie_is_out_of_reach(
    api: ApiClient, place: Path, people: People, public: str, secure: bool
) -> None:
    log = place / f"cookie-{secure}.log"
    environment = {"PUBLIC_URL": public} if public else {}
    with DashboardProcess(api.kubeconfig, log, **environment) as own:
        client = BoardClient(f"http://127.0.0.1:{own.port}")
        ours = {"Origin": public or client.url, "Sec-Fetch-Site": "same-origin"}
        host = {"Host": "rollouts.example.com"} if public else {}
        reply = client.http.post(
            "/login", data={"token": people.admin.token}, headers={**ours, **host}
        )
    said = reply.headers["set-cookie"]
    name, *attributes = re.split("; *", said)
    flags = {a.lower() for a in attributes}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert not any(a.startswith("domain") for a in flags)
    assert ("secure" in flags) is secure
    assert name.startswith("__Host-") is secure
    assert people.admin.token not in said


def test_a_read_only_dashboard_commands_nothing_for_anybody(
    api: ApiClient, place: Path, people: People
) -> None:
    before = versions(api)
    with DashboardProcess(api.kubeconfig, place / "ro.log", READ_ONLY="true") as own:
        client = BoardClient.of(own.url, people.admin.token)
        page = client.http.get(f"/rollouts/{TEAM_A}/churn").text
        assert "/actions/" not in page
        for verb in Verb:
            path = filled(f"{ROLLOUT}/actions/{{verb}}", TEAM_A, verb)
            assert outcome(asked(client, "POST", path), "POST") is REFUSED, verb
    assert versions(api) == before


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
    ],
)
def test_logging_in_leads_nowhere_else(
    board: DashboardProcess, people: People, target: str
) -> None:
    client = BoardClient(board.url)
    reply = client.post("/login", token=people.admin.token, next=target)
    assert reply.headers["location"] == "/"
    shown = client.http.get("/login", params={"next": target}).text
    assert "evil.example" not in shown


def test_no_token_is_told_or_logged(
    board: DashboardProcess, people: People, clients: dict[str, BoardClient]
) -> None:
    for route in (route for method, route in EXPECTED if method == "GET"):
        if route != "/events":
            assert (
                people.admin.token not in asked(clients["admin"], "GET", filled(route, TEAM_A)).text
            )
    assert people.admin.token not in board.log.read_text()
