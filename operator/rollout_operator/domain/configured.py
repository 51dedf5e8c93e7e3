"""What settings that hold JSON have in common: how they are read, and for whom an entry is."""

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, TypeVar

from pydantic import AfterValidator, TypeAdapter, ValidationError

T = TypeVar("T")
_OF_NAMESPACES = re.compile(r"([a-z0-9*?-]|\[!?[a-z0-9-]+\])+")


def _is_pattern(text: str) -> str:
    # One that fits no namespace would leave an entry without effect, and nobody would be told.
    if not _OF_NAMESPACES.fullmatch(text):
        raise ValueError(
            f"{text!r} fits no namespace, whose name has small letters, digits and - alone: write"
            " production, or ml-*"
        )
    return text


NamespacePattern = Annotated[str, AfterValidator(_is_pattern)]
"""A pattern of namespaces, such as `ml-*`."""


def from_json(variable: str, text: str, kind: type, reader: TypeAdapter[T], example: str) -> T:
    """What a variable says, checked; kind: list or dict, as which it is written.

    Raises ValueError with the first place that is wrong.
    """
    try:
        given = json.loads(text)
        if not isinstance(given, kind):
            raise TypeError(type(given).__name__)
    except (ValueError, TypeError) as failure:
        word = "list" if kind is list else "object"
        raise ValueError(f"{variable} is no JSON {word} ({failure}): write {example}") from failure
    try:
        return reader.validate_python(given)
    except ValidationError as failure:
        first = failure.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{variable} cannot be used: {where}: {said}") from failure


def is_for(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns (`ml-*`) is for this name, such as a namespace's."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
