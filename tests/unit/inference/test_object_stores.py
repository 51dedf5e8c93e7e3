"""Artifact URIs of object stores, and what of the environment their client is told."""

from pathlib import Path

import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from rollout_inference.loading.object_stores import Location, download, location, store
from rollout_model.errors import LoadFailed

PLACES: dict[str, tuple[str, Location | None]] = {
    "S3": ("s3://models/1/artifacts/model", Location("s3", "models", "1/artifacts/model")),
    "S3 as Hadoop writes it": ("s3a://models/1/", Location("s3", "models", "1")),
    "a bucket's root": ("s3://models", Location("s3", "models", "")),
    "Google": ("gs://models/a/b", Location("gs", "models", "a/b")),
    "Azure's blobs": (
        "wasbs://box@acme.blob.core.windows.net/m/1",
        Location("az", "box", "m/1", "acme"),
    ),
    "Azure's lake": (
        "abfss://box@acme.dfs.core.windows.net/m/1",
        Location("az", "box", "m/1", "acme"),
    ),
    "MLflow's proxy": ("mlflow-artifacts:/1/models/m-1/artifacts", None),
    "a folder": ("file:///srv/models/1", None),
    "HDFS": ("hdfs://name/models", None),
}


@pytest.mark.parametrize(("source", "place"), PLACES.values(), ids=PLACES.keys())
def test_a_place_is_read_from_the_artifact_uri(source: str, place: Location | None) -> None:
    assert location(source) == place


def test_an_azure_uri_without_an_account_is_said() -> None:
    with pytest.raises(LoadFailed, match="names no container of an account"):
        location("wasbs://box/m/1")


def test_what_is_in_no_store_is_left_to_mlflow(tmp_path: Path) -> None:
    assert download("mlflow-artifacts:/1/model", tmp_path, 1, {}) is False


S3 = Location("s3", "models", "m/1")
AZURE = Location("az", "box", "m/1", "acme")


def test_s3_is_told_what_mlflow_and_boto_are_told() -> None:
    client = store(S3, {"MLFLOW_S3_ENDPOINT_URL": "http://seaweed:8333/"})
    assert isinstance(client, S3Store)
    assert client.config == {
        "bucket": "models",
        "endpoint": "http://seaweed:8333",
        "region": "us-east-1",
    }
    assert client.client_options is not None
    assert client.client_options["allow_http"] in {True, "true"}
    assert client.prefix == "m/1"


def test_a_region_of_the_environment_is_not_overruled() -> None:
    client = store(S3, {"AWS_REGION": "eu-central-1"})
    assert isinstance(client, S3Store)
    assert "region" not in (client.config or {}) or client.config["region"] != "us-east-1"


AZURES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "a key": (
        {"AZURE_STORAGE_ACCESS_KEY": "a2V5"},
        {"account_name": "acme", "account_key": "a2V5"},
    ),
    "a connection string": (
        {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=other;AccountKey=a2V5PT0=;X=y"},
        {"account_name": "other", "account_key": "a2V5PT0="},
    ),
    "a server of one's own": (
        {
            "AZURE_STORAGE_CONNECTION_STRING": "AccountName=dev;AccountKey=a2V5;"
            "BlobEndpoint=http://azurite:10000/dev"
        },
        {"account_name": "dev", "account_key": "a2V5", "endpoint": "http://azurite:10000/dev"},
    ),
    "nothing: an identity of the pod": ({}, {"account_name": "acme"}),
}


@pytest.mark.parametrize(("env", "said"), AZURES.values(), ids=AZURES.keys())
def test_azure_is_told_what_its_sdk_is_told(env: dict[str, str], said: dict[str, str]) -> None:
    client = store(AZURE, env)
    assert isinstance(client, AzureStore)
    config = {k: v for k, v in (client.config or {}).items() if k != "container_name"}
    assert config == said


def test_google_is_asked_at_the_emulator_unsigned() -> None:
    client = store(Location("gs", "models", "m"), {"STORAGE_EMULATOR_HOST": "http://fake:4443"})
    assert isinstance(client, GCSStore)
    assert client.config is not None
    assert client.config["base_url"] == "http://fake:4443"


def test_a_certificate_that_is_not_there_is_said() -> None:
    with pytest.raises(LoadFailed, match="SSL_CERT_FILE=/nowhere cannot be read: No such file"):
        store(S3, {"SSL_CERT_FILE": "/nowhere"})


def test_credentials_that_are_none_are_said_before_anything_is_asked(tmp_path: Path) -> None:
    wrong = tmp_path / "key.json"
    wrong.write_text("{}")
    with pytest.raises(LoadFailed, match="The credentials for models cannot be used"):
        store(Location("gs", "models", "m"), {"GOOGLE_APPLICATION_CREDENTIALS": str(wrong)})
