"""The base of every value that crosses the API, and the scalar types the fields are made of."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

DURATION = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
_UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}


class ApiModel(BaseModel):
    """A frozen value with camelCase names on the wire; fields it does not know are left out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_api(self) -> dict[str, Any]:
        """The value as the API stores it: JSON types, camelCase, without empty fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def cel(rule: str, message: str) -> dict[str, Any]:
    """A CEL rule for the CRD: admission refuses the object with `message` where `rule` is false."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message}]}


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `30s`, `10m` or `1h30m`.

    Raises ValueError for anything else, the empty text included.
    """
    if not text or not re.fullmatch(DURATION, text):
        raise ValueError(f"{text!r} is no duration: write 30s, 10m or 1h30m")
    return sum((timedelta(**{_UNITS[unit]: int(n)}) for n, unit in re.findall(r"([0-9]+)([hms])", text)), timedelta())


def _checked(text: str) -> str:
    parse_duration(text)
    return text


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Duration = Annotated[
    str,
    AfterValidator(_checked),
    Field(
        max_length=16,
        json_schema_extra=cel(f"size(self) > 1 && self.matches('{DURATION}')", "write a duration such as 30s, 10m or 1h30m"),
    ),
]
"""A length of time as people write it; `parse_duration` gives the timedelta."""

Moment = Annotated[
    datetime,
    AfterValidator(_utc),
    PlainSerializer(lambda moment: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), return_type=str, when_used="json"),
]
"""A point in time, UTC, milliseconds on the wire (RFC 3339)."""
