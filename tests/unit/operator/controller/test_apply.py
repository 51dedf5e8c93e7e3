"""What the API server makes of an apply, where admission changes it: applied once, and compared
with what is wanted no more.
"""

import copy
import json
from typing import Any

import pytest

from rollout_operator.controller.apply import changes, keep_applied
from rollout_operator.controller.cache import Store
from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.deployment import deployment
from rollout_operator.desired.diff import signed
from rollout_operator.domain.credentials import Credentials
from tests.support.builders import UID, revision

OWNER = Owner(UID, "iris", "models")
KEY = ("models", "iris")


def live(manifest: Manifest, version: int, **container: Any) -> Manifest:
    """The object as the API server has it, with these fields of the container as admission left
    them.
    """
    made = copy.deepcopy(manifest)
    made["metadata"] |= {"uid": "d", "resourceVersion": str(version)}
    made["spec"]["template"]["spec"]["containers"][0] |= container
    return made


@pytest.fixture
def manifest() -> Manifest:
    return deployment(OWNER, revision(1), 2, {})


def missing(store: Store, manifest: Manifest) -> int:
    return len(changes([manifest], store.objects(KEY), UID, store))


def test_an_image_that_a_mirror_replaces_is_applied_once(manifest: Manifest) -> None:
    store = Store()
    assert missing(store, manifest) == 1
    keep_applied(KEY, manifest, live(manifest, 5, image="mirror/inference"), store)
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
    keep_applied(KEY, manifest, live(manifest, 5, image="mirror/inference"), store)
    assert missing(store, manifest) == 0
    store = Store()
    store.put("Deployment", live(manifest, 6, image="somebody/else"))
    keep_applied(KEY, manifest, live(manifest, 5, image="mirror/inference"), store)
    assert missing(store, manifest) == 1, "what is there now is not what was accepted"


def test_another_manifest_is_applied(manifest: Manifest) -> None:
    store = Store()
    keep_applied(KEY, manifest, live(manifest, 5, image="mirror/inference"), store)
    assert missing(store, deployment(OWNER, revision(1), 3, {})) == 1


def test_a_new_process_applies_variables_that_changed_and_none_that_were_taken_out() -> None:
    """In a list by keys, what is not wanted any more looks like what a webhook added: pods that
    serve are not replaced for it.
    """
    before = deployment(OWNER, revision(1), 2, {"MODEL_MAX_BYTES": "1", "LOG_LEVEL": "INFO"})
    store = Store()
    store.put("Deployment", live(before, 5))
    assert missing(store, deployment(OWNER, revision(1), 2, {"LOG_LEVEL": "INFO"})) == 0
    assert (
        missing(
            store, deployment(OWNER, revision(1), 2, {"MODEL_MAX_BYTES": "2", "LOG_LEVEL": "INFO"})
        )
        == 1
    )


def first_look(
    manifest: Manifest, fields: dict[str, Any], applied: Manifest | None = None, **container: Any
) -> int:
    """What a new process, whose store has seen nothing yet, would apply to an object whose fields
    are owned like this.
    """
    there = live(signed(applied or manifest), 5, **container)
    there["metadata"]["managedFields"] = [
        {"manager": "rollout-operator", "operation": "Apply", "fieldsV1": fields}
    ]
    store = Store()
    store.put("Deployment", there)
    return missing(store, manifest)


def all_fields(value: Any, field: str = "") -> dict[str, Any]:
    """Every field of a manifest, as managedFields has those of an apply that nobody has changed
    since.
    """
    if isinstance(value, list) and field in {"initContainers", "containers", "env", "volumes"}:
        return {
            f"k:{json.dumps({'name': one['name']})}": {".": {}, **all_fields(one)} for one in value
        }
    return (
        {f"f:{name}": all_fields(below, name) for name, below in value.items()}
        if isinstance(value, dict)
        else {}
    )


def applied_fields(manifest: Manifest) -> dict[str, Any]:
    """The same of a manifest that was signed: managedFields names neither name nor namespace."""
    there = signed(manifest)
    kept = ("labels", "annotations", "ownerReferences")
    metadata = {k: v for k, v in there["metadata"].items() if k in kept}
    return all_fields({"metadata": metadata, "spec": there["spec"]})


def without(fields: dict[str, Any], *path: str) -> dict[str, Any]:
    """The same without one of them, which somebody else has written since."""
    left = copy.deepcopy(fields)
    inner = left
    for name in (
        "f:spec",
        "f:template",
        "f:spec",
        "f:containers",
        'k:{"name": "model"}',
        *path[:-1],
    ):
        inner = inner[name]
    del inner[path[-1]]
    return left


MADE: dict[str, dict[str, Any]] = {
    "the image of a mirror": {"image": "mirror/inference"},
    "resources": {"resources": {"limits": {"memory": "600Mi"}}},
    "a hook that is taken out": {"lifecycle": {}},
    "capabilities": {"securityContext": {"capabilities": {"drop": ["NET_RAW"]}}},
    "variables": {"env": []},
    "nothing": {},
}


@pytest.mark.parametrize("container", MADE.values(), ids=MADE.keys())
def test_a_new_process_leaves_what_admission_made_of_the_last_apply(
    container: dict[str, Any], manifest: Manifest
) -> None:
    fields = all_fields({k: manifest[k] for k in ("metadata", "spec")})
    assert first_look(manifest, fields, **container) == 0


EDITED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "an image": (("f:image",), {"image": "somebody/else"}),
    "a probe": (("f:readinessProbe",), {"readinessProbe": {"httpGet": {"path": "/"}}}),
    "a variable": (
        ("f:env", 'k:{"name": "MODEL_URI"}'),
        {"env": [{"name": "MODEL_URI", "value": "models:/other/1"}]},
    ),
    "a hook beside the image of a mirror": (
        ("f:lifecycle",),
        {"image": "mirror/inference", "lifecycle": {}},
    ),
}


@pytest.mark.parametrize(("path", "container"), EDITED.values(), ids=EDITED.keys())
def test_a_new_process_puts_back_what_somebody_has_changed(
    path: tuple[str, ...], container: dict[str, Any], manifest: Manifest
) -> None:
    fields = without(all_fields({k: manifest[k] for k in ("metadata", "spec")}), *path)
    assert first_look(manifest, fields, **container) == 1


def test_a_new_process_applies_another_manifest_than_the_last_one(manifest: Manifest) -> None:
    fields = all_fields({k: manifest[k] for k in ("metadata", "spec")})
    assert (
        first_look(
            manifest,
            fields,
            applied=deployment(OWNER, revision(1), 3, {}),
            image="mirror/inference",
        )
        == 1
    )


TAKEN_OUT: dict[str, tuple[dict[str, Any], Credentials | None]] = {
    "a variable": ({"MODEL_MAX_BYTES": "1"}, None),
    "the Secret that the step before the server fetches with": ({}, Credentials(secret="reader")),
}


@pytest.mark.parametrize(("variables", "given"), TAKEN_OUT.values(), ids=TAKEN_OUT.keys())
def test_a_new_process_takes_out_what_the_last_apply_had_and_leaves_what_others_added(
    variables: dict[str, str], given: Credentials | None, manifest: Manifest
) -> None:
    before = deployment(OWNER, revision(1), 2, variables, given)
    fields = applied_fields(before)
    assert first_look(manifest, fields, applied=before) == 1
    added = live(signed(manifest), 5)
    added["spec"]["template"]["spec"]["initContainers"] = [{"name": "mesh", "image": "mesh"}]
    added["metadata"]["managedFields"] = [
        {
            "manager": "rollout-operator",
            "operation": "Apply",
            "fieldsV1": applied_fields(manifest),
        }
    ]
    store = Store()
    store.put("Deployment", added)
    assert missing(store, manifest) == 0


def test_what_another_has_scaled_lacks_nothing_of_a_manifest_with_that_number(
    manifest: Manifest,
) -> None:
    """Otherwise a fight about the number of pods would never be left alone for a while."""
    scaled = deployment(OWNER, revision(1), 5, {})
    there = live(signed(manifest), 5)
    there["spec"]["replicas"] = 5
    fields = applied_fields(manifest)
    del fields["f:spec"]["f:replicas"]
    there["metadata"]["managedFields"] = [
        {"manager": "rollout-operator", "operation": "Apply", "fieldsV1": fields}
    ]
    store = Store()
    store.put("Deployment", there)
    assert missing(store, scaled) == 0


def test_what_an_operator_applied_before_it_signed_is_compared_as_before(
    manifest: Manifest,
) -> None:
    for there, applied in (
        (live(manifest, 5), 0),
        (live(manifest, 5, image="mirror/inference"), 1),
    ):
        there["metadata"]["managedFields"] = [
            {
                "manager": "rollout-operator",
                "operation": "Apply",
                "fieldsV1": all_fields({"spec": manifest["spec"]}),
            }
        ]
        store = Store()
        store.put("Deployment", there)
        assert missing(store, manifest) == applied, (
            "no Deployment is written for the annotation alone"
        )
