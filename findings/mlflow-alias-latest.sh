#!/usr/bin/env bash
# One would guess: an alias that nobody set, and that MLflow reserves, cannot be resolved; and
# asking for what is not there is 404, be it a model, a version or an alias.
# What happens: no one can set latest, in any case, and asking for it by alias answers with the
# newest version that anybody registered. Any other alias that is not there is
# INVALID_PARAMETER_VALUE, HTTP 400, where a missing version or model is RESOURCE_DOES_NOT_EXIST,
# HTTP 404.
# Versions: MLflow 3.17.2, SQLAlchemy 2.1.9, on SQLite. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" mlflow==3.17.2 sqlalchemy==2.1.9

"$work/venv/bin/python" -W ignore - <<'PYTHON'
import logging
import os
import sys
import tempfile
from importlib.metadata import version

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow

logging.disable(logging.WARNING)
print("mlflow", version("mlflow"), "sqlalchemy", version("sqlalchemy"))
with tempfile.TemporaryDirectory() as folder:
    client = mlflow.MlflowClient(f"sqlite:///{folder}/db")
    client.create_registered_model("iris")
    for _ in range(3):
        client.create_model_version("iris", folder)
    client.set_registered_model_alias("iris", "champion", "1")

    def outcome(ask, *given):
        """The version; or error code and HTTP status."""
        try:
            found = ask(*given)
        except mlflow.MlflowException as failure:
            return f"{failure.error_code}, HTTP {failure.get_http_status_code()}"
        return f"version {found.version}" if found else "set"

    by_alias, by_version = client.get_model_version_by_alias, client.get_model_version
    stated = {
        "alias champion": (by_alias, "iris", "champion", "version 1"),
        "alias latest": (by_alias, "iris", "latest", "version 3"),
        "alias Latest": (by_alias, "iris", "Latest", "version 3"),
        "set alias latest": (
            client.set_registered_model_alias,
            "iris",
            "latest",
            "1",
            "INVALID_PARAMETER_VALUE, HTTP 400",
        ),
        "no such alias": (by_alias, "iris", "stable", "INVALID_PARAMETER_VALUE, HTTP 400"),
        "no such version": (by_version, "iris", "9", "RESOURCE_DOES_NOT_EXIST, HTTP 404"),
        "no such model": (by_alias, "rose", "stable", "RESOURCE_DOES_NOT_EXIST, HTTP 404"),
    }
    for name, (ask, *given, said) in stated.items():
        seen = outcome(ask, *given)
        print(f"{name}: {seen}")
        if seen != said:
            sys.exit(f"changed: {name}: {said} was stated")
PYTHON
