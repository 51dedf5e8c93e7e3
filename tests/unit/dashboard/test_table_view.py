"""Filter, order and pages of the table; and the address of each view."""

from urllib.parse import parse_qsl

import pytest

from rollout_dashboard.rows import Row
from rollout_dashboard.table_view import PAGE, Sort, View, page
from rollout_dashboard.waiting import Group
from tests.support.builders import at
from tests.unit.dashboard.builders import row

ROWS = (
    row("done"),
    row("rolled", group=Group.ROLLED_BACK, phase="RolledBack", since=at(5)),
    row("young", group=Group.TRIAL, phase="Trial", weight=50, since=at(9), waits="step 2 of 2"),
    row("old", group=Group.TRIAL, phase="Trial", weight=10, since=at(1), waits="evidence"),
    row("halted", group=Group.PERSON, phase="Trial", weight=5, nearness=1.0, gate="accuracy"),
    row("other", namespace="team-b", candidate="fraud/7", nearness=0.4, gate="errorRate"),
)
ORDERS = {
    Sort.ATTENTION: ["halted", "old", "young", "rolled", "done", "other"],
    Sort.NAME: ["done", "halted", "old", "rolled", "young", "other"],
    Sort.WEIGHT: ["young", "old", "halted", "done", "rolled", "other"],
    Sort.GATE: ["halted", "other", "done", "old", "rolled", "young"],
    Sort.WAITING: ["old", "young", "done", "halted", "other", "rolled"],
}


def names(view: View, rows: tuple[Row, ...] = ROWS) -> list[str]:
    return [row.name for row in page(view, rows).rows]


@pytest.mark.parametrize(("sort", "expected"), ORDERS.items(), ids=ORDERS)
def test_the_order_is(sort: Sort, expected: list[str]) -> None:
    assert names(View(sort=sort)) == expected


FILTERS = {
    "a namespace": (View(namespace="team-b"), {"other"}),
    "a phase": (View(phase="RolledBack"), {"rolled"}),
    "a group": (View(phase="trial"), {"young", "old"}),
    "a version, in any case": (View(text="FRAUD/7"), {"other"}),
    "two words, both of them": (View(text="trial evidence"), {"old"}),
    "what nobody has": (View(text="nothing such"), set[str]()),
}


@pytest.mark.parametrize(("view", "expected"), FILTERS.values(), ids=FILTERS)
def test_a_filter_shows_only(view: View, expected: set[str]) -> None:
    assert set(names(view)) == expected


def test_pages_are_as_long_as_said_and_a_page_too_far_is_the_last() -> None:
    many = tuple(row(f"r{n:04}") for n in range(2 * PAGE + 1))
    assert [len(page(View(page=n), many).rows) for n in (1, 2, 3)] == [PAGE, PAGE, 1]
    assert page(View(page=99), many).number == 3
    assert len(page(View(whole=True), many).rows) == len(many)
    assert page(View(), ()).pages == 1


VIEWS = {
    "all": "",
    "everything said": "q=iris+trial&namespace=a&phase=Trial&sort=weight&page=3",
    "one page": "rows=all",
}


@pytest.mark.parametrize("query", VIEWS.values(), ids=VIEWS)
def test_a_view_has_one_address(query: str) -> None:
    assert View.read(dict(parse_qsl(query))).query() == query


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=x", "page=99999999", "sort=sideways", "rows=some", "page=²"],
)
def test_what_cannot_be_read_counts_as_not_said(query: str) -> None:
    assert View.read(dict(parse_qsl(query))).query() == ""


def test_the_groups_are_counted_over_all_pages() -> None:
    assert page(View(), ROWS).groups == {
        Group.PERSON: 1,
        Group.TRIAL: 2,
        Group.ROLLED_BACK: 1,
        Group.REST: 2,
    }
