"""What the API server asks of metadata, of whatever kind of object: types, and what names, labels
and annotations may be.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rollout_operator.domain.api.api_types import NAME
from rollout_operator.domain.api.manifest import Finding

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_OBJECTS = {"type": "array", "items": {"type": "object"}}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(
            ("name", "generateName", "namespace", "uid", "resourceVersion", "selfLink"), _TEXT
        ),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _TEXT),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), _NUMBER),
        **dict.fromkeys(("labels", "annotations"), _TEXTS),
        "finalizers": {"type": "array", "items": _TEXT},
        **dict.fromkeys(("ownerReferences", "managedFields"), _OBJECTS),
    },
}
"""ObjectMeta of Kubernetes; a null in it is a field that is not there."""

_WORD = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DOMAIN = re.compile(NAME)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_MOST_ANNOTATIONS = 256 * 1024
_OF_A_WORD = (
    "write letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, 63"
    " characters at most"
)


def present(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata without its nulls."""
    return {
        key: (
            {k: v for k, v in value.items() if v is not None}
            if key in {"labels", "annotations"} and isinstance(value, dict)
            else value
        )
        for key, value in meta.items()
        if value is not None
    }


def contents(meta: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with metadata whose types are right."""
    if not (meta.get("name") or meta.get("generateName")):
        yield Finding(("metadata", "name"), "Required value")
    namespace = meta.get("namespace", "")
    if namespace and (len(namespace) > 63 or not _LABEL.fullmatch(namespace)):
        said = (
            "write lower-case letters, digits and '-', beginning and ending with a letter or digit,"
            " 63 characters at most"
        )
        yield Finding(("metadata", "namespace"), f'Invalid value: "{namespace}": {said}')
    for field in ("labels", "annotations"):
        for key in meta.get(field, {}):
            yield from _key(key, field)
    for key, value in meta.get("labels", {}).items():
        if len(value) > 63 or (value and not _WORD.fullmatch(value)):
            yield Finding(
                ("metadata", "labels", key),
                f'Invalid value: "{value}": {_OF_A_WORD}; an annotation takes any text',
            )
    if (
        sum(len((key + value).encode()) for key, value in meta.get("annotations", {}).items())
        > _MOST_ANNOTATIONS
    ):
        yield Finding(
            ("metadata", "annotations"), f"Too long: may not be more than {_MOST_ANNOTATIONS} bytes"
        )


def _key(key: str, field: str) -> Iterator[Finding]:
    """A key of labels or annotations: a word, with a domain and / before it or not."""
    domain, slash, word = key.rpartition("/")
    if slash and (
        len(domain) > 253
        or not _DOMAIN.fullmatch(domain.lower() if field == "annotations" else domain)
    ):
        yield Finding(
            ("metadata", field, key),
            f'Invalid value: "{key}": write a domain such as example.com before the /',
        )
    if len(word) > 63 or not _WORD.fullmatch(word):
        yield Finding(
            ("metadata", field, key),
            f'Invalid value: "{key}": {_OF_A_WORD}, such as example.com/name',
        )
