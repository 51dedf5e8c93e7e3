"""Recurrence rules: what they mean is what dateutil says of them, in bounded time; where clocks
change, what RFC 5545 says.
"""

import re
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_operator.domain.api.recurrence import Recurrence

DAYS = st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"])


@st.composite
def rules(draw: st.DrawFn) -> str:
    """A rule of any parts, that may come to nothing."""
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={freq}"]
    if draw(st.booleans()):
        parts.append(f"INTERVAL={draw(st.integers(1, 9))}")
    match draw(st.sampled_from(["", "COUNT", "UNTIL"])):
        case "COUNT":
            parts.append(f"COUNT={draw(st.integers(1, 60))}")
        case "UNTIL":
            until = draw(st.datetimes(datetime(2001, 1, 1), datetime(2060, 1, 1)))
            parts.append(f"UNTIL={until:%Y%m%dT%H%M%S}")
    if draw(st.booleans()):
        ordinals = st.sampled_from(["", "1", "-1", "5"] if freq in {"MONTHLY", "YEARLY"} else [""])
        days = draw(st.lists(st.tuples(ordinals, DAYS), min_size=1, max_size=3, unique=True))
        parts.append("BYDAY=" + ",".join(n + day for n, day in days))
        if freq in {"MONTHLY", "WEEKLY"} and draw(st.booleans()):
            parts.append(f"BYSETPOS={draw(st.sampled_from([1, -1, 2]))}")
    if draw(st.booleans()):
        months = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True))
        parts.append("BYMONTH=" + ",".join(map(str, months)))
    if draw(st.booleans()):
        parts.append(f"BYMONTHDAY={draw(st.sampled_from([1, 15, 29, 31, -1]))}")
    if draw(st.booleans()):
        parts.append("WKST=SU")
    return ";".join(parts)


@settings(deadline=None, max_examples=60)
@given(
    rules(),
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)).map(
        lambda d: d.replace(second=0, microsecond=0)
    ),
    st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1)),
)
def test_a_rule_means_what_it_means_to_dateutil(
    rule: str, start: datetime, moment: datetime
) -> None:
    try:
        found = Recurrence(rule, start.isoformat(), "UTC")
    except ValueError:
        four = rrulestr(rule, dtstart=start).between(start, start + timedelta(days=1460), inc=True)
        assert four == []
        return
    ends = moment + timedelta(days=500)
    theirs = takewhile(lambda one: one <= ends, rrulestr(rule, dtstart=start))
    ours = found.since(moment.replace(tzinfo=UTC), timedelta(days=500))
    assert list(ours) == [one.replace(tzinfo=UTC) for one in theirs if one >= moment]


OLD: dict[str, tuple[str, str, str]] = {
    "months": ("FREQ=MONTHLY", "2000-01-01T00:00", "2055-01-01"),
    "months, whose first day was a leap year's": ("FREQ=MONTHLY", "2012-02-29T08:00", "2056-01-01"),
    "years": ("FREQ=YEARLY;INTERVAL=3", "2012-03-01T08:00", "2056-01-01"),
    "weekdays, counted": ("FREQ=DAILY;COUNT=1000;INTERVAL=20", "2001-05-04T08:00", "2055-03-01"),
    "the last Friday, a century later": (
        "FREQ=MONTHLY;BYDAY=-1FR",
        "2040-01-01T08:00",
        "2098-01-01",
    ),
}


@pytest.mark.parametrize(("rule", "start", "moment"), OLD.values(), ids=OLD.keys())
def test_a_rule_that_began_long_ago_means_the_same(rule: str, start: str, moment: str) -> None:
    since, length = datetime.fromisoformat(moment), timedelta(days=500)
    theirs = rrulestr(rule, dtstart=datetime.fromisoformat(start)).between(
        since, since + length, inc=True
    )
    assert len(theirs) > 0
    ours = Recurrence(rule, start, "UTC").since(since.replace(tzinfo=UTC), length)
    assert list(ours) == [one.replace(tzinfo=UTC) for one in theirs]


CHANGES: dict[str, tuple[str, str, str, list[str]]] = {
    "Berlin, over the end of summer time": (
        "FREQ=WEEKLY;BYDAY=FR",
        "2026-01-02T18:00",
        "Europe/Berlin",
        ["2026-10-23T16:00", "2026-10-30T17:00"],
    ),
    "Berlin, in the hour that there is not: the offset before": (
        "FREQ=DAILY;COUNT=3",
        "2026-03-28T02:30",
        "Europe/Berlin",
        ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"],
    ),
    "Berlin, in the hour that there is twice: the first": (
        "FREQ=DAILY;COUNT=3",
        "2026-10-24T02:30",
        "Europe/Berlin",
        ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"],
    ),
    "New York, in the hour that there is not": (
        "FREQ=DAILY;COUNT=2",
        "2026-03-07T02:15",
        "America/New_York",
        ["2026-03-07T07:15", "2026-03-08T07:15"],
    ),
    "New York, in the hour that there is twice": (
        "FREQ=DAILY;COUNT=2",
        "2026-10-31T01:15",
        "America/New_York",
        ["2026-10-31T05:15", "2026-11-01T05:15"],
    ),
    "Lord Howe, whose clocks change by half an hour": (
        "FREQ=DAILY;COUNT=3",
        "2026-10-03T02:10",
        "Australia/Lord_Howe",
        ["2026-10-02T15:40", "2026-10-03T15:40", "2026-10-04T15:10"],
    ),
    "Kathmandu, which has no summer time": (
        "FREQ=DAILY;COUNT=1",
        "2026-06-01T00:00",
        "Asia/Kathmandu",
        ["2026-05-31T18:15"],
    ),
    "until a time in UTC": (
        "FREQ=DAILY;UNTIL=20261025T000000Z",
        "2026-10-24T01:00",
        "Europe/Berlin",
        ["2026-10-23T23:00", "2026-10-24T23:00"],
    ),
    "weeks, past the end of their year": (
        "FREQ=WEEKLY;BYDAY=SA,SU",
        "2027-12-25T08:00",
        "UTC",
        ["2027-12-25T08:00", "2027-12-26T08:00", "2028-01-01T08:00", "2028-01-02T08:00"],
    ),
    "until a day, with all of it": (
        "FREQ=DAILY;UNTIL=20261025",
        "2026-10-24T23:00",
        "Europe/Berlin",
        ["2026-10-24T21:00", "2026-10-25T22:00"],
    ),
}


@pytest.mark.parametrize("rule", ["FREQ=WEEKLY;BYDAY=SA,SU;UNTIL=20271231", "FREQ=WEEKLY"])
def test_every_day_can_be_asked_from(rule: str) -> None:
    """dateutil makes the last week whole, which must not reach into a year that there is not."""
    found, day = Recurrence(rule, "2026-01-03T08:00", "UTC"), datetime(2026, 11, 15, tzinfo=UTC)
    for n in range(420):
        since = day + timedelta(days=n)
        assert all(one >= since for one in found.since(since, timedelta(days=400)))


@pytest.mark.parametrize(
    ("rule", "start", "zone", "expected"), CHANGES.values(), ids=CHANGES.keys()
)
def test_where_clocks_change(rule: str, start: str, zone: str, expected: list[str]) -> None:
    first = datetime.fromisoformat(expected[0]).replace(tzinfo=UTC)
    length = datetime.fromisoformat(expected[-1]).replace(tzinfo=UTC) - first
    found = [f"{one:%Y-%m-%dT%H:%M}" for one in Recurrence(rule, start, zone).since(first, length)]
    assert found == expected


WRONG: dict[str, tuple[str, str, str, str]] = {
    "no rule": ("every Friday", "2026-01-02T18:00", "UTC", "write a recurrence rule of RFC 5545"),
    "each second": ("FREQ=SECONDLY", "2026-01-02T18:00", "UTC", "FREQ=DAILY, WEEKLY, MONTHLY"),
    "a time of day": ("FREQ=DAILY;BYHOUR=3", "2026-01-02T18:00", "UTC", "the time of day is that"),
    "a line of its own": ("FREQ=DAILY\n", "2026-01-02T18:00", "UTC", "write a recurrence rule"),
    "30 February": (
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "2026-01-02T18:00",
        "UTC",
        "does not occur within four years of 2026-01-02T18:00",
    ),
    "a Monday each week after a Friday": (
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "2026-01-02T18:00",
        "UTC",
        "does not occur",
    ),
    "over before it begins": ("FREQ=DAILY;UNTIL=20250101", "2026-01-02T18:00", "UTC", "not occur"),
    "no interval": ("FREQ=DAILY;INTERVAL=0", "2026-01-02T18:00", "UTC", "from 1 to 1000"),
    "a huge interval": ("FREQ=DAILY;INTERVAL=99999", "2026-01-02T18:00", "UTC", "from 1 to 1000"),
    "two ends": ("FREQ=DAILY;COUNT=1;UNTIL=20270101", "2026-01-02T18:00", "UTC", "one of them"),
    "a part twice": ("FREQ=DAILY;COUNT=1;COUNT=2", "2026-01-02T18:00", "UTC", "something twice"),
    "no such day": ("FREQ=WEEKLY;BYDAY=XX", "2026-01-02T18:00", "UTC", "is no rule"),
    "a week too far": ("FREQ=MONTHLY;BYDAY=9MO", "2026-01-02T18:00", "UTC", "than there are weeks"),
    "day nought": ("FREQ=MONTHLY;BYMONTHDAY=0", "2026-01-02T18:00", "UTC", "from 1 to 31"),
    "an end that is no time": (
        "FREQ=DAILY;UNTIL=soon",
        "2026-01-02T18:00",
        "UTC",
        "recurrence rule",
    ),
    "an end in eternity": ("FREQ=DAILY;UNTIL=99991231", "2026-01-02T18:00", "UTC", "is no time"),
    "no such zone": ("FREQ=DAILY", "2026-01-02T18:00", "Europe/Bonn", "no time zone Europe/Bonn"),
    "a zone that is a path": ("FREQ=DAILY", "2026-01-02T18:00", "../../etc/passwd", "no time zone"),
    "a zone that is a folder": ("FREQ=DAILY", "2026-01-02T18:00", "Europe", "no time zone"),
    "no time": ("FREQ=DAILY", "Friday", "UTC", "write 2026-12-18T18:00"),
    "a day that there is not": ("FREQ=DAILY", "2026-02-30T18:00", "UTC", "local date and time"),
    "a time with a zone": ("FREQ=DAILY", "2026-01-02T18:00Z", "UTC", "local date and time"),
    "long ago": ("FREQ=DAILY", "1970-01-01T00:00", "UTC", "after 2000"),
}


@pytest.mark.parametrize(("rule", "start", "zone", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_rule_is_told(rule: str, start: str, zone: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Recurrence(rule, start, zone)
