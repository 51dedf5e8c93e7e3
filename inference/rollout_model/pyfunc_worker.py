"""The process in which a model of one's own runs: `PYTHON -I pyfunc_worker.py FOLDER`.

It is given by its path to whatever interpreter has the model's packages, of which it needs MLflow
alone, from 2.6 on. Frames are made as MLflow's own server makes them
(mlflow.pyfunc.scoring_server). A message is eight bytes with its length, and JSON: first one from
here, empty or with `failed`; then a question from the server, and an answer. It ends with its
standard input.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import traceback
from typing import Any, BinaryIO, Callable  # noqa: UP035 - of older Pythons, too

LENGTH = struct.Struct(">Q")


def main(folder: str) -> int:
    """Load, and answer until nobody asks any more. What the model prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        ask = _loaded(folder)
    except BaseException as failure:
        traceback.print_exc()
        _send(answers, {"failed": _said(failure)})
        return 1
    _send(answers, {})
    while head := sys.stdin.buffer.read(LENGTH.size):
        question = json.loads(sys.stdin.buffer.read(*LENGTH.unpack(head)))
        reply: dict[str, Any]
        try:
            reply = {"answers": ask(question["rows"], question["params"])}
        except Exception as failure:
            traceback.print_exc()
            refused = isinstance(failure, ValueError)
            reply = {"failed": _said(failure), "refused": refused}
        _send(answers, reply)
    return 0


def _loaded(folder: str) -> Callable[[list[Any], dict[str, Any]], list[Any]]:
    """A function from rows, lists of JSON values, and parameters to answers, one for each row."""
    import mlflow.pyfunc  # noqa: PLC0415 - its absence is a sentence, too
    from mlflow.utils import proto_json_utils  # noqa: PLC0415

    as_mlflow: Any = proto_json_utils
    model = mlflow.pyfunc.load_model(folder)
    schema: Any = model.metadata.get_input_schema()
    tensor = schema.is_tensor_spec()
    names = [] if tensor else [name for name in schema.input_names() if isinstance(name, str)]
    hinted = getattr(model.metadata, "_is_signature_from_type_hint", False)
    encoder = as_mlflow.NumpyEncoder()

    def ask(rows: list[Any], params: dict[str, Any]) -> list[Any]:
        if tensor:
            data = as_mlflow.parse_inputs_data(rows, schema)
        elif hinted and not names:
            data = [row[0] for row in rows]
        else:
            split = {"data": rows, **({"columns": names} if names else {})}
            data = as_mlflow.dataframe_from_parsed_json(split, "split", schema)
        said = _listed(model.predict(data, params=params) if params else model.predict(data))
        if len(said) != len(rows):
            raise TypeError(f"it gives {len(said)} answers to {len(rows)} rows")
        return _plain(said, encoder.default)

    return ask


def _listed(said: Any) -> list[Any]:
    """One answer for each row: of a frame with one column its cell, of several a list of them."""
    if isinstance(said, dict):
        import pandas as pd  # noqa: PLC0415

        said = pd.DataFrame(said)
    if hasattr(said, "columns"):
        said = said.iloc[:, 0] if len(said.columns) == 1 else said.astype(object).to_numpy()
    if hasattr(said, "tolist"):
        said = said.tolist()
    if not isinstance(said, (list, tuple)):
        raise TypeError(f"it answers with a {type(said).__name__}, not with one for each row")
    return list(said)


def _plain(said: list[Any], default: Callable[[Any], Any]) -> list[Any]:
    """Answers as JSON has them; raises TypeError where it cannot, which is no fault of the rows."""
    try:
        text = json.dumps(said, default=default, ensure_ascii=False).encode()
    except ValueError as failure:
        raise TypeError(f"it answers with what cannot be sent: {failure}") from failure
    plain: list[Any] = json.loads(text)
    return plain


def _said(failure: BaseException) -> str:
    lines = str(failure).strip().splitlines()
    return f"{type(failure).__name__}: {lines[0] if lines else ''}"[:300]


def _send(stream: BinaryIO, message: dict[str, Any]) -> None:
    content = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
