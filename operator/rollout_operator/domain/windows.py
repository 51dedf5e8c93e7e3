"""Whether a rollout is frozen: its own windows, and those of the operator's configuration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

from pydantic import Field, TypeAdapter

from rollout_operator.domain.api.windows import Window, WindowKind
from rollout_operator.domain.configured import NamespacePattern, from_json, is_for

HORIZON = timedelta(days=400)
"""How far windows are looked for: a freeze at each turn of the year is seen before it comes."""
EXAMPLE = (
    '[{"schedule": "FREQ=WEEKLY;BYDAY=FR", "start": "2026-01-02T18:00", "timeZone":'
    ' "Europe/Berlin", "duration": "62h"}]'
)
Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Freeze:
    """Whether no step is taken and nothing promoted now, and when that changes."""

    active: bool = False
    """Whether it is so now."""
    until: datetime | None = None
    """When it ends; None where it is not active, or lasts longer than HORIZON."""
    begins: datetime | None = None
    """When it is next so; None for not within HORIZON."""
    why: str = ""
    """Which windows have it so now, in words; "" where it is not active."""


NEVER = Freeze()


class ConfiguredWindow(Window, extra="forbid"):
    """A window of the operator's configuration."""

    namespaces: tuple[NamespacePattern, ...] = Field(("*",), min_length=1)
    """Patterns of namespaces (`ml-*`) whose rollouts it is for."""


_READER = TypeAdapter(tuple[ConfiguredWindow, ...])


def windows(text: str) -> tuple[ConfiguredWindow, ...]:
    """The windows of ROLLOUT_WINDOWS, a JSON list; none for "". Raises ValueError."""
    if not text.strip():
        return ()
    return from_json("ROLLOUT_WINDOWS", text, list, _READER, EXAMPLE)


def for_namespace(given: Iterable[ConfiguredWindow], namespace: str) -> tuple[Window, ...]:
    """Those of the configuration that are for rollouts of this namespace."""
    return tuple(window for window in given if is_for(namespace, window.namespaces))


def freeze_at(now: datetime, *lists: Sequence[Window]) -> Freeze:
    """What these windows say of `now`. Each list is judged by itself, so that a rollout's own Allow
    opens nothing that the configuration does not.
    """
    given = tuple(tuple(one) for one in lists if one)
    if not given:
        return NEVER
    day = datetime.combine(now.astimezone(UTC).date(), time(), tzinfo=UTC)
    frozen, whys = _frozen_from(given, day)
    ends = day + HORIZON
    for number, (begin, end) in enumerate(frozen):
        if now < begin:
            return Freeze(begins=begin)
        if now < end:
            after = frozen[number + 1][0] if number + 1 < len(frozen) else None
            why = " and ".join(text for (b, e), text in whys if b <= now < e)
            return Freeze(active=True, until=end if end < ends else None, begins=after, why=why)
    return NEVER


@lru_cache(maxsize=512)
def _frozen_from(
    lists: tuple[tuple[Window, ...], ...], day: datetime
) -> tuple[tuple[Interval, ...], tuple[tuple[Interval, str], ...]]:
    """From when to when it is frozen, from this day on: together, and for which windows."""
    whys = list[tuple[Interval, str]]()
    for given in lists:
        allowed, any_allow = list[Interval](), False
        for window in given:
            found = window.open_since(day, HORIZON)
            if window.kind is WindowKind.ALLOW:
                any_allow = True
                allowed += found
            else:
                whys += [(one, f"window {window}") for one in found]
        if any_allow:
            names = " or ".join(f"window {w}" for w in given if w.kind is WindowKind.ALLOW)
            closed = _between(_merged(allowed), day, day + HORIZON)
            whys += [(one, f"outside of {names}") for one in closed]
    return tuple(_merged([one for one, _ in whys])), tuple(whys)


def _merged(intervals: list[Interval]) -> list[Interval]:
    """The same times as intervals that do not touch, in order."""
    merged = list[Interval]()
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _between(intervals: list[Interval], begin: datetime, end: datetime) -> list[Interval]:
    """What of the time from `begin` to `end` is in none of these, which are in order."""
    gaps, last = list[Interval](), begin
    for opens, closes in intervals:
        if opens > last:
            gaps.append((last, opens))
        last = max(last, closes)
    return [*gaps, (last, end)] if last < end else gaps
