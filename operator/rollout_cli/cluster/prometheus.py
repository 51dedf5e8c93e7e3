"""How this program reaches Prometheus: by a URL, or through the API server's proxy of a Service."""

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import urllib3

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.operator_deployment import OPERATOR, variables
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.exit_codes import Failure, Refused, Unreachable, WrongUsage
from rollout_operator.domain.gates.promql import read
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.domain.prometheus_access import (
    CA_FILE,
    CERT_FILE,
    HEADERS,
    KEY_FILE,
    PASSWORD_FILE,
    TOKEN_FILE,
    USERNAME,
    AccessError,
    PrometheusAccess,
    access,
    headers,
    of_url,
)
from rollout_operator.domain.prometheus_refusal import no_answer, without_secrets

TIMEOUT = 10.0
VARIABLE, TOKEN = "MODELROLLOUT_PROMETHEUS", "MODELROLLOUT_PROMETHEUS_TOKEN"
SERVICE = re.compile(r"(?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9-]+):(?P<port>[a-z0-9-]+)")
INSIDE = re.compile(r"(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)(\.svc(\..+)?)?")

INSIDE_WHOLE = re.compile(r"(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(\..+)?")
"""The same, for sure: a host of two words may be outside, too."""


def find(kube: KubeApi | None, given: str | None) -> Prometheus:
    """The Prometheus that `given` names, else the environment, else the one that the operator in
    the cluster uses.

    It is asked by what the environment says, in the operator's variables. Raises WrongUsage where
    that or `given` cannot be read, and Unreachable where nothing names one.
    """
    try:
        ours = access(os.environ)
    except ValueError as wrong:
        raise WrongUsage(f"{wrong}.") from wrong
    named = given or os.environ.get(VARIABLE, "")
    if named:
        return _named(kube, named, ours)
    if kube is None:
        raise Unreachable(f"No Prometheus is named: give --prometheus, or set {VARIABLE}.")
    return _of_operator(kube, ours)


def _named(kube: KubeApi | None, named: str, ours: PrometheusAccess) -> Prometheus:
    if named.startswith(("http://", "https://")):
        return by_url(named, ours)
    if (service := SERVICE.fullmatch(named)) is None:
        raise WrongUsage(
            f"--prometheus {named!r} cannot be read: write http://HOST:PORT, or"
            " NAMESPACE/SERVICE:PORT for a Service of the cluster."
        )
    if kube is None:
        raise WrongUsage(f"--prometheus {named} is a Service of a cluster: write a URL here.")
    return by_service(
        kube, service["namespace"], service["name"], service["port"], more=ours.headers
    )


def by_own_url(url: str) -> Prometheus:
    """The Prometheus at this URL, by what the environment says in the operator's variables. Raises
    WrongUsage where that cannot be read.
    """
    try:
        return by_url(url, access(os.environ))
    except ValueError as wrong:
        raise WrongUsage(f"{wrong}.") from wrong


def _of_operator(kube: KubeApi, ours: PrometheusAccess) -> Prometheus:
    """As the operator reaches it: a Service's URL goes through the API server's proxy, any other as
    it is. Headers are the operator's where we have none; its Secrets are not read.
    """
    hint = f"give --prometheus URL or NAMESPACE/SERVICE:PORT, or set {VARIABLE}"
    try:
        deployments = kube.items("/apis/apps/v1/deployments", OPERATOR)
    except Refused as refused:
        raise Unreachable(
            f"You may not read the operator's Deployment, which names its Prometheus: {hint}."
        ) from refused
    places = [
        (deployment["metadata"]["namespace"], url, set_there.get(HEADERS, ""))
        for deployment in deployments
        if (url := (set_there := variables(deployment)).get("PROMETHEUS_URL"))
    ]
    if not places:
        raise Unreachable(
            f"No operator was found in the cluster that would name its Prometheus: {hint}."
        )
    namespace, url, theirs = places[0]
    if not ours.headers:
        # What cannot be read keeps the operator from starting, and is told there.
        with contextlib.suppress(ValueError):
            ours = replace(ours, headers=headers(theirs))
    parts = urlsplit(url)
    inside = INSIDE.fullmatch(parts.hostname or "")
    if inside is None and "." in (parts.hostname or ""):
        return by_url(url, ours)
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
        ours.headers,
    )


def by_service(  # noqa: PLR0917
    kube: KubeApi,
    namespace: str,
    name: str,
    port: str,
    scheme: str = "",
    prefix: str = "",
    more: Mapping[str, str] | None = None,
) -> Prometheus:
    """Through the API server: whoever may `get services/proxy` needs no port-forward. It passes
    headers on (more), but no credentials: those are its own. Where the Service is an alias
    (ExternalName), which that proxy does not follow, it is followed here.
    """
    root = f"/api/v1/namespaces/{namespace}/services/{scheme}{name}:{port}/proxy{prefix}/api/v1"
    place = f"Prometheus (Service {namespace}/{name}:{port})"

    def ask(path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        status, body = kube.raw(f"{root}/{path}", parameters, more)
        ours = b'"kind":"Status"' in body.replace(b" ", b"")
        if status == 401 and b"no org id" in body:
            raise Unreachable(_refusal(place, status, body, PrometheusAccess()))
        if status in {401, 403} and not ours:
            raise Unreachable(
                f"{place} answered HTTP {status}: it wants credentials, which the API server does"
                f" not pass on. Run kubectl -n {namespace} port-forward svc/{name} 9090:{port}, set"
                f" {TOKEN_FILE}, or {USERNAME} and {PASSWORD_FILE}, and give --prometheus"
                f" {'https' if scheme else 'http'}://localhost:9090{prefix}."
            )
        if status in {401, 403}:
            raise Unreachable(
                f"You may not reach {place} through the API server (get services/proxy): ask for"
                " that right, or forward the port and give --prometheus http://localhost:PORT."
            )
        if status in {404, 500, 502, 503} and ours:
            if (host := _alias(kube, namespace, name)) is not None:
                inside = INSIDE_WHOLE.fullmatch(host)
                if inside is None:
                    raise Unreachable(
                        f"{place} is an alias (ExternalName) of {host}, where the API server leads"
                        " nobody to: give --prometheus"
                        f" {'https' if scheme else 'http'}://{host}:{port}{prefix}."
                    )
                there = inside["namespace"], inside["name"], port, scheme, prefix, more
                return by_service(kube, *there).ask(path, parameters)
            raise Unreachable(
                f"{place} did not answer: {json.loads(body).get('message', f'HTTP {status}')}"
            )
        return status, body

    return Prometheus(place, ask)


def _alias(kube: KubeApi, namespace: str, name: str) -> str | None:
    """The host that a Service is an alias of; None where it is none, or may not be read."""
    try:
        service = kube.get(f"/api/v1/namespaces/{namespace}/services/{name}")
    except Failure:
        return None
    host = service.get("spec", {}).get("externalName")
    return None if host is None else str(host).rstrip(".")


def by_url(url: str, ours: PrometheusAccess) -> Prometheus:
    """Straight to a URL, with what the environment or `user:password@` in it says. Raises
    WrongUsage where that cannot be used.
    """
    try:
        plain, ours = of_url(url, ours)
        sent = ours.request_headers(_text)
        for variable, path in (
            (CA_FILE, ours.ca_file),
            (CERT_FILE, ours.cert_file),
            (KEY_FILE, ours.key_file),
        ):
            _readable(variable, path)
    except (ValueError, AccessError) as wrong:
        raise WrongUsage(f"Prometheus cannot be asked: {str(wrong).rstrip('.')}.") from wrong
    if token := os.environ.get(TOKEN):
        sent["Authorization"] = f"Bearer {token}"
    pool = urllib3.PoolManager(
        timeout=TIMEOUT,
        retries=False,
        ca_certs=ours.ca_file or None,
        cert_file=ours.cert_file or None,
        key_file=ours.key_file or None,
    )
    parts = urlsplit(plain)
    place = f"Prometheus ({parts.scheme}://{parts.netloc})"

    def ask(path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            reply = pool.request(
                "POST" if parameters else "GET",
                f"{plain}/api/v1/{path}",
                headers={**sent, **_FORM},
                body=urlencode(parameters) or None,
            )
        except (OSError, urllib3.exceptions.HTTPError) as failure:
            raise Unreachable(_silent(place, failure, plain)) from failure
        if reply.status in {401, 403}:
            raise Unreachable(
                _refusal(place, reply.status, without_secrets(reply.data, sent), ours)
            )
        return reply.status, reply.data

    return Prometheus(place, ask)


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _readable(variable: str, path: str) -> None:
    """Raises AccessError where the file is set and cannot be read."""
    try:
        if path:
            Path(path).read_bytes()
    except OSError as failure:
        raise AccessError(f"{variable}={path} cannot be read: {failure.strerror}") from failure


def _silent(place: str, failure: Exception, url: str) -> str:
    """Why nothing came back; what to set where it is TLS."""
    said = no_answer(failure, url)
    return (
        f"{place} did not answer: {type(failure).__name__}." if "did not answer" in said else said
    )


def _refusal(place: str, status: int, body: bytes, ours: PrometheusAccess) -> str:
    """In the operator's words, which name the value to set."""
    said = read(status, body, ours)
    assert isinstance(said, MetricsUnreachable)
    return f"{place}: {said.message}"


_FORM = {"content-type": "application/x-www-form-urlencoded"}
