"""Real servers that speak S3, Azure Blob Storage and Google Cloud Storage, as processes with TLS.

rclone and fake-gcs-server come from Go modules, Azurite from npm. What is built or installed is
kept in the cache, outside the checkout.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.cluster import gobuild
from scripts.cluster.apiserver import free_port
from scripts.cluster.paths import CACHE
from scripts.cluster.progress import doing
from tests.support.api_client import wait_for
from tests.support.certificate import signed
from tests.support.mlflow_server import ended

AZURITE = "3.37.0"
ACCOUNT = "acme"
ACCOUNT_KEY = "dGhlIGtleSBvZiB0aGlzIHRlc3Qgb25seQ=="
OTHER_KEY = "YW5vdGhlciBrZXkgdGhhbiB0aGUgYWNjb3VudCdz"


@dataclass(frozen=True, slots=True)
class Store:
    """One that runs, with the bucket `models`."""

    root: str
    """The artifact URI of the bucket, as MLflow has it."""
    elsewhere: str
    """The same of a bucket that is not there."""
    secret: Mapping[str, str]
    """Variables with credentials: what a Secret would hold."""
    reach: Mapping[str, str]
    """Variables that say where it is."""
    wrong: Mapping[str, str]
    """Credentials that it refuses, or that are none."""


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made once; one that was cut off is made anew."""
    folder = CACHE / "tools" / name
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with doing(f"Installing {name}"):
            make(folder)
        complete.touch()
    return folder


def _azurite() -> Path:
    def make(folder: Path) -> None:
        if shutil.which("npm") is None:
            raise FileNotFoundError("npm is not installed: install Node.js 20 or later")
        command: list[str | Path] = [
            "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            folder,
        ]
        subprocess.run([*command, f"azurite@{AZURITE}"], check=True)

    return kept(f"azurite-{AZURITE}", make) / "node_modules" / ".bin" / "azurite-blob"


def _program(name: str) -> Path:
    gobuild.build(gobuild.STORES)
    return gobuild.program(name)


@contextmanager
def s3_server(folder: Path, authority: Path, address: str = "127.0.0.1") -> Iterator[Store]:
    """rclone, whose buckets are folders; authority: the folder with the private CA."""
    key, certificate = signed(folder, "s3", f"IP:{address}", authority)
    (folder / "buckets" / "models").mkdir(parents=True)
    port = free_port()
    user, password = "the-reader", "the-secret-key-of-the-test"
    command: list[str | Path] = [
        _program("rclone"),
        "serve",
        "s3",
        folder / "buckets",
        f"--addr={address}:{port}",
        f"--auth-key={user},{password}",
        f"--key={key}",
        f"--cert={certificate}",
    ]
    own = {"RCLONE_CONFIG": str(folder / "rclone.conf")}
    with answering(command, f"https://{address}:{port}", folder / "s3.log", own) as url:
        secret = {"AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": password}
        yield Store(
            "s3://models",
            "s3://nowhere",
            secret,
            {"MLFLOW_S3_ENDPOINT_URL": url, "AWS_REGION": "eu-central-1"},
            {**secret, "AWS_SECRET_ACCESS_KEY": "another"},
        )


@contextmanager
def azure_server(folder: Path, authority: Path, address: str = "127.0.0.1") -> Iterator[Store]:
    """Azurite; authority: the folder with the private CA."""
    key, certificate = signed(folder, "azure", f"IP:{address}", authority)
    port = free_port()
    command: list[str | Path] = [
        _azurite(),
        f"--blobHost={address}",
        f"--blobPort={port}",
        f"--location={folder}",
        f"--key={key}",
        f"--cert={certificate}",
        "--silent",
        "--disableTelemetry",
        "--skipApiVersionCheck",
    ]
    own = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}
    with answering(command, f"https://{address}:{port}", folder / "azure.log", own) as url:

        def secret(account_key: str) -> dict[str, str]:
            parts = {
                "DefaultEndpointsProtocol": "https",
                "AccountName": ACCOUNT,
                "AccountKey": account_key,
                "BlobEndpoint": f"{url}/{ACCOUNT}",
            }
            text = ";".join(f"{name}={value}" for name, value in parts.items())
            return {"AZURE_STORAGE_CONNECTION_STRING": text}

        host = f"{ACCOUNT}.blob.core.windows.net"
        yield Store(
            f"wasbs://models@{host}",
            f"wasbs://nowhere@{host}",
            secret(ACCOUNT_KEY),
            {},
            secret(OTHER_KEY),
        )


@contextmanager
def gcs_server(folder: Path, authority: Path, address: str = "127.0.0.1") -> Iterator[Store]:
    """fake-gcs-server, which asks nobody who is there; authority: the private CA's folder."""
    key, certificate = signed(folder, "gcs", f"IP:{address}", authority)
    (folder / "buckets" / "models").mkdir(parents=True)
    port = free_port()
    url = f"https://{address}:{port}"
    command: list[str | Path] = [
        _program("fake-gcs-server"),
        "-scheme=https",
        f"-host={address}",
        f"-port={port}",
        f"-private-key-location={key}",
        f"-cert-location={certificate}",
        f"-filesystem-root={folder / 'buckets'}",
        f"-external-url={url}",
        f"-public-host={address}:{port}",
    ]
    wrong = {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"}
    with answering(command, url, folder / "gcs.log", {}):
        yield Store("gs://models", "gs://nowhere", {}, {"STORAGE_EMULATOR_HOST": url}, wrong)


@contextmanager
def answering(
    command: Sequence[str | Path], url: str, log: Path, env: Mapping[str, str]
) -> Iterator[str]:
    """The URL of a server, once it answers, which this command starts."""
    words = [str(word) for word in command]
    with ended(words, {**os.environ, **env}, log) as process:

        def ready() -> bool | None:
            assert process.poll() is None, log.read_text()[-3000:]
            try:
                httpx.get(url, trust_env=False, verify=False)
            except httpx.TransportError:
                return None
            return True

        wait_for(ready, f"{Path(words[0]).name} to answer", 120)
        yield url


SERVERS: dict[str, Callable[[Path, Path, str], AbstractContextManager[Store]]] = {
    "S3": s3_server,
    "Azure Blob Storage": azure_server,
    "Google Cloud Storage": gcs_server,
}
