"""Sources in OCI registries, whom credentials are for, and how layers become files; no registry.

What a real one answers is in tests/stores/test_oci.py.
"""

import gzip
import io
import json
import tarfile
from base64 import b64encode
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from rollout_inference.loading.oci_images import child, layers
from rollout_inference.loading.oci_layers import Tree
from rollout_inference.loading.oci_registry import Reference, credentials, reference
from rollout_model.artifact import MOST_FILES
from rollout_model.errors import LoadFailed
from tests.support.oci import TITLE, UNPACK, archive

SHA = "sha256:" + "a" * 64
NAMES: dict[str, tuple[str, str, str]] = {
    "a tag": ("oci://ghcr.io/team/iris:1.0", "ghcr.io", "1.0"),
    "a digest": (f"oci://ghcr.io/team/iris@{SHA}", "ghcr.io", SHA),
    "both, of which the digest counts": (f"oci://ghcr.io/team/iris:1@{SHA}", "ghcr.io", SHA),
    "a port": ("oci://registry:5000/team/iris:1", "registry:5000", "1"),
    "an address": ("oci://[::1]:5000/team/iris:1", "[::1]:5000", "1"),
    "Docker's hub": ("oci://docker.io/team/iris:1", "registry-1.docker.io", "1"),
}


@pytest.mark.parametrize(("source", "registry", "name"), NAMES.values(), ids=NAMES.keys())
def test_a_source_names_an_image(source: str, registry: str, name: str) -> None:
    assert reference(source) == Reference(source, registry, "team/iris", name)


@pytest.mark.parametrize(
    "source",
    [
        "oci://ghcr.io/team/iris",
        "oci://team:1",
        "oci://ghcr.io/Team/iris:1",
        "oci://ghcr.io/team/../iris:1",
        "oci://reader:secret@ghcr.io/team/iris:1",
        "oci://ghcr.io/team/iris@sha256:abc",
        "oci://ghcr.io/team/iris@sha512:" + "a" * 128,
    ],
)
def test_what_names_none_is_said(source: str) -> None:
    with pytest.raises(LoadFailed, match="names no image: write oci://REGISTRY/REPOSITORY:TAG"):
        reference(source)


OURS = {"OCI_REGISTRY": "ghcr.io", "OCI_USERNAME": "reader", "OCI_PASSWORD": "secret"}
BASIC = b64encode(b"reader:secret").decode()


def test_a_registry_that_a_version_chose_is_told_no_credentials_of_another() -> None:
    assert credentials("ghcr.io", OURS) == BASIC
    assert credentials("evil.example", OURS) == ""
    assert credentials("ghcr.io:8443", OURS) == ""


def test_credentials_for_no_registry_are_refused() -> None:
    with pytest.raises(LoadFailed, match="OCI_REGISTRY does not say which registry"):
        credentials("ghcr.io", {**OURS, "OCI_REGISTRY": ""})


ENTRIES: dict[str, tuple[str, str, dict[str, str]]] = {
    "as docker login writes it": ("ghcr.io", "ghcr.io", {"auth": BASIC}),
    "as kubectl writes it": ("https://ghcr.io", "ghcr.io", {"username": "reader"}),
    "Docker's hub": ("https://index.docker.io/v1/", "registry-1.docker.io", {"auth": BASIC}),
}


@pytest.mark.parametrize(("name", "registry", "entry"), ENTRIES.values(), ids=ENTRIES.keys())
def test_a_docker_config_is_for_its_registries(
    tmp_path: Path, name: str, registry: str, entry: dict[str, str]
) -> None:
    config = {"auths": {name: {"password": "secret", **entry}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    env = {"DOCKER_CONFIG": str(tmp_path)}
    assert credentials(registry, env) == BASIC
    assert credentials("evil.example", env) == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": []}', '{"auths": {"ghcr.io": 1}}'])
def test_a_docker_config_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(LoadFailed, match="is no Docker config with `auths`"):
        credentials("ghcr.io", {"DOCKER_CONFIG": str(tmp_path)})


Members = list[tuple[str, bytes | None] | tarfile.TarInfo]
MODEL: Members = [("models", None), ("models/MLmodel", b"1"), ("models/data/a", b"a")]
LAID: dict[str, tuple[list[Members], dict[str, str]]] = {
    "one layer": ([MODEL], {"MLmodel": "1", "data/a": "a"}),
    "names as tar -C / . writes them": ([[("./models/MLmodel", b"1")]], {"MLmodel": "1"}),
    "absolute names": ([[("/models/MLmodel", b"1")]], {"MLmodel": "1"}),
    "what is elsewhere in the image": (
        [[("etc/passwd", b"x"), ("models2/b", b"x"), *MODEL]],
        {"MLmodel": "1", "data/a": "a"},
    ),
    "a later layer's file": ([MODEL, [("models/MLmodel", b"2")]], {"MLmodel": "2", "data/a": "a"}),
    "a file taken away": ([MODEL, [("models/data/.wh.a", b"")]], {"MLmodel": "1"}),
    "a folder taken away": ([MODEL, [("models/.wh.data", b"")]], {"MLmodel": "1"}),
    "all taken away": ([MODEL, [("models/MLmodel", b"2"), (".wh.models", b"")]], {"MLmodel": "2"}),
    "an opaque folder, said last": (
        [MODEL, [("models/data/b", b"b"), ("models/data/.wh..wh..opq", b"")]],
        {"MLmodel": "1", "data/b": "b"},
    ),
    "an opaque root": ([MODEL, [(".wh..wh..opq", b""), ("models/b", b"b")]], {"b": "b"}),
    "a whiteout of what is not there": (
        [MODEL, [("models/.wh.gone", b""), ("etc/.wh.passwd", b"")]],
        {"MLmodel": "1", "data/a": "a"},
    ),
    "a file instead of a folder": ([MODEL, [("models/data", b"d")]], {"MLmodel": "1", "data": "d"}),
    "a folder instead of a file": (
        [MODEL, [("models/data/a/b", b"b")]],
        {"MLmodel": "1", "data/a/b": "b"},
    ),
}


@pytest.mark.parametrize("compressed", [False, True], ids=["tar", "tar+gzip"])
@pytest.mark.parametrize(("laid", "files"), LAID.values(), ids=LAID.keys())
def test_layers_of_an_image_are_laid_over_each_other(
    tmp_path: Path, laid: list[Members], files: dict[str, str], compressed: bool
) -> None:
    tree = Tree("oci://r/i:1", tmp_path / "model", 1000)
    for members in laid:
        content = archive(members)
        blob = io.BytesIO(gzip.compress(content) if compressed else content)
        tree.layer(blob, "models", image=True)
    found = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {str(p.relative_to(tmp_path / "model")): p.read_text() for p in found} == files


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


REFUSED: dict[str, tuple[Members, str]] = {
    "a link": ([special("models/a", tarfile.SYMTYPE, "MLmodel")], "neither a file nor a folder"),
    "a hard link": ([special("models/a", tarfile.LNKTYPE, "etc/passwd")], "neither a file nor a"),
    "a link as the folder": ([special("models", tarfile.SYMTYPE, "/")], "neither a file nor a"),
    "a device": ([special("models/a", tarfile.CHRTYPE)], "neither a file nor a folder"),
    "a way out": ([("models/../../a", b"a")], "a file that would be outside: models/../../a"),
    "a whiteout's way out": ([("models/../../.wh.a", b"")], "a file that would be outside"),
    "too much": ([("models/a", bytes(1001))], "The model is too large: .* more than 1000 bytes"),
    "too many": ([(f"models/{n}", None) for n in range(MOST_FILES + 1)], "The model is too large"),
}


@pytest.mark.parametrize(("members", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_an_image_with_more_than_files_is_refused(
    tmp_path: Path, members: Members, told: str
) -> None:
    outside = tmp_path / "a"
    outside.write_text("here before")
    with pytest.raises(LoadFailed, match=told):
        Tree("oci://r/i:1", tmp_path / "x" / "model", 1000).layer(
            io.BytesIO(archive(members)), "models", image=True
        )
    assert outside.read_text() == "here before"
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "x"}


WHOLE = gzip.compress(archive(MODEL))
BROKEN = {"zstd": b"\x28\xb5\x2f\xfd" + bytes(600), "cut off": WHOLE[:60], "text": b"text" * 300}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_layer_of_another_kind_is_said(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LoadFailed, match="a layer is no tar archive, or one that is compressed"):
        Tree("oci://r/i:1", tmp_path / "model", 1000).layer(
            io.BytesIO(content), "models", image=True
        )


def test_a_packed_folder_of_an_artifact_stays_below_its_title(tmp_path: Path) -> None:
    tree = Tree("oci://r/i:1", tmp_path / "model", 1000)
    tree.layer(io.BytesIO(archive([("iris/MLmodel", b"1")])), "iris", image=False)
    assert tree.model() == tmp_path / "model" / "iris"
    with pytest.raises(LoadFailed, match="a file that would be outside: other/a"):
        tree.layer(io.BytesIO(archive([("other/a", b"1")])), "iris", image=False)


@pytest.mark.parametrize("title", ["../a", "/etc/passwd", "a/../../b", ".", "a\0b"])
def test_a_title_that_is_no_path_inside_is_refused(tmp_path: Path, title: str) -> None:
    with pytest.raises(LoadFailed, match="a file that would be outside"):
        Tree("oci://r/i:1", tmp_path, 1000).named(title)


def test_no_model_is_said(tmp_path: Path) -> None:
    tree = Tree("oci://r/i:1", tmp_path / "model", 1000)
    for name in ("a/MLmodel", "b/MLmodel"):
        tree.write(PurePosixPath(name), io.BytesIO(b"1"))
    with pytest.raises(LoadFailed, match="holds no model: neither is it an image with MLmodel in"):
        tree.model()


def listed(**machines: str) -> dict[str, Any]:
    return {
        "manifests": [
            {
                "digest": digest,
                "platform": dict(zip(("os", "architecture"), of.split("_"), strict=True)),
            }
            for of, digest in machines.items()
        ]
    }


BOTH = listed(windows_amd64="sha256:w", linux_amd64="sha256:x", linux_arm64="sha256:a")
CHILDREN: dict[str, tuple[dict[str, Any], str, str]] = {
    "this machine's": (BOTH, "aarch64", "sha256:a"),
    "linux/amd64, where this machine has none": (BOTH, "riscv64", "sha256:x"),
    "the first, where neither is": (
        listed(windows_amd64="sha256:w", unknown_unknown="sha256:u"),
        "x86_64",
        "sha256:w",
    ),
    "of no platform": ({"manifests": [{"digest": "sha256:n"}]}, "x86_64", "sha256:n"),
}


@pytest.mark.parametrize(("index", "machine", "digest"), CHILDREN.values(), ids=CHILDREN.keys())
def test_an_index_has_an_image(index: dict[str, Any], machine: str, digest: str) -> None:
    assert child("oci://r/i:1", index, machine) == digest


@pytest.mark.parametrize(
    "index", [{"manifests": []}, {"manifests": 1}, {"manifests": [1]}, {"manifests": [{}]}]
)
def test_an_index_without_one_is_said(index: dict[str, Any]) -> None:
    with pytest.raises(LoadFailed, match="its index names no image by sha256"):
        child("oci://r/i:1", index, "x86_64")


def test_layers_are_listed_with_their_names() -> None:
    told = {"digest": SHA, "size": 7, "annotations": {TITLE: "iris", UNPACK: "true"}}
    manifest = {"layers": [told, {"digest": SHA, "size": 3}]}
    found = list(layers("oci://r/i:1", manifest, 10))
    assert found == [(SHA, 7, "iris", True), (SHA, 3, "", False)]
    with pytest.raises(LoadFailed, match="The model is too large: oci://r/i:1 has more than 9"):
        list(layers("oci://r/i:1", manifest, 9))


@pytest.mark.parametrize("manifest", [{}, {"layers": 1}, {"layers": [{"size": "much"}]}])
def test_a_manifest_without_layers_is_said(manifest: dict[str, Any]) -> None:
    with pytest.raises(LoadFailed, match="its manifest does not list layers"):
        list(layers("oci://r/i:1", manifest, 9))
