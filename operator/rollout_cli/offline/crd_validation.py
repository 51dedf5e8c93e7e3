"""The API server's judgement of a ModelRollout, offline: the CRD's own schema, defaults and CEL
rules.

Unknown fields are refused, as `kubectl apply` does (fieldValidation: Strict). CEL is evaluated by a
library; what Kubernetes adds to CEL and the CRD uses is here. Source:
kubernetes.io/docs/reference/using-api/cel.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import cel
from pydantic import ValidationError

from rollout_cli.offline import metadata
from rollout_operator.crd import crd
from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.manifest import Finding, Path, dotted
from rollout_operator.domain.api.names import GROUP, KIND, VERSION
from rollout_operator.domain.api.windows import Window
from rollout_operator.domain.own_metrics import OwnMetrics, refused_gates

Schema = Mapping[str, Any]

QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(n|u|m|k|M|G|T|P|E|[KMGTPE]i|[eE][+-]?\d+)?")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def judge(manifest: Any, known: OwnMetrics | None = None) -> list[Finding]:
    """What the API server would say against it, and the operator where that can be told offline;
    empty where it would be carried out.

    known: metrics of the operator's configuration; None where that is not known, and any may be.
    """
    if not isinstance(manifest, dict):
        return [Finding((), "a manifest is a mapping: write apiVersion, kind, metadata and spec")]
    if manifest.get("apiVersion") != f"{GROUP}/{VERSION}":
        return [
            Finding(("apiVersion",), f"write {GROUP}/{VERSION}, the version that this tool knows")
        ]
    schema = _schema()
    # Status is the operator's.
    body = {key: value for key, value in manifest.items() if key != "status"}
    if isinstance(body.get("metadata") or {}, dict):
        body["metadata"] = metadata.present(body.get("metadata") or {})
    found = list(_structure(body, schema, ()))
    if isinstance(body["metadata"], dict) and not any(
        finding.path[:1] == ("metadata",) for finding in found
    ):
        found += metadata.contents(body["metadata"])
    if not found:
        filled = _typed(_filled(copy.deepcopy(body), schema), schema)
        meta = filled["metadata"]
        # Of generateName the API server makes the name, by five letters, before the rules read it.
        meta["name"] = meta.get("name") or meta["generateName"][:58] + "xxxxx"
        found = list(_rules(filled, schema, ())) or [*_windows(filled), *_gates(filled, known)]
    return sorted(found, key=lambda finding: tuple(map(str, finding.path)))


def _windows(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """What the operator says against a window that the CRD admits: a rule that never opens one."""
    for number, given in enumerate(manifest["spec"]["strategy"].get("windows") or ()):
        try:
            Window.model_validate(given)
        except ValidationError as invalid:
            said = invalid.errors()[0]["msg"].removeprefix("Value error, ")
            yield Finding(("spec", "strategy", "windows", number), said)


def _gates(manifest: Mapping[str, Any], known: OwnMetrics | None) -> Iterator[Finding]:
    """What the operator says against gates on metrics of its configuration."""
    if known is None:
        return
    gates = [Gate.model_validate(g) for g in manifest["spec"]["analysis"].get("gates") or ()]
    for number, why in refused_gates(gates, known):
        yield Finding(("spec", "analysis", "gates", number), why)


@cache
def _schema() -> Schema:
    schema: Schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    # Of metadata the CRD only speaks in rules.
    return {
        **schema,
        "properties": (
            {k: v for k, v in schema["properties"].items() if k != "status"}
            | {"metadata": metadata.SCHEMA}
        ),
    }


def is_rollout(manifest: Any) -> bool:
    """Whether a manifest is one of ours, of whatever version."""
    return (
        isinstance(manifest, dict)
        and manifest.get("kind") == KIND
        and str(manifest.get("apiVersion", "")).startswith(f"{GROUP}/")
    )


# --- structure ---


def _structure(value: Any, schema: Schema, path: Path) -> Iterator[Finding]:
    """Types, enumerations, lengths, what is missing, what is unknown."""
    wanted = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            quotes = ": write it in quotes" if isinstance(value, float) else ""
            yield Finding(
                path, f"Invalid value: {_shown(value)}: must be of type int or string{quotes}"
            )
        return
    if wanted and not _is(value, wanted):
        quotes = (
            ": write it in quotes"
            if wanted == "string" and isinstance(value, bool | int | float)
            else ""
        )
        yield Finding(path, f"Invalid value: {_shown(value)}: must be of type {wanted}{quotes}")
        return
    if "enum" in schema and value not in schema["enum"]:
        yield Finding(
            path,
            f"Unsupported value: {_shown(value)}: supported values:"
            f" {', '.join(map(_shown, schema['enum']))}",
        )
    yield from _sizes(value, schema, path)
    if wanted == "array":
        for n, item in enumerate(value):
            yield from _structure(item, schema.get("items", {}), (*path, n))
    elif wanted == "object" and "properties" in schema:
        yield from _fields(value, schema, path)
    elif wanted == "object" and "additionalProperties" in schema:
        for name, inner in value.items():
            yield from _structure(inner, schema["additionalProperties"], (*path, name))


def _is(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[wanted])


def _sizes(value: Any, schema: Schema, path: Path) -> Iterator[Finding]:
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield Finding(path, f"Too long: may not be more than {schema['maxLength']} characters")
    if isinstance(value, dict) and len(value) > schema.get("maxProperties", len(value)):
        yield Finding(
            path, f"Too many: {len(value)}: must have at most {schema['maxProperties']} items"
        )
    if isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            yield Finding(
                path, f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
            )
        if len(value) < schema.get("minItems", 0):
            yield Finding(
                path,
                f"Invalid value: {len(value)}: should have at least {schema['minItems']} items",
            )


def _fields(value: dict[str, Any], schema: Schema, path: Path) -> Iterator[Finding]:
    known = schema["properties"]
    for name in schema.get("required", ()):
        if value.get(name) is None:
            yield Finding((*path, name), "Required value")
    for name, inner in value.items():
        if name not in known:
            yield Finding((*path, name), f'unknown field "{dotted((*path, name))}"')
        elif inner is not None:
            yield from _structure(inner, known[name], (*path, name))
        elif "default" not in known[name] and name not in schema.get("required", ()):
            # A null where a default stands ready means the default, as in the API server.
            yield Finding(
                (*path, name),
                f"Invalid value: null: must be of type {known[name].get('type', 'int or string')}",
            )


# --- defaults and rules ---


def _filled(value: Any, schema: Schema) -> Any:
    """The value with defaults, as the API server stores it."""
    if isinstance(value, list):
        return [_filled(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    for name, inner in schema["properties"].items():
        if value.get(name) is None and "default" in inner:
            value[name] = copy.deepcopy(inner["default"])
        if name in value:
            value[name] = _filled(value[name], inner)
    return value


def _typed(value: Any, schema: Schema) -> Any:
    """The value with the types that CEL sees: `type: number` is a double, also where it was written
    1.
    """
    if isinstance(value, list):
        return [_typed(item, schema.get("items", {})) for item in value]
    if isinstance(value, dict) and "properties" in schema:
        return {
            name: _typed(inner, schema["properties"].get(name, {})) for name, inner in value.items()
        }
    wanted = schema.get("type")
    return float(value) if wanted == "number" else int(value) if wanted == "integer" else value


def _rules(value: Any, schema: Schema, path: Path) -> Iterator[Finding]:
    """What the CEL rules say against the value and what is in it."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if not _holds(rule["rule"], value):
            # The rules of the root are about the name.
            yield Finding(path or ("metadata", "name"), rule["message"])
    if isinstance(value, list):
        for n, item in enumerate(value):
            yield from _rules(item, schema.get("items", {}), (*path, n))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _rules(inner, schema.get("properties", {}).get(name, {}), (*path, name))


def _holds(rule: str, value: Any) -> bool:
    """Whether a rule is true of the value; one that cannot be evaluated refuses, as in the API
    server.
    """
    if "oldSelf" in rule:
        # A rule of a change: offline there is nothing before.
        return True
    context = cel.Context({"self": value})
    for name, function in _FUNCTIONS.items():
        context.add_function(name, function)
    try:
        return bool(_program(rule).execute(context))
    except (ValueError, TypeError, RuntimeError, KeyError):
        return False


@cache
def _program(rule: str) -> cel.Program:
    return cel.compile(rule)


def _is_sorted(values: list[Any]) -> bool:
    return list(values) == sorted(values)


def _is_quantity(text: str) -> bool:
    return QUANTITY.fullmatch(text) is not None


def _quantity(text: str) -> float:
    match = QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    suffix = match[3] or ""
    number = text.removesuffix(suffix)
    if suffix[:1] in {"e", "E"} and len(suffix) > 1:
        return float(text)
    powers = {"n": 1e-9, "u": 1e-6, "m": 1e-3} | {
        s: 1e3**n for n, s in enumerate(("", "k", "M", "G", "T", "P", "E"))
    }
    return float(number) * (
        1024.0 ** "KMGTPE".index(suffix[0]) * 1024 if suffix.endswith("i") else powers[suffix]
    )


def _compare(one: float, other: float) -> int:
    return (one > other) - (one < other)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "isSorted": _is_sorted,
    "isQuantity": _is_quantity,
    "quantity": _quantity,
    "compareTo": _compare,
}
"""What Kubernetes adds to CEL, as far as the CRD uses it."""


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else "null" if value is None else str(value)[:60]
