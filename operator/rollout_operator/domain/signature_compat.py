"""Whether a new version takes the requests that the stable one gets, by their MLflow signatures.

A signature is the JSON of MLflow's ModelSignature.to_dict(): {"inputs": "[…]", "outputs": "[…]"},
columns with name, type and required, or one tensor with dtype and shape. Source:
mlflow.org/docs/latest/ml/model/signatures.
"""

import json
from typing import Any

WIDER = {
    ("integer", "long"),
    ("integer", "float"),
    ("integer", "double"),
    ("long", "double"),
    ("float", "double"),
}
"""Types that a column may widen to: MLflow converts the one to the other without loss worth
speaking of.
"""


def incompatibility(stable: str, candidate: str) -> str:
    """Why requests made for `stable` do not fit `candidate`, as a sentence; "" where they do or
    where one of them is not known.
    """
    if not stable or not candidate or stable == candidate:
        return ""
    try:
        before, after = json.loads(stable), json.loads(candidate)
        inputs, outputs = (
            (_read(before, "inputs"), _read(after, "inputs")),
            (_read(before, "outputs"), _read(after, "outputs")),
        )
    except (ValueError, TypeError, AttributeError, KeyError):
        return "its signature cannot be read."
    return _inputs(*inputs) or _outputs(*outputs)


def _read(signature: dict[str, Any], part: str) -> list[dict[str, Any]]:
    raw = signature.get(part) or "[]"
    found = json.loads(raw) if isinstance(raw, str) else raw
    return [dict(one) for one in found]


def _inputs(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    if not before or not after:
        return ""
    if _is_tensor(before) or _is_tensor(after):
        return (
            ""
            if _shapes(before) == _shapes(after)
            else f"its input is {_types(after)}, stable's is {_types(before)}."
        )
    known = {c.get("name", n): c for n, c in enumerate(before)}
    for n, column in enumerate(after):
        name = column.get("name", n)
        old = known.get(name)
        if old is None:
            if column.get("required", True):
                return f"it needs the column {name!r}, which stable does not have."
            continue
        if old["type"] != column["type"] and (old["type"], column["type"]) not in WIDER:
            return f"its column {name!r} is {column['type']}, stable's is {old['type']}."
    return ""


def _outputs(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    if not before or not after:
        return ""
    if _is_tensor(before) or _is_tensor(after):
        return (
            ""
            if _shapes(before) == _shapes(after)
            else f"its output is {_types(after)}, stable's is {_types(before)}."
        )
    if [c.get("type") for c in before] != [c.get("type") for c in after]:
        return f"its output is {_types(after)}, stable's is {_types(before)}."
    return ""


def _is_tensor(columns: list[dict[str, Any]]) -> bool:
    return any(c.get("type") == "tensor" for c in columns)


def _shapes(columns: list[dict[str, Any]]) -> list[object]:
    return [
        (
            c.get("name"),
            (c.get("tensor-spec") or {}).get("dtype"),
            (c.get("tensor-spec") or {}).get("shape"),
        )
        for c in columns
    ]


def _types(columns: list[dict[str, Any]]) -> str:
    kinds = [str((c.get("tensor-spec") or {}).get("shape", c.get("type"))) for c in columns]
    return ", ".join(kinds)[:200]
