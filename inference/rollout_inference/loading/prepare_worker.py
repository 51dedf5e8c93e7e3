"""The process that reads a model: the one that unpacks and converts it, and ends. The server itself
never holds what that takes.

`python -m rollout_inference.loading.prepare_worker` reads one JSON line, a PrepareRequest, from
standard input, and answers with one on standard output. It is no boundary against hostile code;
that is the allow-list, and the pod around it.
"""

import os
import sys
from pathlib import Path

import msgspec

from rollout_model import estimator, onnx_bundle, onnx_model, unconverted
from rollout_model.artifact import verify
from rollout_model.errors import LoadFailed, first_line
from rollout_model.flavors import ONNX
from rollout_model.load_policy import LoadPolicy
from rollout_model.serving_plan import ONNX_FILE, Plan, PrepareReply, PrepareRequest


def prepare(folder: Path, target: Path, policy: LoadPolicy, because: str = "") -> Plan:
    """Verify, read, convert; writes the ONNX file into `target` where that is the plan. Raises
    LoadFailed.

    because: why no conversion is tried; "" where one is.
    """
    artifact = verify(folder, policy)
    if artifact.flavor.name == ONNX:
        content = onnx_model.whole(artifact.file)
        (target / ONNX_FILE).write_bytes(content)
        return onnx_model.plan(
            content, artifact.signature, artifact.known_rows, made_up=not artifact.example
        )
    model = estimator.load(artifact, policy)
    because = because or artifact.unconverted
    try:
        if because:
            unconverted.answers_example(model, artifact)
            return unconverted.by_sklearn(model, artifact, because)
        # What it imports can fail, too.
        from rollout_model import onnx_conversion  # noqa: PLC0415

        made, content = onnx_conversion.plan(model, artifact, onnx_bundle.rows(artifact))
    except LoadFailed as failure:
        raise LoadFailed(estimator.aged(artifact, str(failure))) from failure
    except Exception as failure:  # no failure of the converter keeps scikit-learn from serving
        return unconverted.by_sklearn(model, artifact, f"not converted: {first_line(failure)}")
    if content:
        (target / ONNX_FILE).write_bytes(content)
    return made


def main() -> None:
    """One request, one reply. What libraries print goes to standard error."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=PrepareRequest)
    try:
        plan = prepare(
            Path(request.folder),
            Path(request.target),
            request.policy,
            request.unconverted,
        )
        reply = PrepareReply(plan)
    except LoadFailed as failure:
        reply = PrepareReply(refused=str(failure), lasting=True)
    except Exception as failure:  # the server has to know, whatever it is
        reply = PrepareReply(
            refused=f"The model cannot be prepared: {type(failure).__name__}: {first_line(failure)}"
        )
    with answer:
        answer.write(msgspec.json.encode(reply) + b"\n")


if __name__ == "__main__":
    main()
