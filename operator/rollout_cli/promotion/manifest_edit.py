"""Asks for another version in a manifest, and leaves every other letter of the file as it was."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from rollout_cli.exit_codes import Absent, Refused
from rollout_operator.domain.api.manifest import Document, Trouble, read
from rollout_operator.domain.api.names import KIND

Change = tuple[int, int, str]
"""What stands from one character to another is replaced."""


def edited(text: str, file: str, name: str, uri: str, proof: Mapping[str, str]) -> str:
    """The text of `file` in which the ModelRollout `name` asks for `uri`, with `proof` as
    annotations, by their keys. Raises Absent where it has none of that name, Refused where it
    cannot be told what to change.
    """
    documents = _documents(text, file)
    found = _named(documents, file, name)
    if not found:
        there = ", ".join(sorted(_name(value) for value in _ours(documents)))
        raise Absent(
            f"{file} has no {KIND} {name!r}; it has {there}. Name it by --as."
            if there
            else f"{file} has no {KIND} {name!r}; it has none. Name the file that has it, such as"
            " one that a kustomization lists."
        )
    if _sealed(documents):
        why = "sops keeps its checksum, which would fit no more: change it by sops"
        raise _by_hand(file, why, uri, proof)
    try:
        changes = [
            change
            for node in _rollouts(text)
            if _text_of(_at(node, "metadata", "name")) == name
            for change in _Manifest(text, node).changes(uri, proof)
        ]
    except _UnclearError as unclear:
        raise _by_hand(file, str(unclear), uri, proof) from None
    except (yaml.YAMLError, RecursionError):
        raise _by_hand(file, OTHERWISE, uri, proof) from None
    result = text
    for start, end, new in sorted(changes, reverse=True):
        result = result[:start] + new + result[end:]
    # An alias of what was changed reads the change: nothing else in the file may be another.
    (ours,) = found
    if not isinstance(spec := ours.get("spec"), dict):
        raise _by_hand(file, "it has no spec.modelUri", uri, proof)
    meta = ours["metadata"]
    annotations = {**(meta.get("annotations") or {}), **proof}
    ours |= {
        "spec": {**spec, "modelUri": uri},
        "metadata": {**meta, "annotations": annotations},
    }
    try:
        as_wanted = _documents(result, file) == documents
    except Refused:
        as_wanted = False
    if not as_wanted:
        raise _by_hand(file, OTHERWISE, uri, proof)
    return result


def asked_for(text: str, file: str, name: str) -> tuple[str, dict[str, str]]:
    """The modelUri of the ModelRollout `name`, "" for none, and its annotations. Raises Refused
    where it has two of that name, or cannot be read.
    """
    for value in _named(_documents(text, file), file, name):
        spec, annotations = value.get("spec"), value["metadata"].get("annotations")
        keys = annotations if isinstance(annotations, dict) else ()
        return _entry(spec, "modelUri"), {str(key): _entry(annotations, key) for key in keys}
    return "", {}


def beside(text: str, file: str, name: str) -> list[Any]:
    """All else that the file has. Raises Refused for what cannot be read."""
    every = [value for one in _documents(text, file) for _, value in one.objects()]
    return [value for value in every if not (_is_ours(value) and _name(value) == name)]


OTHERWISE = "it is written in a way that this tool does not change"


class _UnclearError(Exception):
    """Why a field cannot be changed."""


def _by_hand(file: str, why: str, uri: str, proof: Mapping[str, str]) -> Refused:
    written = " and ".join(f"{key}: {json.dumps(value)}" for key, value in proof.items())
    return Refused(
        f"{file} cannot be changed: {why}. Write modelUri: {uri} by hand, with the annotation"
        f" {written}."
    )


def _documents(text: str, file: str) -> list[Document]:
    """The documents, which share nothing. Raises Refused for what cannot be read."""
    found: list[Document] = []
    for document in read(text):
        if isinstance(document, Trouble):
            template = " Templates are no manifests: name one that is plain." * ("{{" in text)
            raise Refused(f"{file}:{document.place.line}: {document.message}.{template}")
        found.append(Document(json.loads(json.dumps(document.value)), {}))
    return found


def _ours(documents: Iterable[Document]) -> list[Any]:
    return [value for one in documents for _, value in one.objects() if _is_ours(value)]


def _sealed(documents: Iterable[Document]) -> bool:
    """Whether sops keeps a checksum of all that the file has."""
    tops = [one.value for one in documents if isinstance(one.value, dict)]
    return any(isinstance(top.get("sops"), dict) and "mac" in top["sops"] for top in tops)


def _named(documents: list[Document], file: str, name: str) -> list[Any]:
    """At most one. Raises Refused for more, and for none where it may be encrypted."""
    found = [value for value in _ours(documents) if _name(value) == name]
    if not found and _sealed(documents):
        raise Refused(
            f"{file} has no {KIND} {name!r} that can be read, and sops has encrypted it: let sops"
            " encrypt nothing of a ModelRollout (--encrypted-regex), which has no secrets, or"
            " change it by sops."
        )
    if len(found) > 1:
        raise Refused(f"{file} has {len(found)} {KIND}s {name!r}: split the file.")
    return found


def _entry(mapping: object, key: str) -> str:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    return "" if value is None else str(value)


def _is_ours(value: Any) -> bool:
    return isinstance(value, dict) and value.get("kind") == KIND


def _name(value: Mapping[str, Any]) -> str:
    meta = value.get("metadata")
    return str(meta.get("name", "")) if isinstance(meta, dict) else ""


def _rollouts(text: str) -> Iterator[yaml.MappingNode]:
    for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
        listed = _at(document, "items")
        for node in [document, *(listed.value if isinstance(listed, yaml.SequenceNode) else ())]:
            if isinstance(node, yaml.MappingNode) and _text_of(_at(node, "kind")) == KIND:
                yield node


def _at(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for name, value in node.value if _text_of(name) == key), None)
    return node


def _text_of(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


_FILLED_IN = re.compile(r"\{\{|\{%|<%|\$[({]")
"""What Helm, Flux, envsubst and the like fill in; in quotes it is YAML, too."""
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
"""An anchor and a tag, which stand before a value and stay."""


class _Manifest:
    """A ModelRollout as it is written."""

    def __init__(self, text: str, node: yaml.MappingNode) -> None:
        self._text, self._node = text, node
        self._line_end = "\r\n" if "\r\n" in text else "\n"

    def changes(self, uri: str, proof: Mapping[str, str]) -> Iterator[Change]:
        """What to replace. Raises _UnclearError."""
        spec, meta = _at(self._node, "spec"), _at(self._node, "metadata")
        model = _at(spec, "modelUri")
        if not isinstance(spec, yaml.MappingNode) or not isinstance(model, yaml.ScalarNode):
            raise _UnclearError("it has no spec.modelUri")
        assert isinstance(meta, yaml.MappingNode)  # it has a name
        if _FILLED_IN.search(model.value):
            raise _UnclearError(
                f"spec.modelUri is {model.value!r}, which another tool fills in, so its values are"
                " to be changed"
            )
        _inside(self._node, spec, "spec")
        _inside(self._node, meta, "metadata")
        quote = model.style if model.style in {"'", '"'} else ""
        yield self._replaced(spec, model, f"{quote}{uri}{quote}", "spec.modelUri")
        annotations = _at(meta, "annotations")
        if annotations is None:
            yield self._with_annotations(meta, proof)
            return
        _inside(meta, annotations, "metadata.annotations")
        if isinstance(annotations, yaml.MappingNode):
            new = dict(proof)
            for key in proof:
                old = _at(annotations, key)
                if isinstance(old, yaml.ScalarNode):
                    yield self._replaced(annotations, old, json.dumps(new.pop(key)), key)
            if new:
                beside = annotations if annotations.value else meta
                entries = [_pair(beside, key, value) for key, value in new.items()]
                yield self._first_entries(annotations, entries)
        elif isinstance(annotations, yaml.ScalarNode) and annotations.value in {"", "~", "null"}:
            entries = [_pair(meta, key, value) for key, value in proof.items()]
            one = f"{{{', '.join(entries)}}}"
            yield self._replaced(meta, annotations, one, "metadata.annotations")
        else:
            raise _UnclearError("metadata.annotations is no mapping")

    def _with_annotations(self, meta: yaml.MappingNode, proof: Mapping[str, str]) -> Change:
        entries = [_pair(meta, key, value) for key, value in proof.items()]
        if meta.flow_style:
            above = '"annotations"' if _quoted(meta) else "annotations"
            return self._first_entries(meta, [f"{above}: {{{', '.join(entries)}}}"])
        line = f"{self._line_end}{' ' * (_column(meta) + 2)}"
        return self._first_entries(meta, [f"annotations:{line}{line.join(entries)}"])

    def _first_entries(self, mapping: yaml.MappingNode, entries: list[str]) -> Change:
        """Puts entries before all others, in the form that the mapping has."""
        if mapping.flow_style:
            start, entry = self._start(mapping) + 1, ", ".join(entries)
            if not mapping.value:
                return start, start, entry
            blank = "" if self._text[start] in "\r\n" else " "
            return start, start, f"{entry},{blank}"
        column = _column(mapping)
        start = self._above_comments(mapping.value[0][0].start_mark.index, column)
        line = f"{self._line_end}{' ' * column}"
        return start, start, "".join(f"{entry}{line}" for entry in entries)

    def _above_comments(self, start: int, column: int) -> int:
        """Where the comments begin that stand right above an entry, as far in as it: they are of
        that entry, and not of what comes before it.
        """
        line = start - column
        while line and self._text[line:start].isspace():
            above = self._text.rfind("\n", 0, line - 1) + 1
            if not self._text.startswith(f"{' ' * column}#", above):
                break
            line, start = above, above + column
        return start

    def _replaced(
        self, parent: yaml.MappingNode, node: yaml.ScalarNode, new: str, what: str
    ) -> Change:
        _inside(parent, node, what)
        if node.style in {"|", ">"}:
            raise _UnclearError(f"{what} is written over several lines")
        start = self._start(node)
        # A value that is empty begins right after its colon.
        blank = "" if self._text[start - 1].isspace() else " " * (self._text[start - 1] == ":")
        return start, max(start, node.end_mark.index), f"{blank}{new}"

    def _start(self, node: yaml.Node) -> int:
        found = _PROPERTIES.match(self._text, node.start_mark.index, node.end_mark.index)
        return found.end() if found else node.start_mark.index


def _pair(beside: yaml.MappingNode, key: str, value: str) -> str:
    """An entry; where the keys beside it are quoted, as JSON's are, its own is."""
    return f"{json.dumps(key) if _quoted(beside) else key}: {json.dumps(value)}"


def _quoted(mapping: yaml.MappingNode) -> bool:
    return any(key.style == '"' for key, _ in mapping.value)


def _column(mapping: yaml.MappingNode) -> int:
    return int(mapping.value[0][0].start_mark.column)


def _inside(parent: yaml.Node, node: yaml.Node, what: str) -> None:
    """An alias stands elsewhere, where others read it, too."""
    if not parent.start_mark.index <= node.start_mark.index <= parent.end_mark.index:
        raise _UnclearError(f"{what} is an alias of another place in the file")
