"""`promote-to`, as far as nobody is asked: the proof, the change of a manifest, the text."""

import re
from datetime import timedelta
from typing import Any

import pytest
import yaml

from rollout_cli.exit_codes import Absent, Failure, Refused
from rollout_cli.promotion.manifest_edit import asked_for, edited
from rollout_cli.promotion.markdown import code
from rollout_cli.promotion.proof import Proof, model_of, proof_of
from rollout_cli.promotion.pull_request import LONGEST, pull_request
from rollout_operator.domain.api.gate_results import GateResult, Measurement
from rollout_operator.domain.api.names import PROMOTED, PROOF
from rollout_operator.domain.api.status import Act, Attempt, Status, Watch
from rollout_operator.domain.api.words import Phase, Verdict
from rollout_operator.domain.promotion_proof import ProofSigner, with_proof
from tests.support.builders import at, on_trial, revision
from tests.support.proofs import key
from tests.unit.cli.builders import rollout

BLOCK_OF_TWO = (
    "kind: ModelRollout\nmetadata:\n{annotations}  name: iris\n"
    "spec:\n  modelUri: models:/iris/{version}\n"
)
URI, TEXT = "models:/iris/2", "models:/iris/2 sha256:ab Promoted by staging/ml/iris, attempt 3"
GATE = GateResult(
    metric="accuracy", value=0.9512345, threshold=0.7, samples=45, measurement=Measurement.PASS
)


def ended(version: int = 2, verdict: Verdict = Verdict.PROMOTED, **changes: Any) -> Attempt:
    of = revision(version)
    return Attempt(
        **{
            "attempt": 3,
            "uri": of.uri,
            "revision": of.revision,
            "verdict": verdict,
            "reason": "GatesPassed",
            "message": "accuracy 0.95 is at least 0.7",
            "started": at(0),
            "ended": at(60),
            "gates": (GATE,),
            **changes,
        }
    )


def status(**changes: Any) -> Status:
    return Status(
        **{
            "phase": Phase.PROMOTED,
            "attempt": 3,
            "stable": revision(2, promoted=True),
            "history": (ended(),),
            **changes,
        }
    )


def test_the_proof_is_of_what_is_stable() -> None:
    found = proof_of(rollout(status()), "staging")
    digest = revision(2).digest
    assert (found.uri, found.digest, found.place) == (URI, digest, "staging/models/iris")
    assert (found.model, found.version, found.attempt) == ("iris", "2", ended())
    assert str(found).startswith(f"{URI} {digest} Promoted by staging/models/iris, attempt 3, ")


def test_a_trial_under_way_does_not_touch_the_proof_of_what_is_stable() -> None:
    trial = on_trial(stable=revision(2, promoted=True), candidate=revision(3), history=(ended(),))
    assert proof_of(rollout(trial), "").uri == URI


def test_the_newest_promotion_of_a_version_counts() -> None:
    again = (ended(attempt=5, started=at(99)), ended(3, Verdict.ROLLED_BACK), ended())
    assert proof_of(rollout(status(history=again)), "").attempt.attempt == 5


def signed_status(environment: str = "staging", **changes: Any) -> Status:
    """Of an operator that signs."""
    meta = {"namespace": "models", "name": "iris", "uid": "u"}
    return with_proof(ProofSigner(environment, key("staging")), meta, status(**changes))


def test_what_the_operator_has_signed_is_handed_on() -> None:
    theirs = signed_status()
    found = proof_of(rollout(theirs), "")
    assert (found.signed, found.place) == (theirs.proof, "staging/models/iris")
    assert found.annotations_over({}) == {PROMOTED: str(found), PROOF: theirs.proof}
    assert proof_of(rollout(theirs), "staging") == found
    with pytest.raises(Refused, match="signs as 'staging': leave --from out"):
        proof_of(rollout(theirs), "laptop")


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param("", id="none"),
        pytest.param("x.y.z", id="nothing that can be read"),
        pytest.param("text", id="no parts"),
        pytest.param(signed_status(history=(ended(attempt=2),)).proof, id="of an attempt before"),
    ],
)
def test_what_was_signed_of_something_else_is_not_handed_on(proof: str) -> None:
    found = proof_of(rollout(status(proof=proof)), "laptop")
    assert (found.signed, found.place) == ("", "laptop/models/iris")
    assert PROOF not in found.annotations_over({PROMOTED: "old"})
    # One of a version before does not stay beside a new one.
    assert found.annotations_over({PROOF: "old"})[PROOF] == ""


def test_a_signed_proof_stands_there_only_as_it_is() -> None:
    found = proof_of(rollout(signed_status()), "")
    assert found.stands_in({PROMOTED: str(found), PROOF: found.signed})
    assert not found.stands_in({PROMOTED: str(found)})
    assert not found.stands_in({PROMOTED: str(found), PROOF: "old"})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            BLOCK_OF_TWO.format(version=1, annotations=""),
            BLOCK_OF_TWO.format(
                version=2, annotations=f'  annotations:\n    {PROMOTED}: "t"\n    {PROOF}: "s"\n'
            ),
            id="in lines",
        ),
        pytest.param(
            BLOCK_OF_TWO.format(version=1, annotations=f"  annotations:\n    {PROMOTED}: old\n"),
            BLOCK_OF_TWO.format(
                version=2, annotations=f'  annotations:\n    {PROOF}: "s"\n    {PROMOTED}: "t"\n'
            ),
            id="the text is there",
        ),
        pytest.param(
            BLOCK_OF_TWO.format(version=1, annotations="  annotations: {a: b}\n"),
            BLOCK_OF_TWO.format(
                version=2, annotations=f'  annotations: {{{PROMOTED}: "t", {PROOF}: "s", a: b}}\n'
            ),
            id="in braces",
        ),
        pytest.param(
            BLOCK_OF_TWO.format(version=1, annotations="  annotations:\n"),
            BLOCK_OF_TWO.format(
                version=2, annotations=f'  annotations: {{{PROMOTED}: "t", {PROOF}: "s"}}\n'
            ),
            id="annotations of nothing",
        ),
    ],
)
def test_text_and_signature_are_written_together(before: str, after: str) -> None:
    both = {PROMOTED: "t", PROOF: "s"}
    assert edited(before, "f.yaml", "iris", URI, both) == after
    assert edited(after, "f.yaml", "iris", URI, both) == after
    assert asked_for(after, "f.yaml", "iris")[1].items() >= both.items()


WATCHED = Watch(former="0", since=at(0), until=at(0) + timedelta(hours=1))


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        pytest.param(
            {"stable": None, "phase": Phase.TRIAL},
            Refused,
            "status iris -n models --wait",
            id="no stable",
        ),
        pytest.param({"watch": WATCHED}, Refused, "promote iris -n models`", id="in its watch"),
        pytest.param(
            {"verdict": Verdict.RETURNED, "watch": WATCHED}, Refused, "way back", id="returning"
        ),
        pytest.param({"stable": revision(2, digest="")}, Refused, "content digest", id="no digest"),
        pytest.param(
            {"history": (), "phase": Phase.SETTLING},
            Refused,
            "ask again in a minute",
            id="settling",
        ),
        pytest.param({"history": ()}, Absent, "retry iris -n models`", id="too long ago"),
        pytest.param({"history": (ended(3),)}, Absent, "last ten attempts", id="another's proof"),
        pytest.param(
            {"history": (ended(2, Verdict.ROLLED_BACK),)},
            Absent,
            "last ten attempts",
            id="another verdict",
        ),
    ],
)
def test_without_a_proof_nothing_is_handed_on(
    changes: dict[str, Any], kind: type[Failure], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        proof_of(rollout(status(**changes)), "")


HEAD = "apiVersion: rollouts.mlops.dev/v1alpha1\nkind: ModelRollout\n"
BLOCK = HEAD + "metadata:\n  name: iris\nspec:\n  modelUri: models:/iris/1  # by hand\n"
JSON = (
    '{{"kind": "ModelRollout", "metadata": {{{meta}}}, "spec": {{"modelUri": "models:/iris/'
    '{version}"}}}}'
)
JSON_ANNOTATION = f'"{PROMOTED}": "{TEXT}"'
ANNOTATION = f'{PROMOTED}: "{TEXT}"'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            BLOCK,
            HEAD + f"metadata:\n  annotations:\n    {ANNOTATION}\n  name: iris\n"
            "spec:\n  modelUri: models:/iris/2  # by hand\n",
            id="in lines, with a comment",
        ),
        pytest.param(
            HEAD + "metadata: {name: iris}\nspec: {modelUri: 'models:/iris/1', replicas: 2}\n",
            HEAD + f"metadata: {{annotations: {{{ANNOTATION}}}, name: iris}}\n"
            "spec: {modelUri: 'models:/iris/2', replicas: 2}\n",
            id="in braces",
        ),
        pytest.param(
            HEAD + "metadata:\n    name: iris\n    annotations:\n        a: b\n"
            "spec:\n    modelUri: models:/iris@champion\n",
            HEAD + f"metadata:\n    name: iris\n    annotations:\n        {ANNOTATION}\n"
            "        a: b\nspec:\n    modelUri: models:/iris/2\n",
            id="annotations are there, and an alias",
        ),
        pytest.param(
            HEAD + f"metadata:\n  name: iris\n  annotations: {{a: b, {PROMOTED}: old}}\n"
            "spec: {modelUri: models:/iris/1}\n",
            HEAD + f'metadata:\n  name: iris\n  annotations: {{a: b, {PROMOTED}: "{TEXT}"}}\n'
            "spec: {modelUri: models:/iris/2}\n",
            id="a proof before this one",
        ),
        pytest.param(
            HEAD + "metadata:\n  name: iris\n  annotations: {}\nspec: {modelUri: models:/iris/1}\n",
            HEAD + f"metadata:\n  name: iris\n  annotations: {{{ANNOTATION}}}\n"
            "spec: {modelUri: models:/iris/2}\n",
            id="no annotations in braces",
        ),
        pytest.param(
            "kind: ConfigMap\nmetadata: {name: iris}\n---\n"
            + BLOCK.replace("iris\n", "rose\n", 1)
            + "---\n"
            + BLOCK,
            "kind: ConfigMap\nmetadata: {name: iris}\n---\n"
            + BLOCK.replace("iris\n", "rose\n", 1)
            + "---\n"
            + HEAD
            + f"metadata:\n  annotations:\n    {ANNOTATION}\n  name: iris\n"
            "spec:\n  modelUri: models:/iris/2  # by hand\n",
            id="one of three documents",
        ),
        pytest.param(
            "kind: List\nitems:\n- kind: ModelRollout\n  metadata:\n    name: iris\n"
            "  spec:\n    modelUri: models:/iris/1\n",
            f"kind: List\nitems:\n- kind: ModelRollout\n  metadata:\n    annotations:\n      "
            f"{ANNOTATION}\n    name: iris\n  spec:\n    modelUri: models:/iris/2\n",
            id="in a list",
        ),
        pytest.param(
            HEAD
            + "metadata:\n# of nobody\n  # Do not rename:\n  # hosts hang on it.\n  name: iris\n"
            "spec:\n  modelUri: models:/iris/1\n",
            HEAD + f"metadata:\n# of nobody\n  annotations:\n    {ANNOTATION}\n"
            "  # Do not rename:\n  # hosts hang on it.\n  name: iris\n"
            "spec:\n  modelUri: models:/iris/2\n",
            id="a comment stays with what it is of",
        ),
        pytest.param(
            (
                HEAD + "metadata:\n  name: iris\n  annotations:  # ours\n    # Of the rota.\n"
                "    team: a\nspec:\n  modelUri: models:/iris/1\n"
            ).replace("\n", "\r\n"),
            (
                HEAD + f"metadata:\n  name: iris\n  annotations:  # ours\n    {ANNOTATION}\n"
                "    # Of the rota.\n    team: a\nspec:\n  modelUri: models:/iris/2\n"
            ).replace("\n", "\r\n"),
            id="so does that of an annotation, by lines of Windows",
        ),
        pytest.param(
            BLOCK.replace("\n", "\r\n"),
            (
                HEAD + f"metadata:\n  annotations:\n    {ANNOTATION}\n  name: iris\n"
                "spec:\n  modelUri: models:/iris/2  # by hand\n"
            ).replace("\n", "\r\n"),
            id="lines of Windows",
        ),
        pytest.param(
            HEAD + "metadata:\n  name: iris\n  annotations:\nspec: {modelUri: models:/iris/1}\n",
            HEAD + f"metadata:\n  name: iris\n  annotations: {{{ANNOTATION}}}\n"
            "spec: {modelUri: models:/iris/2}\n",
            id="annotations of nothing",
        ),
        pytest.param(
            HEAD + f"metadata:\n  name: iris\n  annotations:\n    {PROMOTED}:\n"
            "spec: {modelUri: models:/iris/1}",
            HEAD + f"metadata:\n  name: iris\n  annotations:\n    {ANNOTATION}\n"
            "spec: {modelUri: models:/iris/2}",
            id="a proof of nothing, and no end of the last line",
        ),
        pytest.param(
            HEAD + "metadata: &meta {name: iris}\nspec: {modelUri: &uri !!str models:/iris/1}\n",
            HEAD + f"metadata: &meta {{annotations: {{{ANNOTATION}}}, name: iris}}\n"
            "spec: {modelUri: &uri !!str models:/iris/2}\n",
            id="anchors and tags stay",
        ),
        pytest.param(
            "kind: X\n---\n" + JSON.format(meta='"name": "iris"', version=1),
            "kind: X\n---\n"
            + JSON.format(meta=f'"annotations": {{{JSON_ANNOTATION}}}, "name": "iris"', version=2),
            id="JSON among others",
        ),
        pytest.param(
            JSON.format(meta='\n "name": "iris", "annotations": {}', version=1),
            JSON.format(meta=f'\n "name": "iris", "annotations": {{{JSON_ANNOTATION}}}', version=2),
            id="JSON on lines, with annotations of nothing",
        ),
        pytest.param(
            JSON.format(meta='\n "name": "iris"', version=1),
            JSON.format(meta=f'"annotations": {{{JSON_ANNOTATION}}},\n "name": "iris"', version=2),
            id="JSON on lines, and no blank at their end",
        ),
        pytest.param(
            '{"kind": "ModelRollout", "metadata": {"name": "iris"},'
            ' "spec": {"modelUri": "models:/iris/1"}}',
            '{"kind": "ModelRollout", "metadata": {"annotations":'
            f' {{"{PROMOTED}": "{TEXT}"}}, "name": "iris"}}, "spec": {{"modelUri": "{URI}"}}}}',
            id="JSON, which stays JSON",
        ),
    ],
)
def test_nothing_but_version_and_proof_is_changed(before: str, after: str) -> None:
    assert edited(before, "f.yaml", "iris", URI, {PROMOTED: TEXT}) == after
    assert edited(after, "f.yaml", "iris", URI, {PROMOTED: TEXT}) == after
    asked, annotations = asked_for(after, "f.yaml", "iris")
    assert (asked, annotations[PROMOTED]) == (URI, TEXT)


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        pytest.param("a: [", Refused, "f.yaml:2: not YAML", id="no YAML"),
        pytest.param("a: 1\n", Absent, "it has none", id="no rollout"),
        pytest.param(
            BLOCK.replace("name: iris", "name: rose"), Absent, "it has rose", id="another name"
        ),
        pytest.param(f"{BLOCK}---\n{BLOCK}", Refused, "2 ModelRollouts 'iris'", id="twice"),
        pytest.param(
            HEAD + "metadata: {name: iris}\nspec: {}\n", Refused, "no spec.modelUri", id="no URI"
        ),
        pytest.param(
            HEAD + "metadata: {name: iris}\nx: &uri models:/iris/1\nspec: {modelUri: *uri}\n",
            Refused,
            "alias",
            id="an alias",
        ),
        pytest.param(
            HEAD + "metadata: {name: iris}\nspec: [a]\n", Refused, "no spec.modelUri", id="a list"
        ),
        pytest.param(
            HEAD + "metadata: {name: iris}\nspec: {modelUri: &u models:/iris/1, other: *u}\n",
            Refused,
            "does not change",
            id="an alias reads the version",
        ),
        pytest.param(
            "kind: List\nitems:\n- kind: ModelRollout\n  metadata: {name: iris}\n"
            "  spec: &spec {modelUri: models:/iris/1}\n- kind: Other\n  spec: *spec\n",
            Refused,
            "does not change",
            id="another object reads the spec",
        ),
        pytest.param(
            "kind: List\nitems:\n- kind: Other\n  spec: &spec {modelUri: models:/iris/1}\n"
            "- kind: ModelRollout\n  metadata: {name: iris}\n  spec: *spec\n",
            Refused,
            "spec is an alias",
            id="the spec is another's",
        ),
        pytest.param(
            HEAD + "metadata: {name: iris}\nspec: {modelUri: {{ .Values.uri }}}\n",
            Refused,
            "Templates are no manifests",
            id="a template of Helm",
        ),
        *(
            pytest.param(
                HEAD + f"metadata: {{name: iris}}\nspec:\n  modelUri: {uri}\n",
                Refused,
                "which another tool fills in, so its values are",
                id=f"filled in: {uri}",
            )
            for uri in (
                "'{{ .Values.uri }}'",
                "models:/iris/{{ .Values.version }}",
                "models:/iris/${VERSION}",
                "models:/iris/$(VERSION)",
                "models:/iris/<%= version %>",
            )
        ),
        pytest.param(
            HEAD
            + "metadata: {name: iris}\nspec: {modelUri: models:/iris/1}\nsops: {mac: 'ENC[x]'}\n",
            Refused,
            "change it by sops",
            id="a checksum of sops",
        ),
        pytest.param(
            "kind: List\nitems:\n- kind: ModelRollout\n  metadata: {name: iris}\n"
            "  spec: {modelUri: models:/iris/1}\nsops:\n  mac: ENC[x]\n",
            Refused,
            "change it by sops",
            id="a checksum of sops over a list",
        ),
        pytest.param(
            BLOCK + "---\nkind: Secret\nsops:\n  mac: ENC[x]\n",
            Refused,
            "change it by sops",
            id="a checksum of sops in another document",
        ),
        *(
            pytest.param(
                f"kind: {kind}\nmetadata: {{name: 'ENC[x]'}}\nspec: {{modelUri: 'ENC[x]'}}\n"
                "sops:\n  mac: ENC[x]\n",
                Refused,
                "no ModelRollout 'iris' that can be read, and sops has encrypted it: let sops",
                id=f"encrypted by sops: {kind}",
            )
            for kind in ("ModelRollout", "ENC[x]")
        ),
        pytest.param(
            "kind: Kustomization\nresources: [iris.yaml]\n",
            Absent,
            "Name the file that has it, such as one that a kustomization lists",
            id="a kustomization",
        ),
        pytest.param(
            "[" * 3000 + "]" * 3000, Refused, "nested more than 200 deep", id="nested deeply"
        ),
        pytest.param(
            HEAD + "metadata: {name: iris}\nspec:\n  modelUri: |\n    models:/iris/1\n",
            Refused,
            "several lines",
            id="a block of text",
        ),
        pytest.param(
            HEAD + "metadata: {name: iris, annotations: 3}\nspec: {modelUri: models:/iris/1}\n",
            Refused,
            "no mapping",
            id="annotations that are none",
        ),
        pytest.param(
            "x: &spec {modelUri: models:/iris/1}\n"
            + HEAD
            + "metadata: {name: iris}\nspec:\n  <<: *spec\n",
            Refused,
            "no spec.modelUri",
            id="merged",
        ),
    ],
)
def test_a_manifest_that_cannot_be_changed_is_left_to_people(
    text: str, kind: type[Failure], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        edited(text, "f.yaml", "iris", URI, {PROMOTED: TEXT})


@pytest.mark.parametrize("uri", ["models:/iris/7", "models:/iris@champion"])
def test_the_model_of_a_uri(uri: str) -> None:
    assert model_of(uri) == "iris"


def proof(**changes: Any) -> Proof:
    return Proof(URI, "sha256:0123456789ab", "staging/ml/iris", ended(**changes))


def test_the_text_has_all_of_the_evidence() -> None:
    asked = pull_request(proof(), "iris", "prod/iris.yaml", "main")
    assert asked.branch.startswith("promote/iris-iris-2-")
    assert asked.title == "iris: models:/iris/2, promoted by staging/ml/iris"
    for part in (
        "`prod/iris.yaml`",
        "| content digest | `sha256:0123456789ab` |",
        "| attempt | `3, revision ",
        "| verdict | `Promoted: GatesPassed` |",
        "| why | `accuracy 0.95 is at least 0.7` |",
        "| accuracy | `0.9512` | `0.7` | `45` | `Pass` |",
    ):
        assert part in asked.body


def test_what_people_did_is_told_and_so_is_that_nothing_was_measured() -> None:
    acts = (Act(verb="promote", by="alice", reason="see @bob, #12", at=at(30)),)
    body = pull_request(proof(gates=(), acts=acts), "iris", "f", "main").body
    assert "No gate was measured" in body
    assert "`promote by alice (unverified)" in body
    assert "see @bob, #12`" in body


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("plain", "`plain`"),
        ("", "-"),
        ("a | b\n\n## c @x", "`a ¦ b ## c @x`"),
        ("a ` b", "``a ` b``"),
        ("`` x `", "``` `` x ` ```"),
    ],
)
def test_what_a_cluster_says_is_text_and_nothing_else(text: str, span: str) -> None:
    assert code(text) == span


def test_a_branch_is_one_that_git_takes() -> None:
    odd = Proof("models:/größe ~^:x/2", "sha256:0123456789ab", "p", ended())
    branch = pull_request(odd, "iris", "f", "main").branch
    assert re.fullmatch("promote/iris-gr-e-x-2-[0-9a-f]{8}", branch)


def test_another_file_another_base_or_other_content_is_another_request() -> None:
    """Two clusters of one repository have one name for the rollout, each in a file of its own."""
    other = Proof(URI, "sha256:fedcba98", "staging/ml/iris", ended())
    places = [(proof(), "eu/iris.yaml", "main"), (proof(), "us/iris.yaml", "main")]
    places += [(proof(), "eu/iris.yaml", "release"), (other, "eu/iris.yaml", "main")]
    branches = [pull_request(of, "iris", file, base).branch for of, file, base in places]
    assert len(set(branches)) == len(branches)
    assert branches[0] == pull_request(proof(), "iris", "eu/iris.yaml", "main").branch


@pytest.mark.parametrize(
    ("there", "environment", "stands"),
    [
        pytest.param("", "staging", False, id="none"),
        pytest.param("{}", "staging", True, id="the same"),
        pytest.param("{}", "", True, id="any place will do"),
        pytest.param("{}", "laptop", False, id="of another place"),
        pytest.param("models:/iris/1 {}", "staging", False, id="of another version"),
    ],
)
def test_whether_a_proof_stands_there_already(there: str, environment: str, stands: bool) -> None:
    own = proof_of(rollout(status()), "staging")
    asked = proof_of(rollout(status(history=(ended(attempt=9),))), environment)
    assert asked.stands_in({PROMOTED: there.format(own)}) is stands


def test_the_longest_message_fits() -> None:
    acts = tuple(Act(verb="retry", by="a" * 256, reason="b" * 512, at=at(1)) for _ in range(8))
    body = pull_request(
        proof(message="m" * 1024, gates=(GATE,) * 20, acts=acts), "i", "f", "main"
    ).body
    assert len(body) < LONGEST


def test_the_annotation_is_read_back_as_it_was_written() -> None:
    text = edited(BLOCK, "f", "iris", URI, {PROMOTED: str(proof())})
    assert yaml.safe_load(text)["metadata"]["annotations"] == {PROMOTED: str(proof())}
