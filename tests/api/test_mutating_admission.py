"""A real webhook that changes Deployments on their way in, and never the same way twice: nothing is
applied against it.
"""

import base64
import contextlib
import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_client import ApiClient, wait_for
from tests.support.certificate import self_signed
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
POD = "/spec/template/spec"
Patch = list[dict[str, Any]]


def add(path: str, value: Any) -> Patch:
    return [{"op": "add", "path": f"{POD}/{path}", "value": value}]


CHANGES: dict[str, Callable[[int], Patch]] = {
    "a variable": lambda n: add("containers/0/env/-", {"name": f"ADDED_{n}", "value": "1"}),
    "a variable before ours": lambda n: add(
        "containers/0/env/0", {"name": f"ADDED_{n}", "value": "1"}
    ),
    "a sidecar": lambda n: add("containers/-", {"name": f"proxy-{n}", "image": "proxy"}),
    "a volume": lambda n: add("volumes/-", {"name": f"certificates-{n}", "emptyDir": {}}),
    "the image of a mirror": lambda n: [
        {"op": "replace", "path": f"{POD}/containers/0/image", "value": f"mirror/inference:{n}"}
    ],
    "tolerations": lambda n: add("tolerations", [{"key": f"k{n}", "operator": "Exists"}]),
}


@contextlib.contextmanager
def webhook(
    api: ApiClient,
    ns: str,
    directory: Path,
    change: Callable[[int], Patch],
    more: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Changes each Deployment of the namespace that is written, with a number that grows.

    more: parts of a pod that the change counts on.
    """
    key, certificate = self_signed(directory, "IP:127.0.0.1")
    numbers = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            patch = base64.b64encode(json.dumps(change(next(numbers))).encode()).decode()
            said = {
                "uid": asked["request"]["uid"],
                "allowed": True,
                "patchType": "JSONPatch",
                "patch": patch,
            }
            raw = json.dumps({**asked, "request": None, "response": said}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "metadata": {"name": ns},
        "webhooks": [
            {
                "name": "changes.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {
                    "url": f"https://127.0.0.1:{server.server_port}/",
                    "caBundle": base64.b64encode(certificate.read_bytes()).decode(),
                },
                "rules": [
                    {
                        "apiGroups": ["apps"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["deployments"],
                    }
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}},
                "timeoutSeconds": 10,
            }
        ],
    }
    api.http.post(WEBHOOKS, json=config).raise_for_status()
    probe: dict[str, Any] = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}},
    }
    pod = {
        "containers": [{"name": "a", "image": "a", "env": [{"name": "A", "value": "1"}]}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        **(more or {}),
    }
    body = {
        "metadata": {"name": "probe"},
        "spec": {**probe, "template": {**probe["template"], "spec": pod}},
    }
    sent = api.http.post(path_of("Deployment", ns), json=body, params={"dryRun": "All"}).json()[
        "spec"
    ]["template"]["spec"]

    def changed() -> bool:
        reply = api.http.post(path_of("Deployment", ns), json=body, params={"dryRun": "All"})
        return reply.status_code == 201 and bool(reply.json()["spec"]["template"]["spec"] != sent)

    try:
        wait_for(changed, "the webhook to be called")
        yield
    finally:
        api.http.delete(f"{WEBHOOKS}/{ns}").raise_for_status()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("kind", CHANGES)
def test_a_webhook_that_is_never_content_is_not_fought(
    kind: str,
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    tmp_path: Path,
) -> None:
    rollout = Rollout(api, ns, f"changed-by-{list(CHANGES).index(kind)}")
    with webhook(api, ns, tmp_path, CHANGES[kind]):
        rollout.promote("1", 1, replicas=1)
        rollout.promote("2", 2, 90, replicas=1)
        wait_for(lambda: rollout.deployments().keys() == {"2"} or None, "the replaced pods to go")
        name = rollout.deployments()["2"]["metadata"]["name"]
        path = path_of("Deployment", ns, name)
        known, written = api.get(path), operator.applied("deployments")
        assert written == 2, (
            "one for each model: what the API server makes of it is what this cluster makes of it"
        )
        time.sleep(3)
        assert operator.applied("deployments") == written
        assert api.get(path)["metadata"]["generation"] == known["metadata"]["generation"], (
            "no new ReplicaSet"
        )
        api.http.delete(rollout.path).raise_for_status()


STARTED_ANEW: dict[str, Callable[[int], Patch]] = {
    "the image of a mirror": CHANGES["the image of a mirror"],
    "the memory of a pod": lambda n: add(
        "containers/0/resources", {"limits": {"memory": f"{600 + n}Mi"}}
    ),
    "a variable that is taken out": lambda n: [
        {"op": "remove", "path": f"{POD}/containers/0/env/0"},
        *CHANGES["tolerations"](n),
    ],
    "capabilities": lambda n: add(
        "containers/0/securityContext", {"capabilities": {"drop": ["ALL", f"C{n}"]}}
    ),
    "another probe": lambda n: add(
        "containers/0/livenessProbe", {"tcpSocket": {"port": 8080}, "periodSeconds": 10 + n}
    ),
}


@pytest.mark.parametrize("kind", STARTED_ANEW)
def test_an_operator_that_starts_anew_leaves_what_a_webhook_made_of_its_apply(
    kind: str,
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    tmp_path: Path,
) -> None:
    """What was applied is known to a new process, too: pods that serve are not replaced because a
    webhook has other values now.
    """
    rollout = Rollout(api, ns, f"anew-{list(STARTED_ANEW).index(kind)}")
    with webhook(api, ns, tmp_path, STARTED_ANEW[kind]):
        rollout.promote("1", 1, replicas=1)
        (one,) = rollout.deployments().values()
        path = path_of("Deployment", ns, one["metadata"]["name"])
        operator.kill()
        before = api.get(path)
        operator.start()
        rollout.apply("models:/iris/1", replicas=1, paused=True)
        wait_for(lambda: rollout.status().get("observedGeneration") == 2, "the new process to look")
        time.sleep(2)
        after = api.get(path)
        assert operator.applied("deployments") == 0
        assert after["metadata"]["generation"] == before["metadata"]["generation"], (
            "no new ReplicaSet"
        )
        assert after["spec"] == before["spec"]
        operator.kill()
        api.patch(
            path, {"spec": {"minReadySeconds": 0, "revisionHistoryLimit": 7}}
        ).raise_for_status()
        operator.start()
        wait_for(
            lambda: api.get(path)["spec"]["revisionHistoryLimit"] == 0,
            "what somebody changed to be put back",
        )
        api.http.delete(rollout.path).raise_for_status()
