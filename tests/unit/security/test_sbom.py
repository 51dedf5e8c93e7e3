"""The list of what an image contains."""

import importlib.metadata
from typing import Any

from scripts.sbom import installed, only

BOM: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "components": [
        {"name": "numpy", "version": "2.4.6", "bom-ref": "numpy-1@2.4.6"},
        {"name": "numpy", "version": "2.5.5", "bom-ref": "numpy-2@2.5.5"},
        {"name": "kopf", "version": "1.45.2", "bom-ref": "kopf-3@1.45.2"},
    ],
    "dependencies": [
        {"ref": "numpy-1@2.4.6"},
        {"ref": "numpy-2@2.5.5"},
        {"ref": "kopf-3@1.45.2", "dependsOn": ["numpy-1@2.4.6", "numpy-2@2.5.5"]},
    ],
}


def test_only_what_is_installed_is_listed() -> None:
    found = only(BOM, {("numpy", "2.4.6"), ("kopf", "1.45.2"), ("more", "1")})
    assert [(c["name"], c["version"]) for c in found["components"]] == [
        ("numpy", "2.4.6"),
        ("kopf", "1.45.2"),
    ]
    assert found["dependencies"] == [
        {"ref": "numpy-1@2.4.6"},
        {"ref": "kopf-3@1.45.2", "dependsOn": ["numpy-1@2.4.6"]},
    ]
    assert found["bomFormat"] == "CycloneDX"


def test_names_are_normalised() -> None:
    assert ("prometheus-client", importlib.metadata.version("prometheus_client")) in installed()
