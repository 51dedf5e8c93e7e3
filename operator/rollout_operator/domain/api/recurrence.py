"""When something recurs: RFC 5545's rules, read by python-dateutil, in a zone's local time.

Of a rule without any occurrence, dateutil ends its search in the year 9999 alone: seconds of a
loop that everybody waits for. Between 1901 and 2099 the calendar is the same again after 28 years,
and between 9901 and 9999 too, so rules are read as of the last years before 9971, which ends each
search within some 60 years and leaves dateutil room for the weeks that it makes whole. 9900 is no
leap year: what began too long ago for that is read as of 7,600 years later, when every day is the
same.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

PARTS = "INTERVAL|COUNT|UNTIL|WKST|BYDAY|BYMONTH|BYMONTHDAY|BYYEARDAY|BYWEEKNO|BYSETPOS"
"""Parts of a rule beside FREQ: what divides a day is the time of `start`."""
RULE = f"^((({PARTS})=[-+A-Z0-9,]+;)*FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;({PARTS})=[-+A-Z0-9,]+)*)$"
RULE_FORM = (
    "write a recurrence rule of RFC 5545 with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY, such as"
    " FREQ=WEEKLY;BYDAY=FR; the time of day is that of start"
)
FIRST, LAST = 2000, 2099
"""Years in which a rule may begin, and in which it is looked at."""
MOST = 1000
"""What INTERVAL and COUNT may be at most."""
_CYCLE = 28
_SAME_AS_2027 = 9971
"""Both begin on a Friday and are no leap years, and so do the years before, 1957 and 9901 on."""
_FIRST_ALIKE = 9901
_AGES = timedelta(days=19 * 146_097)
"""The calendar is the same again after 400 years of so many days."""
_LATER = timedelta(days=366 * 4)
"""How far after its start a rule has occurred once."""


class Recurrence:
    """A rule and its start in local time. Raises ValueError with a sentence for what is none, and
    for a rule that does not occur in four years.
    """

    def __init__(self, schedule: str, start: str, zone: str) -> None:
        self._zone = time_zone(zone)
        self._start = local_time(start)
        self._parts = _parts(schedule)
        self._until = _until(self._parts.pop("UNTIL", ""), self._zone)
        if next(self.since(self._start.replace(tzinfo=UTC) - _DAY, _LATER), None) is None:
            raise ValueError(
                f"{schedule} does not occur within four years of {start}: write another"
            )

    def since(self, moment: datetime, length: timedelta) -> Iterator[datetime]:
        """The occurrences from this moment on, for so long, in UTC and in order.

        A local time that there is not (a clock set forward) is taken by the offset before; of one
        that there is twice (a clock set back) the first (RFC 5545, 3.3.5).
        """
        from_, to = (self._local(m) - _DAY for m in (moment, moment + length + 2 * _DAY))
        if self._until is not None:
            to = min(to, self._until)
        if to < max(from_, self._start):
            return
        shift = _shift(self._start.year, to.year)
        ends = to + shift
        for one in takewhile(lambda one: one <= ends, self._rule(shift, from_)):
            found = (one - shift).replace(tzinfo=self._zone).astimezone(UTC)
            if moment <= found <= moment + length:
                yield found

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self._zone).replace(tzinfo=None)

    def _rule(self, shift: timedelta, from_: datetime) -> rrule:
        start = self._start
        period = {"DAILY": 1, "WEEKLY": 7}.get(self._parts["FREQ"])
        if period is not None and "COUNT" not in self._parts and start < from_:
            # Whole periods later it is the same rule, and sooner at what is asked for; one period
            # before, because of the first dateutil sees no more than what follows its start.
            apart = timedelta(days=period * int(self._parts.get("INTERVAL", "1")))
            start += max(0, (from_ - start) // apart - 1) * apart
        text = ";".join(f"{name}={value}" for name, value in self._parts.items())
        return _read(text, start + shift)


_DAY = timedelta(days=1)
RANGES = {"BYMONTH": 12, "BYMONTHDAY": 31, "BYYEARDAY": 366, "BYWEEKNO": 53, "BYSETPOS": 366}
"""How far the parts of a rule count, from the beginning or, below 0, from the end."""


def time_zone(name: str) -> ZoneInfo:
    """The zone of this name; raises ValueError where the time zone database has none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as unknown:
        raise ValueError(
            f"there is no time zone {name}: write one such as Europe/Berlin or UTC"
        ) from unknown


def local_time(text: str) -> datetime:
    """A local date and time; raises ValueError with what to write."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is not None or not FIRST <= read.year <= LAST - _CYCLE:
        raise ValueError(
            f"start is a local date and time after {FIRST}: write 2026-12-18T18:00 in place of"
            f" {text}"
        )
    return read


def _parts(schedule: str) -> dict[str, str]:
    if not re.fullmatch(RULE, schedule):
        raise ValueError(RULE_FORM)
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in schedule.split(";"))]
    parts = dict(pairs)
    if len(parts) < len(pairs):
        raise ValueError(f"{schedule} says something twice: {RULE_FORM}")
    if {"COUNT", "UNTIL"} <= parts.keys():
        raise ValueError(f"{schedule} has COUNT and UNTIL: write one of them")
    for name in ("INTERVAL", "COUNT"):
        value = parts.get(name, "1")
        if not value.isdigit() or not 1 <= int(value) <= MOST:
            raise ValueError(f"{name} is a whole number from 1 to {MOST}, and not {value}")
    for name, most in RANGES.items():
        for value in filter(None, parts.get(name, "").split(",")):
            if not re.fullmatch("[-+]?[0-9]{1,3}", value) or not 1 <= abs(int(value)) <= most:
                raise ValueError(f"{name} counts from 1 to {most}, and {value} is none of that")
    yearly = 5 if "BYMONTH" in parts else 53
    most = {"MONTHLY": 5, "YEARLY": yearly}.get(parts["FREQ"], 0)
    if any(int(n) > most for n in re.findall("[0-9]+", parts.get("BYDAY", ""))):
        raise ValueError(
            f"BYDAY={parts['BYDAY']} counts further than there are weeks: write MO, or 1MO or -1MO"
            " with FREQ=MONTHLY or YEARLY"
        )
    return parts


def _until(text: str, zone: ZoneInfo) -> datetime | None:
    """UNTIL in local time; a date ends with its day."""
    if not text:
        return None
    for form in ("%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S", "%Y%m%d"):
        try:
            read = datetime.strptime(text, form)
        except ValueError:
            continue
        if read.year > LAST:
            break
        if form.endswith("Z"):
            return read.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
        return read if "T" in form else read + _DAY - timedelta(seconds=1)
    raise ValueError(f"UNTIL={text} is no time: write 20271231T230000Z or 20271231")


def _read(text: str, start: datetime) -> rrule:
    try:
        rule = rrulestr(text, dtstart=start)
    except (ValueError, TypeError, IndexError, KeyError) as wrong:
        raise ValueError(f"{text} is no rule ({wrong}): {RULE_FORM}") from wrong
    if not isinstance(rule, rrule):
        raise ValueError(f"{text} is several rules: {RULE_FORM}")
    return rule


def _shift(first: int, last: int) -> timedelta:
    """How far these years are from some of the last before 9971 that have the same days."""
    cycles = -(-max(0, last - 2027) // _CYCLE)
    like_2027 = _SAME_AS_2027 - _CYCLE * cycles
    if first + like_2027 - 2027 < _FIRST_ALIKE:
        return _AGES
    return date(like_2027, 1, 1) - date(2027, 1, 1)
