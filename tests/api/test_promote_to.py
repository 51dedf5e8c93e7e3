"""`promote-to` from a real API server to GitHub's API over a real Git repository, which is cloned
afterwards.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from rollout_operator.domain.api.gate_results import GateResult, Measurement
from rollout_operator.domain.api.names import PROMOTED
from rollout_operator.domain.api.status import Attempt, Status
from rollout_operator.domain.api.words import Phase, Verdict
from tests.api.cli import Cli
from tests.support.api_client import ApiClient
from tests.support.builders import at, revision
from tests.support.github_server import TOKEN, Answer, GitHubServer, github_server
from tests.support.kinds import path_of

MANIFEST = """\
# Production, by hand.
apiVersion: rollouts.mlops.dev/v1alpha1
kind: ModelRollout
metadata:
  name: iris
  namespace: default
spec:
  modelUri: models:/iris/1  # since the first of the month
  traffic: {host: iris.example.com}
"""
OTHER = MANIFEST.replace("models:/iris/1", "models:/wine/1")
FILE = "prod/iris.yaml"
BRANCHES = "promote/iris-iris-2-"


def promoted() -> Status:
    stable = revision(2, promoted=True)
    gate = GateResult(
        metric="accuracy", value=0.95, threshold=0.7, samples=45, measurement=Measurement.PASS
    )
    ended = Attempt(
        attempt=2,
        uri=stable.uri,
        revision=stable.revision,
        verdict=Verdict.PROMOTED,
        reason="GatesPassed",
        message="accuracy 0.95 is at least 0.7, 45 samples",
        started=at(0),
        ended=at(60),
        gates=(gate,),
    )
    return Status(
        observed_generation=1, phase=Phase.PROMOTED, attempt=2, stable=stable, history=(ended,)
    )


@pytest.fixture(scope="module")
def staging(api: ApiClient) -> Cli:
    """A namespace with `iris`, which has promoted version 2, and `rose`, which has not promoted
    anything.
    """
    ns = f"staging-{uuid4().hex[:8]}"
    api.namespace(ns)
    for name, status in (("iris", promoted()), ("rose", Status(phase=Phase.TRIAL))):
        manifest = yaml.safe_load(MANIFEST)
        manifest["metadata"] = {"name": name}
        place = f"{path_of('ModelRollout', ns)}/{name}"
        assert api.apply(place, manifest).status_code == 201
        assert api.patch(f"{place}/status", {"status": status.to_api()}).status_code == 200
    return Cli(api.kubeconfig, ns)


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    files = {FILE: MANIFEST, "prod/wine.yaml": OTHER, "prod/latin.yaml": "a: \u00e9"}
    with github_server(tmp_path, files) as server:
        monkeypatch.setenv("GITHUB_API_URL", server.url)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        yield server


def words(github: GitHubServer, *more: str, name: str = "iris", path: str = FILE) -> list[str]:
    return ["promote-to", name, "-r", github.repository, "-p", path, "--from", "staging", *more]


def written(github: GitHubServer) -> list[str]:
    return [method for method, _, _ in github.requests if method != "GET"]


def test_the_version_arrives_in_the_other_repository_with_its_proof(
    staging: Cli, github: GitHubServer, tmp_path: Path
) -> None:
    told = staging.ok(*words(github))
    (pull,) = github.pulls
    assert told == f"Asked for models:/iris/2 in {FILE}: {pull['html_url']}\n"
    assert (pull["head"].startswith(BRANCHES), pull["base"]) == (True, "main")
    for part in (
        "models:/iris/2",
        revision(2).digest,
        f"staging/{staging.ns}/iris",
        "Promoted: GatesPassed",
        "| accuracy | `0.95` | `0.7` | `45` | `Pass` |",
    ):
        assert part in pull["body"]
    text = (github.clone(tmp_path / "clone", pull["head"]) / FILE).read_text()
    proof = yaml.safe_load(text)["metadata"]["annotations"][PROMOTED]
    assert proof.startswith(f"models:/iris/2 {revision(2).digest} Promoted by staging/{staging.ns}")
    assert "modelUri: models:/iris/2  # since the first of the month\n" in text
    assert (github.clone(tmp_path / "main", "main") / FILE).read_text() == MANIFEST
    assert written(github) == ["POST", "PUT", "POST"]


def test_asked_for_twice_it_is_one_pull_request(staging: Cli, github: GitHubServer) -> None:
    staging.ok(*words(github))
    again = staging.ok(*words(github))
    assert again == f"It is asked for already: {github.pulls[0]['html_url']}\n"
    assert len(github.pulls) == 1


@pytest.mark.parametrize("cut", ["PUT", "POST /pulls"])
def test_a_run_that_was_cut_off_is_ended_by_the_next(
    staging: Cli, github: GitHubServer, tmp_path: Path, cut: str
) -> None:
    """After the branch was made, or after the commit."""
    github.before = lambda method, path: (
        (502, {"message": "Bad gateway"}) if f"{method} {path}".startswith(cut) else None
    )
    code, _, err = staging(*words(github))
    assert (code, "502" in err, github.pulls) == (69, True, [])
    github.before = lambda _method, _path: None
    staging.ok(*words(github))
    assert len(github.pulls) == 1
    text = (github.clone(tmp_path / "clone", github.pulls[0]["head"]) / FILE).read_text()
    assert yaml.safe_load(text)["spec"]["modelUri"] == "models:/iris/2"


def test_a_pull_request_that_was_closed_may_be_asked_for_again(
    staging: Cli, github: GitHubServer
) -> None:
    staging.ok(*words(github))
    github.pulls[0]["state"] = "closed"
    assert staging.ok(*words(github)).startswith("Asked for models:/iris/2")
    assert len(github.pulls) == 2


def test_what_is_asked_for_already_is_left_alone(staging: Cli, github: GitHubServer) -> None:
    staging.ok(*words(github))
    github.merge(github.pulls[0]["head"], "main")
    github.requests.clear()
    assert staging.ok(*words(github)).startswith(f"Nothing to do: {FILE} on main asks for")
    assert written(github) == []


def test_a_version_that_was_asked_for_by_hand_gets_its_proof(
    staging: Cli, github: GitHubServer, tmp_path: Path
) -> None:
    """A policy refuses it without one, and says to run this."""
    by_hand = MANIFEST.replace("iris/1", "iris/2")
    github.commit("main", FILE, by_hand.encode(), "By hand")
    staging.ok(*words(github))
    text = (github.clone(tmp_path / "clone", github.pulls[0]["head"]) / FILE).read_text()
    found = yaml.safe_load(text)
    assert found["metadata"].pop("annotations")[PROMOTED].startswith("models:/iris/2 sha256:")
    assert found == yaml.safe_load(by_hand)


def test_two_manifests_of_one_name_are_two_pull_requests(
    staging: Cli, github: GitHubServer
) -> None:
    github.commit("main", "us/iris.yaml", MANIFEST.encode(), "Another cluster")
    staging.ok(*words(github))
    staging.ok(*words(github, path="us/iris.yaml"))
    assert len({pull["head"] for pull in github.pulls}) == 2


def test_a_branch_that_was_merged_and_taken_back_is_for_people(
    staging: Cli, github: GitHubServer
) -> None:
    staging.ok(*words(github))
    github.merge(github.pulls[0]["head"], "main")
    github.pulls[0]["state"] = "closed"
    github.commit("main", FILE, MANIFEST.encode(), "Revert")
    code, _, err = staging(*words(github))
    assert (code, f"the branch {github.pulls[0]['head']} once" in err) == (77, True), err


def test_a_dry_run_shows_the_change_and_the_text_and_writes_nothing(
    staging: Cli, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    told = staging.ok(*words(github, "--dry-run"))
    for line in (
        f"--- a/{FILE}",
        "-  modelUri: models:/iris/1  # since the first of the month",
        "+  modelUri: models:/iris/2  # since the first of the month",
        f"Title: iris: models:/iris/2, promoted by staging/{staging.ns}/iris",
        f"| content digest | `{revision(2).digest}` |",
    ):
        assert line in told.splitlines()
    assert f"\nBranch: {BRANCHES}" in told
    assert (written(github), github.branches()) == ([], {"main"})


def test_another_branch_and_another_name(
    staging: Cli, github: GitHubServer, tmp_path: Path
) -> None:
    text = MANIFEST.replace("name: iris", "name: iris-eu")
    github.commit("eu", "eu.yaml", text.encode(), "Europe")
    staging.ok(*words(github, "--base", "eu", "--as", "iris-eu", path="./eu.yaml"))
    (pull,) = github.pulls
    assert pull["base"] == "eu"
    assert pull["head"].startswith(BRANCHES.replace("iris-iris", "iris-eu-iris"))
    changed = (github.clone(tmp_path / "clone", pull["head"]) / "eu.yaml").read_text()
    assert yaml.safe_load(changed)["spec"]["modelUri"] == "models:/iris/2"


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        pytest.param({"name": "rose"}, 77, "has promoted nothing yet", id="nothing promoted"),
        pytest.param({"name": "lily"}, 66, "There is no ModelRollout", id="no such rollout"),
        pytest.param({"path": "prod/no.yaml"}, 66, "prod/no.yaml on main", id="no such file"),
        pytest.param({"path": "prod"}, 77, "is no file", id="a folder"),
        pytest.param({"path": "../x"}, 64, "is no path in a repository", id="out of it"),
        pytest.param({"path": "prod/wine.yaml"}, 77, "is another model", id="another model"),
        pytest.param({"path": "prod/latin.yaml"}, 66, "it has none", id="no rollout in the file"),
    ],
)
def test_what_cannot_be_handed_on_is_said_and_nothing_written(
    staging: Cli, github: GitHubServer, more: dict[str, str], code: int, sentence: str
) -> None:
    got, _, err = staging(*words(github, **more))
    assert (got, sentence in err) == (code, True), err
    assert written(github) == []


@pytest.mark.parametrize(
    ("env", "code", "sentence"),
    [
        pytest.param({"GITHUB_TOKEN": ""}, 64, "GITHUB_TOKEN is not set", id="no token"),
        pytest.param({"GITHUB_TOKEN": "a\nb"}, 64, "characters that no token has", id="two lines"),
        pytest.param(
            {"GITHUB_TOKEN": f"{TOKEN}-of-old"}, 77, "renew GITHUB_TOKEN", id="an old token"
        ),
        pytest.param({"GITHUB_API_URL": "github"}, 64, "is no URL", id="no URL"),
        pytest.param(
            {"GITHUB_API_URL": "http://127.0.0.1:9"}, 69, "did not answer", id="nobody there"
        ),
    ],
)
def test_what_the_environment_lacks_is_said(
    staging: Cli, github: GitHubServer, env: dict[str, str], code: int, sentence: str
) -> None:
    got, _, err = staging(*words(github), **env)
    assert (got, sentence in err) == (code, True), err
    assert TOKEN not in err


@pytest.mark.parametrize("environment", ["our staging", "a/b", "a,b", "-a", "x" * 64])
def test_what_no_policy_could_ask_for_is_no_name_of_a_cluster(
    staging: Cli, github: GitHubServer, environment: str
) -> None:
    code, _, err = staging("promote-to", "iris", "-r", "a/b", "-p", FILE, "--from", environment)
    assert (code, "is no name" in err, github.requests) == (64, True, [])


@pytest.mark.parametrize("proxy", ["socks5://x:1", "http://[x"])
def test_a_proxy_that_cannot_be_asked_is_said(
    staging: Cli, github: GitHubServer, proxy: str
) -> None:
    env = {"GITHUB_API_URL": "https://api.example.com", "HTTPS_PROXY": proxy, "NO_PROXY": ""}
    code, _, err = staging(*words(github), **env)
    assert (code, "HTTPS_PROXY is no proxy" in err) == (64, True), err


@pytest.mark.parametrize("repository", ["iris", "a/b/c", "a/", "a b/c", "a/../c"])
def test_what_is_no_repository_is_not_asked_for(
    staging: Cli, github: GitHubServer, repository: str
) -> None:
    code, _, err = staging("promote-to", "iris", "-r", repository, "-p", FILE)
    assert (code, "write OWNER/NAME" in err) == (64, True)
    assert github.requests == []


@pytest.mark.parametrize(
    ("request_", "answer", "code", "sentence"),
    [
        pytest.param(
            "PUT",
            (409, {"message": f"{FILE} does not match 0a1b"}),
            77,
            "was changed meanwhile",
            id="changed meanwhile",
        ),
        pytest.param(
            "PUT",
            (409, {"message": "Repository rule violations found"}),
            77,
            "Repository rule violations found: a rule of the repository may forbid it",
            id="a rule forbids it",
        ),
        pytest.param(
            "POST /git",
            (403, {"message": "Resource not accessible by personal access token"}),
            77,
            "let GITHUB_TOKEN write contents and pull requests",
            id="may not write",
        ),
        pytest.param("GET", (301, {"message": "Moved"}), 77, "has moved", id="renamed"),
        pytest.param("GET", (429, {}), 69, "try again later", id="too many requests"),
        pytest.param(
            "POST /pulls",
            (422, {"message": "Validation Failed", "errors": [{"message": "base is invalid"}]}),
            77,
            "Validation Failed base is invalid: nothing more was done",
            id="refused with a reason",
        ),
        pytest.param(
            "POST /pulls",
            (422, {"message": "No commits between main and promote/iris"}),
            69,
            "does not see yet what was written to the branch promote/iris-iris-2-",
            id="its own commit is not seen yet",
        ),
        pytest.param(
            "GET /contents",
            (200, {"type": "file", "encoding": "none", "content": "", "sha": "0"}),
            77,
            "too large for GitHub's API",
            id="a large file",
        ),
        pytest.param(
            "GET /contents",
            (200, {"type": "file", "encoding": "base64", "content": "/w==", "sha": "0"}),
            77,
            "no UTF-8 text",
            id="no text",
        ),
    ],
)
def test_what_github_says_is_told_with_what_to_do(
    staging: Cli, github: GitHubServer, request_: str, answer: Answer, code: int, sentence: str
) -> None:
    github.before = lambda method, path: answer if f"{method} {path}".startswith(request_) else None
    got, _, err = staging(*words(github))
    assert (got, sentence in err) == (code, True), err
    assert TOKEN not in err
