#!/usr/bin/env bash
# One would guess: a server whose /health answers 200 to a probe answers the API under the same
# name, or the probe says otherwise.
# What happens: MLflow's default list of allowed hosts holds local and private addresses and no
# name of a Kubernetes service. The API answers such a name 403 with text that is no JSON, and
# /health answers it 200. So a Deployment becomes Ready, and no client in the cluster gets in.
# The list does not depend on --host; the server here listens on loopback only.
# Versions: MLflow 3.17.2. 2026-11-29.
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
ask() { # path: the status, and what the first line says
  curl --silent --header 'Host: mlflow.mlflow.svc:5000' --output body \
    --write-out "$1 %{http_code} " "$URL$1"
  head -n 1 body
  echo
}
api=/api/2.0/mlflow/registered-models/search
mlflow --version
mlflow server --host 127.0.0.1 --port "$port" --workers 1 --backend-store-uri "sqlite:///db" \
  --artifacts-destination files >log 2>&1 &
server=$!
for _ in $(seq 600); do
  curl --silent --fail --output /dev/null "$URL/health" && break
  sleep 1
done

ask /health | tee health
ask $api | tee closed

changed() {
  echo "changed: $1" >&2
  exit 1
}
grep -q '^/health 200' health || changed 'the probe is refused, too'
grep -q ' 403 Invalid Host header' closed || changed 'the API answers the name of a service'
