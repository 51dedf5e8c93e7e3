#!/usr/bin/env bash
# One would guess: one model has one rule for what its signature takes, whichever way a row comes
# in, and a column that is required has a value.
# What happens: for a column of type long, Python's predict refuses 1.9 and even 1.0, mlflow
# models serve refuses 1.5 in CSV, and in JSON it cuts 1.9 to 1 and answers 200; a number beyond
# 64 bits becomes a negative one, and "1" and true become 1. null in a required double is answered
# 200 and reaches the model as NaN: required means the column, not the value.
# Versions: MLflow 3.17.2, pandas 3.1.1, numpy 2.4.6. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$work"' EXIT
cd "$work"
export MLFLOW_DISABLE_TELEMETRY=true
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python mlflow==3.17.2 scikit-learn==1.9.1 \
  skops==0.16.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
port=$(venv/bin/python -c "
import socket
with socket.socket() as one:
    one.bind(('127.0.0.1', 0))
    print(one.getsockname()[1])")
export PATH="$work/venv/bin:$PATH" URL="http://127.0.0.1:$port"
cat >echo_model.py <<'PYTHON'
import mlflow
from mlflow.pyfunc import PythonModel


class Echo(PythonModel):
    """Says what reached the model."""

    def predict(self, context, model_input, params=None):
        rows = model_input.itertuples(index=False)
        return [f"{row.pieces!s} {row.weight!s}" for row in rows]


mlflow.models.set_model(Echo())
PYTHON
python -W ignore - <<'PYTHON' 2>/dev/null
import sys

import mlflow.pyfunc
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

columns = [ColSpec(DataType.long, "pieces"), ColSpec(DataType.double, "weight", required=True)]
mlflow.pyfunc.save_model(
    "model",
    python_model="echo_model.py",
    signature=ModelSignature(inputs=Schema(columns)),
    pip_requirements=[],
)
model = mlflow.pyfunc.load_model("model")
for pieces, stated in ((1, True), (1.0, False), (1.9, False)):
    try:
        said = model.predict(pd.DataFrame({"pieces": [pieces], "weight": [0.5]}))
    except mlflow.MlflowException as failure:
        said = type(failure).__name__
    print(f"predict, pieces {pieces}: {said}")
    if (said != "MlflowException") != stated:
        print("changed: predict takes other numbers")
        sys.exit(1)
PYTHON
mlflow --version
mlflow models serve --model-uri model --env-manager local --host 127.0.0.1 --port "$port" \
  >log 2>&1 &
server=$!
for _ in $(seq 600); do
  curl --silent --fail --output /dev/null "$URL/health" && break
  sleep 1
done

row() { # pieces, weight: a JSON body
  printf '{"dataframe_records": [{"pieces": %s, "weight": %s}]}' "$1" "$2"
}
failed=0
expect() { # content type, body, status and part of the answer
  said=$(curl --silent --header "Content-Type: $1" --data-binary "$2" \
    --write-out '%{http_code}' "$URL/invocations")
  echo "${2//$'\n'/ | }: ${said:0:60} ... ${said: -3}"
  if [ "${said: -3}" != "$3" ] || [[ $said != *"$4"* ]]; then
    echo "changed: stated was $3 with $4" >&2
    failed=1
  fi
}
json=application/json
expect $json "$(row 1 0.5)" 200 '"1 0.5"'
expect $json "$(row 1.9 0.5)" 200 '"1 0.5"'
expect $json "$(row 1e20 0.5)" 200 '"-9223372036854775808 0.5"'
expect $json "$(row '"1"' 0.5)" 200 '"1 0.5"'
expect $json "$(row true 0.5)" 200 '"1 0.5"'
expect $json "$(row 1 null)" 200 '"1 nan"'
expect $json '{"dataframe_records": [{"pieces": 1}]}' 400 "missing inputs ['weight']"
expect text/csv $'pieces,weight\n1.5,0.5' 400 'cannot safely convert'
exit $failed
