"""The text of a pull request that takes a version out of a manifest again. Pure."""

import hashlib
import re
from collections.abc import Iterator
from enum import Enum

from rollout_bridge.mappings import RevertRule
from rollout_bridge.rollout_event import TakenBack
from rollout_cli.promotion.github import Commit
from rollout_cli.promotion.github_api import branch_name
from rollout_cli.promotion.markdown import code, table

TRAILER = "Reverts-Model-Version"
"""Of our commits: the version that each of them takes back, by which they are known again."""
_OURS = re.compile(rf"^{TRAILER}: (\S.*?)\s*$", re.MULTILINE)


class Goes(Enum):
    """What of the commit goes back, as a sentence."""

    ALL = "The file is as it was before that commit."
    NOT_LATER = "Only the version and its proof go back: later commits have changed the file, too."
    NOT_OTHERS = (
        "Only the version and its proof go back: that commit has changed something else in the"
        " file, too."
    )
    NOT_UNREADABLE = (
        "Only the version and its proof go back: the file could not be read as it was right before"
        " that commit."
    )


def taken_back_by(commits: list[Commit]) -> set[str]:
    """The versions that commits of ours took back."""
    return {uri for commit in commits for uri in _OURS.findall(commit.message)}


def branch_of(event: TakenBack, rule: RevertRule, base: str) -> str:
    """Made of what is taken back, in which attempt, and where: one rollback has one branch."""
    place = f"{rule.namespace}\n{rule.name}\n{rule.path}\n{base}\n{event.uri}"
    model, version = event.uri.removeprefix("models:/").rsplit("/", 1)
    known = f"{version}-attempt-{event.attempt}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
    return branch_name("rollback", rule.name, model, known)


def title_of(event: TakenBack, rule: RevertRule) -> str:
    """Also the commit's first line."""
    return f"{rule.named}: take {event.uri} back, {event.kind} in {event.place}"


def commit_message(event: TakenBack, rule: RevertRule, commit: Commit) -> str:
    """With the trailer that our own commits are known by. What a pod may have said is in the pull
    request alone, in quotes: in a commit it could mention people, close issues, and end in trailers
    of its own.
    """
    why = f"Reason: {event.reason}\n\n" if event.reason.isalnum() and event.reason.isascii() else ""
    return (
        f"{title_of(event, rule)}\n\nThis reverts commit {commit.sha} in {rule.path}.\n\n{why}"
        f"{TRAILER}: {event.uri}\n"
    )


def body_of(event: TakenBack, rule: RevertRule, commit: Commit, before: str, goes: Goes) -> str:
    """before: the version that is asked for again."""
    return "\n".join(_body(event, rule, commit, before, goes))


def _body(
    event: TakenBack, rule: RevertRule, commit: Commit, before: str, goes: Goes
) -> Iterator[str]:
    yield (
        f"ModelRollout {code(event.place)} has taken {code(event.uri)} back. {code(rule.path)}"
        f" still asks for it, since {commit.sha}, and is to ask for {code(before)} again."
        f" {goes.value}"
    )
    yield ""
    yield from table(
        ("what", "value"),
        [
            ("verdict", event.kind),
            ("reason", event.reason),
            ("why", event.message),
            ("attempt", str(event.attempt)),
        ],
    )
    if event.gates:
        yield ""
        yield from table(
            ("gate", "value", "threshold", "samples", "measurement"),
            [
                (
                    code(gate.metric),
                    "-" if gate.value is None else f"{gate.value:.4g}",
                    f"{gate.threshold:.4g}",
                    "-" if gate.samples is None else str(gate.samples),
                    gate.measurement,
                )
                for gate in event.gates
            ],
        )
    yield ""
    where = f"{event.name} -n {event.namespace}"
    yield f"The evidence: {code(f'kubectl modelrollout report {where}')}"
    if re.fullmatch(r"https?://[!-~]+", event.link):
        yield f"or {event.link}"
    yield ""
    yield (
        "Nothing is changed in the cluster by this: stable answers already. To try the version"
        f" again instead, close this and run {code(f'kubectl modelrollout retry {where}')}."
    )
