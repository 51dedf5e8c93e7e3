"""MLServer's codecs, as its manual has them. Runs in an environment of its own: see environments.py
for what is sent to it and what it says.
"""

import json
import sys
import urllib.request
from typing import Any

import pandas as pd
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, RequestOutput
from recording import Recorder, cells


def infer(url: str, name: str, request: InferenceRequest, recorder: Recorder) -> InferenceResponse:
    """What is said to the request."""
    path, headers = f"/v2/models/{name}/infer", {"content-type": "application/json"}
    body = request.model_dump_json().encode()
    recorder.note(path, headers, body)
    with urllib.request.urlopen(urllib.request.Request(url + path, body, headers)) as reply:
        return InferenceResponse.model_validate_json(reply.read())


def decoded(response: InferenceResponse) -> dict[str, Any]:
    """By name, as a user of the codecs reads it."""
    return {
        one.name: StringCodec.decode_output(one)
        if one.datatype == "BYTES" and len(one.shape) == 1
        else NumpyCodec.decode_output(one).tolist()
        for one in response.outputs
    }


def requests(model: dict[str, Any]) -> dict[str, tuple[str, InferenceRequest]]:
    """Every way of asking one model: which rows, and the request. PandasCodec has no way to say a
    gap in text.
    """
    arrays = {name: cells(one) for name, one in model["texts"].items()}
    # MLServer 1.7 does not know the type that pandas 3 has for text.
    frame = pd.DataFrame({name: pd.Series(one, dtype=one.dtype) for name, one in arrays.items()})
    columns = [
        StringCodec.encode_input(name, values)
        if isinstance(values[0], str)
        else NumpyCodec.encode_input(name, cells(values))
        for name, values in model["whole"].items()
    ]
    ways = {
        "PandasCodec": ("texts", PandasCodec.encode_request(frame)),
        "PandasCodec without bytes": ("texts", PandasCodec.encode_request(frame, use_bytes=False)),
        "a codec for each column": ("whole", InferenceRequest(inputs=columns)),
    }
    if model["numeric"]:
        matrix = NumpyRequestCodec.encode_request(frame.to_numpy(float))
        ways |= {"NumpyRequestCodec": ("all", matrix)}
    return ways


def main() -> None:
    """All models."""
    recorder = Recorder("mlserver")
    for name, model in json.load(sys.stdin).items():
        wanted = ["predict", *(["predict_proba"] if model["probable"] else [])]
        for way, (rows, request) in requests(model).items():
            recorder.begin(name, rows, f"{way}, by default")
            said = infer(model["url"], name, request, recorder)
            recorder.end({"predict": decoded(said)["predict"]})
            if not model["several"]:
                assert PandasCodec.decode_response(said)["predict"].notna().all()
            request.outputs = [RequestOutput(name=one) for one in wanted]
            request.id = "7"
            recorder.begin(name, rows, f"{way}, outputs by name")
            said = infer(model["url"], name, request, recorder)
            assert said.id == "7"
            recorder.end(decoded(said))
    recorder.write()


main()
