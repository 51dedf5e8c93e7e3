"""A real API server with the CRD, scripted answers of Prometheus and the registry, and hands that
do a kubelet's work.

Only what a bare API server cannot do is played: pods becoming Ready, endpoints, garbage collection
is absent. Metrics and registry are scripted because the tests need answers at exact moments that
the real ones cannot be made to give.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
import yaml

from scripts.cluster.apiserver import free_port

GROUP = "rollouts.mlops.dev"
ROLLOUTS = f"/apis/{GROUP}/v1alpha1/namespaces/{{ns}}/modelrollouts"
KINDS = {
    "Deployment": "/apis/apps/v1/namespaces/{ns}/deployments",
    "Service": "/api/v1/namespaces/{ns}/services",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{ns}/ingresses",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets",
}
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
ROOT = Path(__file__).parents[2]
T = TypeVar("T")


class Api:
    """The API server over HTTP, as cluster admin."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        self.kubeconfig = kubeconfig
        token = config["users"][0]["user"]["token"]
        self.http = httpx.Client(
            base_url=config["clusters"][0]["cluster"]["server"],
            headers={"Authorization": f"Bearer {token}"},
            verify=False,  # the certificate is the test server's own
            timeout=30,
        )

    def get(self, path: str) -> dict[str, Any]:
        reply = self.http.get(path)
        reply.raise_for_status()
        found: dict[str, Any] = reply.json()
        return found

    def items(self, kind: str, ns: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(KINDS[kind].format(ns=ns))["items"]
        return found

    def events(self, path: str, version: str) -> list[dict[str, Any]]:
        """What a watch of the collection tells since that resourceVersion, in order: what was short
        is not missed by looking too late.
        """
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "2"}
        return [json.loads(line) for line in self.http.get(path, params=query).text.splitlines()]

    def patch(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        return self.http.patch(
            path, json=body, headers={"Content-Type": "application/merge-patch+json"}
        )

    def apply(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Server-side apply with strict field validation,
        as `kubectl apply --server-side` does it.
        """
        query = {"fieldManager": "test", "force": "true", "fieldValidation": "Strict"}
        return self.http.patch(
            path,
            content=json.dumps(body),
            params=query,
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def install_crd(self) -> None:
        crd = yaml.safe_load((ROOT / "crds" / "modelrollouts.yaml").read_text())
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        reply = self.apply(f"{path}/{crd['metadata']['name']}", crd)
        assert reply.status_code < 300, reply.text
        wait_for(
            lambda: self.http.get(ROLLOUTS.format(ns="default")).status_code == 200,
            "the CRD to be served",
        )

    def namespace(self, name: str) -> None:
        reply = self.http.post("/api/v1/namespaces", json={"metadata": {"name": name}})
        assert reply.status_code in {201, 409}, reply.text


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 30) -> T:
    """Poll until `probe` gives something true; fails with `what` when it never does."""
    end = time.monotonic() + seconds
    while True:
        if found := probe():
            return found
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.05)


@dataclass
class World:
    """What Prometheus and the registry answer: accuracy by version; None for no series; versions
    that exist.
    """

    accuracy: dict[str, float | None] = field(default_factory=dict)
    versions: set[str] = field(default_factory=lambda: {"1", "2", "3"})
    prometheus_down: bool = False
    registry_down: bool = False
    queries: int = 0
    revisions: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Revision → (namespace, version), filled by the hands from the Deployments they see."""

    def matrix(self) -> list[dict[str, Any]]:
        now = time.time()
        return [
            {
                "metric": {
                    "__name__": "ml_model_accuracy",
                    "namespace": ns,
                    "revision": revision,
                    "version": version,
                    "pod": "p",
                },
                "values": [[now, str(value)]],
            }
            for revision, (ns, version) in self.revisions.items()
            if (value := self.accuracy.get(version)) is not None
        ]

    def answer(self, query: str) -> dict[str, Any]:
        if query == "vector(time())":
            return {
                "resultType": "vector",
                "result": [{"metric": {}, "value": [time.time(), str(time.time())]}],
            }
        return {"resultType": "matrix", "result": self.matrix()}

    def version(self, name: str, version: str) -> tuple[int, dict[str, Any]]:
        if version not in self.versions:
            return 404, {
                "error_code": "RESOURCE_DOES_NOT_EXIST",
                "message": f"Model Version (name={name}, version={version}) not found",
            }
        tags = [{"key": f"{GROUP}/digest", "value": "sha256:" + f"{int(version):064x}"}]
        return 200, {
            "model_version": {
                "name": name,
                "version": version,
                "status": "READY",
                "run_id": "r",
                "tags": tags,
            }
        }


@contextlib.contextmanager
def served(world: World) -> Iterator[str]:
    """Serve the world's answers on loopback; yields the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def _reply(self, status: int, body: Any) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_POST(self) -> None:
            query = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).get(
                "query", [""]
            )[0]
            world.queries += 1
            if world.prometheus_down:
                self._reply(503, {})
            else:
                self._reply(200, {"status": "success", "data": world.answer(query)})

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            if world.registry_down:
                self._reply(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "down"})
            else:
                self._reply(*world.version(asked["name"][0], asked["version"][0]))

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Played:
    """A part of the cluster that is played by a thread: `turn` is called again and again while the
    context lasts.
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


class Hands(Played):
    """Makes Deployments Ready and Services have endpoints, as controllers and kubelets would.

    Versions in `broken` never get Ready; of those in `rolling` the last pod of a new template does
    not, and one of the former stays.
    """

    def __init__(self, api: Api, world: World, ns: str) -> None:
        super().__init__()
        self.api, self.world, self.ns = api, world, ns
        self.broken: set[str] = set()
        self.rolling: set[str] = set()

    def turn(self) -> None:
        deployments = self.api.items("Deployment", self.ns)
        for one in deployments:
            self._ready(one)
        for service in self.api.items("Service", self.ns):
            self._endpoints(service, deployments)

    def _ready(self, one: dict[str, Any]) -> None:
        env = {
            e["name"]: e.get("value", "")
            for e in one["spec"]["template"]["spec"]["containers"][0]["env"]
        }
        version = env["MODEL_URI"].rsplit("/", 1)[1]
        self.world.revisions[env["MODEL_REVISION"]] = (self.ns, version)
        wanted = 0 if version in self.broken else one["spec"]["replicas"]
        counts = {
            "replicas": wanted,
            "readyReplicas": wanted,
            "availableReplicas": wanted,
            "updatedReplicas": wanted,
        }
        if version in self.rolling and one["metadata"]["generation"] > 1:
            counts |= {"replicas": wanted + 1}
        told = {**counts, "observedGeneration": one["metadata"]["generation"]}
        # The API server keeps no number that is 0.
        if {k: one.get("status", {}).get(k, 0) for k in told} != told:
            path = KINDS["Deployment"].format(ns=self.ns)
            body = {"status": told}
            self.api.patch(f"{path}/{one['metadata']['name']}/status", body)

    def _endpoints(self, service: dict[str, Any], deployments: list[dict[str, Any]]) -> None:
        meta, selector = service["metadata"], service["spec"]["selector"].items()
        pods = [
            {
                "targetRef": {"kind": "Pod", "name": f"{d['metadata']['name']}-6f7d8-{n}"},
                "addresses": [f"10.0.0.{n + 1}"],
                "conditions": {"ready": True},
            }
            for d in deployments
            if selector <= d["spec"]["template"]["metadata"]["labels"].items()
            for n in range(d.get("status", {}).get("readyReplicas", 0))
        ]
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{meta['name']}-x",
                "labels": {**meta.get("labels", {}), "kubernetes.io/service-name": meta["name"]},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": pods,
        }
        self.api.apply(f"{KINDS['EndpointSlice'].format(ns=self.ns)}/{meta['name']}-x", body)


class Operator:
    """The operator as a real process, watching one namespace."""

    def __init__(self, api: Api, url: str, ns: str, log: Path) -> None:
        self.env = {
            **os.environ,
            "KUBECONFIG": str(api.kubeconfig),
            "INFERENCE_IMAGE": "localhost/rollouts/inference:test",
            "PROMETHEUS_URL": url,
            "MLFLOW_TRACKING_URI": url,
            "WATCH_NAMESPACES": ns,
            # No router lags here.
            "ROUTER_DRAIN_SECONDS": "1",
            "METRICS_PORT": str(free_port()),
            "HEALTH_PORT": str(free_port()),
        }
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rollout_operator", "run"],
                env=self.env,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> "Operator":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass
class Rollout:
    """One ModelRollout under test."""

    api: Api
    ns: str
    name: str = "iris"

    @property
    def path(self) -> str:
        return f"{ROLLOUTS.format(ns=self.ns)}/{self.name}"

    def apply(self, uri: str, deadline: str = "60s", **spec: Any) -> httpx.Response:
        """Steps of 10 % and 50 % held 1 s, interval 1 s; anything in `spec` replaces a field.

        `deadline` is far off: on a busy machine a new operator process may need 15 s before its
        first look.
        """
        times = {
            "strategy": {
                "steps": [{"weight": 10, "hold": "1s"}, {"weight": 50, "hold": "1s"}],
                "progressDeadline": deadline,
                "scaleDownDelay": "2s",
            }
        }
        traffic = {"host": f"{self.name}.example.com"}
        body = {
            "modelUri": uri,
            "traffic": traffic,
            "analysis": {"interval": "1s", "maxHold": "5s"},
            **times,
            **spec,
        }
        manifest = {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "ModelRollout",
            "metadata": {"name": self.name},
            "spec": body,
        }
        return self.api.apply(self.path, manifest)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(self.path).get("status", {})
        return found

    def statuses_since(self, version: str) -> list[dict[str, Any]]:
        """Every status since that resourceVersion, in order: what was short is not missed by
        looking too late.
        """
        told = (event["object"] for event in self.api.events(ROLLOUTS.format(ns=self.ns), version))
        return [one.get("status", {}) for one in told if one["metadata"]["name"] == self.name]

    def condition(self, kind: str) -> dict[str, Any]:
        return next((c for c in self.status().get("conditions", ()) if c["type"] == kind), {})

    def wait_phase(self, phase: str, attempt: int, seconds: float = 60) -> dict[str, Any]:
        """Wait until this attempt is in this phase."""

        def probe() -> dict[str, Any] | None:
            status = self.status()
            return (
                status
                if status.get("phase") == phase and status.get("attempt") == attempt
                else None
            )

        return wait_for(probe, f"attempt {attempt} in phase {phase}", seconds)

    def wait_change(self, seen: dict[str, Any], seconds: float) -> None:
        """Wait until the status is another than the one seen."""
        wait_for(lambda: self.status() != seen, "a new status", seconds)

    def wait_reported(self, attempt: int) -> None:
        """Wait until the status says that the registry was told the verdict of this attempt: only
        then the operator is at rest.
        """
        wait_for(lambda: self.status().get("reported") == attempt, "the registry to be told")

    def weight(self) -> int | None:
        """The weight in the canary Ingress; None where there is none."""
        for one in self.api.items("Ingress", self.ns):
            if one["metadata"]["name"] == f"{self.name}-canary":
                return int(one["metadata"]["annotations"][WEIGHT])
        return None

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Deployments by the version they serve."""
        found = {}
        for one in self.api.items("Deployment", self.ns):
            env = {
                e["name"]: e.get("value", "")
                for e in one["spec"]["template"]["spec"]["containers"][0]["env"]
            }
            found[env["MODEL_URI"].rsplit("/", 1)[1]] = one
        return found


PORT = {"port": 80, "targetPort": 8080}
PROBES: dict[str, dict[str, Any]] = {
    "httproutes": {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "spec": {"hostnames": ["a.example.com"]},
    },
    "networkpolicies": {"spec": {"podSelector": {}}},
    "poddisruptionbudgets": {"spec": {"maxUnavailable": 1, "selector": {}}},
    "ingresses": {
        "spec": {"defaultBackend": {"service": {"name": "probe", "port": {"number": 80}}}}
    },
    "services": {"spec": {"ports": [PORT], "selector": {"a": "b"}}},
    "deployments": {
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "a", "image": "a"}]},
            },
        }
    },
}


@contextlib.contextmanager
def refusing(api: Api, ns: str, resource: str, group: str) -> Iterator[None]:
    """An admission policy of the company's that refuses every new object of one kind in this
    namespace.
    """
    policies, meta = "/apis/admissionregistration.k8s.io/v1", {"name": f"no-{resource}-{ns}"}
    rule = {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": [resource],
    }
    only = {"matchLabels": {"kubernetes.io/metadata.name": ns}}
    policy = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": only},
        "validations": [{"expression": "false", "message": f"no {resource} here"}],
    }
    bound = {"policyName": meta["name"], "validationActions": ["Deny"]}
    places = (("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", bound))
    for plural, spec in places:
        api.http.post(
            f"{policies}/{plural}", json={"metadata": meta, "spec": spec}
        ).raise_for_status()
    path = f"{(f'/apis/{group}' if group else '/api')}/v1/namespaces/{ns}/{resource}"
    probe = PROBES[resource]

    def refused() -> bool | None:
        return (
            "here"
            in api.http.post(
                path, json={"metadata": {"name": "probe"}, **probe}, params={"dryRun": "All"}
            ).text
            or None
        )

    try:
        wait_for(refused, "the policy to be enforced")
        yield
    finally:
        for plural, _ in reversed(places):
            api.http.delete(f"{policies}/{plural}/{meta['name']}").raise_for_status()
