"""How this program reaches Prometheus: by a URL, or through the API server's proxy of a Service."""

import json
import os
import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import urllib3

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.operator_deployment import OPERATOR, variables
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.exit_codes import Refused, Unreachable, WrongUsage

TIMEOUT = 10.0
VARIABLE, TOKEN = "MODELROLLOUT_PROMETHEUS", "MODELROLLOUT_PROMETHEUS_TOKEN"
SERVICE = re.compile(r"(?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9-]+):(?P<port>[a-z0-9-]+)")
INSIDE = re.compile(r"(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)(\.svc(\..+)?)?")


def find(kube: KubeApi | None, given: str | None) -> Prometheus:
    """The Prometheus that `given` names, else the environment, else the one that the operator in
    the cluster uses.

    Raises WrongUsage where `given` cannot be read, and Unreachable where nothing names one.
    """
    named = given or os.environ.get(VARIABLE, "")
    if named:
        return _named(kube, named)
    if kube is None:
        raise Unreachable(f"No Prometheus is named: give --prometheus, or set {VARIABLE}.")
    return _of_operator(kube)


def _named(kube: KubeApi | None, named: str) -> Prometheus:
    if named.startswith(("http://", "https://")):
        return by_url(named)
    if (service := SERVICE.fullmatch(named)) is None:
        raise WrongUsage(
            f"--prometheus {named!r} cannot be read: write http://HOST:PORT, or"
            " NAMESPACE/SERVICE:PORT for a Service of the cluster."
        )
    if kube is None:
        raise WrongUsage(f"--prometheus {named} is a Service of a cluster: write a URL here.")
    return by_service(kube, service["namespace"], service["name"], service["port"])


def _of_operator(kube: KubeApi) -> Prometheus:
    """As the operator reaches it: a Service's URL goes through the API server's proxy, any other as
    it is.
    """
    hint = f"give --prometheus URL or NAMESPACE/SERVICE:PORT, or set {VARIABLE}"
    try:
        deployments = kube.items("/apis/apps/v1/deployments", OPERATOR)
    except Refused as refused:
        raise Unreachable(
            f"You may not read the operator's Deployment, which names its Prometheus: {hint}."
        ) from refused
    urls = [
        (deployment["metadata"]["namespace"], url)
        for deployment in deployments
        if (url := variables(deployment).get("PROMETHEUS_URL"))
    ]
    if not urls:
        raise Unreachable(
            f"No operator was found in the cluster that would name its Prometheus: {hint}."
        )
    namespace, url = urls[0]
    parts = urlsplit(url)
    inside = INSIDE.fullmatch(parts.hostname or "")
    if inside is None and "." in (parts.hostname or ""):
        return by_url(url)
    port = str(parts.port or (443 if parts.scheme == "https" else 80))
    name, home = (
        (inside["name"], inside["namespace"]) if inside else (parts.hostname or "", namespace)
    )
    return by_service(
        kube,
        home,
        name,
        port,
        "https:" if parts.scheme == "https" else "",
        parts.path.rstrip("/"),
    )


def by_service(  # noqa: PLR0917
    kube: KubeApi, namespace: str, name: str, port: str, scheme: str = "", prefix: str = ""
) -> Prometheus:
    """Through the API server: whoever may `get services/proxy` needs no port-forward."""
    root = f"/api/v1/namespaces/{namespace}/services/{scheme}{name}:{port}/proxy{prefix}/api/v1"
    place = f"Prometheus (Service {namespace}/{name}:{port})"

    def ask(path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        status, body = kube.raw(f"{root}/{path}", parameters)
        if status in {401, 403}:
            raise Unreachable(
                f"You may not reach {place} through the API server (get services/proxy): ask for"
                " that right, or forward the port and give --prometheus http://localhost:PORT."
            )
        if status in {404, 503} and b'"kind":"Status"' in body.replace(b" ", b""):
            raise Unreachable(
                f"{place} did not answer: {json.loads(body).get('message', f'HTTP {status}')}"
            )
        return status, body

    return Prometheus(place, ask)


def by_url(url: str) -> Prometheus:
    """Straight to a URL; `user:password@` in it, or a token in the environment, logs in."""
    parts = urlsplit(url)
    headers = (
        urllib3.make_headers(basic_auth=f"{parts.username}:{parts.password or ''}")
        if parts.username
        else {}
    )
    if token := os.environ.get(TOKEN):
        headers["authorization"] = f"Bearer {token}"
    host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    root = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/api/v1"
    pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
    place = f"Prometheus ({parts.scheme}://{host})"

    def ask(path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            reply = pool.request(
                "POST" if parameters else "GET",
                f"{root}/{path}",
                headers={**headers, **_FORM},
                body=urlencode(parameters) or None,
            )
        except (OSError, urllib3.exceptions.HTTPError) as failure:
            raise Unreachable(f"{place} did not answer: {type(failure).__name__}.") from failure
        return reply.status, reply.data

    return Prometheus(place, ask)


_FORM = {"content-type": "application/x-www-form-urlencoded"}
