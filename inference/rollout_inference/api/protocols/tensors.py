"""Tensors of the Open Inference Protocol as rows: one matrix, or one tensor for each column.

Source: github.com/kserve/open-inference-protocol, inference_rest.md (tensor data, datatypes);
github.com/triton-inference-server/server, extension_binary_data.md (BYTES have 4 bytes of length
before each element).
"""

import math
import struct
from collections.abc import Container, Sequence
from typing import Any

import msgspec
import numpy as np

from rollout_model.errors import BadInput, Refused
from rollout_model.signature import AnyRows, Signature
from rollout_model.table import Column, Kind, Table
from rollout_model.table_signature import TableSignature

INPUT = "input"
NUMBERS = {
    **{
        f"{sign}INT{bits}": np.dtype(f"{'u' if sign else 'i'}{bits // 8}")
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
    **{f"FP{bits}": np.dtype(f"f{bits // 8}") for bits in (16, 32, 64)},
}
"""Datatypes that a model of numbers takes."""
DATATYPES = {
    Kind.DOUBLE: "FP64",
    Kind.FLOAT: "FP32",
    Kind.LONG: "INT64",
    Kind.INTEGER: "INT32",
    Kind.BOOLEAN: "BOOL",
    Kind.STRING: "BYTES",
    Kind.DATETIME: "BYTES",
}
"""Of columns, as the metadata has them."""


class Tensor(msgspec.Struct):
    name: str
    """The column's; any where one tensor has all columns."""
    shape: list[int]
    """[rows], [rows, 1] or [rows, columns]."""
    datatype: str
    """Such as FP64, INT32 or BYTES."""
    data: Any = None
    """Values, flat or row by row; None where they are in the binary part."""
    parameters: dict[str, Any] | None = None
    """`binary_data_size`: its bytes in the binary part; None where it has none."""


def inputs(signature: Signature) -> list[dict[str, Any]]:
    """What the metadata says of the tensors that are to be sent."""
    if isinstance(signature, TableSignature):
        return [
            {"name": column.name, "datatype": DATATYPES[column.kind], "shape": [-1, 1]}
            for column in signature.table
        ]
    columns = {"columns": ",".join(signature.names)} if signature.named else {}
    shape = [-1, signature.width]
    return [{"name": INPUT, "datatype": "FP64", "shape": shape, "parameters": columns}]


def matrix(
    signature: Signature, tensors: Sequence[Tensor], tail: bytes, most: int
) -> tuple[AnyRows, bytes]:
    """Rows of numbers, and what is left of the binary part: one tensor of shape [rows, width] by
    any name, or one for each column, of shape [rows] or [rows, 1]. Raises Refused.
    """
    arrays: dict[str, Any] = {}
    rest = tail
    for one in tensors:
        _only_once(one, arrays)
        array, rest = _array(one, rest)
        arrays[one.name] = array
    if (
        len(arrays) == 1
        and (only := next(iter(arrays.values()))).ndim == 2
        and only.shape[1] == signature.width
    ):
        rows = only
    else:
        rows = _together(arrays, signature)
    if not 0 < len(rows) <= most:
        raise Refused(f"{len(rows)} rows: send from 1 to {most} in one request")
    return signature.checked(rows.astype(np.float64)), rest


def table(
    signature: TableSignature, tensors: Sequence[Tensor], tail: bytes, most: int
) -> tuple[AnyRows, bytes]:
    """Rows of mixed columns, and what is left of the binary part: one tensor for each column, of
    shape [rows] or [rows, 1]; those that may be missing may be left out. Raises Refused.
    """
    columns, rest = dict(zip(signature.names, signature.table, strict=True)), tail
    given: dict[str, list[Any]] = {}
    for tensor in tensors:
        if (column := columns.get(tensor.name)) is None:
            raise Refused(f"there is no column {tensor.name!r}: send {_named(signature)}")
        _only_once(tensor, given)
        given[tensor.name], rest = _cells(column, tensor, rest)
    if absent := [name for name in signature.demanded if name not in given]:
        raise Refused(f"the column {absent[0]!r} is missing: send {_named(signature)}")
    counts = {len(cells) for cells in given.values()}
    if len(counts) != 1:
        raise Refused("tensors of columns must all have as many rows")
    if not 0 < (count := counts.pop()) <= most:
        raise Refused(f"{count} rows: send from 1 to {most} in one request")
    lists = [given.get(name, [None] * count) for name in signature.names]
    return Table.of(signature.table, list(zip(*lists, strict=True))), rest


def _only_once(tensor: Tensor, before: Container[str]) -> None:
    if tensor.name in before:
        raise Refused(f"there are two tensors {tensor.name!r}: send it once")


def _named(signature: Signature) -> str:
    return f"one tensor for each of {', '.join(signature.names)}"


def _cells(column: Column, tensor: Tensor, rest: bytes) -> tuple[list[Any], bytes]:
    """The tensor's values as JSON has them, and what is left of the binary part."""
    _fits(column, tensor)
    count = tensor.shape[0]
    size = (tensor.parameters or {}).get("binary_data_size")
    if size is None:
        cells = _listed(tensor, count)
    elif not isinstance(size, int) or not 0 <= size <= len(rest):
        raise Refused(f"{tensor.name!r} has {len(rest)} bytes of binary data, not {size}")
    elif tensor.datatype == "BYTES":
        cells, rest = _texts(tensor, rest[:size], count), rest[size:]
    else:
        kind = np.dtype("?") if tensor.datatype == "BOOL" else NUMBERS[tensor.datatype]
        if size != count * kind.itemsize:
            raise _wrong_size(tensor, count * kind.itemsize, size)
        cells = np.frombuffer(rest[:size], dtype=kind.newbyteorder("<")).tolist()
        rest = rest[size:]
    return [None if _is_gap(column, cell) else cell for cell in cells], rest


def _fits(column: Column, tensor: Tensor) -> None:
    wanted = DATATYPES[column.kind]
    takes = wanted if wanted in {"BOOL", "BYTES"} else f"{wanted}, or another number"
    if tensor.datatype != wanted and (
        wanted in {"BOOL", "BYTES"} or tensor.datatype not in NUMBERS
    ):
        raise BadInput(f"{tensor.name!r} is of datatype {tensor.datatype}: send {takes}")
    shape = tensor.shape
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)) or not 0 <= shape[0] < 2**31:
        raise Refused(f"{tensor.name!r} has shape {shape}: send [rows] or [rows, 1]")


def _listed(tensor: Tensor, count: int) -> list[Any]:
    values = tensor.data
    if isinstance(values, list):
        values = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in values]
    if not isinstance(values, list) or len(values) != count:
        got = len(values) if isinstance(values, list) else type(values).__name__
        raise Refused(f"{tensor.name!r} has {got} values: its shape {tensor.shape} says {count}")
    return values


def _texts(tensor: Tensor, content: bytes, count: int) -> list[str]:
    found, place = [], 0
    try:
        while place < len(content):
            (length,) = struct.unpack_from("<I", content, place)
            place += 4 + length
            if place > len(content):
                raise Refused(f"{tensor.name!r} ends within a text of {length} bytes")
            found.append(content[place - length : place].decode())
    except (struct.error, UnicodeDecodeError) as failure:
        raise Refused(f"{tensor.name!r} row {len(found)} is no text in UTF-8: {failure}") from None
    if len(found) != count:
        raise Refused(f"{tensor.name!r} has {len(found)} values: its shape says {count}")
    return found


def _is_gap(column: Column, cell: object) -> bool:
    """NaN is what a binary number has for a missing value, and an empty text a binary date."""
    if isinstance(cell, float):
        return math.isnan(cell)
    return column.kind is Kind.DATETIME and cell == ""


def _wrong_size(tensor: Tensor, wanted: int, size: object) -> Refused:
    return Refused(
        f"{tensor.name!r} of shape {tensor.shape} and {tensor.datatype} has {wanted} bytes, not"
        f" {size}"
    )


def _array(tensor: Tensor, rest: bytes) -> tuple[Any, bytes]:
    """The tensor's numbers in its shape, and what is left of the binary part. Raises Refused."""
    kind = NUMBERS.get(tensor.datatype)
    if kind is None:
        raise Refused(
            f"{tensor.name!r} is of datatype {tensor.datatype}: send one of {', '.join(NUMBERS)}"
        )
    if not 1 <= len(tensor.shape) <= 2 or any(not 0 <= one < 2**31 for one in tensor.shape):
        raise Refused(f"{tensor.name!r} has shape {tensor.shape}: send [rows, columns]")
    count = tensor.shape[0] * (tensor.shape[1] if len(tensor.shape) == 2 else 1)
    size = (tensor.parameters or {}).get("binary_data_size")
    if size is not None:
        if size != count * kind.itemsize or size > len(rest):
            raise _wrong_size(tensor, count * kind.itemsize, size)
        return (
            np.frombuffer(rest[:size], dtype=kind.newbyteorder("<")).reshape(tensor.shape),
            rest[size:],
        )
    return _floats(tensor, kind, count).reshape(tensor.shape), rest


def _floats(tensor: Tensor, kind: np.dtype[Any], count: int) -> Any:
    """Its `data` as float64, (count,); NaN for null. Raises Refused."""
    values = tensor.data
    if isinstance(values, list) and values and isinstance(values[0], list):
        values = [value for row in values for value in (row if isinstance(row, list) else [row])]
    if not isinstance(values, list) or len(values) != count:
        got = len(values) if isinstance(values, list) else type(values).__name__
        raise Refused(f"{tensor.name!r} has {got} values: its shape {tensor.shape} says {count}")
    if kind.kind == "f":  # whether one may be missing is for the signature to say
        values = [math.nan if value is None else value for value in values]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise Refused(f"{tensor.name!r} must hold numbers only")
    if kind.kind != "f" and any(value != int(value) for value in values):
        raise Refused(
            f"{tensor.name!r} is of datatype {tensor.datatype} and must hold whole numbers only"
        )
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as failure:
        raise Refused(f"{tensor.name!r} has an integer that is too large") from failure


def _together(arrays: dict[str, Any], signature: Signature) -> Any:
    """A matrix from one tensor for each column."""
    if set(arrays) != set(signature.names):
        raise Refused(
            f"send one tensor of shape [rows, {signature.width}], or one for each of"
            f" {', '.join(signature.names)}"
        )
    columns = [arrays[name].reshape(len(arrays[name]), -1) for name in signature.names]
    if any(one.shape != (len(columns[0]), 1) for one in columns):
        raise Refused(
            "tensors of columns must all be of shape [rows] or [rows, 1], with as many rows"
        )
    return np.hstack([one.astype(np.float64) for one in columns])
