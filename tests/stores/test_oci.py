"""Models in a real OCI registry with TLS by a private CA and a password: in every form that is
read, registered in a real MLflow, and what the step says where it cannot fetch them.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from gzip import compress
from pathlib import Path

import mlflow
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from rollout_inference.loading.oci_images import download
from rollout_inference.loading.store_failures import AUTHORITY, CREDENTIALS
from rollout_model.digest import tree_digest
from rollout_model.errors import LoadFailed
from tests.support.certificate import self_signed
from tests.support.fetching import fetched, process
from tests.support.mlflow_server import private_mlflow_server
from tests.support.oci import (
    FORMS,
    PASSWORD,
    USER,
    Pushing,
    archive,
    pushed_forms,
    registry_server,
    token_registry,
)
from tests.support.team import USER as OF_MLFLOW
from tests.support.team import trusting

LIMIT = 1_000_000_000
REGISTER = """
import sys
import mlflow

client = mlflow.MlflowClient()
client.create_registered_model("iris")
print(client.create_model_version("iris", source=sys.argv[1]).version)
"""


@dataclass(frozen=True, slots=True)
class World:
    """A registry with one model in all forms."""

    registry: Pushing
    kept: Path
    """The folder of its blobs."""
    digest: str
    """Of the model's files, as MLflow has written them."""
    image: str
    """Digest of the image with them."""

    @property
    def env(self) -> dict[str, str]:
        """All that the step needs."""
        host = self.registry.host
        own = {"OCI_REGISTRY": host, "OCI_USERNAME": USER, "OCI_PASSWORD": PASSWORD}
        return {**own, "OCI_PLAIN_HTTP": "0", **trusting(self.registry.authority)}

    def source(self, name: str) -> str:
        """name: with its `:` or `@`."""
        return f"oci://{self.registry.host}/{self.registry.repository}{name}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    authority, model = tmp_path_factory.mktemp("ca"), tmp_path_factory.mktemp("made") / "model"
    self_signed(authority, "DNS:ca")
    rows, species = load_iris(return_X_y=True, as_frame=True)
    mlflow.sklearn.save_model(LogisticRegression(max_iter=1000).fit(rows, species), str(model))
    with registry_server(tmp_path_factory.mktemp("registry"), authority) as (registry, kept):
        image = pushed_forms(registry, model)
        zeros = registry.blob(compress(archive([("models/MLmodel", bytes(1_000_000))])))
        registry.manifest("bomb", [zeros])
        yield World(registry, kept, tree_digest(model), image)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_files_that_were_pushed(world: World, tmp_path: Path, form: str) -> None:
    found = download(world.source(f":{form}"), tmp_path / "model", LIMIT, world.env)
    assert tree_digest(found) == world.digest


def test_a_digest_names_what_a_tag_names(world: World, tmp_path: Path) -> None:
    found = download(world.source(f"@{world.image}"), tmp_path / "model", LIMIT, world.env)
    assert tree_digest(found) == world.digest


def test_a_token_is_asked_for_where_the_registry_says(world: World, tmp_path: Path) -> None:
    with token_registry(tmp_path, world.registry.authority.parent, world.kept) as host:
        source = f"oci://{host}/{world.registry.repository}:index"
        env = {**world.env, "OCI_REGISTRY": host}
        found = download(source, tmp_path / "model", LIMIT, env)
        assert tree_digest(found) == world.digest
        with pytest.raises(LoadFailed, match="answers 401: these credentials are wrong"):
            download(source, tmp_path / "wrong", LIMIT, {**env, "OCI_PASSWORD": "another"})
        with pytest.raises(LoadFailed, match="answers 401: there are no credentials for it"):
            download(source, tmp_path / "none", LIMIT, world.env)


def test_a_docker_config_has_the_password(world: World, tmp_path: Path) -> None:
    auth = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config = {"auths": {f"https://{world.registry.host}/v1/": {"auth": auth}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    env = {k: v for k, v in world.env.items() if k not in {"OCI_USERNAME", "OCI_PASSWORD"}}
    env["DOCKER_CONFIG"] = str(tmp_path)
    found = download(world.source(":image"), tmp_path / "model", LIMIT, env)
    assert tree_digest(found) == world.digest


def test_a_version_of_mlflow_has_its_source_there(world: World, tmp_path: Path) -> None:
    ours = tmp_path / "mlflow"
    ours.mkdir()
    with private_mlflow_server(ours) as (url, certificate):
        both = tmp_path / "both.pem"
        both.write_text(certificate.read_text() + world.registry.authority.read_text())
        reach = {"MLFLOW_TRACKING_URI": url, **OF_MLFLOW}
        env = {**world.env, **reach, **trusting(both)}
        made = process(["-c", REGISTER, world.source(":index")], env)
        assert made.returncode == 0, made.stderr[-3000:]
        code, said = fetched(tmp_path, "models:/iris/1", env, world.digest)
    assert code == 0, said
    assert tree_digest(tmp_path / "model") == world.digest


@dataclass(frozen=True, slots=True)
class Refusal:
    """How fetching fails, and what is said."""

    says: str
    """A pattern of a part of the sentence."""
    env: Callable[[World], Mapping[str, str]] = lambda _: {}
    """Variables that are others than those that work."""
    name: str = ":image"
    """Of the image, after its repository; or a source of its own."""
    most: int = LIMIT


REFUSALS: dict[str, Refusal] = {
    "a wrong password": Refusal(
        f"answers 401: these credentials are wrong, or may not read team/iris.*{CREDENTIALS}",
        lambda _: {"OCI_PASSWORD": "another"},
    ),
    "credentials for another registry": Refusal(
        f"answers 401: there are no credentials for it. {CREDENTIALS}",
        lambda _: {"OCI_REGISTRY": "ghcr.io"},
    ),
    "a CA that nobody named": Refusal(
        f"is not trusted; {AUTHORITY}.",
        lambda of: trusting(of.kept.parent / "registry.pem"),
    ),
    "nobody there": Refusal(
        "does not answer. Where the chart's modelEgress is set",
        name="oci://127.0.0.1:9/team/iris:1",
    ),
    "a tag that is not there": Refusal(
        "answers 404: is there a team/iris with gone?", name=":gone"
    ),
    "a digest that is not there": Refusal("answers 404", name="@sha256:" + "0" * 64),
    "more than the limit": Refusal("The model is too large: .* more than 1000 bytes", most=1000),
    "too much once unpacked": Refusal("The model is too large", name=":bomb", most=20_000),
    "no TLS where there is TLS": Refusal(
        "answers 400|does not answer", lambda _: {"OCI_PLAIN_HTTP": "1"}
    ),
    "no model": Refusal("holds no model: neither is it an image", name=":other"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_fetched_is_one_sentence(
    world: World, tmp_path: Path, refusal: Refusal
) -> None:
    source = refusal.name if "://" in refusal.name else world.source(refusal.name)
    with pytest.raises(LoadFailed) as failure:
        download(source, tmp_path / "model", refusal.most, {**world.env, **refusal.env(world)})
    said = str(failure.value)
    assert re.search(refusal.says, said), said
    assert "\n" not in said
    assert PASSWORD not in said


@pytest.mark.parametrize("grown", [True, False], ids=["a longer blob", "other bytes"])
def test_a_blob_that_was_changed_where_it_is_kept_is_refused(
    world: World, tmp_path: Path, grown: bool
) -> None:
    content = archive([("models/MLmodel", f"of {grown}".encode())])
    made = world.registry.blob(content)
    world.registry.manifest("changed", [made])
    (file,) = world.kept.rglob(f"{made['digest'].removeprefix('sha256:')}/data")
    file.write_bytes(content + b"more" if grown else content[:-1] + b"x")
    with pytest.raises(LoadFailed, match=f"{made['digest']} has another digest or size"):
        download(world.source(":changed"), tmp_path / "model", LIMIT, world.env)
