"""YAML as kubectl reads it: manifests and mapping files, whose every field knows its line.

kubectl turns YAML into JSON by rules of its own (goyaml v2 in sigs.k8s.io/yaml): the words of YAML
1.1, the numbers of Go, and nothing that JSON has not. tests/api holds the table of scalars against
kubectl itself.
"""

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Where a field is: keys, and numbers in lists."""

MOST_FIELDS = 200_000
"""A file of a few lines can name more than any memory holds, by aliases of aliases."""
DEEPEST = 200
"""Lists and mappings in one another. No object of Kubernetes is near."""
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True
    ),
    **dict.fromkeys(
        ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False
    ),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NO_NUMBERS = frozenset(
    {
        ".nan",
        ".NaN",
        ".NAN",
        *(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")),
    },
)
_WHOLE = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INT64, _UINT64 = 2**63, 2**64
_TYPES: Mapping[str, tuple[type, ...]] = {
    f"{_TAG}int": (int,),
    f"{_TAG}float": (int, float),
    f"{_TAG}bool": (bool,),
    f"{_TAG}null": (type(None),),
}
_JOINED = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)
"""A letter outside of the first plane as JSON writes it, which YAML does not read."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, both from 1."""

    line: int
    """From 1."""
    column: int
    """From 1."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A document that cannot be read, or a key that stands twice."""

    place: Place
    """Where it was found; line 1, column 1 where the parser tells none."""
    message: str
    """Begins with "not YAML:", or with the path of the key."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a field, as a sentence that says what to write."""

    path: Path
    """The field; empty for the whole object."""
    message: str
    """What to write, without the path."""

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value with JSON types, and the place of each field."""

    value: Any
    """JSON types; never None: empty documents are left out."""
    places: Mapping[Path, Place]
    """By path; () is where the document begins."""
    twice: tuple[Trouble, ...] = ()
    """Keys that stand twice in one mapping; the last one counts."""

    def place(self, path: Path) -> Place:
        """Where the field is; for one that is missing, where it would belong."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))

    def objects(self) -> Iterator[tuple[Path, Any]]:
        """The objects in it and where each begins: kubectl sees through `kind: List`, which
        `kubectl get -o yaml` prints.
        """
        yield from _objects(self.value, ())


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's parser, of which Go's is a translation, where PyYAML was built with it."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a node that has none: what a plain scalar means is decided in `_scalar`."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _MERGE if value == "<<" else f"{_TAG}plain"
        return str(super().resolve(kind, value, implicit))


def read(text: str) -> Iterator[Document | Trouble]:
    """The documents of a file; the first that cannot be read ends it.
    Empty documents are left out.
    """
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        text = _JOINED.sub(
            lambda pair: pair[1] + bytes.fromhex(pair[2] + pair[3]).decode("utf-16-be"), text
        )
    deep = _too_deep(text)
    loader = _Loader(text)
    number = 0
    try:
        while loader.check_node():
            number += 1
            if deep is not None and number == deep[0]:
                yield Trouble(deep[1], f"not YAML: it is nested more than {DEEPEST} deep")
                return
            if (node := loader.get_node()) is None:
                continue
            reading = _Reading()
            value = reading.value(node, ())
            if value is not None:
                yield Document(value, reading.places, tuple(reading.twice))
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
        yield Trouble(place, f"not YAML: {wrong.problem or wrong.context}")
    except yaml.YAMLError as wrong:
        yield Trouble(Place(1, 1), f"not YAML: {wrong}")
    finally:
        loader.dispose()


def _too_deep(text: str) -> tuple[int, Place] | None:
    """The first document, from 1, that is nested more than DEEPEST, and where; None for none.

    It is asked before any node is made: libyaml's composer goes down by the stack of C, which ends
    the process without an exception.
    """
    loader = _Loader(text)
    document = depth = 0
    try:
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.DocumentStartEvent):
                document, depth = document + 1, 0
            elif isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEEPEST:
                    mark = event.start_mark
                    return document, Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        # It is told where it is read.
        return None
    finally:
        loader.dispose()
    return None


class _Unread(yaml.MarkedYAMLError):
    """YAML that kubectl does not take, at the node where it stands."""

    def __init__(self, node: yaml.Node, problem: str) -> None:
        super().__init__(problem=problem, problem_mark=node.start_mark)


class _Reading:
    """One document on its way to JSON."""

    def __init__(self) -> None:
        self.places: dict[Path, Place] = {}
        self.twice: list[Trouble] = []
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        """What stands in a node; raises _Unread."""
        self.places.setdefault(path, _place(node))
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self._open:
            raise _Unread(node, "an anchor's value contains itself")
        if len(self.places) > MOST_FIELDS:
            raise _Unread(node, f"aliases make more than {MOST_FIELDS} fields of this document")
        self._open.add(id(node))
        found: Any
        if isinstance(node, yaml.SequenceNode):
            found = [self.value(item, (*path, n)) for n, item in enumerate(node.value)]
        else:
            found = self._mapping(node, path)
        self._open.remove(id(node))
        return found

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                found |= self._merged(value_node, path)
                continue
            key = _key(key_node)
            if key in own:
                self.twice.append(
                    Trouble(_place(key_node), f"{dotted((*path, key))}: the key stands twice")
                )
            own.add(key)
            self.places[*path, key] = _place(key_node)
            found[key] = self.value(value_node, (*path, key))
        return found

    def _merged(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """What `<<` brings: a mapping, or several of which the first counts."""
        several = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for one in reversed(several):
            if not isinstance(one, yaml.MappingNode):
                raise _Unread(one, "<< takes a mapping, or a list of mappings")
            found |= self.value(one, path)
        return found


def _scalar(node: yaml.ScalarNode) -> Any:
    """What a scalar means; raises _Unread."""
    text: str = node.value
    if node.tag == f"{_TAG}binary":
        try:
            return base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as failure:
            raise _Unread(node, "!!binary takes text in base64") from failure
    wanted = _TYPES.get(node.tag)
    if wanted is None and node.tag != f"{_TAG}plain":
        return text  # quoted, a block, or a tag that says no more than that
    if text in _NO_NUMBERS:
        raise _Unread(node, f"{text} is no number of JSON: write one that ends")
    found = resolved(text)
    if wanted is not None and (
        not isinstance(found, wanted) or (isinstance(found, bool) and bool not in wanted)
    ):
        raise _Unread(node, f"{text!r} is no {node.tag.removeprefix(_TAG)}")
    return found


def resolved(text: str) -> str | int | float | bool | None:
    """What an unquoted word means to kubectl: `yes` is true, `1e-2` and `017` are numbers, `1:20`
    and dates are text.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    plain = text.replace("_", "")
    if match := _WHOLE.fullmatch(plain):
        sign, hexadecimal, binary, octal, decimal = match.groups()
        number = int(
            hexadecimal or binary or octal or decimal,
            16 if hexadecimal else 2 if binary else 8 if octal else 10,
        )
        number = -number if sign == "-" else number
        if -_INT64 <= number < _UINT64:
            return number if number < _INT64 else float(number)
        if decimal is None:
            return text
    if not _FLOAT.fullmatch(plain) or not math.isfinite(fraction := float(plain)):
        return text
    # JSON has but one kind of numbers: 2.0 is written 2.
    return int(fraction) if fraction.is_integer() and abs(fraction) < _INT64 else fraction


def _key(node: yaml.Node) -> str:
    """The key as JSON writes it; raises _Unread."""
    key = (
        _scalar(node)
        if isinstance(node, yaml.ScalarNode) and node.value not in _NO_NUMBERS
        else getattr(node, "value", None)
    )
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None or isinstance(key, list):
        raise _Unread(node, "a key is a word")
    return f"{key:g}" if isinstance(key, float) else str(key)


def _objects(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if (
        isinstance(value, dict)
        and str(value.get("kind", "")).endswith("List")
        and isinstance(value.get("items"), list)
    ):
        for n, item in enumerate(value["items"]):
            yield from _objects(item, (*path, "items", n))
    else:
        yield path, value


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def dotted(path: Path) -> str:
    """The path as Kubernetes writes it: `spec.analysis.gates[0].min`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
