"""A client of OCI registries that only reads, and verifies what a digest names.

oras-py 0.2.43 was looked at: it gives no manifest's bytes, so that no digest can be
verified, verifies no blob, answers no `Basic` challenge unless told so beforehand, and has no
timeout. The interface is github.com/opencontainers/distribution-spec's; asking for a token is
distribution.github.io/distribution/spec/auth/token.

| variable | what it is |
| --- | --- |
| OCI_REGISTRY, OCI_USERNAME, OCI_PASSWORD | credentials, and the one registry that they are for |
| DOCKER_CONFIG | a folder with a Docker `config.json`; else a mounted `.dockerconfigjson` |
| OCI_PLAIN_HTTP | 1: no registry has TLS; 0: those on loopback have it, too |
| REQUESTS_CA_BUNDLE, SSL_CERT_FILE | a private CA |
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests

from rollout_inference.loading.store_failures import registry_status, registry_trouble
from rollout_model.digest import DIGEST
from rollout_model.errors import LoadFailed

MOUNTED = Path("/var/run/rollouts/credentials")
"""Where the keys of the Secret are files (rollout_operator.desired.fetch_step)."""
CHUNK = 1024 * 1024
MOST_MANIFEST = 4 * 1024 * 1024
"""Bytes; the distribution specification has registries take as many."""
TIMEOUT = (10, 30)
"""Seconds to connect, and between two pieces of an answer."""
DOCKER_HUB = "registry-1.docker.io"
_HUB_NAMES = {"docker.io", "index.docker.io", DOCKER_HUB}
_PARTS = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"oci://(?P<registry>[A-Za-z0-9.-]+(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?)"
    rf"/(?P<repository>{_PARTS}(?:/{_PARTS})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json,"
    " application/vnd.docker.distribution.manifest.list.v2+json,"
    " application/vnd.docker.distribution.manifest.v2+json"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Which image or artifact of which registry."""

    source: str
    """As the version has it."""
    registry: str
    """HOST or HOST:PORT."""
    repository: str
    """Its path there."""
    name: str
    """The digest; the tag, where there is none."""


def reference(source: str) -> Reference:
    """What an `oci://` source names. Raises LoadFailed."""
    found = _REFERENCE.fullmatch(source)
    if found is None or not (name := found["digest"] or found["tag"]):
        raise LoadFailed(
            f"{source[:300]} names no image: write oci://REGISTRY/REPOSITORY:TAG, or @sha256:…"
        )
    registry = DOCKER_HUB if found["registry"] in _HUB_NAMES else found["registry"]
    return Reference(source, registry, found["repository"], name)


def credentials(registry: str, env: Mapping[str, str]) -> str:
    """USER:PASSWORD in base64, which this registry is told; "" where nothing is known for it.
    Raises LoadFailed.

    Whoever may register a version chooses its registry, so that no credentials are for them all.
    """
    if (user := env.get("OCI_USERNAME")) and (password := env.get("OCI_PASSWORD")):
        if not (ours := env.get("OCI_REGISTRY")):
            raise LoadFailed(
                "OCI_USERNAME is set, and OCI_REGISTRY does not say which registry it is for."
            )
        if _host(ours) == registry:
            return base64.b64encode(f"{user}:{password}".encode()).decode()
    folder = env.get("DOCKER_CONFIG")
    file = Path(folder) / "config.json" if folder else MOUNTED / ".dockerconfigjson"
    if not file.is_file():
        return ""
    try:
        for name, entry in json.loads(file.read_bytes())["auths"].items():
            if _host(name) == registry:
                both = f"{entry.get('username', '')}:{entry.get('password', '')}"
                return str(entry.get("auth") or base64.b64encode(both.encode()).decode())
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as failure:
        raise LoadFailed(f"{file} is no Docker config with `auths`.") from failure
    return ""


def _host(name: str) -> str:
    """Of a registry as people, and Docker configs, write it."""
    host = name.partition("://")[2] or name
    host = host.partition("/")[0]
    return DOCKER_HUB if host in _HUB_NAMES else host


class Registry:
    """The registry of one reference. All methods raise LoadFailed."""

    def __init__(self, place: Reference, env: Mapping[str, str]) -> None:
        self._place = place
        self._basic = credentials(place.registry, env)
        told = env.get("OCI_PLAIN_HTTP", "").lower()
        loopback = _LOOPBACK.fullmatch(place.registry) is not None
        self._plain = told in {"1", "true"} or (loopback and told not in {"0", "false"})
        scheme = "http" if self._plain else "https"
        self._url = f"{scheme}://{place.registry}/v2/{place.repository}"
        self._authorization = ""
        self._http = requests.Session()
        self._verify: str | bool = True
        for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            if path := env.get(variable):
                if not Path(path).exists():
                    raise LoadFailed(f"{variable}={path} cannot be read: it is not there.")
                self._verify = path

    def manifest(self, name: str) -> dict[str, Any]:
        """Of a digest or a tag."""
        try:
            with self._get(f"/manifests/{name}", _MANIFESTS) as answer:
                body = bytearray()
                for part in answer.iter_content(CHUNK):
                    body += part
                    if len(body) > MOST_MANIFEST:
                        raise self._unlike(name)
        except requests.RequestException as failure:
            raise self._trouble(failure) from failure
        if ":" in name and f"sha256:{hashlib.sha256(body).hexdigest()}" != name:
            raise self._unlike(name)
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise LoadFailed(
                f"{self._place.source} could not be read: what {self._place.registry} answers is no"
                " manifest."
            )
        return found

    def blob(self, digest: str, size: int, file: BinaryIO) -> None:
        """Write a blob of this many bytes."""
        seen, count = hashlib.sha256(), 0
        if not DIGEST.fullmatch(digest):
            raise self._unlike(digest[:100])
        try:
            with self._get(f"/blobs/{digest}", "*/*") as answer:
                for part in answer.iter_content(CHUNK):
                    count += len(part)
                    if count > size:
                        raise self._unlike(digest)
                    seen.update(part)
                    file.write(part)
        except requests.RequestException as failure:
            raise self._trouble(failure) from failure
        if count != size or f"sha256:{seen.hexdigest()}" != digest:
            raise self._unlike(digest)

    def _get(self, path: str, accept: str) -> requests.Response:
        """The answer, whose body is still to come."""
        answer = self._ask(self._url + path, {"Accept": accept}, self._authorization)
        if answer.status_code == 401:
            self._authorization = self._authorized(answer.headers.get("WWW-Authenticate", ""))
            if self._authorization:
                answer.close()
                answer = self._ask(self._url + path, {"Accept": accept}, self._authorization)
        if answer.status_code != 200:
            answer.close()
            raise self._refused(self._place.registry, answer.status_code)
        return answer

    def _ask(self, url: str, headers: dict[str, str], authorization: str) -> requests.Response:
        """Redirects are followed, and no other host is told who we are (requests sees to it)."""

        def signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if authorization:
                request.headers["Authorization"] = authorization
            return request

        headers = {**headers, "Accept-Encoding": "identity"}
        return self._http.get(
            url, headers=headers, auth=signed, stream=True, timeout=TIMEOUT, verify=self._verify
        )

    def _authorized(self, challenge: str) -> str:
        """The header that a challenge asks for; "" where there is none to give."""
        basic = f"Basic {self._basic}" if self._basic else ""
        kind, _, rest = challenge.partition(" ")
        asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = urlsplit(asked.get("realm", ""))
        if kind.lower() == "basic":
            return basic
        if kind.lower() != "bearer" or realm.scheme not in ({"http"} if self._plain else set()) | {
            "https"
        }:
            return ""
        wanted = {name: asked[name] for name in ("service", "scope") if name in asked}
        url = requests.Request("GET", realm.geturl(), params=wanted).prepare().url or ""
        with self._ask(url, {"Accept": "application/json"}, basic) as answer:
            if answer.status_code != 200:
                raise self._refused(realm.netloc, answer.status_code)
            try:
                said = answer.json()
                return f"Bearer {said.get('token') or said['access_token']}"
            except (ValueError, KeyError, AttributeError):
                return ""

    def _refused(self, host: str, status: int) -> LoadFailed:
        place = self._place
        what = f"{place.repository} with {place.name}"
        return LoadFailed(registry_status(place.source, host, status, what, bool(self._basic)))

    def _trouble(self, failure: requests.RequestException) -> LoadFailed:
        place = self._place
        return LoadFailed(registry_trouble(place.source, f"https://{place.registry}", failure))

    def _unlike(self, digest: str) -> LoadFailed:
        return LoadFailed(
            f"{self._place.source} could not be read: what {self._place.registry} answers for"
            f" {digest} has another digest or size."
        )
