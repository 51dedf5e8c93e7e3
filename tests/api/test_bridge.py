"""The bridge between a real MLflow server, a real API server and the real operator: an alias that
is set leads to an attempt.
"""

import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from rollout_bridge.mappings import RolloutTarget
from rollout_bridge.outcome import Outcome
from rollout_bridge.rollouts import Rollouts
from rollout_bridge.webhook import DELIVERY_ID, SIGNATURE, TIMESTAMP, AliasSet, sign
from scripts.cluster.apiserver import free_port
from tests.support.api_client import ApiClient, wait_for
from tests.support.charts import by_kind
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import GROUP
from tests.support.mlflow_server import SECRET, Bridge, Mlflow, mlflow_server
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

TEMPLATE = {"traffic": {"host": "iris.example.com"}}
TIMES = {
    "strategy": {
        "steps": [{"weight": 10, "hold": "1s"}],
        "progressDeadline": "60s",
        "scaleDownDelay": "2s",
    },
    "analysis": {"interval": "1s", "maxHold": "20s"},
}


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


def mapping(ns: str, model: str = "iris") -> str:
    target = {"namespace": ns, "name": "iris", "template": {**TEMPLATE, **TIMES}}
    return yaml.safe_dump(
        {"mappings": [{"model": model, "alias": "production", "rollout": target}]}
    )


@contextmanager
def forwarded(to: str, port: int) -> Iterator[None]:
    """Whatever connects to `port` on loopback talks to `to`, until the end."""
    there = urlsplit(to)
    listener = socket.create_server(("127.0.0.1", port))

    def pour(source: socket.socket, sink: socket.socket) -> None:
        try:
            while block := source.recv(65536):
                sink.sendall(block)
        except OSError:
            pass
        for end in (source, sink):
            end.close()

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((str(there.hostname), int(there.port or 0)))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pour, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        listener.close()


def test_an_alias_that_is_set_leads_to_an_attempt_of_that_version(
    api: ApiClient,
    ns: str,
    mlflow: Mlflow,
    world: ScriptedWorld,
    kubelet: KubeletThread,
    rollout: Rollout,
    tmp_path: Path,
) -> None:
    """MLflow registers, signs and sends; nobody but the bridge touches the ModelRollout. An API
    server that is away loses no webhook.
    """
    first = mlflow.register("iris")
    away = free_port()
    kubeconfig = yaml.safe_load(api.kubeconfig.read_text())
    server = kubeconfig["clusters"][0]["cluster"]["server"]
    kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{away}"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    bridge = Bridge(tmp_path, tmp_path / "kubeconfig", mapping(ns), RETRY_AFTER_SECONDS="4")
    mlflow.webhook(bridge.url)
    world.accuracy = {"1": 0.91, "2": 0.62}
    with served(world) as url:
        operator = OperatorProcess(
            api.kubeconfig, url, tmp_path / "operator.log", WATCH_NAMESPACES=ns
        )
        operator.environment["MLFLOW_TRACKING_URI"] = mlflow.url
        with operator, bridge.running():
            # The API server is away: the bridge says so, and MLflow sends again.
            mlflow.alias("iris", "production", first)
            wait_for(lambda: bridge.outcomes()[:1] == ["Unavailable"], "the bridge to be asked")
            with forwarded(server, away):
                wait_for(lambda: bridge.outcomes()[-1] == "Applied", "MLflow to send again", 60)
                assert rollout.wait_phase("Promoted", 1)["stable"]["uri"] == "models:/iris/1"
                annotations = api.get(rollout.path)["metadata"]["annotations"]
                assert annotations[f"{GROUP}/requested-by"] == "mlflow default/iris@production"

                second = mlflow.register("iris")
                mlflow.alias("iris", "production", second)
                wait_for(lambda: rollout.status()["attempt"] == 2, "the second attempt")
                assert rollout.wait_phase("RolledBack", 2)["stable"]["uri"] == "models:/iris/1"
                assert rollout.status()["history"][0]["uri"] == "models:/iris/2"

                # Setting the alias once more asks for the same version; another alias, and one
                # taken away, for nothing.
                mlflow.alias("iris", "production", second)
                mlflow.alias("iris", "staging", first)
                mlflow.call(
                    "DELETE", "registered-models/alias", {"name": "iris", "alias": "production"}
                )
                # The operator's own alias, moved by the promotion, is told too, and ignored.
                expected = ["Applied", "Applied", "Applied", "Ignored", "Ignored"]
                # How often MLflow has sent again while the API server was away is chance.
                wait_for(
                    lambda: sorted(o for o in bridge.outcomes() if o != "Unavailable") == expected,
                    "every webhook to be answered",
                )
                time.sleep(1)
                assert rollout.status()["attempt"] == 2


def test_mlflow_says_whether_a_webhook_arrives(
    api: ApiClient, ns: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    """MLflow's own test of a webhook sends an example event, signed: the bridge knows it, and does
    nothing.
    """
    bridge = Bridge(tmp_path, api.kubeconfig, mapping(ns))
    with bridge.running():
        for secret, status in ((SECRET, 200), ("another-secret-than-the-bridges", 401)):
            webhook = mlflow.webhook(bridge.url, secret)
            result = mlflow.call("POST", f"webhooks/{webhook}/test", {})["result"]
            assert result["response_status"] == status, result
            mlflow.call("DELETE", f"webhooks/{webhook}", {})
    assert bridge.outcomes() == ["Ignored", "NotGenuine"]


def test_a_replay_after_a_restart_changes_nothing(
    api: ApiClient, ns: str, rollout: Rollout, tmp_path: Path
) -> None:
    """The bridge forgets deliveries with its process; what it asked for last stands in the
    ModelRollout.
    """
    bridge = Bridge(tmp_path, api.kubeconfig, mapping(ns))

    def send(version: str, delivery: str, at: datetime, sent_at: int) -> int:
        data = {"name": "iris", "alias": "production", "version": version}
        said = {
            "entity": "model_version_alias",
            "action": "created",
            "timestamp": at.isoformat(),
            "data": data,
        }
        body = json.dumps(said).encode()
        headers = {
            DELIVERY_ID: delivery,
            TIMESTAMP: str(sent_at),
            SIGNATURE: sign(SECRET, delivery, sent_at, body),
        }
        return httpx.post(bridge.url, content=body, headers=headers, trust_env=False).status_code

    now, sent_at = datetime.now(UTC), int(time.time())
    with bridge.running():
        assert send("1", "first", now, sent_at) == 200
        assert send("2", "second", now + timedelta(seconds=1), sent_at) == 200
        assert send("1", "first", now, sent_at) == 409
    seen = api.get(rollout.path)["metadata"]["resourceVersion"]
    with bridge.running():
        assert send("1", "first", now, sent_at) == 200
        assert bridge.outcomes()[-1] == "Stale"
        assert send("1", "third", now, sent_at - 301) == 401
    found = api.get(rollout.path)
    assert found["metadata"]["resourceVersion"] == seen
    assert found["spec"]["modelUri"] == "models:/iris/2"


@pytest.fixture
async def rollouts(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rollouts]:
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig))
    connected = await Rollouts.connect()
    yield connected
    await connected.close()


def event(version: str, seconds: int = 0) -> AliasSet:
    return AliasSet(
        "default",
        "iris",
        "production",
        version,
        datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds),
    )


async def test_what_git_owns_is_not_taken_unless_told(
    api: ApiClient, ns: str, rollout: Rollout, rollouts: Rollouts
) -> None:
    rollout.apply("models:/iris/1")
    mine = RolloutTarget(namespace=ns, name="iris")
    result = await rollouts.request(mine, event("2"))
    assert result.outcome is Outcome.REFUSED
    assert '.spec.modelUri conflict with "test"' in result.message
    assert "force: true" in result.message
    assert api.get(rollout.path)["spec"]["modelUri"] == "models:/iris/1"
    assert "annotations" not in api.get(rollout.path)["metadata"]

    before = api.get(rollout.path)["spec"]
    result = await rollouts.request(mine.model_copy(update={"force": True}), event("2"))
    assert result.outcome is Outcome.APPLIED
    assert api.get(rollout.path)["spec"] == {**before, "modelUri": "models:/iris/2"}, (
        "nothing else is touched"
    )
    (owned,) = [
        m
        for m in api.get(rollout.path)["metadata"]["managedFields"]
        if m["manager"] == "rollout-bridge"
    ]
    assert owned["fieldsV1"]["f:spec"] == {"f:modelUri": {}}
    assert (await rollouts.request(mine, event("3", 1))).outcome is Outcome.APPLIED, (
        "what is its own it may change"
    )


async def test_with_the_rights_that_the_chart_gives_it(
    api: ApiClient, ns: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server judges: the named ModelRollout may be made and changed, its neighbour may not
    even be read.
    """
    mapped = {
        "model": "iris",
        "alias": "production",
        "rollout": {"namespace": ns, "name": "iris", "template": TEMPLATE},
    }
    values = {"enabled": True, "webhookSecret": {"secret": "webhook"}, "mappings": [mapped]}
    found = by_kind("rollout-operator", {"bridge": values}, namespace=ns)
    account = f"/api/v1/namespaces/{ns}/serviceaccounts"
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}"
    for path, kind in (
        (account, "ServiceAccount"),
        (f"{rbac}/roles", "Role"),
        (f"{rbac}/rolebindings", "RoleBinding"),
    ):
        for one in found[kind]:
            assert api.apply(f"{path}/{one['metadata']['name']}", one).status_code == 201
    reply = api.http.post(f"{account}/rollout-operator-bridge/token", json={"spec": {}})
    kubeconfig = yaml.safe_load(api.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": reply.json()["status"]["token"]}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    rollouts = await Rollouts.connect()
    try:
        for version in (1, 2):
            result = await rollouts.request(
                RolloutTarget(namespace=ns, name="iris", template=TEMPLATE),
                event(str(version), version),
            )
            assert result.outcome is Outcome.APPLIED, result.message
        for other in (
            RolloutTarget(namespace=ns, name="iris2", template=TEMPLATE),
            RolloutTarget(namespace="default", name="iris"),
        ):
            result = await rollouts.request(other, event("1"))
            assert result.outcome is Outcome.UNAVAILABLE
            assert "403" in result.message
    finally:
        await rollouts.close()
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": ns},
    }
    bearer = {"Authorization": f"Bearer {kubeconfig['users'][0]['user']['token']}"}
    reply = api.http.post(
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", json=review, headers=bearer
    )
    may = [
        (r["apiGroups"], r["resources"], r.get("resourceNames"), r["verbs"])
        for r in reply.json()["status"]["resourceRules"]
    ]
    mine = [one for one in may if not one[0][0].startswith(("authorization", "authentication"))]
    group = ["rollouts.mlops.dev"]
    expected = [
        (group, ["modelrollouts"], None, ["create"]),
        (group, ["modelrollouts"], ["iris"], ["get", "patch"]),
    ]
    assert sorted(mine, key=str) == sorted(expected, key=str)


async def test_webhooks_that_overtake_each_other(
    api: ApiClient, ns: str, rollout: Rollout, rollouts: Rollouts
) -> None:
    target = RolloutTarget(namespace=ns, name="iris", template=TEMPLATE)
    assert (await rollouts.request(target, event("3", 2))).outcome is Outcome.APPLIED
    assert (await rollouts.request(target, event("2", 1))).outcome is Outcome.STALE
    assert (await rollouts.request(target, event("3", 2))).outcome is Outcome.STALE
    assert api.get(rollout.path)["spec"]["modelUri"] == "models:/iris/3"


async def test_what_the_api_server_refuses_is_told_and_not_sent_again(
    ns: str, rollouts: Rollouts
) -> None:
    bad = RolloutTarget(namespace=ns, name="iris", template={**TEMPLATE, "replicas": 0})
    result = await rollouts.request(bad, event("1"))
    assert result.outcome is Outcome.REFUSED
    assert "replicas is a count of pods" in result.message
    missing = await rollouts.request(RolloutTarget(namespace=ns, name="iris"), event("1"))
    assert missing.outcome is Outcome.REFUSED
    assert "no template to make it from" in missing.message


async def test_a_namespace_that_is_not_there_yet_is_waited_for(rollouts: Rollouts) -> None:
    target = RolloutTarget(namespace="not-there-yet", name="iris", template=TEMPLATE)
    assert (await rollouts.request(target, event("1"))).outcome is Outcome.UNAVAILABLE
