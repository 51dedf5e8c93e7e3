"""Model files in S3 (and what speaks like it), Google Cloud Storage and Azure Blob Storage.

One compiled client for all three, obstore, instead of three SDKs. Credentials come from the
variables that the SDKs and MLflow read, from an instance's or a pod's identity, or from a
federated token (AWS_WEB_IDENTITY_TOKEN_FILE, AZURE_FEDERATED_TOKEN_FILE); it reads most of them by
itself. What it does not know is translated here:

| variable | from |
| --- | --- |
| MLFLOW_S3_ENDPOINT_URL, MLFLOW_S3_IGNORE_TLS | mlflow.org/docs/latest/self-hosting/architecture |
| AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, SSL_CERT_FILE | a private CA, as botocore and requests do |
| AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCESS_KEY | azure-storage-blob, as MLflow does |
| STORAGE_EMULATOR_HOST | google-cloud-storage: a server that takes requests unsigned |
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from rollout_inference.loading.store_failures import sentence, too_large
from rollout_model.artifact import MOST_FILES
from rollout_model.errors import LoadFailed, first_line

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, S3Config

CHUNK = 4 * 1024 * 1024
TIMEOUT = "30s"
"""Of one request; a large file comes in several."""
_AZURE = re.compile(r"(?P<container>[^@/]+)@(?P<account>[^./]+)\.(?P<endpoint>.+)")


@dataclass(frozen=True, slots=True)
class Location:
    """Where an artifact's files are."""

    scheme: str
    """s3, gs or az."""
    bucket: str
    """The bucket; Azure's container."""
    prefix: str
    """The folder in it, without slashes at its ends."""
    account: str = ""
    """Azure's storage account."""


def location(source: str) -> Location | None:
    """The place of an artifact URI; None for what is in no such store. Raises LoadFailed."""
    parts = urlsplit(source)
    prefix = parts.path.strip("/")
    match parts.scheme:
        case "s3" | "s3a":
            return Location("s3", parts.netloc, prefix)
        case "gs":
            return Location("gs", parts.netloc, prefix)
        case "wasb" | "wasbs" | "abfs" | "abfss":
            if (found := _AZURE.fullmatch(parts.netloc)) is None:
                raise LoadFailed(
                    f"{source} names no container of an account: MLflow writes"
                    f" {parts.scheme}://CONTAINER@ACCOUNT.blob.core.windows.net/PATH"
                )
            return Location("az", found["container"], prefix, found["account"])
    return None


def store(place: Location, env: Mapping[str, str]) -> ObjectStore:
    """A client of the place. Raises LoadFailed where what `env` says cannot be used."""
    client: ClientConfig = {"timeout": TIMEOUT}
    if authority := _authority(place, env):
        client["root_certificate"] = authority
    try:
        if place.scheme == "s3":
            return _s3(place, env, client)
        if place.scheme == "gs":
            return _gcs(place, env, client)
        return _azure(place, env, client)
    except (BaseError, ValueError) as failure:
        raise LoadFailed(
            f"The credentials for {place.bucket} cannot be used: {first_line(failure)}"
        ) from failure


def _authority(place: Location, env: Mapping[str, str]) -> bytes:
    """The certificates of a private CA; empty where none is named. Raises LoadFailed."""
    names = ("AWS_CA_BUNDLE",) if place.scheme == "s3" else ()
    for name in (*names, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        if path := env.get(name):
            try:
                return Path(path).read_bytes()
            except OSError as failure:
                raise LoadFailed(f"{name}={path} cannot be read: {failure.strerror}") from failure
    return b""


def _s3(place: Location, env: Mapping[str, str], client: "ClientConfig") -> ObjectStore:
    config: S3Config = {}
    named = ("MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    if endpoint := next((env[name] for name in named if env.get(name)), ""):
        config["endpoint"] = endpoint.rstrip("/")
        client["allow_http"] = endpoint.startswith("http:")
    if env.get("MLFLOW_S3_IGNORE_TLS", "").lower() in {"1", "true"}:
        client["allow_invalid_certificates"] = True
    if not (env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")):
        config["region"] = "us-east-1"
    return S3Store(place.bucket, prefix=place.prefix or None, config=config, client_options=client)


def _gcs(place: Location, env: Mapping[str, str], client: "ClientConfig") -> ObjectStore:
    config: GCSConfig = {}
    if path := env.get("GOOGLE_APPLICATION_CREDENTIALS"):
        config["application_credentials"] = path
    if host := env.get("STORAGE_EMULATOR_HOST"):
        url = host if "://" in host else f"http://{host}"
        config |= {"base_url": url.rstrip("/"), "skip_signature": True}
        client["allow_http"] = url.startswith("http:")
    return GCSStore(place.bucket, prefix=place.prefix or None, config=config, client_options=client)


def _azure(place: Location, env: Mapping[str, str], client: "ClientConfig") -> ObjectStore:
    config: AzureConfig = {"account_name": place.account}
    if text := env.get("AZURE_STORAGE_CONNECTION_STRING"):
        said = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
        config["account_name"] = said.get("AccountName", place.account)
        if "AccountKey" in said:
            config["account_key"] = said["AccountKey"]
        if "SharedAccessSignature" in said:
            config["sas_key"] = said["SharedAccessSignature"]
        if endpoint := said.get("BlobEndpoint"):
            config["endpoint"] = endpoint.rstrip("/")
            client["allow_http"] = endpoint.startswith("http:")
    elif key := env.get("AZURE_STORAGE_ACCESS_KEY"):
        config["account_key"] = key
    return AzureStore(
        place.bucket, prefix=place.prefix or None, config=config, client_options=client
    )


def download(source: str, folder: Path, most: int, env: Mapping[str, str]) -> bool:
    """Fetch every file below `source` into `folder`; False for what is in none of these stores.

    most: bytes of all files. Raises LoadFailed.
    """
    place = location(source)
    if place is None:
        return False
    client = store(place, env)
    try:
        files = list(_listed(client, source, most))
        if not files:
            raise LoadFailed(
                f"{source} has no files: were they deleted, or may these credentials not list"
                f" {place.bucket}?"
            )
        for path in files:
            _fetch(client, path, folder)
    except (BaseError, OSError) as failure:
        # obstore raises FileNotFoundError and PermissionError, too.
        raise LoadFailed(sentence(source, place.bucket, failure)) from failure
    return True


def _listed(client: ObjectStore, source: str, most: int) -> Iterator[str]:
    """Path of every file; raises LoadFailed for too much, and for paths that leave the folder."""
    size = count = 0
    for page in client.list():
        for entry in page:
            path = entry["path"]
            size, count = size + entry["size"], count + 1
            if size > most or count > MOST_FILES:
                raise LoadFailed(too_large(source, most, MOST_FILES))
            if ".." in PurePosixPath(path).parts or path.startswith("/"):
                raise LoadFailed(f"{source} holds a file that would be outside: {path[:200]}")
            yield path


def _fetch(client: ObjectStore, path: str, folder: Path) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for part in client.get(path).stream(min_chunk_size=CHUNK):
            file.write(part)
