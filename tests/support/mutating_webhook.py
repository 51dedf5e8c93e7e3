"""A real webhook that changes Deployments on their way in, and what it may change of them."""

import base64
import contextlib
import itertools
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rollout_operator.adapters.kubernetes_paths import PATHS
from tests.support.api_client import ApiClient, wait_for
from tests.support.certificate import self_signed
from tests.support.kinds import Object, path_of

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
POD = "/spec/template/spec"
Patch = list[dict[str, Any]]


def add(path: str, value: Any) -> Patch:
    return [{"op": "add", "path": f"{POD}/{path}", "value": value}]


Change = Callable[[int], Patch]
"""A patch, from a number that grows with each."""


def together(*changes: Change) -> Change:
    """All of these at once."""
    return lambda n: [step for change in changes for step in change(n)]


CHANGES: dict[str, Change] = {
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
    change: Change,
    more: Mapping[str, Any] | None = None,
    others: Mapping[str, Change] | None = None,
) -> Iterator[None]:
    """Changes each Deployment of the namespace that is written, with a number that grows.

    more: parts of a pod that the change counts on; others: what is done to other kinds.
    """
    changes = {"Deployment": change, **(others or {})}
    numbers = itertools.count(1)

    def patched(asked: Object) -> Patch:
        return _due(changes[asked["kind"]["kind"]](next(numbers)), asked["object"])

    hook: Object = {
        "name": "changes.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "rules": [_rule(kind) for kind in changes],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}},
        "timeoutSeconds": 10,
    }
    config = {"metadata": {"name": ns}, "webhooks": [hook]}
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

    with answering(directory, patched) as client:
        hook["clientConfig"] = client
        api.http.post(WEBHOOKS, json=config).raise_for_status()
        try:
            wait_for(changed, "the webhook to be called")
            yield
        finally:
            api.http.delete(f"{WEBHOOKS}/{ns}").raise_for_status()


@contextlib.contextmanager
def answering(
    directory: Path, patched: Callable[[Object], Patch], host: str = "127.0.0.1"
) -> Iterator[Object]:
    """A server that answers each AdmissionRequest with a patch; gives the clientConfig of a webhook
    that leads to it.
    """
    key, certificate = self_signed(directory, f"IP:{host}")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            patch = json.dumps(patched(asked["request"])).encode()
            said = {
                "uid": asked["request"]["uid"],
                "allowed": True,
                "patchType": "JSONPatch",
                "patch": base64.b64encode(patch).decode(),
            }
            raw = json.dumps({**asked, "request": None, "response": said}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer((host, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {
            "url": f"https://{host}:{server.server_port}/",
            "caBundle": base64.b64encode(certificate.read_bytes()).decode(),
        }
    finally:
        server.shutdown()
        server.server_close()


def _due(patch: Patch, item: Object) -> Patch:
    """Without what it appends to a list that has an item of that name."""

    def is_there(step: dict[str, Any]) -> bool:
        *names, last = step["path"].split("/")[1:]
        there: Any = item
        for name in names:
            there = there[int(name)] if isinstance(there, list) else there[name]
        named = step.get("value", {}).get("name") if last == "-" else None
        return named is not None and named in {one.get("name") for one in there}

    return [step for step in patch if not is_there(step)]


def _rule(kind: str) -> dict[str, Any]:
    root, plural = PATHS[kind]
    group, _, version = root.removeprefix("/apis/").removeprefix("/api/").rpartition("/")
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": ["CREATE", "UPDATE"],
        "resources": [plural],
    }
