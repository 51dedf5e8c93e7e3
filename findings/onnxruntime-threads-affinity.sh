#!/usr/bin/env bash
# One would guess: the default number of threads is that of the cores this process may use, as
# joblib and scikit-learn count them.
# What happens: ONNX Runtime counts the machine's physical cores, whatever the process's affinity
# says: pinned to one core, it still starts a thread for each of the others. intra_op_num_threads
# = 1 starts none. (Needs Linux and two physical cores to be seen.)
# Versions: onnxruntime 1.32.0, onnx 1.23.2; joblib 1.6.0. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" onnxruntime==1.32.0 onnx==1.23.2 \
  numpy==2.4.6 joblib==1.6.0 psutil==7.2.2

"$work/venv/bin/python" -W ignore - <<'PYTHON'
import os
import sys
from importlib.metadata import version

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import joblib
import numpy as np
import onnxruntime
import psutil
from onnx import TensorProto, helper, numpy_helper

for name in ("onnxruntime", "onnx", "joblib"):
    print(name, version(name))
weights = numpy_helper.from_array(np.ones((64, 64), dtype=np.float32), "w")
shape = (TensorProto.FLOAT, [None, 64])
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "product",
    [helper.make_tensor_value_info("x", *shape)],
    [helper.make_tensor_value_info("y", *shape)],
    [weights],
)
opset = [helper.make_opsetid("", 17)]
model = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def started(threads):
    """How many threads a session adds to this process."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    before = len(os.listdir("/proc/self/task"))
    session = onnxruntime.InferenceSession(model, options)
    added = len(os.listdir("/proc/self/task")) - before
    del session
    return added


cores = psutil.cpu_count(logical=False)
default, one = started(0), started(1)
print(f"physical cores {cores}, of which this process may use {len(os.sched_getaffinity(0))}")
print(f"joblib counts {joblib.cpu_count()}")
print(f"threads that a session starts beside the caller's: by default {default}, told 1: {one}")
if cores < 2:
    sys.exit("not to be seen on a machine of one core")
if default != cores - 1:
    sys.exit("changed: the default is no longer one thread for each physical core")
if one or joblib.cpu_count() != 1:
    sys.exit("changed: told 1 it starts others, or joblib counts more than the affinity")
PYTHON
