"""The tutorial's files and commands are such as the programs take. It is tried as a whole on a real
cluster, by hand.
"""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from rollout_operator.domain.api.spec import Spec
from rollout_trainer.__main__ import main
from rollout_trainer.recipe import Recipe

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/getting-started/first-model.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
RECIPE, MANIFEST = (yaml.safe_load(block) for kind, block in BLOCKS if kind == "yaml")
COMMANDS = [line for kind, block in BLOCKS if not kind for line in block.splitlines()]
TRAINER = sorted({line for line in COMMANDS if line.startswith("python -m rollout_trainer ")})
FILES = sorted({word for line in COMMANDS for word in line.split() if word.startswith("scripts/")})


def test_the_recipe_can_be_built() -> None:
    recipe = Recipe(**RECIPE)
    assert recipe.last_step(classes=True) is not None
    assert recipe.name == MANIFEST["metadata"]["name"]


def test_the_manifest_is_valid() -> None:
    assert Spec.model_validate(MANIFEST["spec"]).model_uri == "models:/birds/1"


@pytest.mark.parametrize("line", TRAINER)
def test_every_option_is_one_that_the_command_has(line: str) -> None:
    command, *words = shlex.split(line)[3:]
    known = {option for parameter in main.commands[command].params for option in parameter.opts}
    assert {w for w in words if w.startswith("--")} <= known


@pytest.mark.parametrize("name", FILES)
def test_every_script_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


CHANGES = [
    line[1:].strip()
    for kind, block in BLOCKS
    if kind == "diff"
    for line in block.splitlines()
    if line.startswith("-")
]


def test_what_is_changed_in_the_recipe_stands_in_it() -> None:
    (recipe,) = (block for kind, block in BLOCKS if kind == "yaml" and "estimator:" in block)
    assert any(change in recipe for change in CHANGES)


def test_the_tutorial_goes_the_whole_way() -> None:
    assert {shlex.split(line)[3] for line in TRAINER} == {"draft", "prepare", "train"}
    assert "scripts/steps/deploy_model.sh" in FILES
