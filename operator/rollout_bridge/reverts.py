"""After a rollback: a pull request that takes the commit back which brought the version."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, timedelta

from rollout_bridge.mappings import Mappings, RevertRule
from rollout_bridge.outcome import Outcome, Result
from rollout_bridge.revert_text import (
    TRAILER,
    Goes,
    body_of,
    branch_of,
    commit_message,
    taken_back_by,
    title_of,
)
from rollout_bridge.rollout_event import TakenBack
from rollout_cli.exit_codes import Absent, Failure, Refused, Unreachable
from rollout_cli.promotion.github import Commit, File, GitHub
from rollout_cli.promotion.manifest_edit import asked_for, beside, edited
from rollout_operator.domain.api.names import PROMOTED, PROOF

SKEW = timedelta(minutes=5)
"""How far the clocks of a cluster and of who commits may be apart."""
MOST_COMMITS = 20
"""How far back the commit is looked for that brought a version."""


@dataclass(frozen=True, slots=True)
class _Brought:
    """How a version came into a manifest."""

    commit: Commit
    """Which brought it."""
    after: str
    """The file with that commit."""
    before: str
    """The file before it."""
    uri: str
    """What it asked for before."""
    gap: bool
    """Whether between the two there is one that cannot be read."""


class _NothingToDoError(Exception):
    """Why there is nothing to ask for, as a sentence."""


@dataclass
class Reverts:
    """Asks GitHub. What is asked for stands in GitHub alone, so that it is asked once, whoever is
    told how often.
    """

    mappings: Mappings
    """Which rollouts have their manifests where."""
    connect: Callable[[str], GitHub]
    """A client for one repository, OWNER/NAME."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def request(self, event: TakenBack) -> Result:
        """Ask for what follows from a rollback; never raises for what GitHub does."""
        rule = self.mappings.revert_of(event.namespace, event.name)
        if rule is None:
            return Result(Outcome.IGNORED, f"No revert is configured for {event.place}.")
        async with self._locks.setdefault(str(rule), asyncio.Lock()):
            try:
                # urllib3 blocks, and has time limits of its own.
                url = await asyncio.to_thread(_ask, self.connect(rule.repository), rule, event)
            except _NothingToDoError as said:
                return Result(Outcome.IGNORED, f"{rule}: {said}")
            except Unreachable as failure:
                return Result(Outcome.UNAVAILABLE, f"{rule}: {failure}")
            except Failure as failure:
                return Result(Outcome.REFUSED, f"{rule}: {failure}")
        return Result(Outcome.OPENED, f"{rule}: asked to take {event.uri} back: {url}")


def _ask(github: GitHub, rule: RevertRule, event: TakenBack) -> str:
    """URL of the pull request. Raises _NothingToDoError, and Failure for what GitHub says."""
    if event.stable == event.uri:
        raise _NothingToDoError(f"{event.uri} is stable by now, so Git is right to ask for it.")
    base = rule.base or github.default_branch()
    head, branch = github.head(base), branch_of(event, rule, base)
    now = github.file(rule.path, base, head)
    uri, _ = asked_for(now.text, rule.path, rule.named)
    if uri != event.uri:
        asks = f"asks for {uri}" if uri else f"has no ModelRollout {rule.named!r}"
        raise _NothingToDoError(f"the file on {base} {asks}, not for {event.uri}.")
    pulls = github.pulls(branch)
    if pulls:
        said = "is asked for already" if pulls[0].is_open else "was asked for, and closed"
        raise _NothingToDoError(f"to take {event.uri} back {said}: {pulls[0].url}")
    commits = github.commits(rule.path, base, head, MOST_COMMITS)
    brought = _brought(github, rule, base, event.uri, commits)
    if event.at is not None and brought.commit.at > event.at + SKEW:
        raise _NothingToDoError(
            f"{brought.commit.sha} asked for {event.uri} after that rollback, at"
            f" {brought.commit.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: it is another request."
        )
    if TRAILER in brought.commit.message or brought.uri in taken_back_by(commits):
        raise _NothingToDoError(
            f"{brought.uri} was taken back before, so it is not asked for again: a person decides."
        )
    goes = _goes(now, rule, brought)
    if not github.branch(branch, head):
        # A run before this one was cut off: before it wrote, or after.
        now = github.file(rule.path, branch)
    uri, _ = asked_for(now.text, rule.path, rule.named)
    if written := uri == event.uri:
        goes = _goes(now, rule, brought)
        text = brought.before if goes is Goes.ALL else _back(now, rule, brought)
        message = commit_message(event, rule, brought.commit)
        github.write(rule.path, branch, now, text, message)
    body = body_of(event, rule, brought.commit, brought.uri, goes)
    return github.request(branch, base, title_of(event, rule), body, written=written)


def _brought(
    github: GitHub, rule: RevertRule, base: str, uri: str, commits: list[Commit]
) -> _Brought:
    """The newest commit with which the file began to ask for the version, which it does now."""
    later: tuple[Commit, str] | None = None
    gap = False
    for commit in commits:
        try:
            text = github.file(rule.path, base, commit.sha).text
            asked, _ = asked_for(text, rule.path, rule.named)
        except Absent:
            # With this commit it was taken away, and it came back with the one after it.
            break
        except Refused:
            gap = True
            continue
        if asked == uri:
            later, gap = (commit, text), False
        elif later is None or not asked:
            break
        else:
            return _Brought(*later, text, asked, gap)
    if later is None:
        raise Unreachable(
            f"GitHub does not list yet the commit by which {rule.path} on {base} asks for {uri}."
            " Try again later."
        )
    raise _NothingToDoError(
        f"none of the last {MOST_COMMITS} commits of the file has brought {uri} in place of another"
        " version."
    )


def _goes(now: File, rule: RevertRule, brought: _Brought) -> Goes:
    """What of the commit may go back without anything else."""
    if now.text != brought.after:
        return Goes.NOT_LATER
    if brought.gap:
        return Goes.NOT_UNREADABLE
    after, before = (beside(one, rule.path, rule.named) for one in (brought.after, brought.before))
    return Goes.ALL if after == before else Goes.NOT_OTHERS


def _back(now: File, rule: RevertRule, brought: _Brought) -> str:
    """The file as it is now, with the version and the proof of before."""
    uri, there = asked_for(brought.before, rule.path, rule.named)
    _, ours = asked_for(now.text, rule.path, rule.named)
    proof = {key: there.get(key, "") for key in (PROMOTED, PROOF) if key in {**there, **ours}}
    return edited(now.text, rule.path, rule.named, uri, proof)
