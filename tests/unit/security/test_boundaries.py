"""What a ModelRollout can reach: no field that borrows the operator's rights, and pods that have
none.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from rollout_operator.crd import crd
from rollout_operator.desired.build import build
from rollout_operator.desired.common import Owner
from rollout_operator.domain.api.status import Status
from tests.support.builders import UID, on_trial, spec

SCHEMA = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
OWNER = Owner(UID, "iris", "models")
TROUBLE = on_trial()


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, one in schema.get("properties", {}).items():
        yield f"{path}.{name}", one
        yield from fields(one, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")


FIELDS = dict(fields(SCHEMA))
BORROWED = (
    "image",
    "serviceaccount",
    "env",
    "namespace",
    "query",
    "command",
    "args",
    "volume",
    "annotations",
    "hostpath",
    "url",
)


BY_CONFIGURATION = (".modelUri", ".traffic.annotations")
"""Fields of which the registry, or the operator's configuration, says what they may hold."""


@pytest.mark.parametrize("word", BORROWED)
def test_no_field_borrows_the_operators_rights(word: str) -> None:
    assert len(FIELDS) > 30
    assert not [
        path
        for path in FIELDS
        if word in path.rsplit(".", 1)[1].lower() and path not in BY_CONFIGURATION
    ]


def test_the_schema_is_closed_and_every_text_has_an_end() -> None:
    for path, one in {"": SCHEMA, **FIELDS}.items():
        assert "x-kubernetes-preserve-unknown-fields" not in one, path
        if path == ".traffic.annotations":
            assert one["additionalProperties"] == {"type": "string", "maxLength": 4096}
            assert one["maxProperties"] == 32
        else:
            assert "additionalProperties" not in one, path
        if one.get("type") == "string" and "enum" not in one:
            assert "maxLength" in one, path
        if one.get("type") == "array":
            assert "maxItems" in one, path


def manifests(status: Status) -> dict[str, dict[str, Any]]:
    made = build(
        OWNER, spec("models:/iris/2"), status, {"MLFLOW_TRACKING_URI": "http://mlflow:5000"}
    )
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in made}


def test_annotations_of_routes_hold_constant_words_and_a_number() -> None:
    (canary,) = [m for name, m in manifests(on_trial()).items() if name == "Ingress/iris-canary"]
    values = canary["metadata"]["annotations"]
    assert {v for v in values.values() if not v.isdigit()} == {"true", "X-Model-Candidate"}
    assert all(k.startswith("nginx.ingress.kubernetes.io/canary") for k in values)


def test_model_pods_have_no_rights() -> None:
    found = [
        m["spec"]["template"]["spec"]
        for name, m in manifests(on_trial()).items()
        if name.startswith("Deployment/")
    ]
    assert len(found) == 2
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert "serviceAccountName" not in pod
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert [v["name"] for v in pod["volumes"]] == ["tmp"]
        for container in pod["containers"]:
            context = container["securityContext"]
            assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (
                False,
                True,
            )
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "envFrom" not in container
            assert all("valueFrom" not in e for e in container["env"])
