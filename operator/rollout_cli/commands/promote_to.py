"""`promote-to`: a pull request that asks another cluster's manifest for what was promoted here."""

import difflib
from dataclasses import dataclass

from rich.text import Text

from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.rollouts import read
from rollout_cli.exit_codes import Refused, WrongUsage
from rollout_cli.promotion.github import File, GitHub
from rollout_cli.promotion.github_api import is_path
from rollout_cli.promotion.manifest_edit import asked_for, edited
from rollout_cli.promotion.proof import Proof, model_of, proof_of
from rollout_cli.promotion.pull_request import PullRequest, pull_request
from rollout_cli.view.terminal import console
from rollout_operator.domain.promotion_proof import ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    name: str
    """NAME or mro/NAME, of the rollout that has promoted."""
    repository: str
    """OWNER/NAME on GitHub."""
    path: str
    """Of the manifest in it."""
    base: str | None
    """Branch that the pull request goes to; None for the repository's own."""
    named: str | None
    """Name of the ModelRollout in the manifest; None for the same name."""
    environment: str
    """What the cluster is called, for the text; "" for nothing."""
    dry_run: bool
    """Print the change and the text, and ask for nothing."""


def run(connection: Connection, request: Request) -> None:
    """Do it."""
    path = request.path.removeprefix("./")
    if not is_path(path):
        raise WrongUsage(f"{request.path!r} is no path in a repository: write prod/iris.yaml.")
    if request.environment and not ENVIRONMENT.fullmatch(request.environment):
        raise WrongUsage(
            f"--from {request.environment!r} is no name: write one as a label's value, such as"
            " staging, which a policy can ask for."
        )
    github = GitHub.of_environment(request.repository, writes=not request.dry_run)
    rollout = read(connection.open(), request.name)
    proof = proof_of(rollout, request.environment)
    named = request.named or rollout.name
    base = request.base or github.default_branch()
    head = github.head(base)
    there = github.file(path, base, head)
    after = _after(there, path, named, proof)
    out = console()
    if after == there.text:
        told = f"Nothing to do: {path} on {base} asks for {proof.uri} already, with its proof."
        out.print(told, soft_wrap=True)
        return
    asked = pull_request(proof, named, path, base)
    if request.dry_run:
        _show(asked, path, there.text, after)
        return
    if not github.branch(asked.branch, head):
        if url := github.open_request(asked.branch):
            out.print(f"It is asked for already: {url}", soft_wrap=True)
            return
        # A run before this one was cut off, or its pull request was closed.
        there = github.file(path, asked.branch)
        after = _after(there, path, named, proof)
    if written := after != there.text:
        github.write(path, asked.branch, there, after, f"{asked.title}\n\n{proof}\n")
    url = github.request(asked.branch, base, asked.title, asked.body, written=written)
    out.print(f"Asked for {proof.uri} in {path}: {url}", soft_wrap=True)


def _after(there: File, path: str, named: str, proof: Proof) -> str:
    """The manifest as it is to be; the same text where it asks for the version already, and has a
    proof of it.
    """
    now, before = asked_for(there.text, path, named)
    if now == proof.uri and proof.stands_in(before):
        return there.text
    after = edited(there.text, path, named, proof.uri, proof.annotations_over(before))
    if now and model_of(now) != proof.model:
        raise Refused(
            f"{path} asks for {now}, and {proof.uri} is another model: name another manifest, or"
            " another ModelRollout of it by --as."
        )
    return after


def _show(asked: PullRequest, path: str, before: str, after: str) -> None:
    out = console()
    for line in difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{path}", f"b/{path}", lineterm=""
    ):
        colour = {"+": "green", "-": "red"}.get(line[:1], "")
        out.print(Text(line, style=colour), soft_wrap=True)
    out.print(f"\nBranch: {asked.branch}\nTitle: {asked.title}\n\n{asked.body}", soft_wrap=True)
