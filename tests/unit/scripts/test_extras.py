"""`pip install '.[trainer]'` is enough: an extra names all that its package imports."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rollout_model.flavors import EXTRAS as LIBRARIES

ROOT = Path(__file__).parents[3]
FOLDERS = {
    "rollout_operator": "operator",
    "rollout_bridge": "operator",
    "rollout_cli": "operator",
    "rollout_dashboard": "operator",
    "rollout_inference": "inference",
    "rollout_labels": "inference",
    "rollout_model": "inference",
    "rollout_trainer": "trainer",
}
EXTRAS = {
    "rollout_operator": "operator",
    "rollout_bridge": "operator",
    "rollout_cli": "cli",
    "rollout_dashboard": "dashboard",
    "rollout_inference": "inference",
    "rollout_labels": "inference",
    "rollout_model": "inference",
    "rollout_trainer": "trainer",
}
PLAIN = {"rollout_labels"}
"""What does with the standard library alone: the command line has it too."""
OPTIONAL = set(LIBRARIES)
"""Libraries of flavors with extras of their own: imported where such a model is served, after it
was looked whether they are there.
"""
SIGNING = "rollout_operator.domain.promotion_proof"
"""Imports what signs and checks proofs where it does so, and the operator alone does."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = importlib.metadata.packages_distributions()


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def source(module: str) -> Path | None:
    """The file of a module of ours; None for a name within one."""
    path = ROOT / FOLDERS[module.split(".", maxsplit=1)[0]] / Path(*module.split("."))
    return next((p for p in (path / "__init__.py", path.with_suffix(".py")) if p.exists()), None)


def processes(text: str) -> Iterator[str]:
    """The modules of the model server that a module with this text runs, by `sys.executable -m`."""
    if "sys.executable" in text:
        for word in re.findall(r'"((?:\w+\.)+\w+)"', text):
            named = f"rollout_inference.{word.removeprefix('rollout_inference.')}"
            if source(named):
                yield named


def imports(module: str) -> Iterator[str]:
    """All that a module imports, in functions too, and all that it runs as a process."""
    text = (source(module) or ROOT).read_text()
    yield from processes(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def foreign(package: str) -> dict[str, str]:
    """What of others `package` needs, by whatever module of ours; each with one that imports it."""
    folder = ROOT / FOLDERS[package]
    files = (path.relative_to(folder).with_suffix("") for path in (folder / package).rglob("*.py"))
    waiting = [".".join(path.parts).removesuffix(".__init__") for path in files]
    seen, found = set[str](), dict[str, str]()
    while waiting:
        if (module := waiting.pop()) in seen:
            continue
        seen.add(module)
        for name in imports(module):
            top = name.split(".")[0]
            if top in FOLDERS:
                waiting += [name] if source(name) else []
            elif top not in sys.stdlib_module_names:
                found[top] = module
    return found


def brought(extra: str) -> set[str]:
    """The distributions that installing the extra brings, those that they need too."""
    waiting = [Requirement(text) for text in PROJECT["optional-dependencies"][extra]]
    found: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        key = (plain(one.name), frozenset(one.extras))
        if key in found:
            continue
        found.add(key)
        try:
            needs = [Requirement(text) for text in importlib.metadata.requires(one.name) or ()]
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        chosen = [{"extra": extra} for extra in ("", *one.extras)]
        waiting += [n for n in needs if n.marker is None or any(map(n.marker.evaluate, chosen))]
    return {name for name, _ in found}


@pytest.mark.parametrize("package", EXTRAS)
def test_an_extra_brings_all_that_its_package_imports(package: str) -> None:
    there, needed = brought(EXTRAS[package]), foreign(package)
    assert len(needed) > 3 or (package in PLAIN and not needed)
    for top, module in needed.items():
        if module == "rollout_model.boosting" and top in OPTIONAL:
            continue
        if module == SIGNING and package != "rollout_operator":
            continue
        assert {plain(name) for name in DISTRIBUTIONS[top]} & there, f"{module} imports {top}"
