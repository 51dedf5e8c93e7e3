"""Full mode: Kubernetes' own controllers and scheduler, and kwok, whose nodes have pods that run
nothing.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

from scripts.cluster import gobuild
from scripts.cluster.apiserver import free_port, running
from tests.support.api_client import AsyncApiClient

CONTROLLERS = ("deployment", "replicaset", "endpointslice", "garbage-collector", "disruption")
STAGES = ("node/fast/node-initialize", "pod/fast/pod-ready", "pod/fast/pod-delete")
"""kwok's own: nodes and pods are Ready at once, and pods go when they are told to."""
FAST = {"qps": 1000, "burst": 2000}
"""Requests a second of the controllers: with their defaults (20 and 50) nothing but these would be
measured.
"""
SETTLING = 3.0
"""Seconds in which a program that is called wrongly has ended."""
SERVER_FLAGS = ("--feature-gates=WatchList=false",)
"""Debian's etcd (3.4) cannot tell on request how far a watch is, which streamed lists need; kwok
knows no other way until refused.
"""
NODES, PODS = 4, 2000
"""Nodes, and pods that fit on each."""


async def nodes(api: AsyncApiClient) -> None:
    """Make the nodes that kwok plays."""
    for n in range(NODES):
        size = {"cpu": "10000", "memory": "100000Gi", "pods": str(PODS)}
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"kwok-{n}",
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {"type": "kwok"},
            },
            "status": {"allocatable": size, "capacity": size},
        }
        async with api.session.post("/api/v1/nodes", json=body) as reply:
            assert reply.status == 201, await reply.text()
        # Admission says that a new node is not ready, and no controller here would take that back.
        untaint = json.dumps({"spec": {"taints": None}})
        headers = {"Content-Type": "application/merge-patch+json"}
        async with api.session.patch(
            f"/api/v1/nodes/kwok-{n}", data=untaint, headers=headers
        ) as reply:
            assert reply.status == 200, await reply.text()


@contextlib.contextmanager
def controllers(directory: Path, kubeconfig: Path) -> Iterator[None]:
    """Run controller-manager, scheduler and kwok, with their logs in `directory`."""
    gobuild.build(gobuild.KWOK)
    directory.mkdir(parents=True, exist_ok=True)
    quick = [f"--kube-api-qps={FAST['qps']}", f"--kube-api-burst={FAST['burst']}"]
    config = directory / "scheduler.json"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "kubescheduler.config.k8s.io/v1",
                "kind": "KubeSchedulerConfiguration",
                "leaderElection": {"leaderElect": False},
                "clientConnection": {"kubeconfig": str(kubeconfig), **FAST},
            }
        )
    )
    names = ",".join(f"{name}-controller" for name in CONTROLLERS)
    commands = {
        "kube-controller-manager": [
            f"--kubeconfig={kubeconfig}",
            "--leader-elect=false",
            f"--controllers={names}",
            *quick,
            *_port(),
        ],
        "kube-scheduler": [f"--config={config}", *_port()],
        "kwok": [
            f"--kubeconfig={kubeconfig}",
            "--manage-all-nodes=true",
            "--cidr=10.0.0.0/16",
            "--node-ip=10.0.0.1",
            f"--server-address=127.0.0.1:{free_port()}",
            *(f"--config={gobuild.KWOK.folder / 'stage' / stage}.yaml" for stage in STAGES),
        ],
    }
    with contextlib.ExitStack() as all_of_them:
        started = list[Popen[bytes]]()
        for name, arguments in commands.items():
            command = [str(gobuild.program(name)), *arguments]
            started.append(all_of_them.enter_context(running(command, directory / f"{name}.log")))
        time.sleep(SETTLING)
        for name, process in zip(commands, started, strict=True):
            assert process.poll() is None, (
                f"{name} has ended: {(directory / f'{name}.log').read_text()[-1000:]}"
            )
        yield


def _port() -> tuple[str, str]:
    return "--bind-address=127.0.0.1", f"--secure-port={free_port()}"
