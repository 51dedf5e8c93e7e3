"""The OpenAPI document: what a person reads, and what tools check answers against. The rows in it
are those of the model that is served: see row_schema.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rollout_inference.api.protocols.feedback import LONGEST_ID
from rollout_inference.api.protocols.mlflow import FORMATS
from rollout_inference.api.row_schema import Schema
from rollout_inference.feedback.book import MOST_ROWS
from rollout_inference.feedback.settlement import (
    CORRECTED,
    COUNTED,
    DUPLICATE,
    MOST_VERSION,
    REQUEST_ID,
    SUPERSEDED,
)

TITLE = "Model server"
OVERVIEW = """Serves one version of one model. `/predict/` is its own protocol; clients of MLflow
and of the Open Inference Protocol (KServe, Triton, Seldon) work unchanged. Every answer says who
gave it, in the headers `X-Model-Version` and `X-Model-Revision`.

Send the right answer to `/feedback/` as soon as you know it: what is promoted and what is rolled
back is decided by it."""

_VALUE: Schema = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean")]}
_LABEL_VALUE: Schema = {
    "anyOf": [*_VALUE["anyOf"], {"type": "array", "items": _VALUE, "minItems": 1}]
}
_PREDICTIONS: Schema = {
    "type": "array",
    "items": {**_VALUE, "anyOf": [*_VALUE["anyOf"], {"type": "array"}]},
}
_IDS: Schema = {
    "type": "array",
    "items": {"type": "string"},
    "description": "One for each row; send it with the right answer to /feedback/.",
}
_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}
_MLFLOW_ERROR: Schema = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
}
_CODES = {
    400: "The body is no JSON, or not what the protocol asks for",
    403: "The id was not signed by this rollout",
    404: "Another model, or another version",
    408: "The body did not arrive in time",
    409: "The prediction has its label already",
    410: "The label comes too late",
    413: "The body is too large",
    415: "Another content type or encoding",
    422: "The rows do not fit the model",
    500: "The model failed",
    503: "The model is not loaded yet",
}


@dataclass(frozen=True, slots=True)
class Text:
    """How one route is described."""

    summary: str
    """A title of a few words."""
    description: str
    """Sentences, in Markdown."""
    body: Schema
    """Of a request; _ROWS in it stands for the model's own rows."""
    answer: Schema
    """Of a response with status 200."""
    codes: tuple[int, ...]
    """Of answers that say what is wrong."""
    error: Schema = field(default_factory=lambda: _ERROR)
    """Of a response with any of `codes`."""
    kinds: tuple[str, ...] = ("application/json",)
    """Content types of a request."""

    def extra(self) -> Schema:
        """What FastAPI does not know of the route."""
        content = {
            kind: {"schema": self.body if kind == "application/json" else {"type": "string"}}
            for kind in self.kinds
        }
        return {"requestBody": {"required": True, "content": content}}


def problems(text: Text) -> dict[int | str, Schema]:
    """Answers by status."""
    found: dict[int | str, Schema] = {
        200: {"description": "Answered", "content": {"application/json": {"schema": text.answer}}}
    }
    for code in text.codes:
        found[code] = {
            "description": _CODES[code],
            "content": {"application/json": {"schema": text.error}},
        }
        if code == 415 and text.error is _MLFLOW_ERROR:
            found[code]["content"] |= {"text/plain": {"schema": {"type": "string"}}}
    return found


_ROWS: Schema = {"$ref": "#/components/schemas/Rows"}
_NAMES: Schema = {"$ref": "#/components/schemas/Outputs"}
_PARAMETERS: Schema = {"$ref": "#/components/schemas/Parameters"}
_NAMED: Schema = {
    "outputs": {
        "type": "object",
        "additionalProperties": {"type": "array"},
        "description": "What was asked for, by name: as many values as rows.",
    },
    "classes": {
        "type": "object",
        "additionalProperties": {"type": "array"},
        "description": "Of each output by class, its labels in the order of its numbers.",
    },
}
_LABEL: Schema = {
    "type": "object",
    "required": ["id", "label"],
    "properties": {"id": {"type": "string", "maxLength": LONGEST_ID}, "label": _LABEL_VALUE},
    "example": {"id": "YwANk6RpcmlzoTemYWJjMTIz…", "label": "setosa"},
}
_VALUED: Schema = {
    "type": "object",
    "required": ["id", "value"],
    "properties": {
        "id": {"type": "string", "maxLength": LONGEST_ID},
        "value": {"type": "number", "minimum": 0},
    },
    "example": {"id": "YwANk6RpcmlzoTemYWJjMTIz…", "value": 12.5},
}
_VERSION: Schema = {"type": "integer", "minimum": 0, "maximum": MOST_VERSION - 1, "default": 0}
_REQUEST_ID: Schema = {"type": "string", "pattern": f"^{REQUEST_ID}$"}
_BY_REQUEST: Schema = {
    "request_id": _REQUEST_ID,
    "row": {"type": "integer", "minimum": 0, "maximum": MOST_ROWS - 1, "default": 0},
}
_LABEL_BY_REQUEST: Schema = {
    "type": "object",
    "required": ["request_id", "label"],
    "properties": {**_BY_REQUEST, "label": _LABEL_VALUE, "version": _VERSION},
    "example": {"request_id": "order-17", "label": "setosa"},
}
_VALUED_BY_REQUEST: Schema = {
    "type": "object",
    "required": ["request_id", "value"],
    "properties": {**_BY_REQUEST, "value": {"type": "number", "minimum": 0}},
    "example": {"request_id": "order-17", "value": 12.5},
}
_VERSIONED: Schema = {**_LABEL, "properties": {**_LABEL["properties"], "version": _VERSION}}


def _some(forms: list[Schema]) -> Schema:
    """One label in any of the forms, or a list of them."""
    many = {"type": "array", "items": {"anyOf": forms}, "minItems": 1, "maxItems": 10_000}
    return {"anyOf": [*forms, many]}


def with_store(document: Schema) -> Schema:
    """The document of a server that has a feedback store: callers' own ids, and corrections."""
    content = document["paths"]["/feedback/"]["post"]["requestBody"]["content"]
    forms = [_VERSIONED, _VALUED, _LABEL_BY_REQUEST, _VALUED_BY_REQUEST]
    content["application/json"] = {"schema": _some(forms)}
    return document


_CREDIT: Schema = {
    "type": "object",
    "properties": {
        "value": {"type": "number"},
        "outcome": {"enum": ["correct", "wrong"]},
        "taken": {"enum": [COUNTED, CORRECTED, DUPLICATE, SUPERSEDED]},
        "absolute_error": {"type": "number"},
        "model": {"type": "string"},
        "version": {"type": "string"},
        "revision": {"type": "string"},
        "status": {"type": "integer"},
        "error": {"type": "string"},
    },
}
_TENSOR: Schema = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string"},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}

DESCRIPTIONS: Mapping[str, Text] = {
    "predict": Text(
        "Predict rows",
        "Rows are lists of values in the order of the model's columns, or objects by column name."
        " `outputs` asks for more than predictions, by name.",
        {
            "type": "object",
            "required": ["instances"],
            "properties": {
                "instances": _ROWS,
                "outputs": _NAMES,
                "params": _PARAMETERS,
                "request_id": {
                    **_REQUEST_ID,
                    "description": "The caller's own name for the request, which labels may be sent"
                    " with where there is a feedback store.",
                },
            },
        },
        {
            "type": "object",
            "required": ["predictions", "prediction_ids", "model", "version", "revision"],
            "properties": {
                "predictions": _PREDICTIONS,
                **_NAMED,
                "prediction_ids": _IDS,
                "model": {"type": "string"},
                "version": {"type": "string"},
                "revision": {"type": "string"},
            },
        },
        (400, 408, 413, 415, 422, 500, 503),
    ),
    "feedback": Text(
        "Say what would have been right",
        "One label, or a list of up to 10,000. It is credited to the revision that made the"
        " prediction, whichever pod gets it. An id takes one label, within a week; of a list, each"
        " label is counted or refused by itself. Of a list with an entry in another form, none is"
        " counted. In place of a label there may be a value, such as revenue, where the operator's"
        " `models.values` says up to what; an id takes one of each. With a feedback store the"
        " caller's own `request_id` may stand in place of the id, and a label with a greater"
        " `version` is a correction.",
        _some([_LABEL, _VALUED]),
        {
            "anyOf": [
                _CREDIT,
                {
                    "type": "object",
                    "required": ["results"],
                    "properties": {"results": {"type": "array", "items": _CREDIT}},
                },
            ]
        },
        (400, 403, 404, 408, 409, 410, 413, 415, 422, 500, 503),
    ),
    "invocations": Text(
        "Predict, by MLflow's scoring protocol",
        "Exactly one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`; or CSV"
        " with a header line. `params` are those of the model's signature, and `outputs` in it asks"
        " for more than predictions, by name.",
        {
            "type": "object",
            "properties": {
                **dict.fromkeys(FORMATS, _ROWS),
                "dataframe_split": {"$ref": "#/components/schemas/Split"},
                "params": {"$ref": "#/components/schemas/Params"},
            },
            "oneOf": [{"required": [one]} for one in FORMATS],
        },
        {
            "type": "object",
            "required": ["predictions"],
            "properties": {"predictions": _PREDICTIONS, **_NAMED, "prediction_ids": _IDS},
        },
        (400, 408, 413, 415, 500, 503),
        error=_MLFLOW_ERROR,
    ),
    "infer": Text(
        "Predict, by the Open Inference Protocol",
        "One tensor of shape [rows, columns] by any name, or one for each column. Outputs:"
        " `predict`, `prediction_id`, and what else the model's metadata list. Binary tensors as in"
        " Triton's extension.",
        {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "inputs": {"type": "array", "items": _TENSOR, "minItems": 1},
                "outputs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}},
                    },
                },
                "parameters": {"type": "object"},
            },
        },
        {
            "type": "object",
            "required": ["model_name", "outputs"],
            "properties": {
                "model_name": {"type": "string"},
                "model_version": {"type": "string"},
                "outputs": {"type": "array", "items": _TENSOR},
            },
        },
        (400, 404, 408, 413, 415, 500, 503),
    ),
}


def curl(method: str, path: str, body: Any = None) -> str:
    """The command that a reader can paste."""
    if body is None:
        return (
            f"curl -X {method} http://localhost:8080{path}"
            if method != "GET"
            else f"curl http://localhost:8080{path}"
        )
    return (
        f"curl http://localhost:8080{path} -H 'Content-Type: application/json' -d"
        f" '{json.dumps(body)}'"
    )
