"""Asks for another version in a manifest, and leaves every other letter of the file as it was."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from rollout_cli.exit_codes import Absent, Refused
from rollout_operator.domain.api.manifest import Trouble, read
from rollout_operator.domain.api.names import KIND, PROMOTED

Change = tuple[int, int, str]
"""What stands from one character to another is replaced."""


def edited(text: str, file: str, name: str, uri: str, proof: str) -> str:
    """The text of `file` in which the ModelRollout `name` asks for `uri`, with `proof` as
    annotation. Raises Absent where it has none of that name, Refused where it cannot be told what
    to change, or another model is asked for.
    """
    before = _objects(text, file)
    found = [value for value in before if _name(value) == name]
    if not found:
        there = ", ".join(sorted(_name(value) for value in before)) or "none"
        raise Absent(f"{file} has no {KIND} {name!r}; it has {there}. Name it by --as.")
    if len(found) > 1:
        raise Refused(f"{file} has {len(found)} {KIND}s {name!r}: split the file.")
    try:
        changes = [
            change
            for node in _rollouts(text)
            if _text_of(_at(node, "metadata", "name")) == name
            for change in _changes(node, uri, proof, json_too=text.lstrip().startswith("{"))
        ]
    except _UnclearError as unclear:
        raise _by_hand(file, str(unclear), uri) from None
    result = text
    for start, end, new in sorted(changes, reverse=True):
        result = result[:start] + new + result[end:]
    wanted = copy.deepcopy(before)
    for value in wanted:
        if _name(value) == name:
            value["spec"]["modelUri"] = uri
            value["metadata"]["annotations"] = {
                **(value["metadata"].get("annotations") or {}),
                PROMOTED: proof,
            }
    if _objects(result, file) != wanted:
        raise _by_hand(file, "it is written in a way that this tool does not change", uri)
    return result


def asked_for(text: str, file: str, name: str) -> str:
    """The modelUri of the ModelRollout `name`; "" where it has none."""
    found = [v for v in _objects(text, file) if _name(v) == name]
    return str((found[0].get("spec") or {}).get("modelUri", "")) if found else ""


class _UnclearError(Exception):
    """Why a field cannot be changed."""


def _by_hand(file: str, why: str, uri: str) -> Refused:
    return Refused(f"{file} cannot be changed: {why}. Write modelUri: {uri} by hand.")


def _objects(text: str, file: str) -> list[Any]:
    found: list[Any] = []
    for document in read(text):
        if isinstance(document, Trouble):
            raise Refused(f"{file}:{document.place.line}: {document.message}")
        found += [value for _, value in document.objects() if _is_ours(value)]
    return found


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


def _changes(node: yaml.MappingNode, uri: str, proof: str, *, json_too: bool) -> Iterator[Change]:
    """json_too: what is JSON stays JSON, whose keys are quoted."""
    spec, meta = _at(node, "spec"), _at(node, "metadata")
    model = _at(spec, "modelUri")
    if not isinstance(spec, yaml.MappingNode) or not isinstance(model, yaml.ScalarNode):
        raise _UnclearError("it has no spec.modelUri")
    quote = model.style if model.style in {"'", '"'} else ""
    yield _replaced(spec, model, f"{quote}{uri}{quote}")
    assert isinstance(meta, yaml.MappingNode)  # it has a name
    quoted = json.dumps(proof)
    ours, above = (json.dumps(k) if json_too else k for k in (PROMOTED, "annotations"))
    annotations = _at(meta, "annotations")
    if isinstance(annotations, yaml.MappingNode):
        _inside(meta, annotations)
        old = _at(annotations, PROMOTED)
        if isinstance(old, yaml.ScalarNode):
            yield _replaced(annotations, old, quoted)
        else:
            yield _first_entry(annotations, f"{ours}: {quoted}")
    elif annotations is not None:
        raise _UnclearError("metadata.annotations is no mapping")
    elif meta.flow_style:
        yield _first_entry(meta, f"{above}: {{{ours}: {quoted}}}")
    else:
        indent = " " * (_column(meta) + 2)
        yield _first_entry(meta, f"annotations:\n{indent}{PROMOTED}: {quoted}")


def _first_entry(mapping: yaml.MappingNode, entry: str) -> Change:
    """Puts an entry before all others, in the form that the mapping has."""
    if mapping.flow_style:
        start = mapping.start_mark.index + 1
        return start, start, f"{entry}, " if mapping.value else entry
    if not mapping.value:
        raise _UnclearError("a mapping is empty")
    start = mapping.value[0][0].start_mark.index
    return start, start, f"{entry}\n{' ' * _column(mapping)}"


def _column(mapping: yaml.MappingNode) -> int:
    return int(mapping.value[0][0].start_mark.column)


def _replaced(parent: yaml.MappingNode, node: yaml.ScalarNode, new: str) -> Change:
    _inside(parent, node)
    if node.style in {"|", ">"}:
        raise _UnclearError("a value is written over several lines")
    return node.start_mark.index, node.end_mark.index, new


def _inside(parent: yaml.Node, node: yaml.Node) -> None:
    """An alias stands elsewhere, where others read it, too."""
    if not parent.start_mark.index <= node.start_mark.index <= parent.end_mark.index:
        raise _UnclearError("a value is an alias of another place in the file")
