#!/usr/bin/env bash
# One would guess: with MLflow's basic-auth, a user who may read every model (the default) is told
# 404 where a model is not there, as the administrator is, and as of a version that is not there.
# What happens: asked for a version or an alias of a model that does not exist, it says 403
# "Permission denied", in text that is no JSON; registered-models/get says 404 to the same user. A
# misspelt name looks like credentials that are wrong.
# Versions: MLflow 3.17.2 with its extra auth, on SQLite; its application is asked in one process,
# without a server. 2026-12-01.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export MLFLOW_DISABLE_TELEMETRY=true
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python 'mlflow[auth]==3.17.2' scikit-learn==1.9.1 \
  skops==0.16.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
venv/bin/python -W ignore - <<'PYTHON' 2>log
import os
import secrets
import sys
from importlib.metadata import version

word, key = secrets.token_hex(), secrets.token_hex()
os.environ["MLFLOW_FLASK_SERVER_SECRET_KEY"] = key
os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"] = word
os.environ["_MLFLOW_SERVER_FILE_STORE"] = "sqlite:///db"  # what --backend-store-uri sets

from mlflow.server import app
from mlflow.server.auth import create_app

print("mlflow", version("mlflow"))
client = create_app(app).test_client()
API = "/api/2.0/mlflow"
admin, reader = ("admin", word), ("reader", key)
created = {
    "users/create": {"username": "reader", "password": key},
    "registered-models/create": {"name": "iris"},
}
for path, body in created.items():
    assert client.post(f"{API}/{path}", json=body, auth=admin).status_code == 200, path

for user, path, stated in (
    (reader, "registered-models/get?name=iris", 200),
    (reader, "model-versions/get?name=iris&version=9", 404),
    (reader, "registered-models/get?name=irsi", 404),
    (reader, "registered-models/alias?name=irsi&alias=champion", 403),
    (reader, "model-versions/get?name=irsi&version=1", 403),
    (admin, "model-versions/get?name=irsi&version=1", 404),
):
    reply = client.get(f"{API}/{path}", auth=user)
    said = reply.get_data(as_text=True).split("\n")[0][:60]
    print(user[0], reply.status_code, path, said)
    if reply.status_code != stated or (stated == 403 and said != "Permission denied"):
        print(f"changed: {stated} was stated")
        sys.exit(1)
PYTHON
