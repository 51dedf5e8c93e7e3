"""What remembers labels, for pods of a test: a file on a volume of the node, or a PostgreSQL server
of this machine, which pods have to reach.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scripts.cluster.network import node_address
from scripts.demo.rollout import Rollout, eventually
from scripts.kube import Kube
from tests.e2e.harness import PATIENCE, as_root, kubectl, operator_pod
from tests.support.postgres import Server, postgres

CLAIM, SECRET = "feedback", "feedback-database"
"""As scripts/cluster/manifests/operator-values.yaml has them."""
FOLDER = "/var/tmp/model-rollouts-e2e"
CLEAR = """
import pathlib, shutil
for one in pathlib.Path("/folder").iterdir():
    shutil.rmtree(one) if one.is_dir() else one.unlink()
"""


@dataclass(frozen=True)
class LabelStore:
    """One that pods of a rollout use, and what may be done to it."""

    replicas: int
    """Pods of each revision that share it."""
    rollout: Rollout
    server: Server | None = None
    """None for a file."""

    def crash(self) -> None:
        """SIGKILL to the database, which then comes back; nothing else holds a file."""
        if self.server is not None:
            self.server.kill()
            self.server.start()

    def rotate(self) -> None:
        """Another password, as docs/guides/feedback-store.md has it: in the database, in the
        Secret, and pods made anew one by one.
        """
        if self.server is not None:
            self.server.rotate("another")
            _give(self.rollout.namespace, self.server)
            kubectl(
                *("rollout", "restart", "deployment", "--namespace", self.rollout.namespace),
                *("--selector", f"rollouts.mlops.dev/rollout={self.rollout.name}"),
            )


@contextmanager
def label_store(kind: str, kube: Kube, rollout: Rollout) -> Iterator[LabelStore]:
    """kind: sqlite, or postgresql. It is in the rollout's namespace as long as the context."""
    if kind == "sqlite":
        with _volume(kube, rollout.namespace):
            yield LabelStore(1, rollout)
        return
    with postgres(node_address(), "of-a-test") as server:
        _give(rollout.namespace, server)
        yield LabelStore(2, rollout, server)


def _give(namespace: str, server: Server) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": namespace},
        "stringData": {"url": server.address},
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(secret))


@contextmanager
def _volume(kube: Kube, namespace: str) -> Iterator[None]:
    node, folder = operator_pod(kube)["spec"]["nodeName"], f"{FOLDER}/{namespace}"
    _clear(kube, namespace, node, folder)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    size = {"storage": "64Mi"}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": namespace},
        "spec": {
            "capacity": size,
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "local": {"path": folder},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "volumeName": namespace,
            "resources": {"requests": size},
        },
    }
    path = f"/api/v1/persistentvolumes/{namespace}"
    # One of a run before is of a claim that is gone.
    kube.delete(path)
    eventually(lambda: kube.get(path) is None or None, "the volume before to go", PATIENCE)
    for one in (volume, claim):
        kubectl("apply", "-f", "-", stdin=json.dumps(one))
    yield
    # What is in the folder stays until the next run: the pods that write it are still there.
    kube.delete(path)


def _clear(kube: Kube, namespace: str, node: str, folder: str) -> None:
    """Have an empty folder on the node; whose it is Kubernetes sees to when a pod mounts it."""
    place = f"volume-of-{namespace}"[:63]
    pod = as_root(kube, place, node, CLEAR, folder=folder)

    def done() -> bool | None:
        return (kube.get(pod) or {}).get("status", {}).get("phase") == "Succeeded" or None

    eventually(done, f"{folder} to be cleared", PATIENCE)
    kube.delete(f"/api/v1/namespaces/{place}")
