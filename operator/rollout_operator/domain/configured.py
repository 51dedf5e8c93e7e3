"""What settings that hold JSON have in common: how they are read, and for whom an entry is."""

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


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
