"""Manifests as kubectl reads them: tests/api/test_yaml.py holds the same tables against kubectl and
the API server.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from rollout_cli.__main__ import run
from rollout_cli.offline.crd_validation import judge
from rollout_operator.domain.api.manifest import DEEPEST, Document, Trouble, read
from tests.support.yaml_cases import (
    GOOD_METADATA,
    METADATA,
    NONE,
    SCALARS,
    TEXTS,
    about,
    same,
    written,
)


@pytest.mark.parametrize(("scalar", "expected"), SCALARS.items(), ids=map(repr, SCALARS))
def test_scalars(scalar: str, expected: Any) -> None:
    (found,) = read(written(scalar))
    if expected is NONE:
        assert isinstance(found, Trouble)
        assert found.place.line >= 5
    else:
        assert isinstance(found, Document)
        assert same(found.value["spec"]["v"], expected), found.value["spec"]["v"]


@pytest.mark.parametrize(("text", "names"), TEXTS.values(), ids=TEXTS.keys())
def test_texts(text: str, names: list[str]) -> None:
    objects = [
        value
        for document in read(text)
        if isinstance(document, Document)
        for _, value in document.objects()
    ]
    assert [one["metadata"]["name"] for one in objects] == names


def test_aliases_that_would_fill_any_memory_are_refused() -> None:
    lines = [
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)),
    ]
    *_, last = read("\n".join(lines))
    assert isinstance(last, Trouble)
    assert "aliases make more than" in last.message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 3000 + "]" * 3000, id="lists"),
        pytest.param("[" * 300_000, id="more than the stack of C holds"),
        pytest.param("- " * 300_000, id="the same on one line"),
        pytest.param("{a: " * 3000 + "}" * 3000, id="mappings"),
        pytest.param("".join(f"{' ' * n}a:\n" for n in range(3000)), id="lines"),
    ],
)
def test_what_is_nested_too_deeply_is_no_defect_of_the_reader(text: str) -> None:
    before, found = read(f"{'[' * DEEPEST}{']' * DEEPEST}\n---\n{text}")
    assert isinstance(before, Document)
    assert isinstance(found, Trouble)
    assert found.message == f"not YAML: it is nested more than {DEEPEST} deep"
    assert found.place.line >= 3


@pytest.mark.parametrize(("metadata", "sentence"), METADATA.values(), ids=METADATA.keys())
def test_metadata_is_refused(metadata: dict[str, Any], sentence: str) -> None:
    assert sentence in "\n".join(map(str, judge(about(metadata))))


@pytest.mark.parametrize("metadata", GOOD_METADATA.values(), ids=GOOD_METADATA.keys())
def test_metadata_is_taken(metadata: dict[str, Any]) -> None:
    assert judge(about(metadata)) == []


LIST = """\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: other}}
- apiVersion: rollouts.mlops.dev/v1alpha1
  kind: ModelRollout
  metadata: {name: iris, annotations: {rollouts.mlops.dev/retry: 3}}
  spec:
    modelUri: models:/iris/7
    traffic: {host: iris.example.com}
    analysis: {gates: [{metric: errorRate, max: 1e-2}]}
"""


def test_lint_sees_through_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "list.yaml"
    file.write_text(LIST)
    assert run(["lint", str(file), "-o", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["line"], found["message"].split(": ")[0]) == (
        7,
        "items[1].metadata.annotations.rollouts.mlops.dev/retry",
    )
    file.write_text(LIST.replace("retry: 3", 'retry: "3"'))
    assert run(["lint", str(file)]) == 0
    assert (
        "1 ModelRollout: the API server would take it (1 other object not looked at)"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        pytest.param(LIST.replace("retry: 3", 'retry: "3"'), 0, "Promoted", id="a list with 1e-2"),
        pytest.param(
            LIST, 64, "would be refused: metadata.annotations", id="a number as annotation"
        ),
        pytest.param(LIST + "  status: [\n", 64, "not YAML", id="no YAML"),
    ],
)
def test_simulate_reads_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, told: str
) -> None:
    file = tmp_path / "list.yaml"
    file.write_text(text)
    assert run(["simulate", str(file)]) == code
    captured = capsys.readouterr()
    assert told in captured.out + captured.err
