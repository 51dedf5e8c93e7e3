"""From a verified file to an estimator with scikit-learn's interface.

Reading a model can run code: skops with our own rule of trust, or it is refused.
"""

import atexit
import io
import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import sklearn
import skops.io

from rollout_model import boosting
from rollout_model.artifact import Artifact
from rollout_model.errors import LoadFailed, first_line
from rollout_model.flavors import LIGHTGBM, OWN, SKOPS, allowed
from rollout_model.load_policy import LoadPolicy
from rollout_model.trusted_types import TRUSTED_TYPES

SCHEMA = "schema.json"
BEST = "best_estimator_"
SEARCHES = "sklearn.model_selection._search"
"""The start of the modules with GridSearchCV and its kin."""
KNOWN = frozenset({"_loss", "numpy", "scipy", "sklearn"})
"""How names of scikit-learn's own types begin, and of what it is made of; `_loss` is how the older
called a part of itself.
"""


def load(artifact: Artifact, policy: LoadPolicy) -> Any:
    """The estimator that predicts, of a search its best one; raises LoadFailed."""
    try:
        model = _read(artifact, policy)
    except LoadFailed:
        raise
    except ModuleNotFoundError as missing:
        raise LoadFailed(
            aged(
                artifact,
                f"The model cannot be loaded: it needs the Python module {missing.name!r}, which"
                " the model server's image lacks. Build an image with it"
                " (docs/operations/model-pods.md), or log the module with code_paths.",
            )
        ) from missing
    except Exception as failure:  # a file of unknown content can fail in any way
        raise LoadFailed(
            aged(artifact, f"The model cannot be loaded: {first_line(failure)}")
        ) from failure
    if not hasattr(model, artifact.method):
        raise LoadFailed(
            f"The model is a {type(model).__name__}, which has no {artifact.method}: log what"
            " predicts, such as a Pipeline that ends in a classifier, a regressor or a clusterer."
        )
    return model


def _read(artifact: Artifact, policy: LoadPolicy) -> Any:
    if artifact.serialization == OWN:
        return boosting.read(artifact.file, artifact.flavor, artifact.signature)
    if artifact.serialization == SKOPS:
        model = _skops(artifact, policy)
    else:
        model = _pickle(artifact, policy)
    if artifact.flavor.name == LIGHTGBM:
        return boosting.quick(model, artifact.signature)
    return model


def aged(artifact: Artifact, sentence: str) -> str:
    """The sentence about what failed, where the model is of this scikit-learn; else that it is not,
    which is why.
    """
    if not artifact.made_with or _minor(artifact.made_with) == _minor(sklearn.__version__):
        return sentence
    return (
        f"The model is of scikit-learn {artifact.made_with}, and the model server has"
        f" {sklearn.__version__}: train it again with {sklearn.__version__}, or serve it with an"
        f" image that has its version. {sentence}"
    )


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _skops(artifact: Artifact, policy: LoadPolicy) -> Any:
    path, most = artifact.file, policy.max_bytes
    trusted = TRUSTED_TYPES.union(policy.trusted_types)
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    if unpacked > most:
        raise LoadFailed(
            f"The model is too large: {path.name} unpacks to {unpacked} bytes, and {most} are the"
            " most."
        )
    content = _without_searches(path)
    source: dict[str, Any] = {"file": path} if content is None else {"data": content}
    if foreign := set(skops.io.get_untrusted_types(**source)) - trusted:
        sentence = (
            f"The model holds types that are not trusted: {', '.join(sorted(foreign))[:300]}."
        )
        raise LoadFailed(
            aged(artifact, sentence)
            if {one.split(".")[0] for one in foreign} <= KNOWN
            else sentence
        )
    return skops.io.load(path if content is None else io.BytesIO(content), trusted=sorted(trusted))


def _without_searches(path: Path) -> bytes | None:
    """The skops file with each fitted search replaced by its best estimator, which is what answers;
    None where there is no search.

    What else a search holds (scorers, distributions that parameters are drawn from) is nothing that
    predicts, and is never built.
    """
    with zipfile.ZipFile(path) as archive:
        schema = archive.read(SCHEMA)
        if f'"{BEST}"'.encode() not in schema:
            return None
        made = json.loads(schema)
        root = {**made, **_best(made)}
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as reduced:
            for name in archive.namelist():
                reduced.writestr(name, json.dumps(root) if name == SCHEMA else archive.read(name))
    return written.getvalue()


def _best(node: Any) -> Any:
    if isinstance(node, list):
        return [_best(one) for one in node]
    if not isinstance(node, dict):
        return node
    held = node.get("content")
    if (
        str(node.get("__module__")).startswith(SEARCHES)
        and isinstance(held, dict)
        and BEST in (held.get("content") or {})
    ):
        return _best(held["content"][BEST])
    return {key: _best(one) for key, one in node.items()}


def _pickle(artifact: Artifact, policy: LoadPolicy) -> Any:
    allowed(artifact.flavor, policy)
    # Only where it is allowed.
    import cloudpickle  # noqa: PLC0415

    if artifact.code is not None:
        _on_the_path(artifact.code)
    with artifact.file.open("rb") as stream:
        model = cloudpickle.load(stream)
    return getattr(model, BEST, model)


def _on_the_path(code: Path) -> None:
    """What the model was logged with as code_paths can be imported: from a copy, for the model's
    folder goes once it is read.
    """
    kept = tempfile.mkdtemp(prefix="code-")
    atexit.register(shutil.rmtree, kept, ignore_errors=True)
    shutil.copytree(code, kept, dirs_exist_ok=True)
    sys.path.insert(0, kept)
