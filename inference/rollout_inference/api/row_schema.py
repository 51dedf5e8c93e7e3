"""The schema of the rows of the model that is served, column by column, and of what may be asked of
it.
"""

from collections.abc import Mapping
from typing import Any

from rollout_inference.api.named_outputs import offered
from rollout_inference.loading.loader import LoadedModel
from rollout_model.parameters import OBJECT, Parameters
from rollout_model.signature import Signature
from rollout_model.table import EXACT, LARGEST, LONGEST_TEXT, Column, Kind
from rollout_model.table_signature import TableSignature

Schema = dict[str, Any]

_NUMBER: Schema = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
_WHOLE: Schema = {"type": "integer", "minimum": -EXACT, "maximum": EXACT}
_DATE: Schema = {
    # Not the format date-time: that is RFC 3339, whose times have a zone.
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.]\d{1,6})?)?)?$",
    "description": "A date, or a date and a time, without a time zone.",
}
_KINDS: Mapping[Kind, Schema] = {
    Kind.DOUBLE: _NUMBER,
    Kind.FLOAT: _NUMBER,
    Kind.LONG: {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    Kind.INTEGER: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.STRING: {"type": "string", "maxLength": LONGEST_TEXT},
    Kind.DATETIME: _DATE,
}


def _cell(column: Column) -> Schema:
    """A cell; null where the model takes a missing value."""
    kind = _KINDS[column.kind]
    return kind if column.closed else {**kind, "type": [kind["type"], "null"]}


def _value(signature: Signature, column: int) -> Schema:
    """A value of the column; null where it may be missing."""
    if isinstance(signature, TableSignature):
        return _cell(signature.table[column])
    kind = _WHOLE if column in signature.whole else _NUMBER
    open_ = column in signature.optional and column not in signature.closed
    return {**kind, "type": [kind["type"], "null"]} if open_ else kind


def _of_any(signature: Signature, values: list[Schema]) -> Schema:
    """A value of any column, for rows without names: JSON Schema's own word for lists by place is
    unknown to most tools.
    """
    if not isinstance(signature, TableSignature):
        return _NUMBER
    return {"anyOf": [one for n, one in enumerate(values) if one not in values[:n]]}


def for_model(document: Schema, model: LoadedModel | None, most: int) -> Schema:
    """The document with the served model's own rows, of which a request may have `most`, and the
    names of its outputs; any while none is served.
    """
    signature, example = (model.signature, model.example) if model is not None else (None, [])
    values = [_value(signature, n) for n in range(signature.width)] if signature is not None else []
    flat: Schema = {"type": "array", "items": _NUMBER}
    rows: Schema = {"type": "array", "items": flat, "minItems": 1, "maxItems": most}
    columns: Schema = {"type": "array", "items": {"type": "string"}}
    if signature is not None:
        mixed = any(one != values[0] for one in values)
        same = _of_any(signature, values) if mixed else values[0]
        flat = {
            "type": "array",
            "items": same,
            "minItems": signature.width,
            "maxItems": signature.width,
            "example": example,
        }
        kinds = [] if mixed else [flat]
        if signature.named:
            properties = dict(zip(signature.names, values, strict=True))
            named = {
                "type": "object",
                "required": list(signature.demanded),
                "properties": properties,
                "additionalProperties": False,
            }
            kinds.append({**named, "example": dict(zip(signature.names, example, strict=True))})
            columns = {"const": list(signature.names)}
        rows = {
            "type": "array",
            "minItems": 1,
            "maxItems": most,
            "items": {"anyOf": kinds or [flat]},
            "example": [example],
        }
    split: Schema = {"type": "object", "required": ["data"], "properties": {"columns": columns}}
    split["properties"]["data"] = {"type": "array", "items": flat, "minItems": 1, "maxItems": most}
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    name: Schema = {"type": "string"} if model is None else {"enum": offered(model)}
    names: Schema = {"type": ["array", "null"], "items": name}
    parameters = _parameters(model.parameters if model is not None else Parameters())
    params = {**parameters, "properties": {"outputs": names, **parameters.get("properties", {})}}
    schemas |= {"Rows": rows, "Split": split, "Outputs": names}
    schemas |= {"Parameters": parameters, "Params": params}
    return document


def _parameters(parameters: Parameters) -> Schema:
    """The model's own; where it has none, whatever is there is ignored."""
    if not parameters.known:
        return {}
    properties = {}
    for one in parameters.known:
        kind = {"type": "object"} if one.kind == OBJECT else _KINDS[Kind(one.kind)]
        value: Schema = {**_unbounded(kind), "type": [kind["type"], "null"]}
        properties[one.name] = {"type": "array", "items": value} if one.several else value
    return {"type": ["object", "null"], "properties": properties}


def _unbounded(kind: Schema) -> Schema:
    """Without the limits of a cell."""
    return {word: one for word, one in kind.items() if word in {"type", "pattern", "description"}}
