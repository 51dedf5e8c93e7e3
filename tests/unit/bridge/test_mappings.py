"""The mapping file: what it admits, and that nothing else can be reached."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from rollout_bridge.__main__ import main
from rollout_bridge.mappings import MappingsError, parse
from rollout_bridge.webhook import AliasSet
from tests.unit.bridge.builders import TWO


def event(model: str = "iris", alias: str = "production", workspace: str = "default") -> AliasSet:
    return AliasSet(workspace, model, alias, "2", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(
            event(),
            ["ModelRollout models/iris", "dispatch deploy to acme/iris"],
            id="two for one alias",
        ),
        pytest.param(
            event("churn", "champion", "team-a"), ["ModelRollout models/churn"], id="in a workspace"
        ),
        pytest.param(event("churn", "champion"), [], id="the same model in another workspace"),
        pytest.param(event(alias="Production"), [], id="an alias that differs in case"),
        pytest.param(event("iris2"), [], id="a model that begins alike"),
    ],
)
def test_targets(asked: AliasSet, expected: list[str]) -> None:
    assert [str(t) for t in parse(TWO).targets(asked)] == expected


def one(rollout: str = "", dispatch: str = "", head: str = "model: iris, alias: production") -> str:
    parts = [
        head,
        f"rollout: {{{rollout}}}" if rollout else "",
        f"dispatch: {{{dispatch}}}" if dispatch else "",
    ]
    return f"mappings: [{{{', '.join(p for p in parts if p)}}}]"


@pytest.mark.parametrize("repository", ["acme/iris", "octo-cat_acme/iris.models_2"])
def test_a_repository_of_github_is_taken(repository: str) -> None:
    """Names of people in an enterprise end with an underscore and its own."""
    (found,) = parse(one(dispatch=f"repository: {repository}")).targets(event())
    assert str(found) == f"dispatch model-rollout to {repository}"


ROLLOUT = "namespace: models, name: iris"
REFUSED = {
    "empty": ("", "the file: Input should be"),
    "no YAML": ("mappings: [", "not YAML"),
    "none": ("mappings: []", "the file: it has neither mappings nor reverts"),
    "neither": (one(), "mappings.0: write exactly one of rollout and dispatch"),
    "both": (one(ROLLOUT, "repository: a/b"), "write exactly one of rollout and dispatch"),
    "an unknown key": (
        one(ROLLOUT + ", nmae: x"),
        "mappings.0.rollout.nmae: Extra inputs are not permitted",
    ),
    "a namespace that is a path": (
        one("namespace: ../kube-system, name: iris"),
        "mappings.0.rollout.namespace: String should match",
    ),
    "a name that is a path": (
        one("namespace: models, name: a/b"),
        "mappings.0.rollout.name: String should match",
    ),
    "a model that is a path": (
        one(ROLLOUT, head="model: ../x, alias: a"),
        "mappings.0.model: String should match",
    ),
    "any alias": (
        one(ROLLOUT, head='model: iris, alias: "*"'),
        "mappings.0.alias: String should match",
    ),
    "a template with a modelUri": (
        one(ROLLOUT + ", template: {modelUri: models:/a/1}"),
        "leave it out, it comes from the webhook",
    ),
    "a template without host": (
        one(ROLLOUT + ", template: {replicas: 1}"),
        "mappings.0.rollout: template.traffic: Field required",
    ),
    "a template with a typo": (
        one(ROLLOUT + ", template: {traffic: {host: a.b, pth: /}}"),
        "template.traffic.pth is no field of a ModelRollout's spec",
    ),
    "a template with a typo in a gate": (
        one(
            ROLLOUT
            + ", template: {traffic: {host: a.b}, analysis: {gates: [{metric: accuracy, mn: 1}]}}"
        ),
        "template.analysis.gates[0].mn is no field",
    ),
    "a repository that is a path": (
        one(dispatch="repository: a/b/../c"),
        "mappings.0.dispatch.repository: String should match",
    ),
    "an event type without end": (
        one(dispatch=f"repository: a/b, eventType: {'e' * 101}"),
        "at most 100 characters",
    ),
    "eleven keys": (
        one(dispatch="repository: a/b, payload: {a: '', b: '', c: '', d: ''}"),
        "write at most 3, GitHub takes 10 in all",
    ),
    "a key of the bridge": (
        one(dispatch="repository: a/b, payload: {model_uri: x}"),
        "model_uri is set by the bridge",
    ),
    "a word that kubectl reads as a truth": (
        one("namespace: n, name: iris"),
        "mappings.0.rollout.namespace: Input should be a valid string",
    ),
    "a number in quotes in a template": (
        one(
            ROLLOUT
            + ", template: {traffic: {host: a.b}, analysis: {gates: [{metric: accuracy, min:"
            ' "1e-2"}]}}'
        ),
        "template.analysis.gates.0.min: Input should be a valid number",
    ),
    "a count in quotes in a template": (
        one(ROLLOUT + ', template: {traffic: {host: a.b}, replicas: "2"}'),
        "template.replicas: Input should be",
    ),
    "a key twice": (
        one("namespace: ns, name: iris, name: rose"),
        "line 1: mappings[0].rollout.name: the key stands twice",
    ),
    "two documents": ("mappings: []\n---\nmappings: []", "the file has 2 documents: write one"),
    "one rollout for two aliases": (
        (
            "mappings: [{model: a, alias: x, rollout: {namespace: ns, name: i}}, {model: a, alias:"
            " z, rollout: {namespace: ns, name: i}}]"
        ),
        "ModelRollout ns/i follows two aliases",
    ),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_file_is_refused_with_a_sentence(text: str, told: str) -> None:
    with pytest.raises(MappingsError) as refusal:
        parse(text)
    assert told in str(refusal.value)


def test_a_template_is_applied_with_the_numbers_that_kubectl_reads() -> None:
    (rule,) = parse(
        one(
            ROLLOUT
            + ", template: {traffic: {host: a.b}, replicas: 3.0, analysis: {gates: [{metric:"
            " errorRate, max: 1e-2}]}}"
        )
    ).mappings
    assert rule.rollout is not None
    assert rule.rollout.template == {
        "traffic": {"host": "a.b"},
        "replicas": 3,
        "analysis": {"gates": [{"metric": "errorRate", "max": 0.01}]},
    }


def test_check_says_what_a_file_does(tmp_path: Path) -> None:
    file = tmp_path / "mappings.yaml"
    file.write_text(TWO)
    done = CliRunner().invoke(main, ["check", str(file)])
    assert done.output.splitlines() == [
        "models:/iris@production -> ModelRollout models/iris, which is made where there is none",
        "models:/iris@production -> dispatch deploy to acme/iris",
        "models:/churn@champion in workspace team-a -> ModelRollout models/churn",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(b"mappings: []", "neither mappings", id="a bad file"),
        pytest.param(b"mappings: [{model: gr\xf6\xdfe}]", "is not UTF-8 text", id="Latin-1"),
        pytest.param(None, "cannot be read", id="no file"),
    ],
)
def test_check_refuses(tmp_path: Path, text: bytes | None, told: str) -> None:
    file = tmp_path / "mappings.yaml"
    if text is not None:
        file.write_bytes(text)
    done = CliRunner().invoke(main, ["check", str(file)])
    assert (done.exit_code, told in done.output) == (1, True)


ENVIRONMENT = {
    "no file": ({"MAPPINGS_FILE": ""}, "set MAPPINGS_FILE, for example"),
    "no secret": ({"WEBHOOK_SECRET": ""}, "set WEBHOOK_SECRET"),
    "a short secret": (
        {"WEBHOOK_SECRET": "short"},
        "WEBHOOK_SECRET has 5 characters: write at least 16",
    ),
    "a short previous secret": (
        {"WEBHOOK_SECRET_PREVIOUS": "short"},
        "WEBHOOK_SECRET_PREVIOUS has 5 characters",
    ),
    "a port that is none": ({"PORT": "0"}, "PORT='0' is out of range"),
    "an age without bound": (
        {"MAX_AGE_SECONDS": "999999"},
        "MAX_AGE_SECONDS='999999' is out of range: write a whole number",
    ),
    "a level that is none": ({"LOG_LEVEL": "loud"}, "LOG_LEVEL='LOUD' is unknown"),
    "a URL that is none": ({"GITHUB_API_URL": "github"}, "GITHUB_API_URL='github' is no URL"),
    "no token": ({}, "set GITHUB_TOKEN: a mapping dispatches"),
}


@pytest.mark.parametrize(("changes", "told"), ENVIRONMENT.values(), ids=ENVIRONMENT.keys())
def test_run_refuses_bad_settings_with_a_sentence(
    tmp_path: Path, changes: dict[str, str], told: str
) -> None:
    file = tmp_path / "mappings.yaml"
    file.write_text(TWO)
    env = {"MAPPINGS_FILE": str(file), "WEBHOOK_SECRET": "s" * 16, **changes}
    done = CliRunner().invoke(main, ["run"], env=env)
    assert (done.exit_code, told in " ".join(done.output.split())) == (2, True), done.output
    assert "s" * 16 not in done.output
