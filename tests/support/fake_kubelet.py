"""What controllers and kubelets do, as far as a bare API server lacks it.

`FakeKubelet` says which writes are due. `KubeletThread` polls and sends them, for tests that
block; others send them after their own lists or watches.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Self

import httpx

from rollout_operator.domain.api.names import ROLLOUT
from tests.support.api_client import (
    ApiClient,
    AsyncApiClient,
    Request,
    created,
    deleted,
    merged,
)
from tests.support.kinds import MANAGED, OWNED_KINDS, Lists, Object, manifest, path_of
from tests.support.scripted_world import ScriptedWorld, Workload

COUNTS = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")


class FakeKubelet:
    """Makes Deployments Ready and gives Services endpoints; the world learns what has pods."""

    def __init__(self, world: ScriptedWorld) -> None:
        self.world = world
        self.broken: set[str] = set()
        """Versions whose pods never become Ready."""
        self.rolling: set[str] = set()
        """Versions of which the last pod of a new template does not become Ready.

        One pod of the former template stays as long.
        """
        self.stuck: set[str] = set()
        """Rollouts whose pods of a version above 1 never become Ready."""
        self.place: tuple[str, int] | None = None
        """Address and port at which a test answers in place of all pods; None where nobody does."""

    def writes(self, lists: Lists) -> Iterator[Request]:
        """What is due, from what was listed."""
        for deployment in lists["Deployment"]:
            if (write := self.status_of(deployment)) is not None:
                yield write
        slices = {place_of(known): known for known in lists["EndpointSlice"]}
        for service in lists["Service"]:
            namespace, name = place_of(service)
            pods = ready_pods(service, lists["Deployment"])
            known = slices.get((namespace, slice_name(name)))
            write = endpoints_of(service, pods, known, self.place)
            if write is not None:
                yield write

    def status_of(self, deployment: Object) -> Request | None:
        """The status that a Deployment gets; None where it has it."""
        revision, workload = workload_of(deployment)
        self.world.revisions[revision] = workload
        generation = deployment["metadata"]["generation"]
        counts = dict.fromkeys(COUNTS, self._ready(workload, deployment["spec"]["replicas"]))
        if workload.version in self.rolling and generation > 1:
            counts["replicas"] += 1
        status = {**counts, "observedGeneration": generation}
        # The API server keeps no number that is 0.
        if {key: deployment.get("status", {}).get(key, 0) for key in status} == status:
            return None
        path = path_of("Deployment", *place_of(deployment))
        return merged(f"{path}/status", {"status": status})

    def _ready(self, workload: Workload, replicas: int) -> int:
        stuck = workload.rollout in self.stuck and int(workload.version) > 1
        return 0 if stuck or workload.version in self.broken else replicas

    async def work(self, api: AsyncApiClient, lists: Lists) -> bool:
        """Bring the cluster where its controllers would bring it, garbage collection included.

        Says whether anything was written.
        """
        due = [*orphans(lists), *self.writes(lists)]
        for write in due:
            await api.send(write)
        return bool(due)


def workload_of(deployment: Object) -> tuple[str, Workload]:
    """The revision that a Deployment serves, and whose pods it has."""
    meta = deployment["metadata"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    version = env["MODEL_URI"].rsplit("/", 1)[1]
    return env["MODEL_REVISION"], Workload(meta["namespace"], meta["labels"][ROLLOUT], version)


def place_of(item: Object) -> tuple[str, str]:
    """Namespace and name."""
    return item["metadata"]["namespace"], item["metadata"]["name"]


def ready_pods(service: Object, deployments: Iterable[Object]) -> list[str]:
    """Names of the Ready pods that a Service selects."""
    namespace, selector = service["metadata"]["namespace"], service["spec"]["selector"].items()
    return [
        pod
        for deployment in deployments
        if deployment["metadata"]["namespace"] == namespace
        and selector <= deployment["spec"]["template"]["metadata"]["labels"].items()
        for pod in pod_names(deployment)
    ]


def pod_names(deployment: Object) -> list[str]:
    """Names of its Ready pods."""
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    return [f"{deployment['metadata']['name']}-6f7d8-{n}" for n in range(ready)]


def slice_name(service: str) -> str:
    """The name of the only EndpointSlice of a Service."""
    return f"{service}-x"


def endpoints_of(
    service: Object,
    pods: list[str],
    known: Object | None,
    place: tuple[str, int] | None = None,
) -> Request | None:
    """The write that has the EndpointSlice of a Service name these pods; None where it does.

    place: address and port of all of them, where somebody answers there.
    """
    if known is not None and pods == [
        endpoint["targetRef"]["name"] for endpoint in known.get("endpoints") or ()
    ]:
        return None
    meta, (namespace, name) = service["metadata"], place_of(service)
    endpoints = [
        {
            "targetRef": {"kind": "Pod", "name": pod},
            "addresses": [f"10.0.0.{n + 1}" if place is None else place[0]],
            "conditions": {"ready": True},
        }
        for n, pod in enumerate(pods)
    ]
    if known is not None:
        path = path_of("EndpointSlice", namespace, slice_name(name))
        return merged(path, {"endpoints": endpoints})
    owner = {"apiVersion": "v1", "kind": "Service", "name": name, "uid": meta["uid"]}
    body = {
        "metadata": {
            "labels": {**meta.get("labels", {}), "kubernetes.io/service-name": name},
            "ownerReferences": [owner],
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080 if place is None else place[1]}],
        "endpoints": endpoints,
    }
    path = path_of("EndpointSlice", namespace)
    return created(path, manifest("EndpointSlice", slice_name(name), body))


def orphans(lists: Lists) -> Iterator[Request]:
    """Garbage collection: what belongs to an object that is gone goes too."""
    alive = {o["metadata"]["uid"] for kind in ("ModelRollout", "Service") for o in lists[kind]}
    for kind in OWNED_KINDS:
        for item in lists[kind]:
            owners = {owner["uid"] for owner in item["metadata"].get("ownerReferences", ())}
            if not owners <= alive:
                yield deleted(path_of(kind, *place_of(item)))


class Played:
    """A part of the cluster that a thread plays.

    `turn` is called again and again while the context lasts.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            # A reply that does not come in time must not end the thread: the test would wait in
            # vain for a part that is gone.
            with contextlib.suppress(httpx.TransportError):
                self.turn()

    def turn(self) -> None:
        """What the part does, once."""
        raise NotImplementedError


class KubeletThread(Played, FakeKubelet):
    """The fake kubelet of one namespace. It collects no garbage: deletions are the operator's."""

    def __init__(self, api: ApiClient, world: ScriptedWorld, namespace: str) -> None:
        Played.__init__(self)
        FakeKubelet.__init__(self, world)
        self.api, self.namespace = api, namespace

    def turn(self) -> None:
        """List, and write what is due."""
        kinds = ("Deployment", "Service", "EndpointSlice")
        lists = {kind: self.api.items(kind, self.namespace, MANAGED) for kind in kinds}
        for write in self.writes(lists):
            self.api.send(write)
