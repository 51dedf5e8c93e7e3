"""GitHub's REST API over a real bare Git repository: what is written through it can be cloned.

Statuses and bodies are those of docs.github.com/en/rest (API version 2022-11-28), as far as pull
requests of one file need them. Every request is kept.
"""

import base64
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

OWNER, NAME, TOKEN = "team", "production", "ghs_theTokenOfTheTest"
LONGEST_TITLE = 256
"""Characters of a pull request's title."""
Answer = tuple[int, Any]


@dataclass
class GitHubServer:
    """One repository, with a branch `main`."""

    folder: Path
    """The bare repository."""
    url: str = ""
    """Of its API."""
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    """Method, path below the repository, body."""
    pulls: list[dict[str, Any]] = field(default_factory=list)
    before: Callable[[str, str], Answer | None] = lambda _method, _path: None
    """What is answered instead of what would be; None for nothing."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of every answer, beside its own."""
    behind: dict[str, str] = field(default_factory=dict)
    """What a commit list, or a file, that is asked for by a branch's name shows instead of the
    branch's end: GitHub's machines learn of a write one after another.
    """
    _turn: threading.Lock = field(default_factory=threading.Lock)
    """Of two writes at once one is first, as at GitHub."""

    @property
    def repository(self) -> str:
        """OWNER/NAME."""
        return f"{OWNER}/{NAME}"

    def git(self, *words: str, stdin: bytes = b"", **env: str) -> str:
        """Run git; raises CalledProcessError."""
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        done = subprocess.run(
            ["git", *who, *words],
            input=stdin,
            capture_output=True,
            check=True,
            env={**os.environ, **env},
        )
        return done.stdout.decode()

    def _bare(self, *words: str, stdin: bytes = b"", committed: datetime | None = None) -> str:
        when = {} if committed is None else {"GIT_COMMITTER_DATE": committed.isoformat()}
        index = str(self.folder / f"index-{threading.get_ident()}")
        return self.git(
            f"--git-dir={self.folder}", *words, stdin=stdin, GIT_INDEX_FILE=index, **when
        ).strip()

    def commit(
        self,
        branch: str,
        path: str,
        content: bytes,
        message: str,
        at: datetime | None = None,
        mode: str = "100644",
    ) -> str:
        """Put a file on a branch, which is made where it is missing; the commit. at: now where it
        is None. mode: "120000" for a link to a file, whose content is where it goes to.
        """
        blob = self._bare("hash-object", "-w", "--stdin", stdin=content)
        parent = self._sha(branch)
        self._bare("read-tree", parent or "--empty")
        self._bare("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
        tree = self._bare("write-tree")
        above = ["-p", parent] if parent else []
        made = self._bare("commit-tree", tree, *above, "-m", message, committed=at)
        self._bare("update-ref", f"refs/heads/{branch}", made)
        return made

    def remove(self, branch: str, path: str, message: str) -> str:
        """Take a file away; the commit."""
        parent = self._sha(branch)
        self._bare("read-tree", parent)
        # By --force-remove it would need a checkout.
        self._bare("update-index", "--index-info", stdin=f"0 {'0' * 40}\t{path}\n".encode())
        made = self._bare("commit-tree", self._bare("write-tree"), "-p", parent, "-m", message)
        self._bare("update-ref", f"refs/heads/{branch}", made)
        return made

    def merge(self, head: str, base: str) -> None:
        """Take a branch that stands on `base` into it, as "Rebase and merge" does."""
        self._bare("update-ref", f"refs/heads/{base}", self._sha(head), self._sha(base))

    def clone(self, into: Path, branch: str) -> Path:
        """A checkout, as anybody would make it."""
        self.git("clone", "--quiet", "--branch", branch, f"file://{self.folder}", str(into))
        return into

    def branches(self) -> set[str]:
        """Names of all branches."""
        return set(self._bare("for-each-ref", "--format=%(refname:short)", "refs/heads").split())

    def answer(self, method: str, path: str, body: Any) -> Answer:
        """What GitHub says to a request below the repository."""
        self.requests.append((method, path, body))
        if (instead := self.before(method, path)) is not None:
            return instead
        parts = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        place = unquote(parts.path)
        if (method, place) == ("GET", ""):
            return 200, {"default_branch": "main"}
        if place.startswith("/contents/"):
            return self._contents(method, place.removeprefix("/contents/"), query, body)
        if place.startswith("/git/"):
            return self._refs(method, place, body)
        if place == "/commits":
            return self._commits(query)
        return self._pulls(method, query, body)

    def _refs(self, method: str, place: str, body: Any) -> Answer:
        if method == "GET":
            found = self._sha(place.removeprefix("/git/ref/heads/"))
            return (200, {"object": {"sha": found}}) if found else (404, {"message": "Not Found"})
        if self._sha(body["ref"].removeprefix("refs/heads/")):
            return 422, {"message": "Reference already exists"}
        self._bare("update-ref", body["ref"], body["sha"])
        return 201, {"ref": body["ref"]}

    def _commits(self, query: dict[str, str]) -> Answer:
        what = [
            self._commit_of(self.behind.get(query["sha"], query["sha"])),
            "--",
            f":(literal){query['path']}",
        ]
        shas = self._bare("log", f"--max-count={query['per_page']}", "--format=%H", *what).split()
        told = [self._bare("show", "--no-patch", "--format=%cI%n%B", sha) for sha in shas]
        return 200, [
            {"sha": sha, "commit": {"message": said, "committer": {"date": when}}}
            for sha, (when, _, said) in zip(
                shas, (one.partition("\n") for one in told), strict=True
            )
        ]

    def _pulls(self, method: str, query: dict[str, str], body: Any) -> Answer:
        if method == "GET":
            state, head = query["state"], query["head"].removeprefix(f"{OWNER}:")
            found = [p for p in self.pulls if p["head"] == head and state in {"all", p["state"]}]
            return 200, found[::-1]
        if len(body["title"]) > LONGEST_TITLE:
            why = f"title is too long (maximum is {LONGEST_TITLE} characters)"
            return 422, {"message": "Validation Failed", "errors": [{"message": why}]}
        if any((p["state"], p["head"]) == ("open", body["head"]) for p in self.pulls):
            why = f"A pull request already exists for {OWNER}:{body['head']}."
            return 422, {"message": "Validation Failed", "errors": [{"message": why}]}
        if self._bare("rev-list", "--count", f"{body['base']}..{body['head']}") == "0":
            why = f"No commits between {body['base']} and {body['head']}"
            return 422, {"message": "Validation Failed", "errors": [{"message": why}]}
        number = len(self.pulls) + 1
        page = f"https://github.example.com/{self.repository}/pull/{number}"
        self.pulls.append({**body, "state": "open", "html_url": page})
        return 201, self.pulls[-1]

    def _contents(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        branch = body["branch"] if body else self.behind.get(query["ref"], query["ref"])
        if not (commit := self._commit_of(branch)):
            return 404, {"message": f"No commit found for the ref {branch}"}
        try:
            blob = self._bare("rev-parse", f"{commit}:{path}")
        except subprocess.CalledProcessError:
            return 404, {"message": "Not Found"}
        if method == "GET":
            if self._bare("ls-tree", commit, f":(literal){path}").startswith("120000 "):
                link = Path(path).parent / self._bare("cat-file", "blob", blob)
                return self._contents(method, os.path.normpath(link), query, body)
            if self._bare("cat-file", "-t", blob) == "tree":
                return 200, [{"type": "file", "path": f"{path}/x"}]
            raw = self.git(f"--git-dir={self.folder}", "cat-file", "blob", blob)
            content = base64.encodebytes(raw.encode())
            return 200, {
                "type": "file",
                "path": path,
                "encoding": "base64",
                "content": content.decode(),
                "sha": blob,
            }
        if body["sha"] != blob:
            return 409, {"message": f"{path} does not match {body['sha']}"}
        made = self.commit(branch, path, base64.b64decode(body["content"]), body["message"])
        return 200, {"commit": {"sha": made}}

    def _commit_of(self, ref: str) -> str:
        """Of a branch, or of a commit's own name; "" for neither."""
        try:
            return self._sha(ref) or self._bare("rev-parse", "--verify", f"{ref}^{{commit}}")
        except subprocess.CalledProcessError:
            return ""

    def _sha(self, branch: str) -> str:
        try:
            return self._bare("rev-parse", "--verify", f"refs/heads/{branch}")
        except subprocess.CalledProcessError:
            return ""


def _reply(to: BaseHTTPRequestHandler, status: int, said: Any, more: Mapping[str, str]) -> None:
    """said: bytes as they are, and all else as JSON."""
    raw = said if isinstance(said, bytes) else json.dumps(said).encode()
    own = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(raw))}
    to.send_response(status)
    for name, value in {**own, **more}.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(raw)


@contextmanager
def github_server(folder: Path, files: dict[str, str]) -> Iterator[GitHubServer]:
    """The server, with these files on `main`."""
    bare = folder / "production.git"
    ours = GitHubServer(bare)
    ours.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    for path, text in files.items():
        ours.commit("main", path, text.encode(), f"Add {path}")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._any()

        def do_POST(self) -> None:
            self._any()

        def do_PUT(self) -> None:
            self._any()

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            prefix = f"/repos/{OWNER}/{NAME}"
            path = self.path.removeprefix(prefix)
            given = self.headers.get("Authorization")
            if not self.path.startswith(prefix):
                status, said = 404, {"message": "Not Found"}
            elif given not in {None, f"Bearer {TOKEN}"}:
                status, said = 401, {"message": "Bad credentials"}
            elif given is None and self.command != "GET":
                status, said = 401, {"message": "Requires authentication"}
            else:
                with ours._turn:
                    status, said = ours.answer(self.command, path, body)
            _reply(self, status, said, ours.headers)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        ours.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield ours
        finally:
            server.shutdown()
