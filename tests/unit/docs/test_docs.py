"""What the documents promise is what the code has."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rollout_bridge.outcome import Outcome
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.words import Phase, Reason
from scripts.docs import machine, pictures

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "docs/examples/iris.yaml").read_text()


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_an_entry(reason: Reason) -> None:
    assert f"\n| `{reason}` |" in (ROOT / "docs/reference/reasons.md").read_text()


def raised(folder: str, exception: str) -> Iterator[tuple[str, ...]]:
    """The constant parts of each message that `exception` is raised with in a package, those of ten
    characters and more.
    """
    for source in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == exception
                and node.args
            ):
                continue
            parts = [
                c.value
                for c in ast.walk(node.args[0])
                if isinstance(c, ast.Constant) and isinstance(c.value, str)
            ]
            if telling := tuple(bare for part in parts if len(bare := part.strip(" .:,;")) >= 10):
                yield telling


SAID = [
    *raised("operator/rollout_operator/domain", "NoEvidence"),
    *raised("inference/rollout_inference", "LoadFailed"),
    *raised("inference/rollout_model", "LoadFailed"),
]


@pytest.mark.parametrize("parts", sorted(set(SAID)), ids=" … ".join)
def test_every_sentence_of_gates_and_pods_has_an_entry(parts: tuple[str, ...]) -> None:
    assert len(SAID) > 25
    known = (ROOT / "docs/reference/reasons.md").read_text()
    assert any(part in known for part in parts), (
        f"docs/reference/reasons.md has no entry for: {' … '.join(parts)}"
    )


def test_every_reason_of_the_conditions_about_figures_has_an_entry() -> None:
    source = ast.parse((ROOT / "operator/rollout_operator/domain/api/conditions.py").read_text())
    choices = [n for n in ast.walk(source) if isinstance(n, ast.IfExp)]
    words = [c.value for n in choices for c in (n.body, n.orelse) if isinstance(c, ast.Constant)]
    reasons = {word for word in words if isinstance(word, str) and word.isalpha()}
    reasons -= {"True", "False", "Unknown"}
    assert len(reasons) == 4
    assert not [
        r for r in reasons if f"| `{r}` |" not in (ROOT / "docs/reference/reasons.md").read_text()
    ]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_of_a_webhook_has_an_entry(outcome: Outcome) -> None:
    assert f"`{outcome}`" in (ROOT / "docs/guides/mlflow-webhooks.md").read_text()


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_is_in_the_glossary(phase: Phase) -> None:
    assert f"\n| {phase} |" in (ROOT / "docs/concepts/glossary.md").read_text()


def test_the_manifest_of_the_readme_is_the_example() -> None:
    assert f"```yaml\n{EXAMPLE}```" in (ROOT / "README.md").read_text()


def test_the_example_has_nine_lines_and_a_valid_spec() -> None:
    assert len(EXAMPLE.splitlines()) == 9
    assert Spec.model_validate(yaml.safe_load(EXAMPLE)["spec"]).model_uri == "models:/iris/1"


@pytest.mark.parametrize("part", machine.PARTS)
def test_what_is_made_from_the_table_of_transitions_is_not_stale(part: str) -> None:
    page, _ = machine.PARTS[part]
    assert page.read_text() == machine.with_part(part)


def test_the_picture_of_the_phases_is_that_of_the_table() -> None:
    assert (ROOT / "docs" / "pictures" / "phases.dot").read_text() == machine.picture()
    assert "phases" not in pictures.stale()
