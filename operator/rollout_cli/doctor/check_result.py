"""What a check came to, and what to do about it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ParamSpec

from rollout_cli.exit_codes import Failure, Refused

P = ParamSpec("P")


class Level(StrEnum):
    """How bad a result is."""

    GOOD = "good"
    UNKNOWN = "unknown"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check came to."""

    level: Level
    """BAD makes the command exit with 1."""
    what: str
    """What was looked at."""
    found: str
    """What was found, as a clause."""
    todo: str = ""
    """What to do about it; "" where nothing is."""


def good(what: str, found: str) -> CheckResult:
    """As it should be."""
    return CheckResult(Level.GOOD, what, found)


def bad(what: str, found: str, todo: str) -> CheckResult:
    """Rollouts do not work until this is mended."""
    return CheckResult(Level.BAD, what, found, todo)


def warning(what: str, found: str, todo: str) -> CheckResult:
    """Something does not work, or may not."""
    return CheckResult(Level.WARNING, what, found, todo)


def unknown(what: str, found: str) -> CheckResult:
    """Could not be looked at."""
    return CheckResult(Level.UNKNOWN, what, found)


def guarded(
    what: str, check: Callable[P, Iterator[CheckResult]], *args: P.args, **kwargs: P.kwargs
) -> Iterator[CheckResult]:
    """The results of a check; where it may not look or nobody answers, that."""
    try:
        yield from check(*args, **kwargs)
    except Refused as refused:
        yield unknown(what, f"could not be looked at: {refused}")
    except Failure as failure:
        yield bad(what, str(failure), "see that it answers, then run doctor again")


def plain(results: Sequence[CheckResult]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {"level": str(f.level), "what": f.what, "found": f.found, "todo": f.todo} for f in results
    ]
