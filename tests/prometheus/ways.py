"""The ways by which companies' Prometheus is asked: real servers with one past, and what the
operator is told of them.
"""

import contextlib
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import urllib3
import yaml

from tests.support import metrics_servers, past
from tests.support.secured_prometheus import (
    BCRYPT,
    LOGIN,
    PASSWORD,
    TENANT,
    USER,
    Certificates,
    Gatekeeper,
)


@dataclass
class Way:
    """One of them, as long as its servers run."""

    url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """The operator's variables."""
    before: Callable[[int], None] = lambda _: None
    """What happens just before a look, by its second."""
    locked_out: range = range(0)
    """Seconds of the looks that it refuses."""
    exact: bool = True
    """Whether each look sees what a plain Prometheus shows; else only verdicts are the same."""


Opening = Callable[[Path, int, Certificates], contextlib.AbstractContextManager[Way]]
"""From an empty folder, the seconds between scrapes, and the certificates of the servers."""


def _samples(every: int) -> Iterator[str]:
    return past.openmetrics(past.all_scrapes([every]))


def _login(home: Path, made: Certificates) -> dict[str, str]:
    password = home / "password"
    password.write_text(f"{PASSWORD}\n")
    return {
        "PROMETHEUS_USERNAME": USER,
        "PROMETHEUS_PASSWORD_FILE": str(password),
        "PROMETHEUS_CA_FILE": str(made.ca),
    }


def _pool(made: Certificates) -> urllib3.PoolManager:
    context = ssl.create_default_context(cafile=str(made.ca))
    return urllib3.PoolManager(ssl_context=context, headers=LOGIN)


@contextlib.contextmanager
def prometheus(home: Path, every: int, _: Certificates) -> Iterator[Way]:
    """One that lets everybody in."""
    metrics_servers.remember(home, _samples(every))
    with metrics_servers.prometheus(home, {}) as url:
        yield Way(url)


@contextlib.contextmanager
def with_a_password(home: Path, every: int, made: Certificates) -> Iterator[Way]:
    """Basic authentication over TLS by a private CA."""
    metrics_servers.remember(home, _samples(every))
    cert, key = made.pair("server")
    tls = {"cert_file": str(cert), "key_file": str(key)}
    (home / "web.yml").write_text(
        yaml.safe_dump({"tls_server_config": tls, "basic_auth_users": {USER: BCRYPT}})
    )
    more = {"web.config.file": home / "web.yml"}
    with metrics_servers.prometheus(home, {}, more, "https://{}", _pool(made)) as url:
        yield Way(url, _login(home, made))


@contextlib.contextmanager
def with_a_token(home: Path, every: int, made: Certificates) -> Iterator[Way]:
    """A proxy that wants a token and a tenant. It takes another token from second 130 on, which
    comes into the file at 250.
    """
    token = home / "token"
    token.write_text("first-token\n")
    with (
        prometheus(home, every, made) as behind,
        (gatekeeper := Gatekeeper(behind.url, made, "first-token")).open() as url,
    ):

        def rotate(look: int) -> None:
            gatekeeper.token = "first-token" if look < 130 else "second-token"
            token.write_text("first-token\n" if look < 250 else "second-token\n")

        tenant = {"PROMETHEUS_HEADERS": json.dumps({"X-Scope-OrgID": TENANT})}
        environment = {"PROMETHEUS_TOKEN_FILE": str(token), **tenant}
        yield Way(url, environment, rotate, range(130, 250), exact=False)


@contextlib.contextmanager
def victoria_metrics(home: Path, every: int, _: Certificates) -> Iterator[Way]:
    """One node that lets everybody in."""
    with metrics_servers.victoria_metrics(home) as url:
        metrics_servers.imported(url, _samples(every), urllib3.PoolManager())
        yield Way(url)


@contextlib.contextmanager
def victoria_metrics_with_a_password(home: Path, every: int, made: Certificates) -> Iterator[Way]:
    """Basic authentication over TLS by a private CA, below a path."""
    cert, key = made.pair("server")
    more: dict[str, str | Path] = {
        "tls": "true",
        "tlsCertFile": cert,
        "tlsKeyFile": key,
        "httpAuth.username": USER,
        "httpAuth.password": PASSWORD,
        "http.pathPrefix": "/team-a",
    }
    pool = _pool(made)
    with metrics_servers.victoria_metrics(home, more, "https://{}/team-a", pool) as url:
        metrics_servers.imported(url, _samples(every), pool)
        yield Way(url, _login(home, made))


@contextlib.contextmanager
def victoria_metrics_that_thins_out(home: Path, every: int, _: Certificates) -> Iterator[Way]:
    """Of each half a minute it keeps one sample of a series."""
    with metrics_servers.victoria_metrics(home, {"dedup.minScrapeInterval": "30s"}) as url:
        metrics_servers.imported(url, _samples(every), urllib3.PoolManager())
        yield Way(url, exact=False)


WAYS: dict[str, Opening] = {
    "a password, a private CA": with_a_password,
    "a token that is rotated, a tenant, a path": with_a_token,
    "VictoriaMetrics": victoria_metrics,
    "VictoriaMetrics: a password, a private CA, a path": victoria_metrics_with_a_password,
    "VictoriaMetrics: one sample each 30 s": victoria_metrics_that_thins_out,
}
