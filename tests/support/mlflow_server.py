"""A real MLflow server with a SQL store, whose webhooks may go to loopback; and the bridge as a
real process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet

from rollout_operator.domain.api.names import DIGEST_TAG
from scripts.cluster.apiserver import free_port
from tests.support.api_client import wait_for
from tests.support.certificate import self_signed

SECRET = "the-secret-of-the-webhook-in-this-test"


class Mlflow:
    """The server's REST interface."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=f"{url}/api/2.0/mlflow/", timeout=60, trust_env=False)

    def call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = self.http.request(method, path, json=body)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def webhook(self, url: str, secret: str = SECRET) -> str:
        """Tell `url` of every alias that is set; returns the webhook's id."""
        events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
        made = self.call(
            "POST", "webhooks", {"name": "rollouts", "url": url, "events": events, "secret": secret}
        )
        return str(made["webhook"]["webhook_id"])

    def register(self, model: str) -> str:
        """Register a version with a content digest, as the trainer does, of a run without files;
        returns the version.
        """
        if self.http.get("registered-models/get", params={"name": model}).status_code == 404:
            self.call("POST", "registered-models/create", {"name": model})
        run = self.call("POST", "runs/create", {"experiment_id": "0"})["run"]["info"]
        tags = [{"key": DIGEST_TAG, "value": "sha256:" + run["run_id"] * 2}]
        body = {
            "name": model,
            "source": f"{run['artifact_uri']}/model",
            "run_id": run["run_id"],
            "tags": tags,
        }
        return str(self.call("POST", "model-versions/create", body)["model_version"]["version"])

    def alias(self, model: str, alias: str, version: str) -> None:
        self.call(
            "POST", "registered-models/alias", {"name": model, "alias": alias, "version": version}
        )


@contextmanager
def ended(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **env}, stdout=output, stderr=output, cwd=log.parent
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def mlflow_server(folder: Path, *, served: bool = True) -> Iterator[Mlflow]:
    """MLflow with one worker, its database and artifacts in `folder`; served: whether it hands them
    out itself.
    """
    kept = f"{folder}/artifacts"
    artifacts = (
        ["--serve-artifacts", f"--artifacts-destination={kept}"]
        if served
        else ["--no-serve-artifacts", f"--default-artifact-root={kept}"]
    )
    with _started(folder, "http", artifacts, {}) as url:
        yield Mlflow(url)


ADMIN = ("admin", "a-long-password-of-the-test")
"""User and password of `private_mlflow_server`."""


@contextmanager
def private_mlflow_server(
    folder: Path, artifacts: str = "", address: str = "127.0.0.1"
) -> Iterator[tuple[str, Path]]:
    """MLflow with TLS by a certificate that nobody knows, and with a password (`basic-auth`); its
    URL, and the certificate.

    artifacts: the store that it names to clients, which they ask themselves; "" for its own proxy.
    address: this machine's, that it listens on.
    """
    key, certificate = self_signed(folder, f"IP:{address}")
    config = folder / "auth.ini"
    config.write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = sqlite:///{folder}/auth.db\n"
        f"admin_username = {ADMIN[0]}\nadmin_password = {ADMIN[1]}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    options = [
        "--app-name=basic-auth",
        f"--uvicorn-opts=--ssl-keyfile {key} --ssl-certfile {certificate}",
        *(
            ["--no-serve-artifacts", f"--default-artifact-root={artifacts}"]
            if artifacts
            else [f"--artifacts-destination={folder}/artifacts"]
        ),
    ]
    env = {"MLFLOW_FLASK_SERVER_SECRET_KEY": "test", "MLFLOW_AUTH_CONFIG_PATH": str(config)}
    with _started(folder, "https", options, env, address) as url:
        yield url, certificate


@contextmanager
def _started(
    folder: Path,
    scheme: str,
    options: list[str],
    more: dict[str, str],
    address: str = "127.0.0.1",
) -> Iterator[str]:
    """The server's URL, once it answers."""
    port = free_port()
    url = f"{scheme}://{address}:{port}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        f"--host={address}",
        f"--port={port}",
        f"--allowed-hosts={address},{address}:{port}",
        "--workers=1",
        f"--backend-store-uri=sqlite:///{folder}/mlflow.db",
        *options,
    ]
    env = {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **more,
    }
    log = folder / "mlflow.log"
    with ended(command, env, log) as process:

        def ready() -> bool | None:
            assert process.poll() is None, log.read_text()[-3000:]
            try:
                reply = httpx.get(f"{url}/health", trust_env=False, verify=False)
                return reply.status_code == 200 or None
            except httpx.TransportError:
                return None

        wait_for(ready, "MLflow to answer", 400)
        yield url


class Bridge:
    """The bridge as a process, which may be stopped and started on the same port."""

    def __init__(self, folder: Path, kubeconfig: Path, mappings: str, **env: str) -> None:
        self.port, self.metrics = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}/webhooks/mlflow"
        self.log = folder / "bridge.log"
        file = folder / "mappings.yaml"
        file.write_text(mappings)
        self.env = {
            "KUBECONFIG": str(kubeconfig),
            "MAPPINGS_FILE": str(file),
            "WEBHOOK_SECRET": SECRET,
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics),
            "RETRY_AFTER_SECONDS": "1",
            **env,
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        with ended([sys.executable, "-m", "rollout_bridge", "run"], self.env, self.log) as process:

            def ready() -> bool | None:
                assert process.poll() is None, self.log.read_text()[-3000:]
                try:
                    httpx.get(self.url, trust_env=False)
                    return (
                        httpx.get(
                            f"http://127.0.0.1:{self.metrics}/healthz", trust_env=False
                        ).status_code
                        == 200
                        or None
                    )
                except httpx.TransportError:
                    return None

            wait_for(ready, "the bridge to answer", 60)
            yield

    def outcomes(self) -> list[str]:
        """What became of each webhook so far, from the log."""
        lines = [
            json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")
        ]
        return [line["outcome"] for line in lines if "outcome" in line]
