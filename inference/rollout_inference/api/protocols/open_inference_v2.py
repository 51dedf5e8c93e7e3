"""Open Inference Protocol, version 2, over HTTP, with the extension for binary tensors that
Triton's client uses.

Source: github.com/kserve/open-inference-protocol, inference_rest.md;
github.com/triton-inference-server/server, extension_binary_data.md.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from rollout_inference.api.named_outputs import question, value
from rollout_inference.api.protocol import Decoded, Protocol, Request, Response, without_bom
from rollout_inference.api.protocols.tensors import Tensor, inputs, matrix, table
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.settings import Settings
from rollout_model.errors import Refused
from rollout_model.outcome import IDENTITY, PREDICT, Outcome
from rollout_model.signature import AnyRows
from rollout_model.table_signature import TableSignature

LENGTH_HEADER = b"inference-header-content-length"


class _Output(msgspec.Struct):
    name: str
    """One of those that `outputs` offers."""
    parameters: dict[str, Any] | None = None
    """`binary_data`: whether it is sent as bytes; None: as the request says for all."""


class _Infer(msgspec.Struct):
    """The JSON of a request."""

    inputs: list[Tensor]
    """One matrix, or one tensor for each column."""
    id: str | None = None
    """Sent back as it came; None where there is none."""
    outputs: list[_Output] | None = None
    """None or empty: predictions and their ids."""
    parameters: dict[str, Any] | None = None
    """`binary_data_output`: whether outputs are sent as bytes, as JSON otherwise; and the model's
    own, by name. None where there are none.
    """


_INFER = msgspec.json.Decoder(_Infer)


@dataclass(slots=True)
class _Sent:
    """Tensors of the answer, and the bytes of those that were asked for as binary."""

    outputs: list[dict[str, Any]] = field(default_factory=list)
    """As in JSON; binary ones without `data`."""
    binary: list[bytes] = field(default_factory=list)
    """In the order of `outputs`; empty where all are JSON."""


class OpenInference(Protocol):
    """/v2/models/<name>/infer."""

    def decode(self, request: Request) -> Decoded:
        """The rows of all tensors; `wanted` is the request, with the default outputs filled in."""
        head, tail = self._parts(request)
        try:
            asked = _INFER.decode(head)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
            raise Refused(f"the body is no inference request: {failure}") from failure
        rows = self._rows(request, asked, tail)
        names = [output.name for output in asked.outputs or ()]
        asked.outputs = asked.outputs or [_Output(PREDICT), _Output(IDENTITY)]
        wanted = question(request.model, names, asked.parameters)
        return Decoded(request, rows, asked, wanted, asked.id or "")

    def encode(self, decoded: Decoded, outcome: Outcome, ids: list[str]) -> Response:
        """The outputs that were asked for, as JSON or as binary tensors behind it."""
        asked: _Infer = decoded.wanted
        settings, model = decoded.request.state.settings, decoded.request.model
        sent, binary = _Sent(), bool((asked.parameters or {}).get("binary_data_output", False))
        for output in asked.outputs or ():
            name = output.name
            _send(
                sent,
                name,
                _datatype(model, name),
                value(model, name, outcome, ids),
                bool((output.parameters or {}).get("binary_data", binary)),
            )
        said = {
            "model_name": settings.name,
            "model_version": settings.version,
            "outputs": sent.outputs,
        }
        if asked.id is not None:
            said["id"] = asked.id
        body = msgspec.json.encode(said)
        if not sent.binary:
            return Response(body, rows=len(ids))
        length = (LENGTH_HEADER, b"%d" % len(body))
        return Response(
            b"".join([body, *sent.binary]), 200, b"application/octet-stream", [length], len(ids)
        )

    def problem(self, status: int, sentence: str) -> Response:
        """`{"error": sentence}`."""
        return Response(msgspec.json.encode({"error": sentence}), 400 if status == 422 else status)

    def _parts(self, request: Request) -> tuple[bytes, bytes]:
        """JSON, and the binary tensors behind it."""
        said = request.header(LENGTH_HEADER)
        if not said:
            return without_bom(request.body), b""
        if not said.isdigit() or int(said) > len(request.body):
            raise Refused("Inference-Header-Content-Length is no length within the body")
        return without_bom(request.body[: int(said)]), request.body[int(said) :]

    def _rows(self, request: Request, asked: _Infer, tail: bytes) -> AnyRows:
        """As tensors.py reads them."""
        signature, most = request.model.signature, request.state.settings.max_rows
        rows, rest = (
            table(signature, asked.inputs, tail, most)
            if isinstance(signature, TableSignature)
            else matrix(signature, asked.inputs, tail, most)
        )
        if rest:
            raise Refused(f"{len(rest)} bytes are left after the binary tensors")
        return rows


def _send(sent: _Sent, name: str, datatype: str, values: Any, binary: bool) -> None:
    shape = [len(values)] if isinstance(values, list) else list(values.shape)
    if isinstance(values, list) and values and isinstance(values[0], list):
        shape.append(len(values[0]))
        values = [value for row in values for value in row]
    output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    if binary:
        content = (
            _bytes(values)
            if datatype == "BYTES"
            else np.asarray(values, dtype=_DTYPES[datatype]).tobytes()
        )
        output["parameters"] = {"binary_data_size": len(content)}
        sent.binary.append(content)
    else:
        output["data"] = values if isinstance(values, list) else values.ravel().tolist()
    sent.outputs.append(output)


_DTYPES = {"FP64": np.dtype("<f8"), "INT64": np.dtype("<i8"), "BOOL": np.dtype("?")}


def _bytes(values: list[str]) -> bytes:
    encoded = [str(value).encode() for value in values]
    return b"".join(struct.pack("<I", len(one)) + one for one in encoded)


def _datatype(model: LoadedModel, name: str) -> str:
    """An output's, by what the model says to its example."""
    if name == IDENTITY:
        return "BYTES"
    if name in model.offers or model.plan.task == "regressor":
        return "FP64"
    one = _answers(model)
    if name in model.parts and model.parts[name] < len(one):
        one = [one[model.parts[name]]]
    match model.plan.classes[:1] or one:
        case [bool(), *rest] if all(isinstance(one, bool) for one in rest):
            return "BOOL"
        case [int(), *rest] if all(type(one) is int for one in rest):
            return "INT64"
        case [float(), *rest] if all(isinstance(one, float) for one in rest):
            return "FP64"
        case _:
            return "BYTES"


def _answers(model: LoadedModel) -> list[Any]:
    """What it says to its example: a clusterer has no classes, nor has a model with several outputs
    one list of them.
    """
    return model.answer if isinstance(model.answer, list) else [model.answer]


def metadata(settings: Settings, model: LoadedModel) -> dict[str, Any]:
    """What the model takes and gives."""
    described = [_described(model, name, shape) for name, shape in _shapes(model).items()]
    return {
        "name": settings.name,
        "versions": [settings.version],
        "platform": model.runtime.name if model.plan.onnx_input is None else "sklearn_onnx",
        "inputs": inputs(model.signature),
        "outputs": described,
        "parameters": {
            "runtime": model.runtime.name,
            "revision": settings.model_revision,
            "digest": model.digest,
        },
    }


def _shapes(model: LoadedModel) -> dict[str, list[int]]:
    """Of all outputs, by name."""
    several = [len(model.answer)] if isinstance(model.answer, list) else []
    return {
        PREDICT: [-1, *several],
        IDENTITY: [-1],
        **{name: [-1, *one.width] for name, one in model.offers.items()},
        **{name: [-1] for name in model.parts},
    }


def _described(model: LoadedModel, name: str, shape: list[int]) -> dict[str, Any]:
    """Labels in the order of an output's numbers are JSON: parameters have no lists."""
    said: dict[str, Any] = {"name": name, "datatype": _datatype(model, name), "shape": shape}
    if name in model.offers and (classes := model.offers[name].classes):
        said["parameters"] = {"classes": msgspec.json.encode(classes).decode()}
    return said
