"""The base of every value that crosses the API, and the scalar types the fields are made of."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

DURATION = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
LONGEST = timedelta(days=365)
NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""What Kubernetes takes as the name of most objects (RFC 1123 subdomain)."""
_SECONDS = {"h": 3600, "m": 60, "s": 1}


class ApiModel(BaseModel):
    """A frozen value with camelCase names on the wire; fields it does not know are left out."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema; a description that is a docstring goes without its line breaks."""
        schema = handler(core_schema)
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
        return schema

    def to_api(self) -> dict[str, Any]:
        """The value as the API stores it: JSON types, camelCase, without empty fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def cel(rule: str, message: str) -> dict[str, Any]:
    """A CEL rule for the CRD: admission refuses the object with `message` where `rule` is false."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message}]}


def rule(expression: str, message: str) -> dict[str, str]:
    """One CEL rule, for a list of several."""
    only: dict[str, str] = cel(expression, message)["x-kubernetes-validations"][0]
    return only


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Several CEL rules for one field, each with its sentence."""
    return {
        "x-kubernetes-validations": [rule(expression, message) for expression, message in pairs]
    }


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> timedelta:
    """Read a duration such as `30s`, `10m` or `1h30m`.

    Raises ValueError for anything else, the empty text and more than a year included.
    """
    if not text or not re.fullmatch(DURATION, text):
        raise ValueError(f"{text!r} is no duration: write 30s, 10m or 1h30m")
    seconds = sum(int(n) * _SECONDS[unit] for n, unit in re.findall(r"([0-9]+)([hms])", text))
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than a year: write 8760h at most")
    return timedelta(seconds=seconds)


def _checked(text: str) -> str:
    parse_duration(text)
    return text


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def between(least: str) -> str:
    """CEL: a duration as people write it, of this at least and of a year at most."""
    return (
        f"self.matches('{DURATION}') && size(self) > 1 && duration(self) >= duration('{least}') &&"
        " duration(self) <= duration('8760h')"
    )


Duration = Annotated[
    str,
    AfterValidator(_checked),
    Field(
        max_length=16,
        json_schema_extra=cel(
            between("0s"), "write a duration such as 30s, 10m or 1h30m, of a year (8760h) at most"
        ),
    ),
]
"""A length of time as people write it; `parse_duration` gives the timedelta."""

Moment = Annotated[
    datetime,
    AfterValidator(_utc),
    PlainSerializer(
        lambda moment: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        return_type=str,
        when_used="json",
    ),
]
"""A point in time, UTC, milliseconds on the wire (RFC 3339)."""
