"""What the API server makes of an apply, where admission changes it: applied once, and compared with what is wanted no more."""

import copy
from typing import Any

import pytest

from rollout_operator.converge import changes
from rollout_operator.objects import Manifest, Owner
from rollout_operator.objects.deployment import deployment
from rollout_operator.store import Store
from tests.unit.engine.builders import UID, revision

OWNER = Owner(UID, "iris", "models")
KEY = ("models", "iris")


def live(manifest: Manifest, version: int, **container: Any) -> Manifest:
    """The object as the API server has it, with these fields of the container as admission left them."""
    made = copy.deepcopy(manifest)
    made["metadata"] |= {"uid": "d", "resourceVersion": str(version)}
    made["spec"]["template"]["spec"]["containers"][0] |= container
    return made


@pytest.fixture
def manifest() -> Manifest:
    return deployment(OWNER, revision(1), 2, {})


def missing(store: Store, manifest: Manifest) -> int:
    return len(changes([manifest], store.children(KEY), UID))


def test_an_image_that_a_mirror_replaces_is_applied_once(manifest: Manifest) -> None:
    store = Store()
    assert missing(store, manifest) == 1
    store.applied(KEY, manifest, live(manifest, 5, image="mirror/inference"))
    assert missing(store, manifest) == 0
    noted = live(manifest, 6, image="mirror/inference")
    noted["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    noted["status"] = {"readyReplicas": 2}
    store.put("Deployment", noted)
    assert missing(store, manifest) == 0, "its controller's notes are no change of it"
    store.put("Deployment", live(manifest, 7, image="somebody/else"))
    assert missing(store, manifest) == 1, "what somebody changes afterwards is put back"


def test_the_watch_may_be_quicker_than_the_reply(manifest: Manifest) -> None:
    store = Store()
    store.put("Deployment", live(manifest, 6, image="mirror/inference"))
    store.applied(KEY, manifest, live(manifest, 5, image="mirror/inference"))
    assert missing(store, manifest) == 0
    store = Store()
    store.put("Deployment", live(manifest, 6, image="somebody/else"))
    store.applied(KEY, manifest, live(manifest, 5, image="mirror/inference"))
    assert missing(store, manifest) == 1, "what is there now is not what was accepted"


def test_another_manifest_is_applied(manifest: Manifest) -> None:
    store = Store()
    store.applied(KEY, manifest, live(manifest, 5, image="mirror/inference"))
    assert missing(store, deployment(OWNER, revision(1), 3, {})) == 1


def test_a_new_process_applies_variables_that_changed_and_none_that_were_taken_out() -> None:
    """In a list by keys, what is not wanted any more looks like what a webhook added: pods that serve are not replaced for it."""
    before = deployment(OWNER, revision(1), 2, {"MODEL_MAX_BYTES": "1", "LOG_LEVEL": "INFO"})
    store = Store()
    store.put("Deployment", live(before, 5))
    assert missing(store, deployment(OWNER, revision(1), 2, {"LOG_LEVEL": "INFO"})) == 0
    assert missing(store, deployment(OWNER, revision(1), 2, {"MODEL_MAX_BYTES": "2", "LOG_LEVEL": "INFO"})) == 1
