"""How this program reaches Prometheus: by a URL, or through the API server's proxy of a Service."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from rollout_cli.cluster.kube_client import Access, Object
from rollout_cli.exit_codes import Failure, Refused, Unreachable, WrongUsage
from rollout_operator.domain.api.spec import Metric
from rollout_operator.domain.gates.promql import Snapshot, query, read
from rollout_operator.domain.observed import MetricsUnreachable

TIMEOUT = 10.0
VARIABLE, TOKEN = "MODELROLLOUT_PROMETHEUS", "MODELROLLOUT_PROMETHEUS_TOKEN"
OPERATOR = "app.kubernetes.io/name=rollout-operator"
SERVICE = re.compile(r"(?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9-]+):(?P<port>[a-z0-9-]+)")
INSIDE = re.compile(r"(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)(\.svc(\..+)?)?")

Labels = Mapping[str, str]
Ask = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
"""GET of an API path of Prometheus: status and body. Raises Unreachable."""


@dataclass(frozen=True, slots=True)
class Range:
    """One series over time."""

    labels: Labels
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Asks one Prometheus; `place` says which, for people."""

    place: str
    ask: Ask

    def snapshot(
        self, metric: Metric, window: float, namespace: str, revision: str
    ) -> Snapshot | MetricsUnreachable:
        """What the operator sees of one revision, by its own query; a Prometheus that does not
        answer is an answer too.

        window: how far it looks back, in seconds.
        """
        try:
            return read(
                *self.ask(
                    "query",
                    {"query": query(metric, window, namespace=namespace, revision=revision)},
                )
            )
        except Unreachable as failure:
            return MetricsUnreachable(str(failure))

    def instant(self, expression: str) -> list[tuple[Labels, float]]:
        """The series of an instant vector. Raises Unreachable."""
        return [
            (one["metric"], float(one["value"][1]))
            for one in self._result("query", {"query": expression}, "vector")
        ]

    def matrix(self, expression: str, start: float, end: float, step: float) -> list[Range]:
        """Series over time; times in Unix seconds. Raises Unreachable."""
        asked = {
            "query": expression,
            "start": f"{start:.3f}",
            "end": f"{end:.3f}",
            "step": f"{step:.3f}",
        }
        return [
            Range(one["metric"], tuple((float(at), float(value)) for at, value in one["values"]))
            for one in self._result("query_range", asked, "matrix")
        ]

    def values_of(self, label: str) -> list[str]:
        """All values of a label; of `__name__`, the names of all series. Raises Unreachable."""
        status, body = self.ask(f"label/{label}/values", {})
        return [str(one) for one in self._data(status, body)]

    def _result(self, path: str, asked: Mapping[str, str], kind: str) -> list[dict[str, Any]]:
        status, body = self.ask(path, asked)
        data = self._data(status, body)
        if not isinstance(data, dict) or data.get("resultType") != kind:
            raise Unreachable(
                f"{self.place} answered with something else than a {kind}; is it Prometheus?"
            )
        found: list[dict[str, Any]] = data["result"]
        return found

    def _data(self, status: int, body: bytes) -> Any:
        try:
            reply = json.loads(body)
            if reply["status"] != "success":
                raise Failure(f"Prometheus refuses the query: {reply.get('error', '')}")
            return reply["data"]
        except (ValueError, KeyError, TypeError) as failure:
            said = body[:200].decode(errors="replace").strip()
            raise Unreachable(
                f"{self.place} answered HTTP {status}, which is not Prometheus: {said}"
            ) from failure


def find(access: Access | None, given: str | None) -> Prometheus:
    """The Prometheus that `given` names, else the environment, else the one that the operator in
    the cluster uses.

    Raises WrongUsage where `given` cannot be read, and Unreachable where nothing names one.
    """
    named = given or os.environ.get(VARIABLE, "")
    if named:
        return _named(access, named)
    if access is None:
        raise Unreachable(f"No Prometheus is named: give --prometheus, or set {VARIABLE}.")
    return _of_operator(access)


def _named(access: Access | None, named: str) -> Prometheus:
    if named.startswith(("http://", "https://")):
        return by_url(named)
    if (service := SERVICE.fullmatch(named)) is None:
        raise WrongUsage(
            f"--prometheus {named!r} cannot be read: write http://HOST:PORT, or"
            " NAMESPACE/SERVICE:PORT for a Service of the cluster."
        )
    if access is None:
        raise WrongUsage(f"--prometheus {named} is a Service of a cluster: write a URL here.")
    return by_service(access, service["namespace"], service["name"], service["port"])


def variables(deployment: Object) -> dict[str, str]:
    """What a Deployment sets in its pods' environment; without what is empty, or comes from
    elsewhere.
    """
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return {v["name"]: v["value"] for c in containers for v in c.get("env", ()) if v.get("value")}


def _of_operator(access: Access) -> Prometheus:
    """As the operator reaches it: a Service's URL goes through the API server's proxy, any other as
    it is.
    """
    hint = f"give --prometheus URL or NAMESPACE/SERVICE:PORT, or set {VARIABLE}"
    try:
        deployments = access.items("/apis/apps/v1/deployments", OPERATOR)
    except Refused as refused:
        raise Unreachable(
            f"You may not read the operator's Deployment, which names its Prometheus: {hint}."
        ) from refused
    urls = [
        (one["metadata"]["namespace"], url)
        for one in deployments
        if (url := variables(one).get("PROMETHEUS_URL"))
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
        access,
        home,
        name,
        port,
        "https:" if parts.scheme == "https" else "",
        parts.path.rstrip("/"),
    )


def by_service(  # noqa: PLR0917
    access: Access, namespace: str, name: str, port: str, scheme: str = "", prefix: str = ""
) -> Prometheus:
    """Through the API server: whoever may `get services/proxy` needs no port-forward."""
    root = f"/api/v1/namespaces/{namespace}/services/{scheme}{name}:{port}/proxy{prefix}/api/v1"
    place = f"Prometheus (Service {namespace}/{name}:{port})"

    def ask(path: str, asked: Mapping[str, str]) -> tuple[int, bytes]:
        status, body = access.raw(f"{root}/{path}", asked)
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

    def ask(path: str, asked: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            reply = pool.request(
                "POST" if asked else "GET",
                f"{root}/{path}",
                headers={**headers, **_FORM},
                body=urlencode(asked) or None,
            )
        except (OSError, urllib3.exceptions.HTTPError) as failure:
            raise Unreachable(f"{place} did not answer: {type(failure).__name__}.") from failure
        return reply.status, reply.data

    return Prometheus(place, ask)


_FORM = {"content-type": "application/x-www-form-urlencoded"}
