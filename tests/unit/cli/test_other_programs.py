"""Every option of every command of the trainer, the bridge and the operator is run: taken from
their command trees, none left out.
"""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rollout_bridge.__main__ import main as bridge
from rollout_operator.__main__ import main as operator
from rollout_trainer.__main__ import main as trainer
from tests.unit.bridge.builders import TWO
from tests.unit.trainer.samples import CONTRACT, RAW

PROGRAMS: dict[str, click.Group] = {"trainer": trainer, "bridge": bridge, "operator": operator}
COMMANDS = {
    f"{program} {name}": command
    for program, group in PROGRAMS.items()
    for name, command in group.commands.items()
}
RECIPE = (
    "name: iris\ndata: data/raw/iris.csv\nestimator:"
    " sklearn.tree.DecisionTreeClassifier\nparameters: {max_depth: 3}\n"
)
INPUTS = [
    {"name": f"{part}_{size}", "type": "double"}
    for part in ("sepal", "petal")
    for size in ("length", "width")
]
SAVED = f"flavors: {{}}\nsignature: {{inputs: '{json.dumps(INPUTS)}'}}\n"
"""What the trainer needs to know of a model that another made."""
DATA, AGREED = "data/raw/iris.csv", "data/contracts/iris.yaml"
WEAK = (
    "--estimator sklearn.ensemble.RandomForestClassifier --n-estimators 2 --features 2"
    f" --shuffle-labels 0.1 --data {DATA} --contract {AGREED}"
)
LINES: dict[str, list[tuple[str, int]]] = {
    "trainer validate": [
        ("--sample --html out/sample.html", 0),
        (f"{DATA} --contract {AGREED} --reference {DATA} --html out/page.html", 0),
    ],
    "trainer prepare": [
        (
            (
                f"{DATA} --output out/clean.csv --contract {AGREED} --reference {DATA} --html"
                " out/page.html"
            ),
            0,
        )
    ],
    "trainer draft": [
        (f"{DATA} --label species --output out/contract.yaml", 0),
        (
            (
                f"{DATA} --label species --task classification --metadata petal_width --output"
                " out/other.yaml"
            ),
            0,
        ),
    ],
    "trainer train": [
        (
            (
                "--config recipe.yaml --name rose --set criterion=entropy --max-depth 2 --seed 1"
                " --output out/uri"
            ),
            0,
        ),
        ("--config recipe.yaml --training-rows --no-training-rows", 0),
        (WEAK, 0),
    ],
    "trainer profile": [(f"model {DATA} --answers species", 0), (f"model {DATA}", 0)],
    "bridge check": [("mappings.yaml", 0)],
    # What they need comes from the environment, and is missing here: that is said, and nothing is
    # started.
    "bridge run": [("", 2)],
    "operator run": [("", 2)],
    "operator crd": [("", 0)],
    "operator test-messages": [("", 2), ("team-chat", 2)],
}
"""Lines as a person writes them, and how they end."""


def options(command: click.Command) -> set[str]:
    return {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts[:1]
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a user's repository has it."""
    for file, content in {
        DATA: RAW.read_text(),
        AGREED: CONTRACT.read_text(),
        "recipe.yaml": RECIPE,
        "mappings.yaml": TWO,
        "model/MLmodel": SAVED,
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    for needed in ("MAPPINGS_FILE", "INFERENCE_IMAGE", "MESSAGES"):
        monkeypatch.delenv(needed, raising=False)
    return tmp_path


@pytest.mark.parametrize(("name", "command"), COMMANDS.items(), ids=COMMANDS.keys())
def test_every_option_is_in_a_line_and_in_the_help(name: str, command: click.Command) -> None:
    """A new option is in the test below once somebody says what a person would write for it."""
    assert options(command) <= {word for line, _ in LINES[name] for word in line.split()}
    program, verb = name.split()
    told = CliRunner().invoke(PROGRAMS[program], [verb, "--help"])
    assert told.exit_code == 0
    assert all(option in told.output for option in options(command))


@pytest.mark.parametrize(
    ("name", "line", "code"),
    [(name, *one) for name, lines in LINES.items() for one in lines],
    ids=lambda value: str(value)[:60],
)
def test_no_option_ends_in_a_traceback(project: Path, name: str, line: str, code: int) -> None:
    program, verb = name.split()
    done = CliRunner().invoke(PROGRAMS[program], [verb, *line.split()])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    assert done.exit_code == code, done.output
    written = [word for word in line.split() if word.startswith("out/")]
    assert all((project / file).stat().st_size for file in written)
