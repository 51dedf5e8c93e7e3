"""Messages of a real operator process: to whom, of what, and what they cost the API server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.message_receivers import (
    HttpReceiver,
    MailReceiver,
    http_receiver,
    mail_receiver,
    secret_folder,
)
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served, serving

MISSING = "models:/iris/9"
"""A version that the registry does not have: the rollout is Stalled with its first look."""
SHARD = "messages"

Start = Callable[..., OperatorProcess]


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    one = http_receiver()
    with serving(one.app()) as url:
        one.port = int(url.rpartition(":")[2])
        yield one


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with mail_receiver().served() as one:
        yield one


@pytest.fixture
def start(api: ApiClient, world: ScriptedWorld, tmp_path: Path) -> Iterator[Start]:
    """Starts an operator of all namespaces, for the rollouts of these tests alone."""
    running: list[OperatorProcess] = []
    with served(world) as url:

        def start_one(destinations: list[dict[str, Any]], **environment: str) -> OperatorProcess:
            given = {"SHARD": SHARD, "MESSAGES": json.dumps(destinations), **environment}
            one = OperatorProcess(api.kubeconfig, url, tmp_path / "operator.log", **given)
            one.start()
            running.append(one)
            return one

        yield start_one
        for one in running:
            one.stop()


def program(folder: Path, receiver: HttpReceiver, **more: Any) -> dict[str, Any]:
    path = secret_folder(folder / "program", url=receiver.url)
    return {"name": "program", "format": "CloudEvents", "folder": path, **more}


def of_shard(rollout: Rollout, uri: str) -> None:
    """Apply it, for the operator of these tests."""
    rollout.apply(uri)
    label = {"metadata": {"labels": {"rollouts.mlops.dev/shard": SHARD}}}
    rollout.api.patch(rollout.path, label).raise_for_status()


def subjects(receiver: HttpReceiver) -> list[str]:
    return [f"{e['subject']} {e['data']['kind']}" for e in receiver.events()]


def label(api: ApiClient, namespace: str, team: str) -> None:
    labelled = {"metadata": {"labels": {"team": team}}}
    api.patch(f"/api/v1/namespaces/{namespace}", labelled).raise_for_status()


def test_a_destination_has_the_namespaces_of_its_label(
    api: ApiClient, ns: str, start: Start, receiver: HttpReceiver, tmp_path: Path
) -> None:
    other = f"{ns}-other"
    api.namespace(other)
    label(api, ns, "ml")
    label(api, other, "web")
    start([program(tmp_path, receiver, namespaceSelector={"matchLabels": {"team": "ml"}})])
    of_shard(Rollout(api, other, "first"), MISSING)
    Rollout(api, other, "first").wait_true("Stalled")
    of_shard(Rollout(api, ns, "second"), MISSING)
    wait_for(lambda: receiver.posted, "the message of the namespace with the label")
    label(api, other, "ml")
    label(api, ns, "web")

    def told() -> bool:
        """Until the watch has told of the labels, a rollout may be of the old ones."""
        name = f"third-{len(tried)}"
        tried.append(name)
        of_shard(Rollout(api, other, name), MISSING)
        Rollout(api, other, name).wait_true("Stalled")
        return any(one.startswith(f"{other}/third") for one in subjects(receiver))

    tried: list[str] = []
    wait_for(told, "a message of the namespace that has the label now")
    assert f"{ns}/second Stalled" in subjects(receiver)
    assert f"{other}/first Stalled" not in subjects(receiver)


def test_what_was_so_before_is_not_told_at_any_start(
    api: ApiClient, ns: str, start: Start, receiver: HttpReceiver, tmp_path: Path
) -> None:
    silent = start([])
    of_shard(Rollout(api, ns, "old"), MISSING)
    Rollout(api, ns, "old").wait_true("Stalled")
    silent.stop()
    told = start([program(tmp_path, receiver)])
    of_shard(Rollout(api, ns, "new"), MISSING)
    wait_for(lambda: receiver.posted, "the message of what is new")
    wait_for(lambda: not Rollout(api, ns, "new").status()["messages"][0].get("to"), "its mark")
    told.stop()
    start([program(tmp_path, receiver)])
    of_shard(Rollout(api, ns, "newer"), MISSING)
    wait_for(lambda: len(receiver.posted) > 1, "the message of what is newer")
    assert subjects(receiver) == [f"{ns}/new Stalled", f"{ns}/newer Stalled"]
    assert not Rollout(api, ns, "old").status().get("messages")


def test_a_verdict_is_told_with_its_evidence_and_no_secret_is_logged(
    api: ApiClient,
    ns: str,
    start: Start,
    kubelet: KubeletThread,
    receiver: HttpReceiver,
    mail: MailReceiver,
    tmp_path: Path,
) -> None:
    people = {"name": "people", "folder": secret_folder(tmp_path / "people", url=mail.url)}
    lost = {"name": "lost", "folder": str(tmp_path / "nothing"), "namespaces": [ns]}
    running = start(
        [program(tmp_path, receiver), people, lost], DASHBOARD_URL="https://rollouts.example.com/"
    )
    rollout = Rollout(api, ns)
    of_shard(rollout, "models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    before = api.version("ModelRollout", ns)
    rollout.apply("models:/iris/3")
    rollout.wait_phase("RolledBack", 2)
    wait_for(lambda: len(receiver.posted) == 2 and len(mail.mails) == 2, "both messages", 60)
    wait_for(lambda: rollout.status()["messages"][-1]["to"] == ["lost"], "the marks")

    event = receiver.events()[1]
    (gate,) = event["data"]["gates"]
    assert (event["data"]["version"], gate["value"], gate["measurement"]) == ("3", 0.62, "Fail")
    text = mail.texts()[1]
    assert "accuracy: 0.62 against 0.7" in text
    assert f"https://rollouts.example.com/rollouts/{ns}/iris" in text
    # The claim is in the write that has the verdict in history.
    statuses = rollout.statuses_since(before)
    (verdict, *marks) = [s for s in statuses if s["history"][0]["attempt"] == 2]
    assert verdict["messages"][-1]["to"] == ["program", "people", "lost"]
    assert {tuple(s["messages"][-1]["to"]) for s in marks} >= {("lost",)}
    log = running.log.read_text()
    assert "Messages to lost cannot be sent" in log
    assert "s3cr3t" not in log
    assert mail.url not in log


def test_without_destinations_status_says_nothing_of_messages(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.promote("1", 1)
    assert not rollout.status().get("messages")
    assert operator.messages("delivered") == 0
