"""The scripts for Windows, as far as they can be looked at without PowerShell: their syntax, by a
grammar, and what they call.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from rollout_operator.domain.api.spec import MODEL_URI

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted((ROOT / "scripts/windows").glob("*.ps1"))
GRAMMAR = Language(tree_sitter_powershell.language())


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def parsed(text: str) -> Node:
    return Parser(GRAMMAR).parse(text.encode()).root_node


@pytest.fixture(params=SCRIPTS, ids=lambda p: p.stem)
def text(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text(encoding="ascii")


def test_both_scripts_are_there() -> None:
    assert [p.name for p in SCRIPTS] == ["deploy-canary.ps1", "setup.ps1"]


def test_the_syntax_is_sound(text: str) -> None:
    wrong = [n for n in nodes(parsed(text)) if n.is_error or n.is_missing]
    assert not wrong, [(n.start_point.row + 1, n.text) for n in wrong]


@pytest.mark.parametrize(
    "broken", ["if ($a { 1 }", "param([string $x)", "'open", "try { 1 } ctch { 2 }}"]
)
def test_the_grammar_notices_what_is_unsound(broken: str) -> None:
    assert parsed(broken).has_error


def test_errors_end_the_script_and_the_exit_code_is_that_of_the_last_program(text: str) -> None:
    assert "Set-StrictMode -Version Latest" in text
    assert "$ErrorActionPreference = 'Stop'" in text
    assert text.rstrip().endswith("exit $LASTEXITCODE")
    assert ".SYNOPSIS" in text
    assert ".EXAMPLE" in text


def test_what_only_a_newer_powershell_has_is_not_used(text: str) -> None:
    """Windows comes with 5.1, which has neither of these."""
    assert not re.search(r"&&|\|\||\?\?|\?\.|-Parallel|Join-Path (\S+ ){3}", text)


def test_it_deploys_as_the_workflow_does() -> None:
    """The same programs with the same options, so that there is one way to deploy."""
    bash = (ROOT / "scripts/steps/deploy_model.sh").read_text()
    powershell = (ROOT / "scripts/windows/deploy-canary.ps1").read_text()
    for words in (
        "kubectl apply --server-side --field-manager deploy-workflow --force-conflicts",
        "--wait --timeout",
    ):
        assert words in bash
        assert words in powershell
    assert f"'{MODEL_URI.removesuffix('$')}\\z'" in powershell, "what a MODEL_URI is, to the letter"
