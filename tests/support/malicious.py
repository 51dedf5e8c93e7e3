"""Models that are not what they should be: each spoils the folder of a good one, and the server
refuses it with a sentence.
"""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import skops.io
import yaml
from sklearn.preprocessing import FunctionTransformer, StandardScaler

MOST = 64 * 2**20
"""Bytes of a model in tests of what is too large."""


def replace_flavor(folder: Path, **values: str) -> None:
    path = folder / "MLmodel"
    described = yaml.safe_load(path.read_text())
    described["flavors"]["sklearn"].update(values)
    path.write_text(yaml.safe_dump(described))


class Payload:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.target),)


def spoil_pickle(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps(Payload(folder.parent / "executed")))
    replace_flavor(folder, pickled_model="model.pkl", serialization_format="cloudpickle")


def spoil_skops_that_is_a_pickle(folder: Path) -> None:
    (folder / "model.skops").write_bytes(pickle.dumps(Payload(folder.parent / "executed")))


def spoil_foreign_type(folder: Path) -> None:
    skops.io.dump(FunctionTransformer(func=os.system), folder / "model.skops")


def spoil_call(folder: Path, called: str = "posix.system") -> None:
    """A file that asks for a call where it is read: skops writes none such, and reads it."""
    state = skops.io.dumps(FunctionTransformer(func=os.system))
    with zipfile.ZipFile(io.BytesIO(state)) as archive:
        schema = json.loads(archive.read("schema.json"))
    module, _, name = called.rpartition(".")
    arguments = {
        "__class__": "tuple",
        "__module__": "builtins",
        "__loader__": "TupleNode",
        "content": [],
    }
    call = {
        "__class__": name,
        "__module__": module,
        "__loader__": "ConstructorFromReduceNode",
        "content": arguments,
    }
    schema["content"]["content"]["func"] = call
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))


def spoil_call_within_a_search(folder: Path) -> None:
    """The same in a search's best estimator, which alone is read."""
    spoil_call(folder)
    with zipfile.ZipFile(folder / "model.skops") as archive:
        schema = json.loads(archive.read("schema.json"))
    held = {
        "__class__": "dict",
        "__module__": "builtins",
        "__loader__": "DictNode",
        "content": {"best_estimator_": dict(schema)},
    }
    held["key_types"] = {
        "__class__": "list",
        "__module__": "builtins",
        "__loader__": "ListNode",
        "content": [],
    }
    schema |= {
        "__class__": "GridSearchCV",
        "__module__": "sklearn.model_selection._search",
        "content": held,
    }
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))


def spoil_method(folder: Path) -> None:
    """A method of a trusted object: `set_params`, say, would be harmless; none is needed."""
    skops.io.dump(FunctionTransformer(func=StandardScaler().fit), folder / "model.skops")


def spoil_trust_of_its_own(folder: Path) -> None:
    spoil_foreign_type(folder)
    replace_flavor(folder, skops_trusted_types="posix.system")


def spoil_traversal(folder: Path) -> None:
    (folder.parent / "outside.skops").write_bytes((folder / "model.skops").read_bytes())
    replace_flavor(folder, pickled_model="../outside.skops")


def spoil_link(folder: Path) -> None:
    (folder / "model.skops").unlink()
    (folder / "model.skops").symlink_to("/etc/passwd")


def spoil_truncated(folder: Path) -> None:
    whole = (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(whole[: len(whole) // 2])


def spoil_signature(folder: Path) -> None:
    path = folder / "MLmodel"
    path.write_text(
        yaml.safe_dump(
            {k: v for k, v in yaml.safe_load(path.read_text()).items() if k != "signature"}
        )
    )


def spoil_yaml(folder: Path) -> None:
    (folder / "MLmodel").write_text("!!python/object/apply:os.mkdir [executed]")


def spoil_accuracy(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"accuracy": 7}')


def spoil_by_code_beside_it(folder: Path) -> None:
    """MLflow's own loader would put this folder on the path and import from it."""
    (folder / "code").mkdir()
    (folder / "code" / "sklearn_hook.py").write_text(
        f"import os; os.mkdir({str(folder.parent / 'executed')!r})"
    )
    path = folder / "MLmodel"
    described = yaml.safe_load(path.read_text())
    described["flavors"] = {"python_function": {"loader_module": "sklearn_hook", "code": "code"}}
    path.write_text(yaml.safe_dump(described))


def spoil_by_size(folder: Path) -> None:
    with (folder / "weights.bin").open("wb") as stream:
        stream.truncate(MOST + 1)


def spoil_by_unpacked_size(folder: Path, most: int = MOST) -> None:
    """A zip file that unpacks to a thousand times its size, and more than `most`."""
    with (
        zipfile.ZipFile(
            folder / "model.skops", "w", zipfile.ZIP_DEFLATED, compresslevel=1
        ) as archive,
        archive.open("schema.json", "w", force_zip64=True) as stream,
    ):
        for _ in range(most // 2**20 + 1):
            stream.write(b" " * 2**20)


REFUSED = {
    "a pickle": (spoil_pickle, "is a pickle"),
    "a pickle named skops": (spoil_skops_that_is_a_pickle, "cannot be loaded"),
    "a type that is not trusted": (spoil_foreign_type, "not trusted: posix.system"),
    "a call of what is not trusted": (spoil_call, "not trusted: posix.system"),
    "the same within a search": (spoil_call_within_a_search, "not trusted: posix.system"),
    "a method": (spoil_method, "not trusted: sklearn.preprocessing._data.StandardScaler.fit"),
    "a model that trusts itself": (spoil_trust_of_its_own, "not trusted: posix.system"),
    "a file outside of the model": (spoil_traversal, "no model file within"),
    "a symbolic link": (spoil_link, "symbolic link"),
    "a file cut off": (spoil_truncated, "cannot be loaded"),
    "no signature": (spoil_signature, "no signature"),
    "YAML that runs code": (spoil_yaml, "cannot be loaded"),
    "an accuracy that is no share": (spoil_accuracy, "no share from 0 to 1"),
    "code beside the model": (spoil_by_code_beside_it, "flavor python_function"),
    "oversized": (spoil_by_size, "too large"),
    "oversized when unpacked": (spoil_by_unpacked_size, "too large: model.skops unpacks to"),
}
