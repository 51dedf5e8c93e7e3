"""KServe's InferenceRESTClient, as its manual has it. Runs in an environment of its own: see
environments.py for what is sent to it and what it says.
"""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from recording import Recorder, cells

DATATYPES = {"int64": "INT64", "float64": "FP64", "bool": "BOOL", "object": "BYTES"}


class Transport(httpx.AsyncHTTPTransport):
    """The default one, which notes what passes."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.recorder.note(request.url.path, dict(request.headers), await request.aread())
        return await super().handle_async_request(request)


def column(name: str, values: list[Any], binary: bool) -> InferInput:
    """One tensor for a column; a gap in text can be said in JSON only."""
    array = cells(values)
    tensor = InferInput(name, list(array.shape), DATATYPES[str(array.dtype)])
    if None in values and not binary:
        tensor.data = values
    else:
        tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def matrix(columns: dict[str, list[Any]], binary: bool) -> InferInput:
    """One tensor for all columns."""
    array = np.array(list(columns.values()), dtype=np.float64).T
    tensor = InferInput("input-0", list(array.shape), "FP64")
    tensor.set_data_from_numpy(np.ascontiguousarray(array), binary_data=binary)
    return tensor


async def ask(name: str, model: dict[str, Any], recorder: Recorder) -> None:
    """Every way of asking one model."""
    transport, url = Transport(recorder), model["url"]
    columns, whole = model["all"], model["whole"]
    client = InferenceRESTClient(RESTConfig(transport=transport, protocol="v2"))
    assert await client.is_server_live(url)
    assert await client.is_server_ready(url)
    assert await client.is_model_ready(url, name)
    ways = {
        "a column each, JSON": ("all", [column(n, one, False) for n, one in columns.items()]),
        "a column each, binary": ("whole", [column(n, one, True) for n, one in whole.items()]),
    }
    if model["numeric"]:
        ways |= {
            "a matrix, JSON": ("all", [matrix(columns, binary=False)]),
            "a matrix, binary": ("all", [matrix(columns, binary=True)]),
        }
    wanted = ["predict", *(["predict_proba"] if model["probable"] else [])]
    for way, (rows, tensors) in ways.items():
        for binary in (False, True):
            outputs = [RequestedOutput(one, {"binary_data": binary}) for one in wanted]
            recorder.begin(name, rows, f"{way}, answered in {'binary' if binary else 'JSON'}")
            request = InferRequest(name, tensors, request_id="7", request_outputs=outputs)
            said = await client.infer(url, request, model_name=name)
            assert said.id == "7"
            recorder.end({one.name: one.as_numpy().tolist() for one in said.outputs})
        recorder.begin(name, rows, f"{way}, by default")
        asked = InferRequest(name, tensors, request_id="8")  # it makes up another one each time
        said = await client.infer(url, asked, model_name=name)
        recorder.end({"predict": said.outputs[0].as_numpy().tolist()})


async def main() -> None:
    """All models."""
    recorder = Recorder("kserve")
    for name, model in json.load(sys.stdin).items():
        await ask(name, model, recorder)
    recorder.write()


asyncio.run(main())
