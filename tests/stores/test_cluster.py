"""On the real cluster, with real stores and a real MLflow with a password, all with TLS by a
private CA: ten lines of plain MLflow are promoted, what is changed after pinning is refused, and
the container that serves holds no credential.

Registry and stores run on this machine, which pods must reach by its own address. The cluster's
operator is told of them, and of its former registry again afterwards.
"""

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from rollout_model.digest import tree_digest
from scripts.cluster.addons import OPERATOR
from scripts.cluster.network import node_address
from scripts.cluster.paths import NAMESPACE
from scripts.demo.rollout import Rollout, eventually, fresh_namespace
from scripts.demo.traffic import answers_on
from scripts.kube import Kube, Object
from tests.e2e.harness import PATIENCE, SETTINGS, kubectl
from tests.support.certificate import self_signed
from tests.support.charts import CHARTS, tool
from tests.support.mlflow_server import private_mlflow_server
from tests.support.stores import SERVERS, Store
from tests.support.team import DOWNLOAD, LATER, USER, container_made, done, registered, trusting

NAMES = {name: name.lower().split()[0] for name in SERVERS}
WITHOUT_LABELS = {
    "interval": "2s",
    "maxHold": "10s",
    "onNoEvidence": "Promote",
    "gates": [{"metric": "errorRate", "max": 0.05}],
}
"""Plain MLflow records no accuracy that the gate could read."""
LOOK = """
import os, pathlib, sys

secrets = [line.encode() for line in sys.stdin.read().split()]
own = str(os.getpid())

def found(path):
    try:
        return any(secret in path.read_bytes() for secret in secrets)
    except OSError:
        return False

places = [
    path
    for root in ("/etc", "/home", "/model", "/mnt", "/root", "/run", "/srv", "/tmp", "/var")
    for path in pathlib.Path(root).rglob("*")
    if path.is_file()
]
places += [
    path
    for process in pathlib.Path("/proc").glob("[0-9]*")
    if process.name != own
    for name in ("environ", "cmdline", "mountinfo")
    if (path := process / name).exists()
]
held = [str(path) for path in places if found(path)]
held += [f"${n}" for n, v in os.environ.items() if any(s in v.encode() for s in secrets)]
held += [p for p in ("/var/run/secrets", "/var/run/rollouts") if os.path.exists(p)]
print(len(places), *held)
"""
"""What a model could read where it is served: the number of places, and those with a secret."""


@dataclass(frozen=True, slots=True)
class World:
    """One registry and three stores."""

    reach: Mapping[str, str]
    """Where the registry is, and the CA that all are trusted by."""
    stores: Mapping[str, Store]
    """By SERVERS' names."""


def helm(*words: str, values: Object | None = None) -> None:
    """Helm on the cluster's own operator."""
    command: list[str | Path] = [tool("helm"), "--kubeconfig", os.environ["KUBECONFIG"]]
    done = subprocess.run(
        [*command, "--namespace", NAMESPACE, *words, "--wait", "--timeout", "240s"],
        input=json.dumps(values or {}),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def secret(kube: Kube, namespace: str, name: str, data: Mapping[str, str]) -> None:
    encoded = {k: b64encode(v.encode()).decode() for k, v in data.items()}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": encoded,
    }
    kube.apply(f"/api/v1/namespaces/{namespace}/secrets/{name}", body)


@pytest.fixture(scope="module")
def world(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    address = node_address()
    authority = tmp_path_factory.mktemp("ca")
    _, certificate = self_signed(authority, "DNS:ca")
    with ExitStack() as stack:
        stores = {
            name: stack.enter_context(
                server(tmp_path_factory.mktemp(NAMES[name]), authority, address)
            )
            for name, server in SERVERS.items()
        }
        url, of_mlflow = stack.enter_context(
            private_mlflow_server(tmp_path_factory.mktemp("mlflow"), "s3://models/root", address)
        )
        ca = authority / "both.pem"
        ca.write_text(certificate.read_text() + of_mlflow.read_text())
        secret(kube, NAMESPACE, "mlflow-operator", USER)
        secret(kube, NAMESPACE, "company-ca", {"ca.crt": ca.read_text()})
        entries = [
            {
                "namespaces": [f"stores-{NAMES[name]}"],
                "secret": "reader",
                "ca": {"secret": "company-ca"},
                "env": dict(store.reach),
            }
            for name, store in stores.items()
        ]
        values = {
            "mlflow": {
                "trackingUri": url,
                "credentialsSecret": "mlflow-operator",
                "ca": {"secret": "company-ca"},
            },
            "models": {"credentials": entries},
            "modelEgress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
            "networkPolicy": {"enabled": False},
        }
        chart = str(CHARTS / OPERATOR)
        helm("upgrade", OPERATOR, chart, "--reuse-values", "--values", "-", values=values)
        stack.callback(helm, "rollback", OPERATOR)
        yield World({"MLFLOW_TRACKING_URI": url, **trusting(ca)}, stores)


@pytest.mark.parametrize("name", list(SERVERS))
def test_plain_mlflow_is_promoted_and_a_change_is_refused(
    world: World, kube: Kube, ingress_url: str, tmp_path: Path, name: str
) -> None:
    store, namespace = world.stores[name], f"stores-{NAMES[name]}"
    env = {**world.reach, **USER, **store.secret, **store.reach}
    fresh_namespace(kube, namespace)
    secret(kube, namespace, "reader", {**USER, **store.secret})
    ca = Path(world.reach["SSL_CERT_FILE"]).read_text()
    secret(kube, namespace, "company-ca", {"ca.crt": ca})
    container_made(store, env)
    first = registered(env, f"{store.root}/first")
    done(DOWNLOAD, env, first, tmp_path / "by-mlflow")

    rollout = Rollout(kube, namespace, settings={**SETTINGS, "analysis": WITHOUT_LABELS})
    rollout.apply(first)
    pinned = rollout.wait("Promoted", first, PATIENCE)["stable"]["digest"]
    assert pinned == tree_digest(tmp_path / "by-mlflow")
    eventually(lambda: answers_on(ingress_url, rollout.host) or None, "an answer", 60)

    secrets = "\n".join([USER["MLFLOW_TRACKING_PASSWORD"], *parts(store.secret)])
    said = kubectl(
        "exec",
        *("-i", "-n", namespace, f"deployment/{deployment(rollout)}", "-c", "model", "--"),
        *("python", "-c", LOOK),
        stdin=secrets,
    ).split()
    assert int(said[0]) > 50, "it has looked"
    assert said[1:] == []

    second = registered(env, f"{store.root}/second")
    other = Rollout(kube, namespace, "other", settings=rollout.settings)
    other.apply(second)
    known = other.wait("Promoted", second, PATIENCE)["stable"]["digest"]
    done(LATER, env, second)
    rollout.apply(second)

    def refused() -> str | None:
        message = str(rollout.status().get("message", ""))
        return message if "DigestMismatch" in message else None

    message = eventually(refused, "both digests in the message", PATIENCE, rollout.tell)
    assert known in message
    assert message.count("sha256:") >= 2
    assert rollout.status()["stable"]["uri"] == first
    kube.delete(f"/api/v1/namespaces/{namespace}")


def deployment(rollout: Rollout) -> str:
    return f"{rollout.name}-{rollout.status()['stable']['revision']}"


def parts(values: Mapping[str, str]) -> Iterator[str]:
    """Passwords and keys; of a connection string the key alone."""
    for name, value in values.items():
        if name == "AZURE_STORAGE_CONNECTION_STRING":
            yield next(p for p in value.split(";") if p.startswith("AccountKey=")).partition("=")[2]
        else:
            yield value
