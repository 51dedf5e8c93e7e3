"""The few calls of GitHub's REST API that a pull request takes.

Source: docs.github.com/en/rest, API version 2022-11-28: repos/contents, git/refs, pulls.
"""

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from rollout_cli.exit_codes import Absent, Refused, Unreachable, WrongUsage
from rollout_cli.promotion.github_api import (
    DEFAULT,
    URL,
    WRITE,
    fault_of,
    title_of,
    used_up,
    when_again,
)

TOKEN = "GITHUB_TOKEN"
"""A variable, named as GitHub's own workflows have it."""
TIMEOUT = urllib3.Timeout(connect=5, read=20)
_CHANGED = ("does not match", "but expected")
"""Of GitHub's sentences about a file, and about a branch, that is another by now."""
_NOT_YET = re.compile(r"No commit found for|Branch \S+ not found")
"""Of GitHub's sentences about a commit, and about a branch, that another of its machines has told
of, or made.
"""
_RIGHTS = "contents and pull requests of the repository, read and write"


@dataclass(frozen=True, slots=True)
class File:
    """A file on a branch."""

    text: str
    """Its content."""
    blob: str
    """Name of that content in Git; a write names it, so that nobody's change is lost."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, as far as it is looked at."""

    sha: str
    """Its name."""
    message: str
    """All of it."""
    at: datetime
    """When it was committed, by the clock of whoever did."""


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request."""

    url: str
    """Its page."""
    is_open: bool
    """Whether it waits for somebody."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer."""

    status: int
    said: Any
    """Its JSON; None where it is none."""
    headers: Mapping[str, str] = field(default_factory=dict)


class GitHub:
    """One repository, as who the token is of. Every call raises Refused, Absent or Unreachable, and
    none says the token.
    """

    def __init__(self, url: str, token: str, repository: str) -> None:
        self.repository = repository
        self._url = f"{url}/repos/{repository}"
        self._place = urlsplit(url).netloc.rpartition("@")[2]
        self._headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "kubectl-modelrollout",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        self._pool = _pool(url)

    @classmethod
    def of_environment(cls, repository: str, *, writes: bool) -> Self:
        """As GITHUB_API_URL and GITHUB_TOKEN say; raises WrongUsage where they cannot be used."""
        url = os.environ.get(URL, DEFAULT).rstrip("/")
        if fault := fault_of(url):
            raise WrongUsage(f"{fault}.")
        owner, _, name = repository.partition("/")
        if not owner or not name or quote(repository) != repository or "/" in name:
            raise WrongUsage(f"{repository!r} is no repository: write OWNER/NAME.")
        token = os.environ.get(TOKEN, "")
        if writes and not token:
            raise WrongUsage(
                f"{TOKEN} is not set: a pull request needs a token that may write {_RIGHTS}."
                " --dry-run prints what would be asked for."
            )
        if not token.isprintable() or not token.isascii():
            raise WrongUsage(f"{TOKEN} has characters that no token has: set it again.")
        return cls(url, token, repository)

    def default_branch(self) -> str:
        """The branch that pull requests go to."""
        with self._reading():
            return str(self._get("", "the repository")["default_branch"])

    def head(self, branch: str) -> str:
        """The last commit of a branch. What is read and made with it is of one moment, while lists
        of a branch may lag behind it.
        """
        with self._reading():
            found = self._get(f"/git/ref/heads/{quote(branch)}", f"the branch {branch}")
            return str(found["object"]["sha"])

    def commits(self, path: str, branch: str, head: str, most: int) -> list[Commit]:
        """The last commits of a branch, up to its commit `head`, that changed a file, the newest
        first; 100 at most.
        """
        query = urlencode({"path": path, "sha": head, "per_page": most})
        with self._reading():
            found = self._get(f"/commits?{query}", f"the commits of {path} on {branch}")
            return [
                Commit(
                    str(one["sha"]),
                    str(one["commit"]["message"]),
                    datetime.fromisoformat(one["commit"]["committer"]["date"]),
                )
                for one in found
            ]

    def file(self, path: str, branch: str, commit: str = "") -> File:
        """A file of a branch as it is, or as it was with a commit of it."""
        query = urlencode({"ref": commit or branch})
        found = self._get(f"/contents/{quote(path)}?{query}", f"{path} on {branch}")
        if not isinstance(found, dict) or found.get("type") != "file":
            raise Refused(f"{path} on {branch} is no file: name the manifest.")
        if (real := found.get("path", path)) != path:
            raise Refused(f"{path} on {branch} is a link to {real}: name that.")
        if found.get("encoding") != "base64":
            raise Refused(f"{path} is too large for GitHub's API: keep the manifest by itself.")
        with self._reading():
            content, blob = str(found["content"]), str(found["sha"])
        try:
            return File(base64.b64decode(content).decode(), blob)
        except (binascii.Error, UnicodeDecodeError) as wrong:
            raise Refused(f"{path} on {branch} is no UTF-8 text.") from wrong

    def branch(self, name: str, head: str) -> bool:
        """Make a branch that ends with a commit; False where it is there already."""
        reply = self._call("POST", "/git/refs", {"ref": f"refs/heads/{name}", "sha": head})
        if reply.status == 422 and "already exists" in _message(reply.said):
            return False
        self._expect(201, reply, f"making the branch {name}", writes=True)
        with self._reading():
            return bool(reply.said["ref"])

    def write(self, path: str, branch: str, before: File, text: str, message: str) -> None:
        """Commit the file to the branch, which must have it as it was read."""
        reply = self._call(
            "PUT",
            f"/contents/{quote(path)}",
            {
                "message": message,
                "content": base64.b64encode(text.encode()).decode(),
                "sha": before.blob,
                "branch": branch,
            },
        )
        if reply.status == 409 and any(word in _message(reply.said) for word in _CHANGED):
            raise Refused(f"{path} on {branch} was changed meanwhile: run it again.")
        self._expect(200, reply, f"writing {path}", writes=True)

    def open_request(self, branch: str) -> str:
        """URL of the open pull request of a branch; "" where there is none."""
        return next((pull.url for pull in self.pulls(branch, "open")), "")

    def pulls(self, branch: str, state: str = "all") -> list[Pull]:
        """The pull requests of a branch, the newest first; state: open, closed or all."""
        owner = self.repository.split("/")[0]
        query = urlencode({"state": state, "head": f"{owner}:{branch}"})
        with self._reading():
            found = self._get(f"/pulls?{query}", "its pull requests")
            return [Pull(str(one["html_url"]), one["state"] == "open") for one in found]

    def request(self, head: str, base: str, title: str, body: str, *, written: bool) -> str:
        """Open a pull request; its URL. Where somebody was quicker, it is that one's. written:
        whether the branch was written to just now, so that it does have a commit of its own.
        """
        reply = self._call(
            "POST", "/pulls", {"title": title_of(title), "head": head, "base": base, "body": body}
        )
        if reply.status == 422 and "No commits between" in _message(reply.said):
            if written:
                raise Unreachable(
                    f"{self.repository}: {self._place} does not see yet what was written to the"
                    f" branch {head}. Try again later."
                )
            raise Refused(
                f"{self.repository}: {base} had all of the branch {head} once, and was taken back:"
                " delete that branch, and run it again."
            )
        if reply.status == 422 and "already exists" in _message(reply.said):
            if url := self.open_request(head):
                return url
            raise Unreachable(
                f"{self.repository}: {self._place} has a pull request of the branch {head} already,"
                " and does not list it yet. Try again later."
            )
        self._expect(201, reply, "opening the pull request", writes=True)
        with self._reading():
            return str(reply.said["html_url"])

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Says what it means that an answer has another form than GitHub's. Raises Unreachable."""
        try:
            yield
        except (KeyError, TypeError, AttributeError, ValueError) as wrong:
            raise Unreachable(
                f"{self._place} answered something that GitHub does not say: see that {URL} is of"
                f" GitHub's API ({WRITE})."
            ) from wrong

    def _get(self, path: str, what: str) -> Any:
        reply = self._call("GET", path)
        self._expect(200, reply, what)
        return reply.said

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> _Reply:
        try:
            reply = self._pool.request(
                method,
                f"{self._url}{path}",
                body=json.dumps(body).encode() if body is not None else None,
                headers=self._headers,
                redirect=False,
                retries=False,
            )
            status, raw, headers = int(reply.status), reply.data, dict(reply.headers)
        except (OSError, urllib3.exceptions.HTTPError) as failure:
            raise Unreachable(f"{self._place} did not answer: {type(failure).__name__}.") from (
                failure
            )
        try:
            return _Reply(status, json.loads(raw), headers)
        except (ValueError, RecursionError):
            return _Reply(status, None, headers)

    def _expect(self, wanted: int, reply: _Reply, what: str, *, writes: bool = False) -> None:
        status, message = reply.status, _message(reply.said)
        if status == wanted and reply.said is not None:
            return
        told = f"{self.repository}: {what}: {self._place} says {status} {message}".rstrip()
        if used_up(status, reply.headers, message):
            raise Unreachable(f"{told}. Too much was asked: try again {when_again(reply.headers)}.")
        if status >= 500 or status == 408 or (status == 404 and _NOT_YET.search(message)):
            raise Unreachable(f"{told}. Try again {when_again(reply.headers)}.")
        if reply.said is None:
            raise Unreachable(
                f"{told}, and no JSON: see that {URL} is of GitHub's API ({WRITE}), and no page to"
                " log in at."
            )
        if status == 404 and not writes:
            raise Absent(f"{told}. Correct the name, or let {TOKEN} see it.")
        rules = "a rule of the repository may forbid it, such as one for the names of branches"
        advice = {
            **dict.fromkeys(
                (301, 302, 307, 308), "the repository has moved: write its present name"
            ),
            401: f"renew {TOKEN}, which is read at start",
            409: rules if writes else "put the manifest into the repository first",
            422: rules if "rule violations" in message else "nothing more was done",
            # What a token may only read is answered so, too.
            **dict.fromkeys((403, 404), f"let {TOKEN} write {_RIGHTS}"),
        }.get(status, "nothing more was done")
        raise Refused(f"{told}: {advice}.")


def _pool(url: str) -> urllib3.PoolManager:
    """Connections, through a proxy where the environment names one; raises WrongUsage."""
    proxy = getproxies().get(urlsplit(url).scheme)
    if not proxy or proxy_bypass(urlsplit(url).hostname or ""):
        return urllib3.PoolManager(timeout=TIMEOUT)
    proxy = proxy if "://" in proxy else f"http://{proxy}"  # as curl reads it
    try:
        who = urllib3.util.parse_url(proxy).auth
        named = urllib3.make_headers(proxy_basic_auth=unquote(who)) if who else None
        return urllib3.ProxyManager(proxy, proxy_headers=named, timeout=TIMEOUT)
    except (ValueError, urllib3.exceptions.HTTPError) as wrong:
        raise WrongUsage(
            "HTTPS_PROXY is no proxy that can be asked: write http://HOST:PORT."
        ) from wrong


def _message(said: Any) -> str:
    """GitHub's sentence, with the first of its reasons."""
    if not isinstance(said, dict):
        return ""
    reasons = said.get("errors")
    first = reasons[0] if isinstance(reasons, list) and reasons else ""
    why = first.get("message", "") if isinstance(first, dict) else first
    # Rules are told on lines of their own.
    words = f"{said.get('message', '')} {why or ''}".split()
    return " ".join(words)[:300].rstrip(".")
