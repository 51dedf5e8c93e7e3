"""Images and artifacts as their tools make them, and a real registry that has them: distribution's,
with TLS and a password.
"""

import base64
import gzip
import hashlib
import io
import json
import ssl
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from scripts.cluster import gobuild
from scripts.cluster.apiserver import free_port
from tests.support.certificate import signed
from tests.support.stores import answering

USER, PASSWORD = "reader", "the-password-of-the-test"
_BCRYPT = "$2a$04$y.J9zZrC8RCJwZE4eMzPGebwHg5eWk/7KLaVhGZC5hjIDAvay0PPa"
"""Of PASSWORD; distribution takes no other hash."""
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
TITLE = "org.opencontainers.image.title"
UNPACK = "io.deis.oras.content.unpack"


def archive(members: Sequence[tuple[str, bytes | None] | tarfile.TarInfo]) -> bytes:
    """A tar of files; None for a folder's content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            info.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
            tar.addfile(info, io.BytesIO(content or b""))
    return made.getvalue()


def below(folder: Path, prefix: str) -> list[tuple[str, bytes | None]]:
    """All files of a folder as members of an archive."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(f"{prefix}/{path.relative_to(folder)}", path.read_bytes()) for path in files]


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Pushing:
    """A registry that runs, as who may push to it."""

    host: str
    authority: Path
    """The certificate that it is trusted by."""
    repository: str = "team/iris"

    def blob(self, content: bytes, **annotations: str) -> dict[str, Any]:
        """Push a blob; its descriptor."""
        with self._client() as http:
            begun = http.post(f"/v2/{self.repository}/blobs/uploads/")
            assert begun.status_code == 202, begun.text
            url = httpx.URL(begun.headers["location"]).copy_merge_params(
                {"digest": digest(content)}
            )
            done = http.put(url, content=content)
            assert done.status_code == 201, done.text
        made: dict[str, Any] = {"mediaType": LAYER, "digest": digest(content), "size": len(content)}
        return made | ({"annotations": annotations} if annotations else {})

    def manifest(self, name: str, layers: Sequence[Mapping[str, Any]]) -> str:
        """Push a manifest under a tag; its digest."""
        config = {**self.blob(b"{}"), "mediaType": "application/vnd.oci.image.config.v1+json"}
        return self._put(name, IMAGE, {"config": config, "layers": list(layers)})

    def index(self, name: str, images: Mapping[str, str]) -> None:
        """Push an index of images, by OS/ARCHITECTURE."""
        children = []
        for machine, image in images.items():
            os, _, architecture = machine.partition("/")
            with self._client() as http:
                head = http.head(
                    f"/v2/{self.repository}/manifests/{image}", headers={"Accept": IMAGE}
                )
            children.append(
                {
                    "mediaType": IMAGE,
                    "digest": image,
                    "size": int(head.headers["content-length"]),
                    "platform": {"os": os, "architecture": architecture},
                }
            )
        self._put(name, INDEX, {"manifests": children})

    def _put(self, name: str, kind: str, body: Mapping[str, Any]) -> str:
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, **body}).encode()
        with self._client() as http:
            done = http.put(
                f"/v2/{self.repository}/manifests/{name}",
                content=content,
                headers={"Content-Type": kind},
            )
        assert done.status_code == 201, done.text
        return digest(content)

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"https://{self.host}",
            auth=(USER, PASSWORD),
            verify=False,
            trust_env=False,
            timeout=60,
        )


def pushed_forms(registry: Pushing, model: Path) -> str:
    """Push the model in each form that is read, by its tag; digest of the image."""
    parts = below(model, "models")
    half = len(parts) // 2
    stale: list[tuple[str, bytes | None]] = [("models/stale.txt", b"old"), ("etc/passwd", b"x")]
    layers = [
        registry.blob(gzip.compress(archive([("models", None), *stale, *parts[:half]]))),
        registry.blob(archive([("models/.wh.stale.txt", b""), *parts[half:]])),
    ]
    image = registry.manifest("image", layers)
    other = registry.manifest("other", [registry.blob(archive([("models/other", b"1")]))])
    registry.index("index", {"windows/amd64": other, "linux/amd64": image, "linux/arm64": image})
    deep = below(model, "models/iris")
    registry.manifest("sub-folder", [registry.blob(gzip.compress(archive(deep)))])
    files = [registry.blob(c or b"", **{TITLE: n}) for n, c in below(model, "iris")]
    registry.manifest("files", files)
    packed = gzip.compress(archive([("iris", None), *below(model, "iris")]))
    registry.manifest("folder", [registry.blob(packed, **{TITLE: "iris", UNPACK: "true"})])
    return image


FORMS = ("image", "index", "sub-folder", "files", "folder")
"""Tags of `pushed_forms`."""


@contextmanager
def registry_server(
    folder: Path, authority: Path, address: str = "127.0.0.1"
) -> Iterator[tuple[Pushing, Path]]:
    """distribution's registry, which wants a password, and the folder of its blobs; authority: the
    private CA's folder.
    """
    passwords = folder / "htpasswd"
    passwords.write_text(f"{USER}:{_BCRYPT}\n")
    auth = {"htpasswd": {"realm": "the registry", "path": str(passwords)}}
    with _served(folder, authority, address, auth, folder / "kept") as host:
        yield Pushing(host, authority / "certificate.pem"), folder / "kept"


@contextmanager
def token_registry(
    folder: Path, authority: Path, kept: Path, address: str = "127.0.0.1"
) -> Iterator[str]:
    """HOST:PORT of another one with the same blobs, which wants a token, as public registries do;
    who gives it has an address of its own, and asks for the password.
    """
    key, certificate = signed(folder, "tokens", f"IP:{address}", authority)
    loaded = load_pem_private_key((authority / "key.pem").read_bytes(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    signing: rsa.RSAPrivateKey = loaded
    root = load_pem_x509_certificate((authority / "certificate.pem").read_bytes())
    chain = [base64.b64encode(root.public_bytes(Encoding.DER)).decode()]
    known = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"

    class Tokens(BaseHTTPRequestHandler):
        """distribution.github.io/distribution/spec/auth/jwt."""

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            kind, name, actions = asked["scope"][0].split(":")
            may = self.headers.get("Authorization") == known
            now = int(time.time())
            claims = {
                "iss": "tokens",
                "aud": asked["service"][0],
                "sub": USER,
                "exp": now + 300,
                "nbf": now - 30,
                "iat": now,
                "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
            }
            head = {"typ": "JWT", "alg": "RS256", "x5c": chain}
            text = ".".join(_url64(json.dumps(part).encode()) for part in (head, claims))
            proof = signing.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
            self.send_response(200 if may else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"token": f"{text}.{_url64(proof)}"}).encode() * may)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    with ThreadingHTTPServer((address, 0), Tokens) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        auth = {
            "token": {
                "realm": f"https://{address}:{server.server_port}/token",
                "service": "the registry",
                "issuer": "tokens",
                "rootcertbundle": str(authority / "certificate.pem"),
            }
        }
        try:
            with _served(folder, authority, address, auth, kept) as host:
                yield host
        finally:
            server.shutdown()


def _url64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@contextmanager
def _served(
    folder: Path, authority: Path, address: str, auth: Mapping[str, Any], kept: Path
) -> Iterator[str]:
    """HOST:PORT of the registry."""
    gobuild.build(gobuild.REGISTRY)
    key, certificate = signed(folder, "registry", f"IP:{address}", authority)
    host = f"{address}:{free_port()}"
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(kept)}},
        "http": {"addr": host, "tls": {"certificate": str(certificate), "key": str(key)}},
        "auth": auth,
    }
    (folder / "config.yml").write_text(json.dumps(config))
    command: list[str | Path] = [gobuild.program("registry"), "serve", folder / "config.yml"]
    own = {"OTEL_TRACES_EXPORTER": "none"}
    with answering(command, f"https://{host}/v2/", folder / "registry.log", own):
        yield host
