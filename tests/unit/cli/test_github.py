"""What GitHub's API says of a pull request, and what says it in its place."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout_cli.exit_codes import Absent, Failure, Refused, Unreachable, WrongUsage
from rollout_cli.promotion.github import TOKEN, File, GitHub
from rollout_cli.promotion.github_api import (
    DEFAULT,
    LONGEST_TITLE,
    URL,
    branch_name,
    fault_of,
    is_path,
    title_of,
    used_up,
)
from tests.support.github_server import TOKEN as SECRET
from tests.support.github_server import Answer, GitHubServer, github_server

FILE = "prod/iris.yaml"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    with github_server(tmp_path, {FILE: "a: 1\n"}) as found:
        yield found


@pytest.fixture
def github(server: GitHubServer) -> GitHub:
    return GitHub(server.url, SECRET, server.repository)


CALLS: dict[str, Callable[[GitHub], Any]] = {
    "the repository": lambda github: github.default_branch(),
    "the branch's end": lambda github: github.head("main"),
    "commits": lambda github: github.commits(FILE, "main", "0a1b", 20),
    "a file": lambda github: github.file(FILE, "main"),
    "a branch": lambda github: github.branch("new", "0a1b"),
    "pull requests": lambda github: github.pulls("new"),
    "opening one": lambda github: github.request("new", "main", "t", "b", written=True),
}
OTHERS: dict[str, Any] = {
    "an object": {"ok": True},
    "a list": [1],
    "a number": 7,
    "nothing": None,
    "a page": b"<html>Sign in</html>",
}


@pytest.mark.parametrize("said", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_is_not_githubs_is_told_as_a_sentence(
    github: GitHub, server: GitHubServer, call: Callable[[GitHub], Any], said: Any
) -> None:
    server.before = lambda method, _: (200 if method == "GET" else 201, said)
    with pytest.raises((Unreachable, Refused)) as told:
        call(github)
    assert any(part in str(told.value) for part in ("GitHub's API", "is no file")), told.value


LIMITS: dict[str, tuple[int, dict[str, str], str, str]] = {
    "too many": (429, {}, "", "try again later"),
    "the hour's": (
        403,
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1785000000"},
        "API rate limit exceeded for user ID 1",
        "try again after 17:20:00 UTC",
    ),
    "at once": (403, {"Retry-After": "60"}, "secondary rate limit", "try again in 60 s"),
    "by its sentence alone": (403, {}, "You have exceeded a secondary rate limit", "later"),
    "a time that is none": (
        429,
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 30, "Retry-After": "soon"},
        "",
        "try again later",
    ),
}


@pytest.mark.parametrize(
    ("status", "headers", "message", "when"), LIMITS.values(), ids=LIMITS.keys()
)
def test_a_rate_that_is_used_up_may_do_better_later(
    github: GitHub,
    server: GitHubServer,
    status: int,
    headers: dict[str, str],
    message: str,
    when: str,
) -> None:
    server.before, server.headers = lambda _method, _path: (status, {"message": message}), headers
    with pytest.raises(Unreachable, match=when):
        github.file(FILE, "main")


def test_what_a_token_may_not_is_no_rate() -> None:
    assert not used_up(403, {"X-RateLimit-Remaining": "4000"}, "Resource not accessible")
    assert not used_up(401, {"Retry-After": "1"}, "")


SAYS: dict[str, tuple[str, Answer, type[Failure], str]] = {
    "renamed": ("GET", (301, {"message": "Moved Permanently"}), Refused, "has moved: write its"),
    "renamed, of a write": ("POST", (307, {"message": "Moved"}), Refused, "has moved: write its"),
    "may only read": ("POST", (404, {"message": "Not Found"}), Refused, "let GITHUB_TOKEN write"),
    "sees nothing": ("GET", (404, {"message": "Not Found"}), Absent, "let GITHUB_TOKEN see it"),
    "another server": ("GET", (404, b"<html>"), Unreachable, "no JSON: see that GITHUB_API_URL"),
    "a page to log in at": ("GET", (302, b""), Unreachable, "no page to log in at"),
    "a proxy": ("GET", (502, b"<html>"), Unreachable, "Try again in 60 s"),
    "nothing in it": (
        "GET",
        (409, {"message": "Git Repository is empty."}),
        Refused,
        "is empty: put the manifest into the repository first",
    ),
    "ill for a while": ("GET", (503, {}), Unreachable, "Try again in 60 s"),
    "a rule for branches": (
        "POST",
        (422, {"message": "Repository rule violations found\n\nCannot create ref\n"}),
        Refused,
        "violations found Cannot create ref: a rule of the repository may forbid it, such as one",
    ),
    "not logged in": ("GET", (401, {"message": "Bad credentials"}), Refused, "renew GITHUB_TOKEN"),
    "an archive": ("POST", (403, {"message": "Repository was archived"}), Refused, "was archived"),
}


@pytest.mark.parametrize(("method", "answer", "kind", "why"), SAYS.values(), ids=SAYS.keys())
def test_a_refusal_says_what_helps(
    github: GitHub,
    server: GitHubServer,
    method: str,
    answer: Answer,
    kind: type[Failure],
    why: str,
) -> None:
    server.before = lambda asked, _: answer if asked == method else None
    server.headers = {"Retry-After": "60"} if answer[0] >= 500 else {}
    with pytest.raises(kind, match=why) as told:
        github.branch("new", github.head("main"))
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("said", [f"{FILE} does not match 0a1b", "is at 0a1b but expected 2c3d"])
def test_a_branch_that_moved_meanwhile_is_not_overwritten(
    github: GitHub, server: GitHubServer, said: str
) -> None:
    server.before = lambda method, _: (409, {"message": said}) if method == "PUT" else None
    with pytest.raises(Refused, match="was changed meanwhile: run it again"):
        github.write(FILE, "main", File("a", "0"), "b", "m")


@pytest.mark.parametrize("link", ["iris.yaml", "us/other name.yaml"])
def test_a_link_to_a_manifest_is_not_written_to(
    github: GitHub, server: GitHubServer, link: str
) -> None:
    """GitHub shows the file that it leads to, and would write in the place of the link."""
    to = FILE if "/" not in link else f"../{FILE}"
    server.commit("main", link, to.encode(), "Link", mode="120000")
    with pytest.raises(Refused, match=f"{link} on main is a link to {FILE}: name that"):
        github.file(link, "main")


PATHS = {
    "prod/iris.yaml": True,
    "iris": True,
    "a b/#c%20?.yaml": True,
    "größe/模型": True,
    "...": True,
    "": False,
    "/a": False,
    "a/": False,
    "a//b": False,
    "./a": False,
    "a/../b": False,
    "a\nb": False,
    "a\x00b": False,
    "a\u2028b": False,
    "a\udcffb": False,
}


@pytest.mark.parametrize(("path", "taken"), PATHS.items(), ids=map(ascii, PATHS))
def test_a_path_is_one_line_in_the_repository(path: str, taken: bool) -> None:
    assert is_path(path) is taken


@pytest.mark.parametrize("length", [1, LONGEST_TITLE, LONGEST_TITLE + 1, 999])
def test_a_long_title_is_cut_where_names_are_alike(length: int) -> None:
    text = f"iris: models:/{'m' * length}/7, promoted by staging/ml/iris"[:length]
    title = title_of(text)
    assert len(title) == min(length, LONGEST_TITLE)
    assert (title == text) is (length <= LONGEST_TITLE)
    assert (text[:64], text[-191:]) == (title[:64], title[-191:])


URLS = {
    DEFAULT: "",
    "https://github.example.com/api/v3": "",
    "http://127.0.0.1:8080": "",
    "github": "is no URL",
    "": "is no URL",
    "ftp://github.com": "is no URL",
    "https://": "is no URL",
    "https://[::1": "is no URL",
    "https://a:b": "is no URL",
    "https://a b": "is no URL",
    "https://api.github.com?x=1": "is no URL",
    "https://github.com": "is the site and not its API: write https://api.github.com",
    "https://me:hunter2@github.example.com/api/v3": "names a user",
}


@pytest.mark.parametrize(("url", "fault"), URLS.items())
def test_a_url_that_cannot_be_meant_is_said(
    url: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (fault in fault_of(url), bool(fault_of(url))) == (True, bool(fault))
    monkeypatch.setenv(URL, url)
    monkeypatch.setenv(TOKEN, SECRET)
    if not fault:
        assert GitHub.of_environment("a/b", writes=True).repository == "a/b"
        return
    with pytest.raises(WrongUsage, match=fault) as told:
        GitHub.of_environment("a/b", writes=True)
    assert "hunter2" not in str(told.value)


BRANCHES = {
    "iris": "promote/iris-iris-7-0a1b",
    "größe ~^:x": "promote/iris-gr-e-x-7-0a1b",
    "a..b": "promote/iris-a.b-7-0a1b",
    "a...": "promote/iris-a.-7-0a1b",
    "x" * 200: f"promote/iris-{'x' * 100}-7-0a1b",
}


@pytest.mark.parametrize(("model", "name"), BRANCHES.items())
def test_every_model_has_a_branch_that_git_takes(
    model: str, name: str, server: GitHubServer, github: GitHub
) -> None:
    assert branch_name("promote", "iris", model, "7-0a1b") == name
    server.git("check-ref-format", "--branch", name)
    assert github.branch(name, github.head("main"))
