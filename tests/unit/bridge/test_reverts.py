"""Pull requests after a rollback: GitHub's API over a real Git repository, which is cloned
afterwards; and what the operator tells, signed as it signs it.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner

from rollout_bridge.__main__ import main
from rollout_bridge.mappings import MappingsError, parse
from rollout_bridge.outcome import Outcome, Result
from rollout_bridge.replay_guard import Replays
from rollout_bridge.revert_text import taken_back_by
from rollout_bridge.reverts import MOST_COMMITS, Reverts
from rollout_bridge.rollout_event import TakenBack, key_of, open_event, read_event
from rollout_bridge.server import EVENTS, Bridge, application
from rollout_bridge.settings import Settings, SettingsError
from rollout_bridge.webhook import Malformed, NotGenuine, Other
from rollout_cli.promotion.github import GitHub
from rollout_operator.adapters.cloud_event_sender import signature
from rollout_operator.domain.api.names import PROMOTED, PROOF
from tests.support.github_server import TOKEN, Answer, GitHubServer, github_server

FILE = "prod/iris.yaml"
KEY = "the-signing-key-that-nobody-may-see"
FIRST = """\
# Production, by hand.
kind: ModelRollout
metadata:
  name: iris
spec:
  modelUri: models:/iris/1  # since the first of the month
  replicas: 2
"""
SECOND = FIRST.replace("  name: iris\n", f'  annotations:\n    {PROMOTED}: "2"\n  name: iris\n')
SECOND = SECOND.replace("iris/1", "iris/2")
MAPPINGS = f"""
reverts:
- {{namespace: models, name: iris, repository: team/production, path: {FILE}}}
- {{namespace: models, name: rose, repository: team/production, path: {FILE}, as: iris}}
- {{namespace: models, name: lily, repository: team/production, path: prod/lily.yaml}}
- {{namespace: models, name: wine, repository: team/production, path: {FILE}, base: release}}
"""
DATA: dict[str, Any] = {
    "namespace": "models",
    "name": "iris",
    "uid": "u",
    "attempt": 3,
    "kind": "RolledBack",
    "model": "iris",
    "version": "2",
    "uri": "models:/iris/2",
    "reason": "GateFailed",
    "message": "accuracy 0.612 is below 0.7, 412 samples.",
    "gates": [
        {
            "metric": "accuracy",
            "value": 0.612,
            "threshold": 0.7,
            "samples": 412,
            "measurement": "Fail",
        },
        {"metric": "errorRate", "threshold": 0.01, "measurement": "NoEvidence"},
    ],
    "nextStep": "…",
    "link": "https://rollouts.example.com/rollouts/models/iris",
}


def event(at: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """A CloudEvent of the operator; at: when it was taken back, left out where it is None."""
    data = DATA | changes
    kind = str(data["kind"]).lower()
    when = {} if at is None else {"time": at.isoformat(timespec="seconds")}
    return {"specversion": "1.0", "type": f"dev.mlops.rollouts.{kind}", **when, "data": data}


def taken_back(at: datetime | None = None, **changes: Any) -> TakenBack:
    found = read_event(json.dumps(event(at, **changes)).encode())
    assert isinstance(found, TakenBack)
    return found


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHubServer]:
    """Version 1, then version 2."""
    with github_server(tmp_path, {FILE: FIRST}) as server:
        server.commit("main", FILE, SECOND.encode(), "iris: models:/iris/2")
        yield server


@pytest.fixture
def reverts(github: GitHubServer) -> Reverts:
    return Reverts(parse(MAPPINGS), lambda repository: GitHub(github.url, TOKEN, repository))


def written(github: GitHubServer) -> list[str]:
    return [method for method, _, _ in github.requests if method != "GET"]


async def test_a_rollback_asks_for_the_commit_to_be_taken_back(
    reverts: Reverts, github: GitHubServer, tmp_path: Path
) -> None:
    result = await reverts.request(taken_back())
    (pull,) = github.pulls
    assert result.outcome is Outcome.OPENED, result.message
    assert pull["html_url"] in result.message
    assert pull["title"] == "iris: take models:/iris/2 back, RolledBack in models/iris"
    assert (pull["base"], pull["head"].startswith("rollback/iris-iris-2-attempt-3-")) == (
        "main",
        True,
    )
    for part in (
        "| why | `accuracy 0.612 is below 0.7, 412 samples.` |",
        "| `accuracy` | `0.612` | `0.7` | `412` | `Fail` |",
        "| `errorRate` | `-` | `0.01` | `-` | `NoEvidence` |",
        "`kubectl modelrollout report iris -n models`",
        "`kubectl modelrollout retry iris -n models`",
        "https://rollouts.example.com/rollouts/models/iris",
        "is to ask for `models:/iris/1` again. The file is as it was before that commit.",
    ):
        assert part in pull["body"], part
    assert (github.clone(tmp_path / "clone", pull["head"]) / FILE).read_text() == FIRST
    assert (github.clone(tmp_path / "main", "main") / FILE).read_text() == SECOND
    assert written(github) == ["POST", "PUT", "POST"]


async def test_told_twice_and_by_two_bridges_it_is_one_pull_request(
    reverts: Reverts, github: GitHubServer
) -> None:
    other = Reverts(parse(MAPPINGS), reverts.connect)
    told = [reverts, reverts, other, other]
    results = await asyncio.gather(*(one.request(taken_back()) for one in told))
    assert {r.outcome for r in results} <= {Outcome.OPENED, Outcome.IGNORED, Outcome.REFUSED}
    again = await reverts.request(taken_back())
    assert again.message.endswith(f"is asked for already: {github.pulls[0]['html_url']}")
    assert (again.outcome, len(github.pulls)) == (Outcome.IGNORED, 1)


@pytest.mark.parametrize("cut", ["PUT", "POST /pulls"])
async def test_what_was_cut_off_is_ended_by_the_next(
    reverts: Reverts, github: GitHubServer, tmp_path: Path, cut: str
) -> None:
    github.before = lambda method, path: (
        (502, {"message": "Bad gateway"}) if f"{method} {path}".startswith(cut) else None
    )
    result = await reverts.request(taken_back())
    assert (result.outcome, github.pulls) == (Outcome.UNAVAILABLE, [])
    github.before = lambda _method, _path: None
    assert (await reverts.request(taken_back())).outcome is Outcome.OPENED
    (pull,) = github.pulls
    assert (github.clone(tmp_path / "clone", pull["head"]) / FILE).read_text() == FIRST


async def test_what_a_person_has_closed_is_not_asked_again(
    reverts: Reverts, github: GitHubServer
) -> None:
    await reverts.request(taken_back())
    github.pulls[0]["state"] = "closed"
    result = await reverts.request(taken_back())
    assert (result.outcome, "was asked for, and closed" in result.message) == (
        Outcome.IGNORED,
        True,
    )
    # Another attempt is another rollback.
    assert (await reverts.request(taken_back(attempt=4))).outcome is Outcome.OPENED
    assert len(github.pulls) == 2


async def test_our_own_revert_is_never_reverted(reverts: Reverts, github: GitHubServer) -> None:
    await reverts.request(taken_back())
    github.merge(github.pulls[0]["head"], "main")
    github.pulls[0]["state"] = "closed"
    before = len(written(github))
    result = await reverts.request(taken_back(uri="models:/iris/1", version="1", attempt=4))
    assert result.outcome is Outcome.IGNORED
    assert "models:/iris/2 was taken back before, so it is not asked for again" in result.message
    # Nor by a commit of somebody's who asks for a third one after it.
    third = FIRST.replace("iris/1", "iris/2")
    github.commit("main", FILE, third.encode(), "Again by hand")
    github.commit("main", FILE, FIRST.replace("iris/1", "iris/3").encode(), "A third")
    result = await reverts.request(taken_back(uri="models:/iris/3", version="3", attempt=6))
    assert (result.outcome, "models:/iris/2 was taken back" in result.message) == (
        Outcome.IGNORED,
        True,
    ), result.message
    assert len(written(github)) == before


async def test_later_commits_to_the_file_stay(
    reverts: Reverts, github: GitHubServer, tmp_path: Path
) -> None:
    later = SECOND.replace("replicas: 2", "replicas: 5").replace(
        f'{PROMOTED}: "2"\n', f'{PROMOTED}: "2"\n    {PROOF}: "s"\n'
    )
    github.commit("main", FILE, later.encode(), "More pods")
    result = await reverts.request(taken_back())
    assert result.outcome is Outcome.OPENED, result.message
    (pull,) = github.pulls
    said = "Only the version and its proof go back: later commits have changed the file, too."
    assert said in pull["body"]
    text = (github.clone(tmp_path / "clone", pull["head"]) / FILE).read_text()
    found = yaml.safe_load(text)
    assert found["spec"] == {"modelUri": "models:/iris/1", "replicas": 5}
    assert found["metadata"]["annotations"] == {PROMOTED: "", PROOF: ""}
    assert text.startswith("# Production, by hand.\n")


async def test_a_file_that_sops_has_encrypted_is_for_people(
    reverts: Reverts, github: GitHubServer
) -> None:
    sealed = "kind: ENC[x]\nspec:\n  modelUri: ENC[x]\nsops:\n  mac: ENC[x]\n"
    github.commit("main", FILE, sealed.encode(), "Encrypted")
    result = await reverts.request(taken_back())
    assert (result.outcome, "sops has encrypted it" in result.message) == (Outcome.REFUSED, True)
    assert written(github) == []


async def test_a_name_that_stands_twice_is_for_people(
    reverts: Reverts, github: GitHubServer
) -> None:
    """In two namespaces: who knows which of them was rolled back?"""
    for text in (FIRST, SECOND):
        github.commit("main", FILE, f"{text}---\n{text}".encode(), "…")
    result = await reverts.request(taken_back())
    assert (result.outcome, "has 2 ModelRollouts 'iris': split" in result.message) == (
        Outcome.REFUSED,
        True,
    ), result.message
    assert written(github) == []


@pytest.mark.parametrize(
    ("minutes", "outcome"),
    [
        pytest.param(-90, Outcome.OPENED, id="before the rollback"),
        pytest.param(4, Outcome.OPENED, id="after it, by a clock that is ahead"),
        pytest.param(6, Outcome.IGNORED, id="after it"),
    ],
)
async def test_what_was_asked_for_again_since_is_another_request(
    reverts: Reverts, github: GitHubServer, minutes: int, outcome: Outcome
) -> None:
    """The event was held up for an hour, and people were quicker."""
    rolled_back = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    github.commit("main", FILE, FIRST.encode(), "Back")
    again = rolled_back + timedelta(minutes=minutes)
    commit = github.commit("main", FILE, SECOND.encode(), "Mended: once more", again)
    result = await reverts.request(taken_back(rolled_back))
    assert result.outcome is outcome, result.message
    if outcome is Outcome.IGNORED:
        assert f"{commit} asked for models:/iris/2 after that rollback" in result.message
        assert written(github) == []


OTHER = "---\nkind: ModelRollout\nmetadata: {name: rose}\nspec: {modelUri: models:/rose/4}\n"


async def test_what_the_same_commit_asked_of_others_stays(
    reverts: Reverts, github: GitHubServer, tmp_path: Path
) -> None:
    """One commit for two rollouts: that of the other is no failure."""
    github.commit("main", FILE, (FIRST + OTHER).encode(), "A rose")
    both = (SECOND + OTHER).replace("rose/4", "rose/5").replace("replicas: 2", "replicas: 4")
    github.commit("main", FILE, both.encode(), "iris 2, rose 5")
    result = await reverts.request(taken_back())
    assert result.outcome is Outcome.OPENED, result.message
    (pull,) = github.pulls
    assert "that commit has changed something else in the file, too" in pull["body"]
    text = (github.clone(tmp_path / "clone", pull["head"]) / FILE).read_text()
    iris, rose = yaml.safe_load_all(text)
    assert iris["spec"] == {"modelUri": "models:/iris/1", "replicas": 4}
    assert rose["spec"]["modelUri"] == "models:/rose/5"


async def test_two_rollouts_of_one_file_that_are_taken_back_at_once(
    github: GitHubServer, tmp_path: Path
) -> None:
    """Each has a pull request of its own, and merged in any order both are back."""
    rules = "".join(
        f"- {{namespace: models, name: {name}, repository: team/production, path: {FILE}}}\n"
        for name in ("iris", "rose")
    )
    reverts = Reverts(
        parse(f"reverts:\n{rules}"), lambda repository: GitHub(github.url, TOKEN, repository)
    )
    for text in (FIRST + OTHER, SECOND + OTHER, SECOND + OTHER.replace("rose/4", "rose/5")):
        github.commit("main", FILE, text.encode(), "…")
    results = await asyncio.gather(
        reverts.request(taken_back()),
        reverts.request(taken_back(name="rose", uri="models:/rose/5", version="5")),
    )
    assert [r.outcome for r in results] == [Outcome.OPENED] * 2
    for number, order in enumerate((github.pulls, github.pulls[::-1])):
        tree = github.clone(tmp_path / f"clone-{number}", "main")
        for pull in order:
            github.git("-C", str(tree), "merge", "--quiet", "--no-edit", f"origin/{pull['head']}")
        iris, rose = yaml.safe_load_all((tree / FILE).read_text())
        assert (iris["spec"]["modelUri"], rose["spec"]["modelUri"]) == (
            "models:/iris/1",
            "models:/rose/4",
        )


EXPIRED: Answer = (401, {"message": "Bad credentials"})
RULES = "Repository rule violations found\n\nCannot create ref due to creations being restricted."


async def goes_on_after(
    reverts: Reverts, github: GitHubServer, request_: str, answer: Answer, folder: Path
) -> Result:
    """What comes of a revert while GitHub answers one request so: no pull request, and the next
    try opens the one that is right.
    """
    github.before = lambda method, path: answer if f"{method} {path}".startswith(request_) else None
    result = await reverts.request(taken_back())
    assert github.pulls == []
    github.before = lambda _method, _path: None
    assert (await reverts.request(taken_back())).outcome is Outcome.OPENED
    (pull,) = github.pulls
    assert (github.clone(folder / "clone", pull["head"]) / FILE).read_text() == FIRST
    return result


@pytest.mark.parametrize(
    ("request_", "answer", "sentence"),
    [
        pytest.param("POST /git", EXPIRED, "renew GITHUB_TOKEN", id="a token, before the branch"),
        pytest.param("PUT", EXPIRED, "renew GITHUB_TOKEN", id="a token, before the commit"),
        pytest.param("POST /pulls", EXPIRED, "renew GITHUB_TOKEN", id="a token, after the commit"),
        pytest.param(
            "POST /git", (422, {"message": RULES}), "a rule of the repository", id="no new branches"
        ),
        pytest.param(
            "PUT", (409, {"message": RULES}), "a rule of the repository", id="protected branches"
        ),
    ],
)
async def test_what_is_refused_in_the_middle_goes_on_once_it_is_mended(
    reverts: Reverts,
    github: GitHubServer,
    tmp_path: Path,
    request_: str,
    answer: Answer,
    sentence: str,
) -> None:
    result = await goes_on_after(reverts, github, request_, answer, tmp_path)
    assert (result.outcome, sentence in result.message) == (Outcome.REFUSED, True), result.message


async def test_fields_that_came_with_the_version_go_with_it(
    reverts: Reverts, github: GitHubServer, tmp_path: Path
) -> None:
    third = SECOND.replace("iris/2", "iris/3").replace("replicas: 2", "replicas: 4")
    github.commit("main", FILE, (third + OTHER).encode(), "A rose")
    github.commit("main", FILE, (SECOND + OTHER).encode(), "Back")
    github.commit("main", FILE, (third + OTHER).encode(), "iris 3 needs more pods")
    await reverts.request(taken_back(uri="models:/iris/3", version="3"))
    text = (github.clone(tmp_path / "clone", github.pulls[0]["head"]) / FILE).read_text()
    assert text == SECOND + OTHER


@pytest.mark.parametrize("broken", ["<<<<<<< a\n=======\n>>>>>>> b\n", "a: [\n", "[" * 5000])
async def test_a_commit_that_nobody_can_read_is_passed_over(
    reverts: Reverts, github: GitHubServer, tmp_path: Path, broken: str
) -> None:
    """Between the two versions, and after them."""
    for text in (FIRST, FIRST + broken, SECOND, SECOND + broken):
        github.commit("main", FILE, text.encode(), "…")
    last = SECOND.replace("replicas: 2", "replicas: 3")
    github.commit("main", FILE, last.encode(), "Mended")
    result = await reverts.request(taken_back())
    assert result.outcome is Outcome.OPENED, result.message
    assert "Only the version and its proof go back" in github.pulls[0]["body"]
    text = (github.clone(tmp_path / "clone", github.pulls[0]["head"]) / FILE).read_text()
    assert yaml.safe_load(text)["spec"] == {"modelUri": "models:/iris/1", "replicas": 3}


async def test_what_was_right_before_could_not_be_read(
    reverts: Reverts, github: GitHubServer
) -> None:
    for text in (FIRST, "a: [", SECOND):
        github.commit("main", FILE, text.encode(), "…")
    await reverts.request(taken_back())
    assert "could not be read as it was right before" in github.pulls[0]["body"]


async def test_a_file_that_was_away_and_came_back_has_no_version_before(
    reverts: Reverts, github: GitHubServer
) -> None:
    github.remove("main", FILE, "Away")
    github.commit("main", FILE, SECOND.encode(), "Moved back here")
    result = await reverts.request(taken_back())
    assert (result.outcome, "in place of another version" in result.message) == (
        Outcome.IGNORED,
        True,
    ), result.message
    assert written(github) == []


async def test_the_proof_of_the_version_before_comes_back(
    reverts: Reverts, github: GitHubServer, tmp_path: Path
) -> None:
    proved = SECOND.replace(f'{PROMOTED}: "2"\n', f'{PROMOTED}: "2"\n    {PROOF}: "second"\n')
    github.commit("main", FILE, proved.encode(), "Signed")
    third = proved.replace("iris/2", "iris/3").replace("second", "third")
    github.commit("main", FILE, third.encode(), "iris: models:/iris/3")
    more = third.replace("replicas: 2", "replicas: 3")
    github.commit("main", FILE, more.encode(), "More pods")
    result = await reverts.request(taken_back(uri="models:/iris/3", version="3"))
    assert result.outcome is Outcome.OPENED, result.message
    text = (github.clone(tmp_path / "clone", github.pulls[0]["head"]) / FILE).read_text()
    assert text == proved.replace("replicas: 2", "replicas: 3")


async def test_a_manifest_of_another_name(reverts: Reverts, github: GitHubServer) -> None:
    assert (await reverts.request(taken_back(name="rose"))).outcome is Outcome.OPENED
    assert github.pulls[0]["title"].startswith("iris: take models:/iris/2 back, RolledBack in mod")


async def test_a_version_that_failed_in_its_watch_is_asked_back_too(
    reverts: Reverts, github: GitHubServer
) -> None:
    assert (await reverts.request(taken_back(kind="Returned"))).outcome is Outcome.OPENED
    assert "| verdict | `Returned` |" in github.pulls[0]["body"]


async def test_what_a_cluster_says_mentions_nobody(reverts: Reverts, github: GitHubServer) -> None:
    said = "accuracy | @acme/everybody\n\n# ![x](https://evil.example.com/?)"
    await reverts.request(taken_back(message=said, link="https://a.example.com/\n@acme/all"))
    body = github.pulls[0]["body"]
    assert "| why | `accuracy ¦ @acme/everybody # ![x](https://evil.example.com/?)` |" in body
    assert "@acme/all" not in body


@pytest.mark.parametrize(
    "changes",
    [
        {"message": "x\n\nFixes #1\n\nReverts-Model-Version: models:/iris/1"},
        {"reason": "x\nReverts-Model-Version: models:/iris/1\nFixes #1"},
        {"link": "https://a.example.com/ @acme/all Fixes #1"},
    ],
)
async def test_what_a_cluster_says_commits_nothing(
    reverts: Reverts, github: GitHubServer, changes: dict[str, Any]
) -> None:
    """No issue is closed by it, and no version passes for taken back."""
    await reverts.request(taken_back(**changes))
    (pull,) = github.pulls
    api = reverts.connect(github.repository)
    (commit, *_) = api.commits(FILE, pull["head"], api.head(pull["head"]), 1)
    assert "Fixes" not in commit.message
    assert taken_back_by([commit]) == {"models:/iris/2"}
    assert "or https://" not in pull["body"] or "link" not in changes


@pytest.mark.parametrize(
    ("changes", "outcome", "sentence"),
    [
        pytest.param({"name": "tulip"}, Outcome.IGNORED, "No revert is configured", id="another"),
        pytest.param(
            {"uri": "models:/iris/7", "version": "7"},
            Outcome.IGNORED,
            "asks for models:/iris/2, not for models:/iris/7",
            id="Git asks for another already",
        ),
        pytest.param(
            {"stable": "models:/iris/2"}, Outcome.IGNORED, "is stable by now", id="tried again"
        ),
        pytest.param({"name": "lily"}, Outcome.REFUSED, "prod/lily.yaml on main", id="no file"),
        pytest.param({"name": "wine"}, Outcome.REFUSED, "release", id="no such branch"),
    ],
)
async def test_where_there_is_nothing_to_take_back_nothing_is_written(
    reverts: Reverts,
    github: GitHubServer,
    changes: dict[str, Any],
    outcome: Outcome,
    sentence: str,
) -> None:
    result = await reverts.request(taken_back(**changes))
    assert (result.outcome, sentence in result.message) == (outcome, True), result.message
    assert written(github) == []


async def test_a_first_version_has_none_before_it(reverts: Reverts, github: GitHubServer) -> None:
    github.commit("main", FILE, b"kind: ConfigMap\nmetadata: {name: iris}\n", "Away")
    github.commit("main", FILE, FIRST.encode(), "A first version")
    result = await reverts.request(taken_back(uri="models:/iris/1", version="1"))
    assert (result.outcome, "in place of another version" in result.message) == (
        Outcome.IGNORED,
        True,
    )


async def test_a_commit_of_long_ago_is_for_people(reverts: Reverts, github: GitHubServer) -> None:
    for n in range(MOST_COMMITS):
        text = SECOND.replace("replicas: 2", f"replicas: {n + 3}")
        github.commit("main", FILE, text.encode(), f"{n} pods")
    result = await reverts.request(taken_back())
    assert (result.outcome, "none of the last 20 commits" in result.message) == (
        Outcome.IGNORED,
        True,
    )
    assert written(github) == []


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param((500, {}), Outcome.UNAVAILABLE, id="GitHub is ill"),
        pytest.param((429, {}), Outcome.UNAVAILABLE, id="too many requests"),
        pytest.param(
            (403, {"message": "API rate limit exceeded"}), Outcome.UNAVAILABLE, id="used up"
        ),
        pytest.param((200, {"ok": True}), Outcome.UNAVAILABLE, id="another server"),
        pytest.param((401, {"message": "Bad credentials"}), Outcome.REFUSED, id="an old token"),
        pytest.param((403, {"message": "no"}), Outcome.REFUSED, id="no right"),
    ],
)
async def test_what_github_refuses_is_told(
    reverts: Reverts, github: GitHubServer, answer: Answer, outcome: Outcome
) -> None:
    github.before = lambda _method, _path: answer
    result = await reverts.request(taken_back())
    assert (result.outcome, TOKEN in result.message) == (outcome, False)


@pytest.mark.parametrize(
    "behind", [pytest.param("main~2", id="the version"), pytest.param("main~1", id="what is later")]
)
async def test_a_branch_of_which_lists_lack_the_end_is_taken_back_as_it_is(
    reverts: Reverts, github: GitHubServer, tmp_path: Path, behind: str
) -> None:
    five = SECOND.replace("replicas: 2", "replicas: 5")
    github.commit("main", FILE, five.encode(), "More pods")
    github.behind["main"] = behind
    result = await reverts.request(taken_back())
    assert result.outcome is Outcome.OPENED, result.message
    (pull,) = github.pulls
    assert "later commits have changed the file, too" in pull["body"]
    text = (github.clone(tmp_path / "clone", pull["head"]) / FILE).read_text()
    assert yaml.safe_load(text)["spec"] == {"modelUri": "models:/iris/1", "replicas": 5}


async def test_what_was_asked_for_again_is_no_older_request_to_a_list_that_lags_behind(
    reverts: Reverts, github: GitHubServer
) -> None:
    rolled_back = datetime.now(UTC).replace(microsecond=0)
    github.behind["main"] = github.commit("main", FILE, SECOND.encode(), "…")
    github.commit("main", FILE, FIRST.encode(), "Back")
    again = rolled_back + timedelta(minutes=9)
    github.commit("main", FILE, SECOND.encode(), "Mended: once more", again)
    result = await reverts.request(taken_back(rolled_back))
    assert (result.outcome, "it is another request" in result.message) == (Outcome.IGNORED, True)
    assert written(github) == []


PATHS = (
    "prod/my models/iris 1.yaml",
    "prod/#1/iris.yaml",
    "prod/100%/a%2Fb%20c.yaml",
    "prod/iris?ref=x&y.yaml",
    "prod/a+b;c,d@e:f.yaml",
    "größe/模型 é.yaml",
    "[eu]/*.yaml",
    ":(glob)a\\b\"'c.yaml",
    f"{'long-' * 40}/{'/'.join(['folder' * 8] * 5)}/iris.yaml",
)


@pytest.mark.parametrize("path", PATHS)
async def test_a_file_of_any_name_is_asked_for_and_found_again(
    github: GitHubServer, tmp_path: Path, path: str
) -> None:
    for text in (FIRST, SECOND):
        github.commit("main", path, text.encode(), f"{path}")
    rule = {"namespace": "models", "name": "iris", "repository": github.repository, "path": path}
    mappings = parse(json.dumps({"reverts": [rule]}))
    reverts = Reverts(mappings, lambda repository: GitHub(github.url, TOKEN, repository))
    result = await reverts.request(taken_back())
    assert result.outcome is Outcome.OPENED, result.message
    text = (github.clone(tmp_path / "clone", github.pulls[0]["head"]) / path).read_text()
    assert (text, path in result.message) == (FIRST, True)
    again = await reverts.request(taken_back())
    assert again.message.endswith(f"is asked for already: {github.pulls[0]['html_url']}")


async def test_the_longest_names_have_a_title_that_github_takes(
    github: GitHubServer,
) -> None:
    model, name, ns = "m" * 240, "n" * 48, "s" * 63
    for version in (1, 2):
        text = FIRST.replace("iris/1", f"{model}/{version}").replace("name: iris", f"name: {name}")
        github.commit("main", FILE, text.encode(), "…")
    rule = {"namespace": ns, "name": name, "repository": github.repository, "path": FILE}
    reverts = Reverts(
        parse(json.dumps({"reverts": [rule]})),
        lambda repository: GitHub(github.url, TOKEN, repository),
    )
    result = await reverts.request(
        taken_back(namespace=ns, name=name, model=model, uri=f"models:/{model}/2")
    )
    assert result.outcome is Outcome.OPENED, result.message
    title = github.pulls[0]["title"]
    assert title.startswith(f"{name}: take models:/m")
    assert title.endswith(f"mm/2 back, RolledBack in {ns}/{name}")


LAGS: dict[str, tuple[str, Answer, str]] = {
    "a list without the commit": ("GET /commits", (200, []), "does not list yet the commit by"),
    "a commit of which another machine told": (
        "GET /contents",
        (404, {"message": "No commit found for the ref 0a1b"}),
        "No commit found for the ref 0a1b. Try again later",
    ),
    "a new branch that is not written to yet": (
        "PUT /contents",
        (404, {"message": "Branch rollback/iris not found"}),
        "Branch rollback/iris not found. Try again later",
    ),
    "a new branch whose commit is not seen yet": (
        "POST /pulls",
        (422, {"message": "Validation Failed", "errors": [{"message": "No commits between a a"}]}),
        "does not see yet what was written to the branch rollback/iris-iris-2-",
    ),
}


@pytest.mark.parametrize(("request_", "answer", "sentence"), LAGS.values(), ids=LAGS.keys())
async def test_what_github_does_not_know_yet_is_asked_again_and_not_given_up(
    reverts: Reverts,
    github: GitHubServer,
    tmp_path: Path,
    request_: str,
    answer: Answer,
    sentence: str,
) -> None:
    result = await goes_on_after(reverts, github, request_, answer, tmp_path)
    assert (result.outcome, sentence in result.message) == (Outcome.UNAVAILABLE, True), result


async def test_a_pull_request_that_is_not_listed_yet_is_not_told_without_its_address(
    reverts: Reverts, github: GitHubServer
) -> None:
    await reverts.request(taken_back())
    github.before = lambda method, path: (
        (200, []) if f"{method} {path}".startswith("GET /pulls") else None
    )
    result = await reverts.request(taken_back())
    assert result.outcome is Outcome.UNAVAILABLE, result.message
    assert "has a pull request of the branch rollback/iris-iris-2-" in result.message
    github.before = lambda _method, _path: None
    assert (await reverts.request(taken_back())).message.endswith(github.pulls[0]["html_url"])
    assert len(github.pulls) == 1


# --- what the operator tells


def sealed(body: bytes, key: str = KEY, at: int | None = None, id_: str = "m-1") -> dict[str, str]:
    """The headers by which the operator's own sender signs."""
    when = str(int(time.time()) if at is None else at)
    return {
        "webhook-id": id_,
        "webhook-timestamp": when,
        "webhook-signature": signature(key, id_, when, body),
    }


BODY = json.dumps(event()).encode()


@pytest.mark.parametrize("key", [KEY, "whsec_" + base64.b64encode(KEY.encode()).decode()])
def test_what_the_operator_signs_is_genuine(key: str) -> None:
    head = sealed(BODY, key, at=1000)
    assert open_event(head, 1000, 300, [key_of(key)], BODY).delivery == "m-1"
    two = head | {"webhook-signature": f"v1,AAAA {head['webhook-signature']}"}
    assert open_event(two, 1000, 300, [b"other", key_of(key)], BODY).delivery == "m-1"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"webhook-signature": "v1,AAAA"}, "does not fit", id="forged"),
        pytest.param({"webhook-signature": "v1,\udcff"}, "does not fit", id="no text"),
        pytest.param({"webhook-signature": "   "}, "does not fit", id="of blanks"),
        pytest.param({"webhook-signature": ""}, "write signingKey into", id="not signed"),
        pytest.param({"webhook-id": "m-2"}, "does not fit", id="another id"),
        pytest.param({"webhook-timestamp": "1001"}, "does not fit", id="another time"),
        pytest.param({"webhook-timestamp": "699"}, "is 301 s old", id="old"),
    ],
)
def test_what_is_not_genuine_is_refused(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(NotGenuine, match=sentence):
        open_event(sealed(BODY, at=1000) | changes, 1000, 300, [KEY.encode()], BODY)
    with pytest.raises(NotGenuine, match="does not fit"):
        open_event(sealed(BODY, at=1000), 1000, 300, [KEY.encode()], BODY + b" ")
    with pytest.raises(NotGenuine, match="does not fit"):
        open_event(sealed(BODY, at=1000), 1000, 300, [], BODY)


@pytest.mark.parametrize("kind", ["Promoted", "Cancelled", "Stalled", "Test", "WaitingForApproval"])
def test_other_events_lead_to_nothing(kind: str) -> None:
    found = read_event(json.dumps(event(kind=kind)).encode())
    assert found == Other(f"dev.mlops.rollouts.{kind.lower()} of models/iris")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(b"", "is no event of the operator", id="nothing"),
        pytest.param(b"[]", "is no event of the operator", id="a list"),
        pytest.param(b"{}", "is no event of the operator", id="no data"),
        pytest.param(b"[" * 9999, "is no event of the operator", id="deep"),
        pytest.param(json.dumps(event(uri="models:/iris@x")).encode(), "data.uri", id="an alias"),
        pytest.param(json.dumps(event(attempt=0)).encode(), "data.attempt", id="no attempt"),
        pytest.param(json.dumps(event(gates=[{}])).encode(), "data.gates.0", id="no gate"),
        pytest.param(json.dumps(event(message="x" * 9999)).encode(), "data.message", id="long"),
    ],
)
def test_what_the_operator_does_not_send_is_said(body: bytes, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        read_event(body)


@dataclass
class Table:
    client: TestClient[web.Request, web.Application]

    async def send(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        async with self.client.post(EVENTS, data=body, headers=headers) as reply:
            return reply.status, str((await reply.json())["outcome"])


@pytest.fixture
async def table(reverts: Reverts, tmp_path: Path) -> AsyncIterator[Table]:
    settings = Settings(tmp_path, (), event_keys=(KEY.encode(),))
    bridge = Bridge(settings, reverts.mappings, Replays(600), None, None, reverts)
    async with TestClient(TestServer(application(bridge))) as client:
        yield Table(client)


async def test_the_operator_is_told_whether_to_send_it_again(
    table: Table, github: GitHubServer
) -> None:
    assert await table.send(BODY, sealed(BODY, key="mallory-mallory-mallory")) == (
        401,
        "NotGenuine",
    )
    assert await table.send(BODY, sealed(BODY, at=1)) == (401, "NotGenuine")
    assert await table.send(b"{}", sealed(b"{}")) == (400, "Malformed")
    long = b"x" * 70_000
    assert await table.send(long, sealed(long)) == (413, "TooLarge")
    assert github.requests == []
    github.before = lambda _method, _path: (503, {})
    assert await table.send(BODY, sealed(BODY)) == (503, "Unavailable")
    github.before = lambda _method, _path: None
    assert await table.send(BODY, sealed(BODY)) == (200, "Opened")
    # Sent again under the same id, because the operator died before it knew.
    assert await table.send(BODY, sealed(BODY)) == (200, "Ignored")
    assert len(github.pulls) == 1


# --- configuration


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("reverts: []", "neither mappings nor reverts", id="nothing"),
        pytest.param(MAPPINGS + MAPPINGS.split("\n")[2], "models/iris twice", id="twice"),
        pytest.param(MAPPINGS.replace(FILE, "../x"), "no path in a", id="a path that leads out"),
        pytest.param(MAPPINGS.replace(FILE, "./x"), "no path in a", id="from here"),
        pytest.param(MAPPINGS.replace(FILE, "a//x"), "no path in a", id="two slashes"),
        pytest.param(MAPPINGS.replace(FILE, "/x"), "no path in a", id="absolute"),
        pytest.param(MAPPINGS.replace(FILE, r'"a\nb"'), "no path in a", id="a path of two lines"),
        pytest.param(MAPPINGS.replace(FILE, "''"), "no path in a", id="no path"),
        pytest.param(MAPPINGS.replace("team/", ""), "repository: String", id="no repository"),
        pytest.param(MAPPINGS.replace("as:", "for:"), "for: Extra", id="an unknown word"),
    ],
)
def test_a_file_that_cannot_be_used_is_said(text: str, sentence: str) -> None:
    with pytest.raises(MappingsError, match=sentence):
        parse(text)


def test_check_says_what_follows(tmp_path: Path) -> None:
    file = tmp_path / "mappings.yaml"
    file.write_text(MAPPINGS)
    told = CliRunner().invoke(main, ["check", str(file)]).output.splitlines()
    assert told[0] == (f"rolled back: ModelRollout models/iris -> revert in team/production {FILE}")


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        pytest.param({}, "set EVENT_KEY to what the Secret", id="no key"),
        pytest.param({"EVENT_KEY": KEY}, "set GITHUB_TOKEN: reverts open", id="no token"),
        pytest.param({"EVENT_KEY": "short"}, "EVENT_KEY has 5 characters", id="a short key"),
        pytest.param(
            {"EVENT_KEY": "whsec_not base64 at all"}, "goes on with no base64", id="no base64"
        ),
    ],
)
def test_what_reverts_need_is_said(tmp_path: Path, env: dict[str, str], sentence: str) -> None:
    file = tmp_path / "mappings.yaml"
    file.write_text(MAPPINGS)
    given = {"MAPPINGS_FILE": str(file), "GITHUB_TOKEN": "", **env}
    result = CliRunner().invoke(main, ["run"], env=given)
    assert (result.exit_code, sentence in result.output) == (2, True), result.output


def test_the_key_is_shown_to_nobody() -> None:
    settings = Settings.from_environment({"MAPPINGS_FILE": "f", "EVENT_KEY": KEY})
    assert settings.event_keys == (KEY.encode(),)
    assert "nobody-may-see" not in repr(settings)
    with pytest.raises(SettingsError, match="set MAPPINGS_FILE"):
        Settings.from_environment({"EVENT_KEY": KEY})


def test_secrets_of_files_are_taken_without_the_lines_end() -> None:
    """As `kubectl create secret --from-file` keeps them, and the operator reads the same one."""
    env = dict.fromkeys(("EVENT_KEY", "GITHUB_TOKEN", "WEBHOOK_SECRET"), f"{KEY}\n")
    settings = Settings.from_environment({"MAPPINGS_FILE": "f", **env})
    assert settings.event_keys == (KEY.encode(),)
    assert (settings.github_token, settings.secrets) == (KEY, (KEY,))
    assert open_event(sealed(BODY, at=1000), 1000, 300, settings.event_keys, BODY)
    with pytest.raises(SettingsError, match="GITHUB_TOKEN has characters that no token has"):
        Settings.from_environment({"MAPPINGS_FILE": "f", "GITHUB_TOKEN": "ghs_a\nb"})
