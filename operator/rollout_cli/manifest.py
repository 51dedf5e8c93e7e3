"""Manifests as people write them: YAML documents whose every field knows its line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Where a field is: keys, and numbers in lists."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """A document that cannot be read, or a key that stands twice."""

    place: Place
    message: str


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value with JSON types, and the place of each field."""

    value: Any
    places: Mapping[Path, Place]
    twice: tuple[Trouble, ...] = ()

    def place(self, path: Path) -> Place:
        """Where the field is; for one that is missing, where it would belong."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))


class _Loader(yaml.SafeLoader):
    """Reads what kubectl reads: dates stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str) -> Iterator[Document | Trouble]:
    """The documents of a file; the first that cannot be read ends it. Empty documents are left out."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            if (node := loader.get_node()) is None:
                continue
            places: dict[Path, Place] = {}
            twice: list[Trouble] = []
            value = _value(loader, node, (), places, twice)
            if value is not None:
                yield Document(value, places, tuple(twice))
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
        yield Trouble(place, f"not YAML: {wrong.problem or wrong.context}")
    except yaml.YAMLError as wrong:
        yield Trouble(Place(1, 1), f"not YAML: {wrong}")
    finally:
        loader.dispose()


def _value(loader: _Loader, node: yaml.Node, path: Path, places: dict[Path, Place], twice: list[Trouble]) -> Any:
    places.setdefault(path, Place(node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*path, n), places, twice) for n, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    loader.flatten_mapping(node)
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node))
        place = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if key in found:
            twice.append(Trouble(place, f"{dotted((*path, key))}: the key stands twice"))
        places[*path, key] = place
        found[key] = _value(loader, value_node, (*path, key), places, twice)
    return found


def dotted(path: Path) -> str:
    """The path as Kubernetes writes it: `spec.analysis.gates[0].min`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
