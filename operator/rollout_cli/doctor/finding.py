"""What a check finds, and what to do about it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout_cli.exit_codes import Failure, Refused


class Level(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    UNKNOWN = "unknown"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it ("" where nothing is)."""

    level: Level
    what: str
    found: str
    todo: str = ""


def good(what: str, found: str) -> Finding:
    """As it should be."""
    return Finding(Level.GOOD, what, found)


def bad(what: str, found: str, todo: str) -> Finding:
    """Rollouts do not work until this is mended."""
    return Finding(Level.BAD, what, found, todo)


def warning(what: str, found: str, todo: str) -> Finding:
    """Something does not work, or may not."""
    return Finding(Level.WARNING, what, found, todo)


def unknown(what: str, found: str) -> Finding:
    """Could not be looked at."""
    return Finding(Level.UNKNOWN, what, found)


def guarded(what: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check; where it may not look or nobody answers, that."""
    try:
        yield from check()
    except Refused as refused:
        yield unknown(what, f"could not be looked at: {refused}")
    except Failure as failure:
        yield bad(what, str(failure), "see that it answers, then run doctor again")


def plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {"level": str(f.level), "what": f.what, "found": f.found, "todo": f.todo} for f in findings
    ]
