"""The process that looks at a version before it is tried: `python -m
rollout_inference.loading.inspect_model FOLDER`.

FOLDER holds the files, as the step before it has fetched them. Its answer is the termination
message, one JSON object of at most 4,096 bytes, which is all that Kubernetes keeps of it
(kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure).
"""

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from rollout_inference.loading.loader import load
from rollout_inference.settings import Settings, SettingsError
from rollout_model.artifact import mlmodel, text, verified_files
from rollout_model.digest import digest_of
from rollout_model.errors import LoadFailed, first_line

LONGEST = 4_096
REQUIREMENTS = "requirements.txt"
"""The file in which MLflow names what a model was logged with."""
LIGHT = frozenset({"mlflow"})
"""Packages that the server does without: it has mlflow-skinny."""
SMALLER = {"xgboost": "xgboost-cpu"}
"""Distributions that have the same package as another, with less beside it."""


@dataclass(slots=True)
class Inspection:
    """What is known of a version's files once somebody has looked."""

    digest: str = ""
    """`sha256:<hex>` of all files; "" where they could not be read."""
    bytes: int = 0
    """Of all files."""
    flavors: list[str] = field(default_factory=list)
    """What MLmodel names, in its order."""
    serves: str = ""
    """The runtime that will serve it, such as onnx or sklearn; "" where none can."""
    reason: str = ""
    """Why ONNX Runtime does not serve."""
    points: int = 0
    """Rows that ONNX Runtime was held against scikit-learn on; 0 where it does not serve."""
    packages: list[str] = field(default_factory=list)
    """What its requirements.txt pins and this server has otherwise, or lacks, in words."""
    trouble: str = ""
    """Why it cannot be served, and what to do about it."""
    signature: str = ""
    """MLmodel's inputs as JSON; "" where it has none, or they do not fit."""

    def to_json(self) -> str:
        """At most LONGEST bytes: what does not fit is left out, the least needed first."""
        said = asdict(self)
        for name in ("signature", "packages", "reason", "flavors"):
            if _fits(said):
                break
            said[name] = type(said[name])()
        while not _fits(said):
            said["trouble"] = said["trouble"][: len(said["trouble"]) // 2]
        return _text(said)


def _text(said: dict[str, Any]) -> str:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _fits(said: dict[str, Any]) -> bool:
    return len(_text(said).encode()) <= LONGEST


def inspected(folder: Path, settings: Settings) -> Inspection:
    """Look at the files, and make the model ready as a pod would. Never raises for the model."""
    found = Inspection()
    try:
        found.digest = digest_of(verified_files(folder, settings.load_policy))
        found.bytes = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        found.flavors, found.signature = _described(folder)
        found.packages = otherwise(folder)
        model = asyncio.run(load(settings))
        found.serves, found.reason = model.runtime.name, model.plan.reason
        found.points = model.plan.points if model.plan.onnx_input is not None else 0
    except LoadFailed as failure:
        found.trouble = str(failure)
    return found


def _described(folder: Path) -> tuple[list[str], str]:
    """Flavours and inputs, as MLmodel names them; what cannot be read is said by `load`."""
    try:
        said = mlmodel(folder)
        inputs = (said.get("signature") or {}).get("inputs") or ""
        return [str(one) for one in said.get("flavors") or {}], str(inputs)
    except Exception:  # a file of unknown content can fail in any way
        return [], ""


def otherwise(folder: Path) -> list[str]:
    """Packages that the model was logged with and that this server has in another version, or not
    at all; nothing where no requirements can be read.
    """
    try:
        lines = text(folder / REQUIREMENTS).splitlines()
    except (OSError, ValueError, LoadFailed):
        return []
    return [said for line in lines if (said := _compared(line))]


def _compared(line: str) -> str:
    try:
        wanted = Requirement(line.partition("#")[0].strip())
    except InvalidRequirement:  # an option of pip's, or nothing
        return ""
    if canonicalize_name(wanted.name) in LIGHT or (wanted.marker and not wanted.marker.evaluate()):
        return ""
    try:
        here = version(SMALLER.get(canonicalize_name(wanted.name), wanted.name))
    except PackageNotFoundError:
        return f"{wanted.name}{wanted.specifier}, which the server lacks"
    fits = wanted.specifier.contains(here, prereleases=True)
    return "" if fits else f"{wanted.name}{wanted.specifier}, and the server has {here}"


def main(folder: Path) -> int:
    """Write the answer; 0 where the model can be served, 1 where it cannot."""
    log = Path(os.environ.get("TERMINATION_LOG", "/dev/termination-log"))
    try:
        settings = Settings.from_environment(
            {**os.environ, "MODEL_URI": "", "MODEL_PATH": str(folder)}
        )
        found = inspected(folder, settings)
    except (SettingsError, OSError) as failure:
        found = Inspection(trouble=first_line(failure))
    answer = found.to_json()
    print(answer, flush=True)
    log.write_text(answer)
    return 1 if found.trouble else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
