"""A real Prometheus that asks who is there: TLS by a private CA, client certificates, user and
password, below a path; and a proxy before it that wants a bearer token and a tenant.
"""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import urllib3
import yaml
from aiohttp import web

from tests.support import metrics_servers
from tests.support.certificate import self_signed, signed
from tests.support.scripted_world import ScriptedWorld, serving

USER, PASSWORD = "operator", "right-password"
BCRYPT = "$2y$04$abcdefghijklmnopqrstuuS80hwFD6gSIL20SCUGvmL7S939BjOHW"
"""Of the password: perl -e 'print crypt("right-password", q($2y$04$abcdefghijklmnopqrstuu))'."""
PREFIX = "/team-a/prometheus"
TENANT = "team-a"
LOGIN = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Certificates:
    """A private CA, and what it has signed."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> "Certificates":
        self_signed(folder, "DNS:ca")
        signed(folder, "server", "IP:127.0.0.1", by=folder)
        signed(folder, "client", "DNS:operator", by=folder)
        return cls(folder)

    @property
    def ca(self) -> Path:
        return self.folder / "certificate.pem"

    def pair(self, name: str) -> tuple[Path, Path]:
        """Certificate and key."""
        return self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"

    def context(self) -> ssl.SSLContext:
        """As one who may ask has it."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(*self.pair("client"))
        return context


def exporter(world: ScriptedWorld) -> web.Application:
    """The world's series as pods show them."""

    async def metrics(_: web.Request) -> web.Response:
        lines = []
        for one in world.series():
            labels = {k: v for k, v in one["metric"].items() if k != "__name__"}
            said = ",".join(f'{k}="{v}"' for k, v in labels.items())
            lines.append(f"{one['metric']['__name__']}{{{said}}} {one['values'][-1][1]}\n")
        return web.Response(text="".join(lines))

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app


@contextlib.contextmanager
def secured(world: ScriptedWorld, made: Certificates, home: Path) -> Iterator[str]:
    """Such a Prometheus, which scrapes the world every second; yields its URL."""
    with serving(exporter(world)) as shown:
        target = shown.removeprefix("http://")
        job = {
            "job_name": "models",
            "honor_labels": True,
            "static_configs": [{"targets": [target]}],
        }
        cert, key = made.pair("server")
        tls = {
            "cert_file": str(cert),
            "key_file": str(key),
            "client_ca_file": str(made.ca),
            "client_auth_type": "RequireAndVerifyClientCert",
        }
        web_config = {"tls_server_config": tls, "basic_auth_users": {USER: BCRYPT}}
        (home / "web.yml").write_text(yaml.safe_dump(web_config))
        with metrics_servers.prometheus(
            home,
            {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]},
            {"web.config.file": home / "web.yml", "web.route-prefix": PREFIX},
            f"https://{{}}{PREFIX}",
            urllib3.PoolManager(ssl_context=made.context(), headers=LOGIN),
        ) as url:
            yield url


@dataclass
class Gatekeeper:
    """The proxy: whoever has the token of the moment and a tenant is let through."""

    behind: str
    made: Certificates
    token: str
    refused: list[str] = field(default_factory=list)
    """What those had for a token who were not let through."""

    async def _passed(self, request: web.Request) -> web.Response:
        sent = request.headers.get("Authorization", "")
        if sent != f"Bearer {self.token}":
            self.refused.append(sent)
            # As unkind proxies do, which repeat what they were sent.
            return web.Response(status=401, text=f"no such token: {sent}")
        if request.headers.get("X-Scope-OrgID") != TENANT:
            return web.Response(status=401, text="no org id\n")
        async with (
            aiohttp.ClientSession(headers={**LOGIN, **FORM}) as session,
            session.request(
                request.method,
                f"{self.behind}/{request.match_info['rest']}",
                data=await request.read(),
                ssl=self.made.context(),
            ) as answer,
        ):
            return web.Response(
                status=answer.status, body=await answer.read(), content_type="application/json"
            )

    @contextlib.contextmanager
    def open(self) -> Iterator[str]:
        """Answer; yields the URL, which has a path."""
        app = web.Application()
        app.router.add_route("*", "/gate/{rest:.*}", self._passed)
        with serving(app) as url:
            yield f"{url}/gate"
