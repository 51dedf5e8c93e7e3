"""Which fields of requests may be seen where answers to copies differ, by namespace: from the
operator's configuration, never a rollout. What is not named is masked, so that a column that is new
is as well.
"""

from typing import Annotated

from pydantic import Field, TypeAdapter

from rollout_operator.domain.api.api_types import ApiModel
from rollout_operator.domain.api.differences import MOST_FIELDS
from rollout_operator.domain.configured import NamespacePattern, from_json, is_for

EXAMPLE = '[{"namespaces": ["ml-*"], "fields": ["petal_length"]}]'
_Name = Annotated[str, Field(min_length=1, max_length=64)]


class ShadowFields(ApiModel, extra="forbid"):
    """Fields for some namespaces."""

    namespaces: tuple[NamespacePattern, ...] = Field(min_length=1)
    """Patterns of namespaces (`ml-*`); the first entry with one that matches is taken."""
    fields: tuple[_Name, ...] = Field(min_length=1, max_length=MOST_FIELDS)
    """Names of the model's columns."""


_READER = TypeAdapter(tuple[ShadowFields, ...])


def shadow_fields(text: str) -> tuple[ShadowFields, ...]:
    """The entries of SHADOW_FIELDS, a JSON list; empty for "". Raises ValueError."""
    if not text.strip():
        return ()
    return from_json("SHADOW_FIELDS", text, list, _READER, EXAMPLE)


def fields_of(entries: tuple[ShadowFields, ...], namespace: str) -> tuple[str, ...]:
    """The fields that may be seen in this namespace; none where no entry is for it."""
    return next((e.fields for e in entries if is_for(namespace, e.namespaces)), ())
