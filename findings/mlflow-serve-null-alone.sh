#!/usr/bin/env bash
# One would guess: a model that was trained on a column of text with gaps answers one and the same
# row alike, alone or beside others.
# What happens: mlflow models serve reads null as NaN where another row of the request has text in
# that column, and as None where none has. scikit-learn's OneHotEncoder learnt NaN as a category of
# its own, and takes None for an unknown one, which handle_unknown="ignore" lets pass: the row gets
# another label when it is sent alone, with 200 both times.
# Versions: MLflow 3.17.2, scikit-learn 1.9.1, pandas 3.1.1, numpy 2.4.6. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$work"' EXIT
cd "$work"
export MLFLOW_DISABLE_TELEMETRY=true
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python mlflow==3.17.2 scikit-learn==1.9.1 \
  skops==0.16.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
export PATH="$work/venv/bin:$PATH"
port=$(python -c "
import socket
with socket.socket() as one:
    one.bind(('127.0.0.1', 0))
    print(one.getsockname()[1])")
python -W ignore - <<'PYTHON' 2>/dev/null
import sys

import mlflow.sklearn
import numpy as np
import pandas as pd
import skops.io
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

rows = pd.DataFrame({"island": ["Dream", "Biscoe", np.nan] * 20})
labels = [0, 0, 1] * 20
encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["island"]))
model = make_pipeline(encoder, LogisticRegression()).fit(rows, labels)
types = skops.io.get_untrusted_types(data=skops.io.dumps(model))
mlflow.sklearn.save_model(
    model,
    "model",
    signature=infer_signature(rows, model.predict(rows)),
    skops_trusted_types=types,
    pip_requirements=[],
)
said = model.predict(rows[2:3]).tolist()
print(f"scikit-learn, the row with the gap alone: {said}")
if said != [1]:
    print("changed: scikit-learn says something else of its own training row")
    sys.exit(1)
PYTHON
mlflow --version
mlflow models serve --model-uri model --env-manager local --host 127.0.0.1 --port "$port" \
  >log 2>&1 &
server=$!
for _ in $(seq 600); do
  curl --silent --fail --output /dev/null "http://127.0.0.1:$port/health" && break
  sleep 1
done

failed=0
expect() { # body, answer
  said=$(curl --silent --header 'Content-Type: application/json' --data "$1" \
    --write-out ' %{http_code}' "http://127.0.0.1:$port/invocations")
  echo "$1: $said"
  [ "$said" = "$2" ] || { echo "changed: stated was $2"; failed=1; }
}
expect '{"dataframe_records": [{"island": "Dream"}, {"island": null}]}' \
  '{"predictions": [0, 1]} 200'
expect '{"dataframe_records": [{"island": null}]}' '{"predictions": [0]} 200'
exit $failed
