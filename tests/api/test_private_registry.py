"""A real MLflow with a password and TLS by a private CA: what a pod's step fetches, and says; and
what the operator is told there.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout_inference.loading.store_failures import AUTHORITY, CREDENTIALS
from rollout_model.digest import tree_digest
from rollout_model.errors import CANNOT_SERVE
from rollout_operator.adapters.http_session import http_session
from rollout_operator.adapters.model_registry import ModelRegistry, authorization
from rollout_operator.adapters.tls_files import TlsFiles
from rollout_operator.domain.observed import RegistryUnreachable, Unpinned
from tests.support.fetching import PLAIN_MLFLOW, fetched, process
from tests.support.mlflow_server import private_mlflow_server
from tests.support.team import USER


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the step must be told to reach it, without who asks; models:/iris/1 is there."""
    folder = tmp_path_factory.mktemp("mlflow")
    with private_mlflow_server(folder) as (url, certificate):
        reach = {"MLFLOW_TRACKING_URI": url, "REQUESTS_CA_BUNDLE": str(certificate)}
        said = process(["-c", PLAIN_MLFLOW], {**reach, **USER})
        assert said.returncode == 0, said.stderr[-3000:]
        yield reach


def test_with_the_secret_and_the_ca_the_files_come(
    registry: dict[str, str], tmp_path: Path
) -> None:
    code, said = fetched(tmp_path, "models:/iris/1", {**registry, **USER})
    assert code == 0, said
    digest = tree_digest(tmp_path / "model")
    assert digest in said
    assert (tmp_path / "model" / "MLmodel").is_file()
    again, _ = fetched(tmp_path, "models:/iris/1", {**registry, **USER}, digest)
    assert again == 0, "what a former try has left is in nobody's way"


def test_a_digest_that_is_another_is_refused_with_both(
    registry: dict[str, str], tmp_path: Path
) -> None:
    other = "sha256:" + "0" * 64
    code, said = fetched(tmp_path, "models:/iris/1", {**registry, **USER}, other)
    assert code == CANNOT_SERVE
    assert said.startswith("DigestMismatch: ")
    assert other in said
    assert said.count("sha256:") == 2


def test_without_credentials_the_chart_s_value_is_named(
    registry: dict[str, str], tmp_path: Path
) -> None:
    code, said = fetched(tmp_path, "models:/iris/1", registry)
    assert code == 1
    assert "401" in said
    assert CREDENTIALS in said


def test_a_wrong_password_is_told_the_same_way(registry: dict[str, str], tmp_path: Path) -> None:
    wrong = {**USER, "MLFLOW_TRACKING_PASSWORD": "wrong"}
    code, said = fetched(tmp_path, "models:/iris/1", {**registry, **wrong})
    assert code == 1
    assert CREDENTIALS in said
    assert "wrong" not in said.replace("went wrong", "")


def test_an_unknown_certificate_is_told(registry: dict[str, str], tmp_path: Path) -> None:
    reach = {k: v for k, v in registry.items() if k != "REQUESTS_CA_BUNDLE"}
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    code, said = fetched(tmp_path, "models:/iris/1", {**reach, **USER, **quick})
    assert code == 1
    assert "certificate" in said.lower()
    assert AUTHORITY in said


SIGN = """
import sys
import mlflow
from model_signing import signing

folder = mlflow.artifacts.download_artifacts("models:/iris/1", dst_path=sys.argv[1])
signing.Config().use_elliptic_key_signer(private_key=sys.argv[2]).sign(
    folder, f"{folder}/model.sig"
)
source = mlflow.MlflowClient().get_model_version("iris", "1").source
mlflow.MlflowClient().log_model_artifact(source.removeprefix("models:/"), f"{folder}/model.sig")
"""


def test_a_model_that_was_signed_where_it_is_registered(
    registry: dict[str, str], tmp_path: Path
) -> None:
    """As docs/guides/signed-models.md has it."""
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    make = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key)]
    subprocess.run(make, check=True)
    make = ["openssl", "ec", "-in", str(key), "-pubout", "-out", str(public)]
    subprocess.run(make, check=True, capture_output=True)
    trusted = {"MODEL_SIGNERS": json.dumps([{"key": public.read_text()}])}
    env = {**registry, **USER, **trusted}
    code, said = fetched(tmp_path, "models:/iris/1", env)
    assert code == CANNOT_SERVE
    assert "The model is not signed" in said
    signed = process(["-c", SIGN, str(tmp_path / "signed"), str(key)], {**registry, **USER})
    assert signed.returncode == 0, signed.stderr[-3000:]
    code, said = fetched(tmp_path, "models:/iris/1", env)
    assert code == 0, said


async def told(registry: dict[str, str], user: dict[str, str], ca: str) -> object:
    """What the operator's client makes of models:/iris/1."""
    async with http_session() as session:
        client = ModelRegistry(
            registry["MLFLOW_TRACKING_URI"],
            session,
            authorization(user),
            pin=True,
            tls=TlsFiles("REGISTRY", ca),
        )
        return await client.resolve("models:/iris/1")


async def test_the_operator_asks_with_user_and_ca(registry: dict[str, str]) -> None:
    said = await told(registry, USER, registry["REQUESTS_CA_BUNDLE"])
    assert isinstance(said, Unpinned)
    assert said.uri == "models:/iris/1"


REFUSED: dict[str, tuple[dict[str, str], str | None, str]] = {
    "no password": ({}, None, "mlflow.credentialsSecret"),
    "the system's CAs": (USER, "", "is not trusted (self-signed certificate)"),
    "a CA that is not there": (USER, "/nowhere.pem", "REGISTRY_CA_FILE=/nowhere.pem cannot be"),
}


@pytest.mark.parametrize(("user", "ca", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_the_operator_lacks_is_said(
    registry: dict[str, str], user: dict[str, str], ca: str | None, says: str
) -> None:
    said = await told(registry, user, registry["REQUESTS_CA_BUNDLE"] if ca is None else ca)
    assert isinstance(said, RegistryUnreachable)
    assert says in said.message
