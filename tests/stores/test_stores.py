"""Models in real object stores, registered by plain MLflow in a real one with a password, all with
TLS by one private CA: what the step of a pod fetches, and what it says where it cannot.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from rollout_inference.loading.store_failures import AUTHORITY, CREDENTIALS
from rollout_model.digest import tree_digest
from rollout_model.errors import CANNOT_SERVE
from tests.support.certificate import self_signed
from tests.support.fetching import fetched, process
from tests.support.mlflow_server import private_mlflow_server
from tests.support.stores import SERVERS, Store
from tests.support.team import DOWNLOAD, LATER, USER, container_made, done, trusting
from tests.support.team import registered as registered_by

LOOPBACK = "127.0.0.1"
REGISTER = """
import sys
import mlflow
made = mlflow.MlflowClient().create_model_version("iris", source=sys.argv[1])
print(made.version)
"""


@dataclass(frozen=True, slots=True)
class Registered:
    """models:/iris/1, whose files are in a store."""

    store: Store
    reach: Mapping[str, str]
    """Where registry and store are, and the CA that both are trusted by."""
    only_mlflow: Path
    """A CA that MLflow alone is trusted by."""
    digest: str
    """Of the files, as MLflow's own client has fetched them."""

    @property
    def env(self) -> dict[str, str]:
        """All that the step needs."""
        return {**self.reach, **USER, **self.store.secret}

    @property
    def where(self) -> dict[str, str]:
        """Of these, what says where the store is."""
        named = ("MLFLOW_S3_ENDPOINT_URL", "STORAGE_EMULATOR_HOST", *self.store.secret)
        return {k: v for k, v in self.env.items() if k in named and "://" in v}


@pytest.fixture(scope="module", params=list(SERVERS.values()), ids=list(SERVERS))
def registered(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registered]:
    place, ours = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("mlflow")
    authority = tmp_path_factory.mktemp("ca")
    _, certificate = self_signed(authority, "DNS:ca")
    with (
        request.param(place, authority, LOOPBACK) as store,
        private_mlflow_server(ours, f"{store.root}/root") as (url, of_mlflow),
    ):
        both = authority / "both.pem"
        both.write_text(certificate.read_text() + of_mlflow.read_text())
        reach = {"MLFLOW_TRACKING_URI": url, **store.reach, **trusting(both)}
        env = {**reach, **USER, **store.secret}
        container_made(store, env)
        assert registered_by(env, f"{store.root}/experiment") == "models:/iris/1"
        done(DOWNLOAD, env, "models:/iris/1", ours / "by-mlflow")
        yield Registered(store, reach, of_mlflow, tree_digest(ours / "by-mlflow"))


def test_the_files_are_those_that_mlflows_own_client_fetches(
    registered: Registered, tmp_path: Path
) -> None:
    code, said = fetched(tmp_path, "models:/iris/1", registered.env, registered.digest)
    assert code == 0, said
    assert tree_digest(tmp_path / "model") == registered.digest


@dataclass(frozen=True, slots=True)
class Refusal:
    """How the step fails, and what it says."""

    changed: Callable[[Registered], Mapping[str, str]]
    """Variables that are others than those that work."""
    says: str
    """A pattern of a part of the sentence."""


REFUSALS: dict[str, Refusal] = {
    "wrong credentials": Refusal(
        lambda of: of.store.wrong,
        f"may not read models. {CREDENTIALS}|The credentials for models cannot be used",
    ),
    "another private CA": Refusal(
        lambda of: trusting(of.only_mlflow), f"is not trusted; {AUTHORITY}."
    ),
    "more than the limit": Refusal(
        lambda _: {"MODEL_MAX_BYTES": "1000"}, "The model is too large: "
    ),
    "nobody there": Refusal(
        lambda of: {k: re.sub(r":\d+(?!\d)", ":9", v) for k, v in of.where.items()},
        "does not answer. Where the chart's modelEgress is set",
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_fetched_is_one_sentence(
    registered: Registered, tmp_path: Path, refusal: Refusal
) -> None:
    env = {**registered.env, **refusal.changed(registered)}
    code, said = fetched(tmp_path, "models:/iris/1", env, registered.digest)
    assert code == 1
    assert re.search(refusal.says, said), said
    assert "\n" not in said
    assert not any(secret in said for secret in registered.store.secret.values())


ELSEWHERE = {"a bucket that is not there": "elsewhere", "a folder that is not there": "root"}


@pytest.mark.parametrize("part", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_what_is_not_there_is_said(registered: Registered, tmp_path: Path, part: str) -> None:
    source = f"{getattr(registered.store, part)}/gone"
    said = process(["-c", REGISTER, source], registered.env)
    assert said.returncode == 0, said.stderr[-3000:]
    code, words = fetched(tmp_path, f"models:/iris/{said.stdout.strip()}", registered.env)
    assert code == 1
    assert source in words
    assert any(text in words for text in (": is there a nowhere?", "has no files", "answers 500"))


def test_a_change_after_pinning_is_refused_with_both_digests(
    registered: Registered, tmp_path: Path
) -> None:
    done(LATER, registered.env, "models:/iris/1")
    code, words = fetched(tmp_path, "models:/iris/1", registered.env, registered.digest)
    assert code == CANNOT_SERVE
    assert words.startswith("DigestMismatch: ")
    assert registered.digest in words
    assert len(set(re.findall("sha256:[0-9a-f]{64}", words))) == 2
