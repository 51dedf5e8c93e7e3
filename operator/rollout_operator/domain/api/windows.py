"""Times in which nothing goes further, or only in which it does: what a person writes of them."""

from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Self

from pydantic import Field, model_validator

from rollout_operator.domain.api.api_types import ApiModel, Duration, between, cel
from rollout_operator.domain.api.recurrence import RULE, RULE_FORM, Recurrence

LOCAL = "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$"
ZONE = "^[A-Za-z][-+A-Za-z0-9_]*(/[A-Za-z0-9][-+A-Za-z0-9_]*)*$"
MOST_WINDOWS = 10


class WindowKind(StrEnum):
    """What a window does."""

    DENY = "Deny"
    """Frozen as long as it is open."""
    ALLOW = "Allow"
    """Frozen as long as neither this nor another one of its list is open."""


class Window(ApiModel):
    """A time that recurs. Raises ValueError, with a sentence, for a rule that is none or never
    occurs: the CRD cannot say all of that.
    """

    kind: WindowKind = Field(
        WindowKind.DENY,
        description=(
            "Deny: frozen while it is open. Allow: frozen while no window of this kind is open."
        ),
    )
    schedule: str = Field(
        max_length=256,
        description=(
            "When it opens: a recurrence rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=FR. The time"
            " of day is that of start."
        ),
        json_schema_extra=cel(f"self.matches('{RULE}')", RULE_FORM),
    )
    start: str = Field(
        max_length=19,
        description="The first day and the time of day, local: 2026-12-18T18:00.",
        json_schema_extra=cel(
            f"self.matches('{LOCAL}')",
            "start is a local date and time: write it as 2026-12-18T18:00",
        ),
    )
    time_zone: str = Field(
        "UTC",
        max_length=64,
        description="The zone of these times, as the time zone database calls it: Europe/Berlin.",
        json_schema_extra=cel(
            f"self.matches('{ZONE}')", "write a time zone such as Europe/Berlin or UTC"
        ),
    )
    duration: Duration = Field(
        description="How long it stays open, in time that passes, however clocks change.",
        json_schema_extra=cel(
            between("1m"), "write a duration from 1m to a year (8760h), such as 8h"
        ),
    )

    @property
    def recurrence(self) -> Recurrence:
        """The rule, read. Raises ValueError."""
        return _recurrence(self.schedule, self.start, self.time_zone)

    def open_since(self, moment: datetime, length: timedelta) -> list[tuple[datetime, datetime]]:
        """From when to when it is open, UTC, in so long from this moment on."""
        begins = self.recurrence.since(moment - self.duration, length + self.duration)
        return [(one, one + self.duration) for one in begins if one + self.duration > moment]

    def __str__(self) -> str:
        return f"{self.kind} {self.schedule} {self.start} {self.time_zone} for {self.duration}"

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if not timedelta(minutes=1) <= self.duration:
            raise ValueError("duration is too short: write 1m at least")
        _recurrence(self.schedule, self.start, self.time_zone)
        return self


def _recurrence(schedule: str, start: str, zone: str) -> Recurrence:
    known = _known(schedule, start, zone)
    if isinstance(known, str):
        raise ValueError(known)
    return known


@lru_cache(maxsize=1024)
def _known(schedule: str, start: str, zone: str) -> Recurrence | str:
    """The rule, or what is wrong with it: to find that out may take a tenth of a second, and what
    is wrong is read at every look.
    """
    try:
        return Recurrence(schedule, start, zone)
    except ValueError as wrong:
        return str(wrong)
