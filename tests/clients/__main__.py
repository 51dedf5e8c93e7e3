"""Asks real models by the unmodified clients of KServe and MLServer, and keeps what they sent.

`python -m tests.clients` ends with an error where a client gets something else than scikit-learn
says. What was sent goes to tests/unit/inference/clients/, for the unit tests to send again.
"""

import base64
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cluster.paths import REPOSITORY
from tests.bench.inference.peers import environment
from tests.clients.models import Model, models
from tests.unit.inference.serving import serving

SCRIPTS = Path(__file__).parent / "scripts"
SENT = REPOSITORY / "tests" / "unit" / "inference" / "clients"
CLIENTS = ("kserve", "mlserver")


PARTS = ("all", "texts", "whole")


def described(model: Model, url: str) -> dict[str, Any]:
    """What a client is told of a model."""
    parts = {}
    for part in PARTS:
        rows = model.part(part)
        plain = rows.astype(object).where(rows.notna(), None)
        parts[part] = {str(name): plain[name].tolist() for name in plain}
    return {
        "url": url,
        **parts,
        "numeric": model.numeric,
        "probable": model.probable,
        "several": model.predicted.ndim == 2,
    }


def wrong(model: Model, told: dict[str, Any]) -> list[str]:
    """Outputs that are not as scikit-learn says them."""
    rows = model.part(told["rows"])
    return [
        name
        for name, values in told["said"].items()
        if not alike(np.asarray(getattr(model.estimator, name)(rows)), np.asarray(values))
    ]


def alike(expected: Any, said: Any) -> bool:
    """Whether a client got the same, in whatever shape its list has."""
    if said.size != expected.size:
        return False
    if expected.dtype.kind in "OU":
        return bool((said.astype(str).reshape(expected.shape) == expected.astype(str)).all())
    return bool(np.allclose(said.reshape(expected.shape).astype(float), expected, atol=1e-6))


def main() -> None:
    """All clients, all models."""
    known, failed = models(), 0
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        asked = {}
        for name, model in known.items():
            settings, loaded = model.served(scratch / name)
            host, port = stack.enter_context(serving(settings, loaded))
            asked[name] = described(model, f"http://{host}:{port}")
        for client in CLIENTS:
            python = environment(client) / "python"
            command = [python, SCRIPTS / f"{client}_client.py"]
            done = subprocess.run(
                command, input=json.dumps(asked), capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"{client}: {done.stderr}")
            told = json.loads(done.stdout)
            for one in told["asked"]:
                bad = wrong(known[one["model"]], one)
                failed += bool(bad)
                print("wrong" if bad else "right", told["client"], one["model"], one["way"], *bad)
                del one["said"]
            keep(client, told)
    if failed:
        sys.exit(f"{failed} answers are wrong")


def keep(client: str, told: dict[str, Any]) -> None:
    """One line a request: JSON as it is, whatever has bytes in it in base64."""
    for one in told["asked"]:
        body = base64.b64decode(one["body"])
        if "inference-header-content-length" not in one["headers"]:
            one["body"] = json.loads(body)
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in told["asked"])
    head = json.dumps(told["client"])
    (SENT / f"{client}.json").write_text(f'{{"client": {head}, "asked": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
