"""Links within the documents lead somewhere, their YAML is YAML, and what is generated is not
stale.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rollout_operator.domain.api.spec import Spec
from scripts.docs import api, links, pictures, schema

ROOT = Path(__file__).parents[3]
DOCUMENTS = links.documents()


PAGE = "# A heading, `with` code\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n"
LINKS = {
    "a file": ("[a](other.md)", []),
    "a file that is not there": ("[a](another.md)", ["another.md"]),
    "a heading here": ("[a](#here)", []),
    "a heading that is not here": ("[a](#there)", ["#there"]),
    "a heading of another file": ("[a](other.md#a-heading-with-code)", []),
    "the second of two headings alike": ("[a](other.md#twice-1)", []),
    "a third of two headings alike": ("[a](other.md#twice-2)", ["other.md#twice-2"]),
    "a comment in code is no heading": ("[a](other.md#no-heading)", ["other.md#no-heading"]),
    "a picture": ("![a](picture.svg)", ["picture.svg"]),
    "a picture in a link": ("[![a](picture.svg)](gone.md)", ["gone.md", "picture.svg"]),
    "a picture in HTML": ('<img alt="a" src="picture.svg">', ["picture.svg"]),
    "a link in code": ("`[a](gone.md)`\n\n```\n[a](gone.md)\n```", []),
    "another site": ("[a](https://example.com/gone.md)", []),
    "a page beside the repository's files": ("[a](../../actions/workflows/ci.yaml/badge.svg)", []),
}


@pytest.mark.parametrize(("text", "dead"), LINKS.values(), ids=LINKS.keys())
def test_dead_links_are_found(text: str, dead: list[str], tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text(PAGE)
    (tmp_path / "page.md").write_text(f"# Here\n\n{text}\n")
    assert [*links.dead(tmp_path / "page.md")] == dead


def test_every_link_leads_somewhere() -> None:
    assert sum(1 for d in DOCUMENTS for _ in links.links(d)) > 40
    assert not [f"{d.relative_to(ROOT)}: {link}" for d in DOCUMENTS for link in links.dead(d)]


def test_a_page_that_code_names_is_found(tmp_path: Path) -> None:
    (tmp_path / "operator").mkdir()
    source = tmp_path / "operator" / "said.py"
    first, second = (f"{'docs'}/{page}.md" for page in ("a", "c/d"))
    source.write_text(f"# See {first} and https://example.com/{first}.\nSAID = '{second}'\n")
    assert [*links.mentioned(tmp_path)] == [(source, first), (source, second)]


def test_every_page_that_code_names_is_there() -> None:
    named = [*links.mentioned()]
    assert len(named) > 40
    assert not [f"{f.relative_to(ROOT)}: {page}" for f, page in named if not (ROOT / page).exists()]


def test_every_document_is_linked_from_another() -> None:
    linked = {
        (document.parent / link.partition("#")[0]).resolve()
        for document in DOCUMENTS
        for link in links.links(document)
    }
    assert not [
        str(d.relative_to(ROOT)) for d in (ROOT / "docs").rglob("*.md") if d.resolve() not in linked
    ]


def blocks() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for number, (indent, language, text) in enumerate(
            links.FENCE.findall(document.read_text())
        ):
            if language in {"yaml", "yml"}:
                yield (
                    f"{document.relative_to(ROOT)} block {number}",
                    re.sub(f"^{indent}", "", text, flags=re.MULTILINE),
                )


@pytest.mark.parametrize(
    ("place", "text"), [*blocks()], ids=lambda value: value if " block " in value else ""
)
def test_yaml_in_the_documents_is_yaml_and_model_rollouts_are_valid(place: str, text: str) -> None:
    for one in yaml.safe_load_all(text):
        assert one is not None
        if isinstance(one, dict) and one.get("kind") == "ModelRollout":
            Spec.model_validate(one["spec"])
            jsonschema.validate(one, schema.editor_schema())


def test_the_api_reference_and_the_editors_schema_are_not_stale() -> None:
    assert (ROOT / "docs" / "reference" / "modelrollout.md").read_text() == api.reference()
    assert (ROOT / "docs" / "reference" / "modelrollout.schema.json").read_text() == schema.text()


def test_pictures_are_drawn_from_their_texts_and_shown_somewhere() -> None:
    assert pictures.sources()
    assert not pictures.stale()
    shown = "".join(d.read_text() for d in DOCUMENTS)
    assert not [s.stem for s in pictures.sources() if f"pictures/{s.stem}.svg" not in shown]


def rollout(**spec: Any) -> dict[str, Any]:
    body = {"modelUri": "models:/iris/1", "traffic": {"host": "iris.example.com"}, **spec}
    return {
        "apiVersion": "rollouts.mlops.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "iris"},
        "spec": body,
    }


REFUSED = {
    "a typo": (rollout(modelURI="models:/iris/1"), "modelURI"),
    "a URI that is none": (rollout(modelUri="s3://bucket/model"), "does not match"),
    "a weight above 100": (
        rollout(strategy={"steps": [{"weight": 101}]}),
        "101 is greater than the maximum of 100",
    ),
    "a duration that is none": (rollout(analysis={"interval": "soon"}), "does not match"),
    "a metric that is no name": (
        rollout(analysis={"gates": [{"metric": "F1-score", "min": 0.5}]}),
        "does not match",
    ),
    "no modelUri": (
        {**rollout(), "spec": {"traffic": {"host": "iris.example.com"}}},
        "'modelUri' is a required property",
    ),
    "a list of hosts that is none": (
        rollout(traffic={"hosts": "iris.example.com"}),
        "is not of type 'array'",
    ),
    "another kind": ({**rollout(), "kind": "Rollout"}, "'ModelRollout' was expected"),
}


@pytest.mark.parametrize(("manifest", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_the_editors_schema_refuses(manifest: dict[str, Any], told: str) -> None:
    known = json.loads(schema.text())
    with pytest.raises(jsonschema.ValidationError) as refusal:
        jsonschema.validate(manifest, known)
    assert told in str(refusal.value)


def test_the_editors_schema_takes_what_the_operator_takes() -> None:
    jsonschema.validate(
        rollout(resources={"requests": {"cpu": 1, "memory": "1Gi"}}, replicas=3),
        json.loads(schema.text()),
    )
