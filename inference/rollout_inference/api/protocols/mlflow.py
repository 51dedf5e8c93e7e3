"""MLflow's scoring protocol: /invocations in all its formats, with its error bodies. Source:
mlflow.pyfunc.scoring_server 3.17.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from rollout_inference.api.named_outputs import by_name, names_of, question
from rollout_inference.api.protocol import (
    TEXT,
    Decoded,
    Protocol,
    Request,
    Response,
    parse_json,
    without_bom,
)
from rollout_model.errors import BadInput, Refused
from rollout_model.outcome import Outcome
from rollout_model.signature import AnyRows, Rows

OUTPUTS = "outputs"
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_CODES = {503: "TEMPORARILY_UNAVAILABLE", 500: "INTERNAL_ERROR"}


class _Split(msgspec.Struct):
    data: list[list[float]]
    """Row by row."""
    columns: list[str] | None = None
    """Names in the order of `data`; None where it is the signature's."""


class _Quick(msgspec.Struct):
    """The formats as they mostly come; whatever else the body has, or has otherwise, is read the
    slow way.
    """

    dataframe_split: _Split | None = None
    """None where the body has another format, as in all of these."""
    instances: list[list[float]] | None = None
    """Row by row."""
    inputs: list[list[float]] | None = None
    """Row by row; columns by name are read the slow way."""
    dataframe_records: msgspec.Raw | None = None
    """Objects by column name: not read here, only seen."""
    params: Any = None
    """Parameters by name; None where there are none."""


_QUICK = msgspec.json.Decoder(_Quick)


class Mlflow(Protocol):
    """What `mlflow models serve` answers, and the ids for labels beside it."""

    def decode(self, request: Request) -> Decoded | Response:
        """Other content types than JSON and CSV are 415, as text."""
        kind, *parameters = [
            part.strip().lower()
            for part in (request.header(b"content-type") or b"application/json").split(b";")
        ]
        if any(p.replace(b'"', b"") != b"charset=utf-8" for p in parameters if p):
            return Response(
                b"The scoring server only supports UTF-8 and no other content type parameters",
                415,
                TEXT,
            )
        params: object = None
        if kind == b"application/json":
            quick = self._quick(request)
            rows, params = self._rows(request) if quick is None else quick
        elif kind == b"text/csv":
            rows = self._csv(request)
        else:
            said = kind.decode("latin-1")[:100]
            text = (
                "This predictor only supports the following content types: Types: ['text/csv',"
                f" 'application/json']. Got '{said}'."
            )
            return Response(text.encode(), 415, TEXT)
        names = _names(request, params)
        return Decoded(request, rows, names, question(request.model, names, params))

    def encode(self, decoded: Decoded, outcome: Outcome, ids: list[str]) -> Response:
        """`{"predictions": [...]}`, the ids, and what was asked for by name."""
        named = by_name(decoded.request.model, decoded.wanted, outcome, ids)
        said = {"predictions": outcome.labels, **named, "prediction_ids": ids}
        return Response(msgspec.json.encode(said), rows=len(ids))

    def problem(self, status: int, sentence: str) -> Response:
        """MLflow's clients know one code for every mistake in the input."""
        said = {"error_code": _CODES.get(status, "BAD_REQUEST"), "message": sentence}
        return Response(msgspec.json.encode(said), 400 if status == 422 else status)

    def _quick(self, request: Request) -> tuple[Rows, object] | None:
        """Rows and parameters; None where the slow way has to read them."""
        signature, most = request.model.signature, request.state.settings.max_rows
        try:
            said = _QUICK.decode(request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        split = said.dataframe_split
        given = [
            one
            for one in (split, said.instances, said.inputs, said.dataframe_records)
            if one is not None
        ]
        if len(given) != 1 or said.dataframe_records is not None:
            return None
        if split is None:
            rows = signature.matrix(said.instances or said.inputs or [], most)
        elif split.columns is not None and tuple(split.columns) != signature.names:
            return None
        else:
            rows = signature.matrix(split.data, most)
        return None if rows is None else (rows, said.params)

    def _rows(self, request: Request) -> tuple[AnyRows, object]:
        """Rows and parameters; raises Refused."""
        signature, most = request.model.signature, request.state.settings.max_rows
        asked = _parsed(request.body)
        given = [name for name in FORMATS if isinstance(asked, dict) and name in asked]
        if len(given) != 1:
            got = (
                f"Received dictionary with input fields: {list(asked)[:10]}"
                if isinstance(asked, dict)
                else f"Received {type(asked).__name__}"
            )
            raise BadInput(
                "The input must be a JSON dictionary with exactly one of the input fields"
                f" {set(FORMATS)}. {got}."
            )
        value = asked[given[0]]
        match given[0]:
            case "dataframe_split":
                rows = self._split(request, value)
            case "inputs" if isinstance(value, dict):
                rows = signature.columns(value, most)
            case _:
                rows = signature.rows(self._known(request, value), most, given[0])
        return rows, asked.get("params")

    def _split(self, request: Request, value: Any) -> AnyRows:
        signature, most = request.model.signature, request.state.settings.max_rows
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise BadInput('dataframe_split must be an object with "columns" and "data"')
        columns = value.get("columns")
        if columns is None or not signature.named:
            return signature.rows(value["data"], most, "dataframe_split")
        return signature.rows(
            self._records(request, columns, value["data"]), most, "dataframe_split"
        )

    def _records(self, request: Request, columns: Any, data: Sequence[Any]) -> Any:
        """Rows as objects, without the columns that the model does not take."""
        if not isinstance(columns, list) or not all(isinstance(one, str | int) for one in columns):
            raise BadInput('"columns" must be a list of names')
        names = [str(one) for one in columns]
        times = Counter(names)
        if twice := [name for name in request.model.signature.names if times[name] > 1]:
            name = twice[0]
            raise BadInput(f"the column {name!r} is there {times[name]} times: send it once")
        for number, row in enumerate(data):
            if not isinstance(row, list) or len(row) != len(names):
                raise BadInput(
                    f"row {number} must be a list of {len(names)} values, as there are columns"
                )
        return self._known(request, [dict(zip(names, row, strict=True)) for row in data])

    def _known(self, request: Request, rows: Any) -> Any:
        """Rows without the columns that the model does not take: MLflow drops them."""
        names = set(request.model.signature.names)
        if not isinstance(rows, list):
            return rows
        return [
            {k: v for k, v in row.items() if k in names} if isinstance(row, dict) else row
            for row in rows
        ]

    def _csv(self, request: Request) -> AnyRows:
        """A header line, and a line for each row."""
        signature, most = request.model.signature, request.state.settings.max_rows
        try:
            lines = list(
                csv.reader(io.StringIO(request.body.decode("utf-8-sig"), newline=""), strict=True)
            )
        except (UnicodeDecodeError, csv.Error) as failure:
            raise Refused(f"the body is no CSV in UTF-8: {failure}") from failure
        lines = [line for line in lines if line]
        if not lines:
            raise BadInput("send a header line with the columns' names, and at least one row")
        if not signature.named:
            unnamed = [
                [signature.read(number, n, cell) for n, cell in enumerate(line)]
                for number, line in enumerate(lines[1:])
            ]
            return signature.rows(unnamed, most, "the CSV")
        # Columns are chosen before cells are read: what the model does not take may hold anything.
        chosen = self._records(request, lines[0], lines[1:])
        data = [
            {name: signature.read(number, name, cell) for name, cell in row.items()}
            for number, row in enumerate(chosen)
        ]
        return signature.rows(data, most, "the CSV")


def _names(request: Request, params: object) -> tuple[str, ...]:
    """Outputs that are asked for among the parameters, where MLflow has no other place for them; a
    model may have a parameter of that name itself.
    """
    if not isinstance(params, dict) or OUTPUTS in request.model.parameters.names:
        return ()
    return names_of(request.model, params.get(OUTPUTS))


def _parsed(body: bytes) -> Any:
    """The body's JSON; with NaN for a missing value, which JSON has not, and MLflow's own client
    sends of text. Raises Refused.
    """
    try:
        return parse_json(body)
    except Refused:
        if b"NaN" not in body:
            raise
        try:
            return json.loads(without_bom(body))
        except (ValueError, RecursionError):
            pass  # the sentence is that of the first reading
        raise
