"""How Prometheus is found: by name, by environment, or as the operator in the cluster has it."""

from typing import Any, cast

import pytest

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.cluster import prometheus
from rollout_cli.exit_codes import Refused, Unreachable, WrongUsage

EMPTY = (200, b'{"status":"success","data":[]}')


class Scripted:
    """An API server with one operator that has this PROMETHEUS_URL; remembers what went through its
    proxy.
    """

    def __init__(
        self,
        url: str | None = None,
        refuses: bool = False,
        reply: tuple[int, bytes] = (200, b'{"status":"success","data":[]}'),
        **more: str,
    ) -> None:
        self.url, self.refuses, self.reply, self.more = url, refuses, reply, more
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []

    def items(self, path: str, selector: str = "") -> list[dict[str, Any]]:
        if self.refuses:
            raise Refused("no")
        env = [{"name": "PROMETHEUS_URL", "value": self.url}] if self.url else []
        env += [{"name": name, "value": value} for name, value in self.more.items()]
        one = {
            "metadata": {"namespace": "rollouts-system"},
            "spec": {"template": {"spec": {"containers": [{"env": env}]}}},
        }
        return [one]

    def raw(self, path: str, query: Any = None, headers: Any = None) -> tuple[int, bytes]:
        self.asked.append(path)
        self.headers = dict(headers or {})
        return self.reply

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        return {"spec": {"type": "ClusterIP"}}


PROXY = "/api/v1/namespaces/{}/services/{}/proxy{}/api/v1/label/job/values"
PLACES: dict[str, tuple[str | None, str | None, str]] = {
    "a Service, named": (
        "monitoring/prometheus:9090",
        None,
        PROXY.format("monitoring", "prometheus:9090", ""),
    ),
    "as the operator has it": (
        None,
        "http://prometheus.monitoring.svc:9090",
        PROXY.format("monitoring", "prometheus:9090", ""),
    ),
    "with the cluster's domain": (
        None,
        "http://prom.mon.svc.cluster.local",
        PROXY.format("mon", "prom:80", ""),
    ),
    "in the operator's own namespace": (
        None,
        "http://prometheus:9090",
        PROXY.format("rollouts-system", "prometheus:9090", ""),
    ),
    "by TLS and below a path": (
        None,
        "https://thanos.mon.svc/prom/",
        PROXY.format("mon", "https:thanos:443", "/prom"),
    ),
}


@pytest.mark.parametrize(("given", "url", "path"), PLACES.values(), ids=PLACES.keys())
def test_through_the_api_server(
    given: str | None, url: str | None, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(prometheus.VARIABLE, raising=False)
    access = Scripted(url)
    prometheus.find(cast("KubeApi", access), given).values_of("job")
    assert access.asked == [path]


@pytest.mark.parametrize(
    ("given", "env", "url"),
    [
        pytest.param("http://localhost:9090", "", None, id="given"),
        pytest.param(None, "http://localhost:9090", None, id="in the environment"),
        pytest.param(
            None,
            "",
            "http://prometheus.example.com:9090",
            id="the operator's, outside of the cluster",
        ),
    ],
)
def test_by_url(
    given: str | None, env: str, url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(prometheus.VARIABLE, env)
    assert "http://" in prometheus.find(cast("KubeApi", Scripted(url)), given).place


NOBODY: dict[str, tuple[Scripted, str | None, type[Exception], str]] = {
    "no operator": (Scripted(), None, Unreachable, "No operator was found"),
    "no right to see it": (Scripted(refuses=True), None, Unreachable, "give --prometheus"),
    "nonsense": (Scripted(), "prometheus", WrongUsage, "NAMESPACE/SERVICE:PORT"),
}


@pytest.mark.parametrize(
    ("access", "given", "error", "sentence"), NOBODY.values(), ids=NOBODY.keys()
)
def test_nobody(
    access: Scripted,
    given: str | None,
    error: type[Exception],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(prometheus.VARIABLE, raising=False)
    with pytest.raises(error, match=sentence):
        prometheus.find(cast("KubeApi", access), given)


REPLIES: dict[str, tuple[tuple[int, bytes], str]] = {
    "forbidden": ((403, b'{"kind":"Status"}'), "get services/proxy"),
    "no endpoints": (
        (503, b'{"kind":"Status","message":"no endpoints available"}'),
        "no endpoints available",
    ),
    "something else": ((200, b"<html>"), "which is not Prometheus"),
    "credentials, which the API server does not pass on": (
        (401, b"Unauthorized\n"),
        "port-forward svc/prometheus 9090:9090, set PROMETHEUS_TOKEN_FILE, or .* --prometheus",
    ),
    "a right, of kube-rbac-proxy": ((403, b"Forbidden (user=u)\n"), "port-forward"),
    "a tenant": ((401, b"no org id\n"), "It wants a tenant: set PROMETHEUS_HEADERS"),
    "a client certificate": (
        (502, b'{"kind": "Status", "message": "remote error: tls: certificate required"}'),
        "certificate required",
    ),
}


@pytest.mark.parametrize(("reply", "sentence"), REPLIES.values(), ids=REPLIES.keys())
def test_replies_that_are_none(reply: tuple[int, bytes], sentence: str) -> None:
    found = prometheus.find(cast("KubeApi", Scripted(reply=reply)), "monitoring/prometheus:9090")
    with pytest.raises(Unreachable, match=sentence):
        found.values_of("job")


class Aliased(Scripted):
    """An API server whose Service monitoring/prometheus is an alias, which its proxy leads nobody
    through; None: may not be read.
    """

    def __init__(self, host: str | None) -> None:
        super().__init__()
        self.host = host

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        if self.host is None:
            raise Refused("no")
        assert path == "/api/v1/namespaces/monitoring/services/prometheus"
        return {"spec": {"type": "ExternalName", "externalName": self.host}}

    def raw(self, path: str, query: Any = None, headers: Any = None) -> tuple[int, bytes]:
        _, body = super().raw(path, query, headers)
        if "/monitoring/" in path:
            return 503, b'{"kind":"Status","message":"no service port 9090 found"}'
        return 200, body


@pytest.mark.parametrize("host", ["thanos.mon.svc", "thanos.mon.svc.cluster.local."])
def test_an_alias_of_a_service_is_followed(host: str) -> None:
    access = Aliased(host)
    prometheus.find(cast("KubeApi", access), "monitoring/prometheus:9090").values_of("job")
    assert access.asked == [
        PROXY.format("monitoring", "prometheus:9090", ""),
        PROXY.format("mon", "thanos:9090", ""),
    ]


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        pytest.param(
            "prometheus.example.com",
            "alias .* of prometheus.example.com.* --prometheus http://prometheus.example.com:9090",
            id="outside of the cluster",
        ),
        pytest.param(None, "did not answer: no service port", id="that may not be read"),
    ],
)
def test_an_alias_that_cannot_be_followed_is_said(host: str | None, sentence: str) -> None:
    found = prometheus.find(cast("KubeApi", Aliased(host)), "monitoring/prometheus:9090")
    with pytest.raises(Unreachable, match=sentence):
        found.values_of("job")


def test_headers_are_passed_through_the_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's, and ours where there are some."""
    access = Scripted("http://mimir/prometheus", PROMETHEUS_HEADERS='{"X-Scope-OrgID": "theirs"}')
    prometheus.find(cast("KubeApi", access), None).values_of("job")
    assert access.headers == {"X-Scope-OrgID": "theirs"}
    monkeypatch.setenv("PROMETHEUS_HEADERS", '{"X-Scope-OrgID": "ours"}')
    prometheus.find(cast("KubeApi", access), None).values_of("job")
    assert access.headers == {"X-Scope-OrgID": "ours"}


OURS: dict[str, tuple[dict[str, str], str, str]] = {
    "contradicting variables": (
        {"PROMETHEUS_USERNAME": "u"},
        "http://p",
        "set PROMETHEUS_PASSWORD_FILE",
    ),
    "a token file that is not there": (
        {"PROMETHEUS_TOKEN_FILE": "/nowhere"},
        "http://p",
        "PROMETHEUS_TOKEN_FILE=/nowhere cannot be read",
    ),
    "a CA that is not there": (
        {"PROMETHEUS_CA_FILE": "/nowhere"},
        "https://p",
        "PROMETHEUS_CA_FILE=/nowhere cannot be read",
    ),
    "a user twice": (
        {"PROMETHEUS_USERNAME": "u", "PROMETHEUS_PASSWORD": "p"},
        "http://a:b@p",
        "leave them out of http://p",
    ),
    "a URL of the API": ({}, "http://p/api/v1", "leave that out"),
}


@pytest.mark.parametrize(("env", "url", "sentence"), OURS.values(), ids=OURS.keys())
def test_what_cannot_be_sent_is_wrong_usage(
    env: dict[str, str], url: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongUsage, match=sentence):
        prometheus.find(None, url)
