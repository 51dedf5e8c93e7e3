"""The base of every value that crosses the API, and the scalar types the fields are made of."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

DURATION = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
LONGEST = timedelta(days=365)
NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""What Kubernetes takes as the name of most objects (RFC 1123 subdomain)."""
PROFILE_NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""What a profile may be called: a DNS label of at most 63 characters."""
QUALIFIED = (
    "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
"""What Kubernetes takes as the key of a label or an annotation, or the name of a resource."""
PUBLIC_KEY = r"^\s*-----BEGIN PUBLIC KEY-----\s[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*$"
"""A public key in PEM, of whatever kind."""
_SECONDS = {"h": 3600, "m": 60, "s": 1}


class ApiModel(BaseModel):
    """A frozen value with camelCase names on the wire; fields it does not know are left out."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema_of_value: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema; a description that is a docstring goes without its line breaks."""
        schema = handler(schema_of_value)
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


def between(least: str) -> str:
    """CEL: a duration as people write it, of this at least and of a year at most."""
    return (
        f"self.matches('{DURATION}') && size(self) > 1 && duration(self) >= duration('{least}') &&"
        " duration(self) <= duration('8760h')"
    )


class Duration(timedelta):
    """A length of time that prints, and is stored, as it was written: `30s`, `10m` or `1h30m`.

    Raises ValueError for any other text, the empty one and more than a year included.
    """

    text: str
    """As it was written."""

    def __new__(cls, text: str) -> Self:
        if not text or not re.fullmatch(DURATION, text):
            raise ValueError(f"{text!r} is no duration: write 30s, 10m or 1h30m")
        seconds = sum(int(n) * _SECONDS[unit] for n, unit in re.findall(r"([0-9]+)([hms])", text))
        if seconds > LONGEST.total_seconds():
            raise ValueError(f"{text!r} is longer than a year: write 8760h at most")
        duration = super().__new__(cls, seconds=seconds)
        duration.text = text
        return duration

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.text,)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.no_info_before_validator_function(
            lambda value: value.text if isinstance(value, cls) else value,
            core_schema.str_schema(max_length=16),
        )
        return core_schema.no_info_after_validator_function(
            parse_duration,
            text,
            serialization=core_schema.plain_serializer_function_ser_schema(
                str, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        advice = "write a duration such as 30s, 10m or 1h30m, of a year (8760h) at most"
        return handler(core_schema.str_schema(max_length=16)) | cel(between("0s"), advice)


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> Duration:
    """The duration that a text says: of each text there is one. Raises ValueError as Duration."""
    return Duration(text)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


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


def as_read_back(moment: datetime) -> datetime:
    """The moment as a status has it once it was read back: to the millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
