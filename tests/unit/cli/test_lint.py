"""`lint` judges as the API server does: tests/api holds the same tables against the API server
itself.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from rollout_cli.__main__ import run
from rollout_cli.offline.crd_validation import judge
from rollout_operator.crd import crd
from rollout_operator.domain.api.manifest import Document, Trouble, read
from tests.support.spec_cases import (
    ACCEPTED,
    MINIMAL,
    NAMES,
    REFUSED,
    REFUSED_TRAFFIC,
    TRAFFIC,
    with_field,
)


def manifest(spec: dict[str, Any], name: str = "iris") -> dict[str, Any]:
    return {
        "apiVersion": "rollouts.mlops.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


@pytest.mark.parametrize(("spec", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_the_sentence_of_the_api_server(spec: dict[str, Any], sentence: str) -> None:
    found = judge(manifest(spec))
    assert found
    assert sentence in "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("traffic", "sentence"), REFUSED_TRAFFIC.values(), ids=REFUSED_TRAFFIC.keys()
)
def test_refused_traffic(traffic: dict[str, Any], sentence: str) -> None:
    # Server-side apply has words of its own for an unknown field.
    expected = sentence.replace("field not declared in schema", "unknown field")
    assert expected in "\n".join(map(str, judge(manifest({**MINIMAL, "traffic": traffic}))))


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(spec: dict[str, Any]) -> None:
    assert judge(manifest(spec)) == []


@pytest.mark.parametrize(("name", "sentence"), NAMES.values(), ids=NAMES.keys())
def test_names_refused(name: str, sentence: str) -> None:
    assert sentence in "\n".join(map(str, judge(manifest(MINIMAL, name))))


def test_every_rule_of_the_crd_is_broken_by_an_entry_of_the_table() -> None:
    """Else a rule that the CEL library reads differently would go unnoticed."""
    rules: list[str] = []

    def collect(schema: Any) -> None:
        if isinstance(schema, dict):
            # A rule of a change has nothing to hold against offline: tests/api/test_scale.py.
            rules.extend(
                rule["message"]
                for rule in schema.get("x-kubernetes-validations", ())
                if "oldSelf" not in rule["rule"]
            )
            for inner in schema.values():
                collect(inner)

    collect(crd()["spec"]["versions"][0]["schema"])
    specs = [spec for spec, _ in REFUSED.values()] + [
        {**MINIMAL, "traffic": traffic} for traffic, _ in REFUSED_TRAFFIC.values()
    ]
    said = "\n".join(str(f) for spec in specs for f in judge(manifest(spec)))
    said += "\n".join(str(f) for name, _ in NAMES.values() for f in judge(manifest(MINIMAL, name)))
    assert [message for message in dict.fromkeys(rules) if message not in said] == []


OTHER: dict[str, tuple[Any, str]] = {
    "another version": (
        {**manifest(MINIMAL), "apiVersion": "rollouts.mlops.dev/v9"},
        "write rollouts.mlops.dev/v1alpha1",
    ),
    "no name": ({**manifest(MINIMAL), "metadata": {}}, "metadata.name: Required value"),
    "no spec": (
        {k: v for k, v in manifest(MINIMAL).items() if k != "spec"},
        "spec: Required value",
    ),
    "text for a number": (manifest(with_field("replicas", "two")), "must be of type integer"),
    "half a CPU, as a Deployment takes it": (
        manifest(with_field("resources", {"requests": {"cpu": 0.5}})),
        "must be of type int or string: write it in quotes",
    ),
    "a truth for a number": (manifest(with_field("replicas", True)), "must be of type integer"),
    "null for a field without default": (
        manifest({**MINIMAL, "modelUri": None}),
        "spec.modelUri: Required value",
    ),
    "a list for a mapping": (manifest(with_field("traffic", ["iris"])), "must be of type object"),
    "a URI that is too long": (
        manifest(with_field("modelUri", "models:/" + "i" * 250 + "/7")),
        "may not be more than 256",
    ),
    "too many steps": (
        manifest(with_field("strategy.steps", [{"weight": n} for n in range(1, 22)])),
        "must have at most 20 items",
    ),
}


@pytest.mark.parametrize(("value", "sentence"), OTHER.values(), ids=OTHER.keys())
def test_structure(value: Any, sentence: str) -> None:
    assert sentence in "\n".join(map(str, judge(value)))


def test_a_route_by_gateway_is_accepted() -> None:
    assert judge(manifest({**MINIMAL, "traffic": TRAFFIC})) == []


def test_null_where_a_default_stands_ready_is_the_default() -> None:
    assert judge(manifest(with_field("replicas", None))) == []


def test_generate_name_is_a_name() -> None:
    assert judge({**manifest(MINIMAL), "metadata": {"generateName": "iris-"}}) == []


TEXT = """\
# a comment
apiVersion: v1
kind: Service
metadata: {name: other}
---
apiVersion: rollouts.mlops.dev/v1alpha1
kind: ModelRollout
metadata:
  name: iris
spec:
  modelUri: models:/iris/7
  traffic:
    hots: iris.example.com
  analysis:
    gates:
    - {metric: accuracy, min: 0.7}
    - metric: errorRate
      max: 7
"""


def test_findings_name_file_line_and_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "iris.yaml"
    file.write_text(TEXT)
    assert run(["lint", str(file)]) == 1
    said = capsys.readouterr().out
    assert f"{file}:13:5: spec.traffic.hots: unknown field" in said
    assert "1 other object not looked at" in said
    file.write_text(TEXT.replace("  modelUri: models:/iris/7\n", ""))
    assert run(["lint", str(file)]) == 1
    said = capsys.readouterr().out
    assert f"{file}:10:1: spec.modelUri: Required value" in said, (
        "a missing field is told where it would belong"
    )
    file.write_text(TEXT.replace("hots", "host"))
    assert run(["lint", str(tmp_path), "-o", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["line"], found["message"]) == (
        17,
        f"spec.analysis.gates[1]: {found['message'].split(': ', 1)[1]}",
    )
    file.write_text(TEXT.replace("hots", "host").replace("max: 7", "max: 0.7"))
    assert run(["lint", str(file)]) == 0
    assert "1 ModelRollout: the API server would take it" in capsys.readouterr().out


def claiming(name: str, traffic: str, namespace: str = "models") -> str:
    head = (
        f"apiVersion: rollouts.mlops.dev/v1alpha1\nkind: ModelRollout\nmetadata: {{name: {name},"
        f" namespace: {namespace}}}\n"
    )
    return f"{head}spec:\n  modelUri: models:/iris/7\n  traffic: {traffic}\n---\n"


TOGETHER = {
    "one host": ("{host: iris.example.com}", "{host: iris.example.com, path: /}", True),
    "another path": ("{host: iris.example.com}", "{host: iris.example.com, path: /two}", False),
    "another class": (
        "{host: iris.example.com}",
        "{host: iris.example.com, ingressClassName: traefik}",
        False,
    ),
    "one Gateway": (
        "{provider: HTTPRoute, host: iris.example.com, parentRefs: [{name: public}]}",
        (
            "{provider: HTTPRoute, host: iris.example.com, parentRefs: [{name: inside}, {name:"
            " public}]}"
        ),
        True,
    ),
    "one listener of it, and all": (
        (
            "{provider: HTTPRoute, host: iris.example.com, parentRefs: [{name: public, sectionName:"
            " https}]}"
        ),
        "{provider: HTTPRoute, host: iris.example.com, parentRefs: [{name: public}]}",
        True,
    ),
    "two listeners of it": (
        (
            "{provider: HTTPRoute, host: iris.example.com, parentRefs: [{name: public, sectionName:"
            " https}]}"
        ),
        (
            "{provider: HTTPRoute, host: iris.example.com, parentRefs: [{name: public, sectionName:"
            " http}]}"
        ),
        False,
    ),
    "what is no traffic is said once": (
        "{host: iris.example.com}",
        "{host: iris.example.com, path: 7}",
        None,
    ),
}


@pytest.mark.parametrize(("first", "second", "taken"), TOGETHER.values(), ids=TOGETHER.keys())
def test_two_rollouts_of_one_run_with_one_host_and_path(
    first: str, second: str, taken: bool | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text(claiming("a", first))
    (tmp_path / "b.yaml").write_text(claiming("b", second))
    assert run(["lint", str(tmp_path)]) == (0 if taken is False else 1)
    said = "is answered by models/a" in capsys.readouterr().out
    assert said is (taken is True)
    (tmp_path / "b.yaml").write_text(claiming("a", second))
    run(["lint", str(tmp_path)])
    assert "is answered by" not in capsys.readouterr().out, "the same object, for another cluster"


@pytest.mark.parametrize(
    ("traffic", "taken"),
    [
        ("{provider: HTTPRoute, host: iris.example.com, parentRefs: [{name: public}]}", False),
        ("{host: iris.example.com}", True),
    ],
    ids=["each with a Gateway of its own", "an Ingress, whose router is the cluster's"],
)
def test_two_rollouts_of_one_run_in_two_namespaces(
    traffic: str, taken: bool, tmp_path: Path
) -> None:
    file = tmp_path / "both.yaml"
    file.write_text(claiming("iris", traffic, "one") + claiming("iris", traffic, "two"))
    assert run(["lint", str(file)]) == int(taken)


UNREADABLE = {
    "a key twice": ("a: 1\nb: 2\na: 3\n", 3, "a: the key stands twice"),
    "no YAML": ("a: [1\nb: 2\n", 2, "not YAML"),
    "a tab": ("a:\n\tb: 1\n", 2, "not YAML"),
}


@pytest.mark.parametrize(("text", "line", "sentence"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_has_a_line(text: str, line: int, sentence: str) -> None:
    (document,) = read(text)
    (trouble,) = [document] if isinstance(document, Trouble) else document.twice
    assert trouble.place.line == line
    assert sentence in trouble.message


def test_values_are_read_as_kubectl_reads_them() -> None:
    (document,) = read("a: 2026-11-25\nb: 0.70\nc: yes\nd: 100m\n")
    assert isinstance(document, Document)
    assert document.value == {"a": "2026-11-25", "b": 0.7, "c": True, "d": "100m"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["lint", "/nowhere.yaml"], 66, id="a file that is not there"),
        pytest.param(["lint"], 64, id="no file"),
    ],
)
def test_exit_codes(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == code
    assert capsys.readouterr().err
