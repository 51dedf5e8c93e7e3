"""A Git repository that is served over HTTP by Git's own `git http-backend`."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from tests.support.scripted_world import serving

EXAMPLE_URL = "https://git.example.com/models.git"
PROJECT_URL = "https://git.example.com/model-rollouts.git"
"""What stands in examples in place of an address: of models, and of this project."""
_WANT = re.compile(rb"want ([0-9a-f]{40})")


class GitRepository:
    """One with a branch `main`, and who fetched what of it."""

    def __init__(self, folder: Path) -> None:
        self._bare, self._tree = folder / "models.git", folder / "tree"
        self.url = ""
        """Where it can be cloned from."""
        self._fetched: dict[str, float] = {}
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(self._bare))
        _git("clone", "--quiet", str(self._bare), str(self._tree))
        self._in_tree("checkout", "--quiet", "-B", "main")

    def commit(self, files: Mapping[str, str | None]) -> str:
        """Write these files by their paths, or remove those that are None, and push; the commit."""
        for path, text in files.items():
            file = self._tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                file.unlink()
            else:
                file.write_text(text)
        self._in_tree("add", "--all")
        # The same content again is a commit as well: a revert of a revert.
        self._in_tree("commit", "--quiet", "--allow-empty", "--message", "As the test wants it")
        self._in_tree("push", "--quiet", "origin", "main")
        return self._in_tree("rev-parse", "HEAD").strip()

    def fetched(self, commit: str) -> float | None:
        """When it was first asked for, by time.monotonic(); None where it was not."""
        return self._fetched.get(commit)

    def _in_tree(self, *words: str) -> str:
        return _git("-C", str(self._tree), *words)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request, by CGI."""
        body = await request.read()
        for commit in _WANT.findall(body):
            self._fetched.setdefault(commit.decode(), time.monotonic())
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self._bare.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            # aiohttp has unpacked what came compressed.
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        done = await asyncio.to_thread(
            subprocess.run,
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            env=environment,
            check=True,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, headers=headers, body=content)


def _git(*words: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", *who, *words], capture_output=True, check=True, text=True)
    return done.stdout


@contextmanager
def served_repository(folder: Path) -> Iterator[GitRepository]:
    """A new one in `folder`, served while the context lasts."""
    repository = GitRepository(folder)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", repository.answer)
    with serving(app) as url:
        repository.url = f"{url}/models.git"
        yield repository
