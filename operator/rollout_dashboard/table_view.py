"""Which rows of the table a viewer looks at, and in which order. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self
from urllib.parse import urlencode

from rollout_dashboard.rows import Row
from rollout_dashboard.waiting import ORDER, Group

PAGE = 100
"""Rows of a page."""
_NEVER = datetime.max.replace(tzinfo=UTC)


class Sort(StrEnum):
    """An order of the table."""

    ATTENTION = "attention"
    """Those that wait for a person, on trial, rolled back, the rest; in each the longest first."""
    NAME = "name"
    """By namespace and name."""
    PHASE = "phase"
    """By phase."""
    WEIGHT = "weight"
    """The greatest share of the candidate first."""
    GATE = "gate"
    """The gate nearest to failing first."""
    WAITING = "waiting"
    """The longest wait first."""


@dataclass(frozen=True, slots=True)
class View:
    """What a URL of the table asks for."""

    text: str = ""
    """Words that must all be in namespace, name, versions or sentence."""
    namespace: str = ""
    """Only this namespace; "" for all."""
    phase: str = ""
    """Only this phase, or this group; "" for all."""
    sort: Sort = Sort.ATTENTION
    """The order."""
    page: int = 1
    """From 1."""
    whole: bool = False
    """All rows on one page."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """Of a query string; what cannot be read counts as not said."""
        page, sort = query.get("page", "1"), query.get("sort", "")
        return cls(
            text=query.get("q", "").strip()[:200],
            namespace=query.get("namespace", "").strip()[:63],
            phase=query.get("phase", "").strip()[:32],
            sort=Sort(sort) if sort in set(Sort) else Sort.ATTENTION,
            page=max(1, int(page)) if page.isdecimal() and len(page) < 7 else 1,
            whole=query.get("rows") == "all",
        )

    def query(self, **changes: object) -> str:
        """The query string of this view, or of it changed; without what is usual."""
        view = replace(self, **changes)  # type: ignore[arg-type]
        said = {
            "q": view.text,
            "namespace": view.namespace,
            "phase": view.phase,
            "sort": "" if view.sort is Sort.ATTENTION else str(view.sort),
            "page": "" if view.page == 1 else str(view.page),
            "rows": "all" if view.whole else "",
        }
        return urlencode({name: value for name, value in said.items() if value})


@dataclass(frozen=True, slots=True)
class Page:
    """The rows that a view shows."""

    rows: tuple[Row, ...]
    """In order."""
    matching: int
    """How many match the filter."""
    total: int
    """How many there are."""
    groups: Mapping[Group, int]
    """How many of those that match are in each group."""
    number: int
    """Of this page, from 1."""
    pages: int
    """How many pages there are; at least 1."""


def page(view: View, rows: Iterable[Row]) -> Page:
    """What this view shows of these rows."""
    everything = list(rows)
    found = sorted((row for row in everything if _matches(view, row)), key=_KEYS[view.sort])
    pages = 1 if view.whole else max(1, -(-len(found) // PAGE))
    number = min(view.page, pages)
    shown = found if view.whole else found[(number - 1) * PAGE : number * PAGE]
    groups = dict.fromkeys(Group, 0)
    for row in found:
        groups[row.group] += 1
    return Page(tuple(shown), len(found), len(everything), groups, number, pages)


def _matches(view: View, row: Row) -> bool:
    if view.namespace and row.namespace != view.namespace:
        return False
    if view.phase and view.phase not in {row.phase, row.group}:
        return False
    if not view.text:
        return True
    said = f"{row.id} {row.stable} {row.candidate} {row.phase} {row.gate} {row.waits}".lower()
    return all(word in said for word in view.text.lower().split())


def _place(row: Row) -> tuple[str, str]:
    return row.namespace, row.name


_KEYS = {
    Sort.ATTENTION: lambda row: (
        (ORDER[row.group], row.since or _NEVER, _place(row))
        if row.group is not Group.REST
        else (ORDER[row.group], _NEVER, _place(row))
    ),
    Sort.NAME: _place,
    Sort.PHASE: lambda row: (row.phase, _place(row)),
    Sort.WEIGHT: lambda row: (
        (-1 if row.weight is None else -row.weight - 1, _place(row))
        if row.weight is not None
        else (0, _place(row))
    ),
    Sort.GATE: lambda row: (-row.nearness, not row.gate, _place(row)),
    Sort.WAITING: lambda row: (not row.waits, row.since or _NEVER, _place(row)),
}
