"""The labels of namespaces, by which destinations of messages may choose."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Namespaces:
    """What the watch of namespaces has told; empty where nobody watches them."""

    _labels: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def labels(self, name: str) -> Mapping[str, str]:
        """The labels of the namespace of this name; none where it is not known."""
        return self._labels.get(name, {})

    def names(self) -> set[str]:
        """Every namespace that is known."""
        return set(self._labels)

    def put(self, metadata: Mapping[str, Any]) -> None:
        """Keep the labels of a namespace with this metadata."""
        self._labels[metadata["name"]] = metadata.get("labels") or {}

    def drop(self, name: str) -> None:
        """It is gone."""
        self._labels.pop(name, None)
