"""The references of Helm values and of variables are complete, and their defaults are true."""

from collections.abc import Callable, Iterator, Mapping

import pytest
import yaml

from rollout_bridge.settings import Settings as Bridge
from rollout_dashboard.settings import Settings as Dashboard
from rollout_inference.settings import Settings as Server
from rollout_operator.settings import Settings as Operator
from scripts.docs import environment, helm_values
from scripts.docs.environment import REQUIRED, Variable


class Recorded(Mapping[str, str]):
    """An environment that notes what it was asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables, self.names = variables, set[str]()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self.variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)


SECRET = "0123456789abcdef"
PROGRAMS: Mapping[str, tuple[Callable[[Mapping[str, str]], object], Mapping[str, str], object]] = {
    "operator": (
        Operator.from_environment,
        {"INFERENCE_IMAGE": "i:1", "PROMETHEUS_URL": "http://p", "MLFLOW_TRACKING_URI": "http://m"},
        environment.OPERATOR,
    ),
    "model server": (
        Server.from_environment,
        {"MODEL_URI": "models:/iris/7"},
        environment.SERVER,
    ),
    "bridge": (
        Bridge.from_environment,
        {"MAPPINGS_FILE": "m.yaml", "WEBHOOK_SECRET": SECRET, "WEBHOOK_SECRET_PREVIOUS": SECRET},
        environment.BRIDGE,
    ),
    "dashboard": (
        Dashboard.from_environment,
        {"KUBERNETES_URL": "https://k"},
        environment.DASHBOARD,
    ),
}
CHARTED = (environment.OPERATOR, environment.BRIDGE, environment.DASHBOARD)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_variables_are_those_that_the_program_reads(program: str) -> None:
    read, required, variables = PROGRAMS[program]
    assert isinstance(variables, tuple)
    recorded = Recorded(required)
    read(recorded)
    assert {v.name for v in variables} == recorded.names


DEFAULTS = [
    pytest.param(program, variable, id=f"{program}: {variable.name}")
    for program, (_, _, variables) in PROGRAMS.items()
    if isinstance(variables, tuple)
    for variable in variables
    if variable.default not in {"", REQUIRED}
]


@pytest.mark.parametrize(("program", "variable"), DEFAULTS)
def test_a_default_is_what_counts_where_nothing_is_set(program: str, variable: Variable) -> None:
    read, required, _ = PROGRAMS[program]
    assert read({**required, variable.name: variable.default}) == read(required)


@pytest.mark.parametrize("chart", helm_values.CHARTS)
def test_every_helm_value_has_a_sentence_and_its_default(chart: str) -> None:
    values = helm_values.values(chart)
    assert len(values) > 20
    assert not [v.path for v in values if not v.told.endswith((".", "`"))]
    plain = yaml.safe_load((helm_values.ROOT / "charts" / chart / "values.yaml").read_text())
    for value in values:
        there = plain
        for key in value.path.split("."):
            there = there[key]
        assert yaml.safe_load(value.default) == there


def test_every_helm_value_of_a_variable_is_one_of_the_chart() -> None:
    known = {value.path for value in helm_values.values("rollout-operator")}
    named = {v.value for part in CHARTED for v in part} - {""}
    assert {name for name in named if name not in known} == {"bridge.webhookSecret.previousKey"}


def test_the_pages_are_not_stale() -> None:
    folder = helm_values.ROOT / "docs" / "reference"
    assert (folder / "helm-values.md").read_text() == helm_values.reference()
    assert (folder / "environment.md").read_text() == environment.reference()
