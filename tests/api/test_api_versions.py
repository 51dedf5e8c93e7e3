"""The way from v1alpha1 to v1beta1 as docs/reference/api-versions.md says it, on a real API server:
with our own schema, under another group, so that no other test's objects are touched.
"""

import copy
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from rollout_operator.crd import crd
from rollout_operator.domain.api.names import PLURAL, VERSION
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from tests.support.api_client import CRDS, ApiClient, wait_for
from tests.support.builders import on_trial
from tests.support.charts import ROOT, tool
from tests.support.spec_cases import ACCEPTED, MINIMAL

BETA = "v1beta1"
Object = dict[str, Any]


class Versions:
    """A CRD of its own group, and the objects of one namespace in it."""

    def __init__(self, api: ApiClient, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.group = f"{uuid4().hex[:8]}.example.com"
        self.definition = f"{CRDS}/{PLURAL}.{self.group}"
        self.install({VERSION: True})

    def install(self, served: dict[str, bool], storage: str = VERSION) -> None:
        """Serve these versions, all of one schema, as a chart's upgrade would; the first one's
        objects are kept as `storage`.
        """
        made = copy.deepcopy(crd())
        made["metadata"] = {"name": f"{PLURAL}.{self.group}"}
        made["spec"]["group"] = self.group
        made["spec"]["names"]["shortNames"] = []
        (only,) = made["spec"]["versions"]
        made["spec"]["versions"] = [
            {**only, "name": name, "served": is_served, "storage": name == storage}
            for name, is_served in served.items()
        ]
        self.api.install(made)
        for name, is_served in served.items():
            wanted = 200 if is_served else 404
            wait_for(
                lambda name=name, wanted=wanted: (  # type: ignore[misc]
                    self.api.http.get(self.path(name)).status_code == wanted
                ),
                f"{name} to answer {wanted}",
            )

    def path(self, version: str, name: str = "") -> str:
        """Of the collection, or of one object."""
        whole = f"/apis/{self.group}/{version}/namespaces/{self.namespace}/{PLURAL}"
        return f"{whole}/{name}" if name else whole

    def apply(self, version: str, name: str, spec: Object) -> Object:
        """Apply an object as of a version; what the API server made of it."""
        body = {
            "apiVersion": f"{self.group}/{version}",
            "kind": "ModelRollout",
            "metadata": {"name": name},
            "spec": spec,
        }
        reply = self.api.apply(self.path(version, name), body)
        assert reply.status_code < 300, reply.text
        made: Object = reply.json()
        return made

    def get(self, version: str, name: str) -> Object:
        """Read it as of a version."""
        return self.api.get(self.path(version, name))

    def stored(self) -> list[str]:
        """Versions that etcd may hold objects of."""
        kept: list[str] = self.api.get(self.definition)["status"]["storedVersions"]
        return kept

    def migrate(self) -> None:
        """Run what the page says, with this group's names and namespace."""
        page = (ROOT / "docs/reference/api-versions.md").read_text()
        (commands,) = re.findall(r"## Store anew.*?```\n(.*?)```", page, flags=re.DOTALL)
        ours = commands.replace("rollouts.mlops.dev", self.group)
        ours = ours.replace("get modelrollouts ", f"get {PLURAL}.{BETA}.{self.group} ")
        kubectl = f"{tool('kubectl')} --kubeconfig {self.api.kubeconfig}"
        ours = re.sub(r"\bkubectl\b", kubectl, ours)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", ours], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def remove(self) -> None:
        """Take it away again."""
        self.api.http.delete(self.definition)


@pytest.fixture
def versions(api: ApiClient, ns: str) -> Iterator[Versions]:
    made = Versions(api, ns)
    yield made
    made.remove()


def same(one: Object, other: Object) -> None:
    """The same object in every field but the version that it was asked for as."""
    for read in (one, other):
        read.pop("apiVersion")
        read["metadata"].pop("managedFields", None)
    assert one == other


def there_and_back(versions: Versions, name: str) -> None:
    same(versions.get(VERSION, name), versions.get(BETA, name))


BOTH = {VERSION: True, BETA: True}


def test_every_spec_goes_round_through_both_versions(versions: Versions) -> None:
    versions.install(BOTH)
    for number, spec in enumerate(ACCEPTED.values()):
        name = f"one-{number}"
        before = versions.apply(VERSION, name, spec)
        beta = versions.get(BETA, name)
        assert Spec.model_validate(beta["spec"]) == Spec.model_validate(before["spec"])
        again = versions.apply(BETA, name, spec)
        assert again["metadata"]["generation"] == before["metadata"]["generation"]
        there_and_back(versions, name)


def test_a_status_goes_round_through_both_versions(versions: Versions) -> None:
    versions.install(BOTH)
    versions.apply(VERSION, "iris", MINIMAL)
    wanted = on_trial().to_api()
    for written, read in ((VERSION, BETA), (BETA, VERSION)):
        path = f"{versions.path(written, 'iris')}/status"
        assert versions.api.patch(path, {"status": None}).status_code == 200
        assert versions.api.patch(path, {"status": wanted}).status_code == 200
        assert Status.model_validate(versions.get(read, "iris")["status"]) == on_trial()
        there_and_back(versions, "iris")


def test_a_bad_spec_is_refused_alike(versions: Versions) -> None:
    versions.install(BOTH)
    said = set()
    for version in BOTH:
        body = {
            "apiVersion": f"{versions.group}/{version}",
            "kind": "ModelRollout",
            "metadata": {"name": "bad"},
            "spec": {**MINIMAL, "modelUri": "iris"},
        }
        reply = versions.api.apply(versions.path(version, "bad"), body)
        assert reply.status_code == 422
        said.add(reply.json()["message"])
    assert len(said) == 1


def served_before_stored(versions: Versions) -> None:
    versions.install(BOTH)


def stored_as_beta(versions: Versions) -> None:
    versions.install(BOTH, storage=BETA)


def migrated(versions: Versions) -> None:
    stored_as_beta(versions)
    versions.migrate()


def alpha_gone(versions: Versions) -> None:
    migrated(versions)
    versions.install({VERSION: False, BETA: True}, storage=BETA)


def stored_as_alpha_again(versions: Versions) -> None:
    stored_as_beta(versions)
    versions.install(BOTH, storage=VERSION)


@pytest.mark.parametrize(
    ("go", "stored", "read"),
    [
        pytest.param(served_before_stored, [VERSION], BETA, id="served, not stored yet"),
        pytest.param(stored_as_beta, [VERSION, BETA], BETA, id="stored as v1beta1 from now on"),
        pytest.param(migrated, [BETA], VERSION, id="all of them stored anew"),
        pytest.param(alpha_gone, [BETA], BETA, id="v1alpha1 served no more"),
        pytest.param(stored_as_alpha_again, [VERSION, BETA], VERSION, id="and back"),
    ],
)
def test_no_step_of_the_way_changes_what_was_there(
    versions: Versions, go: Callable[[Versions], None], stored: list[str], read: str
) -> None:
    """Neither spec nor status, nor the generation, which a rollout would be tried anew by."""
    versions.apply(VERSION, "iris", ACCEPTED["three gates"])
    status = on_trial().to_api()
    path = f"{versions.path(VERSION, 'iris')}/status"
    assert versions.api.patch(path, {"status": status}).status_code == 200
    before = versions.get(VERSION, "iris")
    go(versions)
    assert sorted(versions.stored()) == sorted(stored)
    after = versions.get(read, "iris")
    before["metadata"].pop("resourceVersion")
    after["metadata"].pop("resourceVersion")
    same(before, after)


def test_what_is_stored_as_alpha_is_not_dropped_by_mistake(versions: Versions) -> None:
    """The API server itself refuses a CRD that lacks a version it has stored objects of."""
    versions.apply(VERSION, "iris", MINIMAL)
    stored_as_beta(versions)
    definition = versions.api.get(versions.definition)
    definition["spec"]["versions"] = [
        v for v in definition["spec"]["versions"] if v["name"] == BETA
    ]
    definition["metadata"].pop("managedFields")
    reply = versions.api.http.put(versions.definition, json=definition)
    assert reply.status_code == 422
    assert "storedVersions" in reply.text
    assert versions.get(VERSION, "iris")["spec"]["modelUri"] == MINIMAL["modelUri"]
