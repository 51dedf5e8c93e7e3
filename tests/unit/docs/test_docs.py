"""What the documents promise is what the code has."""

from pathlib import Path

import pytest
import yaml

from rollout_operator.domain.spec import Spec
from rollout_operator.domain.status import Phase, Reason

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "docs/examples/iris.yaml").read_text()


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_an_entry(reason: Reason) -> None:
    assert f"\n| `{reason}` |" in (ROOT / "docs/troubleshooting.md").read_text()


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_is_in_the_glossary(phase: Phase) -> None:
    assert f"\n| {phase} |" in (ROOT / "docs/glossary.md").read_text()


def test_the_manifest_of_the_readme_is_the_example() -> None:
    assert f"```yaml\n{EXAMPLE}```" in (ROOT / "README.md").read_text()


def test_the_example_has_nine_lines_and_a_valid_spec() -> None:
    assert len(EXAMPLE.splitlines()) == 9
    assert Spec.model_validate(yaml.safe_load(EXAMPLE)["spec"]).model_uri == "models:/iris/1"
