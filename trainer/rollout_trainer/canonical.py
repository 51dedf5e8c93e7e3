"""The same model as the same bytes: what a clock, a memory address or chance put into an artifact
is taken out again.

A digest is only an identity if training twice gives it twice. Five things stand in the way: MLflow
writes a time and a random id into MLmodel; skops names files and objects by their address (`id()`);
the node arrays of trees have padding bytes that nobody sets; and some of scikit-learn's objects
keep how many cores they were made with, or where in memory their list of stop words was.
"""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CHANCE = ("utc_time_created", "model_uuid", "model_size_bytes")
"""Keys of MLmodel that differ from run to run; MLflow reads it without them."""
VECTORIZERS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
BY_CHANCE = {
    ("_BinMapper", "n_threads"),
    *((name, "_stop_words_id") for name in VECTORIZERS),
}
"""Classes of scikit-learn and their attributes that hold the number of cores, or an address by
which it is known that stop words were checked; None there is as many as there are, and unchecked.
"""
THREADS = "num_threads"
"""How LightGBM's boosters keep the number of cores; 0 there is as many as there are."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def canonicalise(folder: Path) -> None:
    """Rewrite MLmodel and every skops file below `folder`; what they mean stays."""
    described = folder / "MLmodel"
    content = yaml.safe_load(described.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if key not in CHANCE}
    described.write_text(yaml.safe_dump(kept, sort_keys=True), encoding="utf-8", newline="\n")
    for file in sorted(folder.rglob("*.skops")):
        _rewrite(file)


def _rewrite(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts.pop("schema.json"))
    _without_chance(schema)
    names: dict[str, str] = {}
    _renumber(schema, {}, names)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for old, new in names.items():
            archive.writestr(
                _entry(new), _without_padding(parts[old]) if old.endswith(".npy") else parts[old]
            )
        archive.writestr(_entry("schema.json"), json.dumps(schema, indent=2))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, LONG_AGO)
    entry.create_system = 3
    return entry


def _without_chance(node: Any) -> None:
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        _without_chance(child)
    if isinstance(node, dict) and isinstance(said := node.get("content"), str):
        node["content"] = re.sub(rf"\[{THREADS}: \d+\]", f"[{THREADS}: 0]", said)
    if not isinstance(node, dict) or not isinstance(held := node.get("content"), dict):
        return
    if isinstance(threads := held.get(THREADS), dict) and threads.get("is_json"):
        threads["content"] = "0"
    for kind, attribute in BY_CHANCE:
        if node.get("__class__") == kind and isinstance(
            kept := (held.get("content") or {}).get(attribute), dict
        ):
            kept["content"] = "null"


def _renumber(node: Any, ids: dict[object, int], names: dict[str, str]) -> None:
    """Number objects and files in the order in which the tree names them. Plain values are told
    apart by what they are: whether two equal ones share an address is chance.
    """
    if isinstance(node, list):
        for child in node:
            _renumber(child, ids, names)
        return
    if not isinstance(node, dict):
        return
    if "__id__" in node:
        same = (
            ("value", node["__class__"], node["content"])
            if node.get("is_json")
            else ("object", node["__id__"])
        )
        node["__id__"] = ids.setdefault(same, len(ids) + 1)
    if isinstance(file := node.get("file"), str):
        node["file"] = names.setdefault(file, f"{len(names) + 1}{Path(file).suffix}")
    for child in node.values():
        _renumber(child, ids, names)


def _without_padding(raw: bytes) -> bytes:
    """A .npy file whose structured array has zeros in its padding; others as they are."""
    array = np.load(io.BytesIO(raw), allow_pickle=False)
    if array.dtype.names is None:
        return raw
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    written = io.BytesIO()
    np.save(written, clean, allow_pickle=False)
    return written.getvalue()
