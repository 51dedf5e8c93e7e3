"""A real Prometheus that asks who is there: the same verdicts, what is rotated counts at once, and
a refusal names the value to set.
"""

import asyncio
import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

from rollout_cli.cluster import prometheus as by_cli
from rollout_cli.doctor.metrics import check_prometheus
from rollout_cli.exit_codes import Failure
from rollout_operator.adapters.prometheus import Prometheus
from rollout_operator.adapters.prometheus_login import PrometheusLogin
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.domain.prometheus_access import access, of_url
from tests.support.api_client import ApiClient, wait_for
from tests.support.certificate import self_signed, signed
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served
from tests.support.secured_prometheus import (
    PASSWORD,
    TENANT,
    USER,
    Certificates,
    Gatekeeper,
    secured,
)

PATIENT = {"interval": "1s", "maxHold": "2m"}
SLOW = {
    "steps": [{"weight": 10, "hold": "3s"}, {"weight": 50, "hold": "1s"}],
    "progressDeadline": "60s",
    "scaleDownDelay": "2s",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def url(world: ScriptedWorld, made: Certificates, tmp_path: Path) -> Iterator[str]:
    home = tmp_path / "prometheus"
    home.mkdir()
    with secured(world, made, home) as address:
        yield address


@contextlib.contextmanager
def operator_with(
    api: ApiClient, ns: str, world: ScriptedWorld, log: Path, prometheus: str, **env: str
) -> Iterator[None]:
    with (
        served(world) as registry,
        OperatorProcess(
            api.kubeconfig,
            prometheus,
            log,
            registry,
            WATCH_NAMESPACES=ns,
            LOG_LEVEL="DEBUG",
            **env,
        ),
    ):
        yield
    print(log.read_text()[-4000:])  # pytest shows it where the test fails


def gate(rollout: Rollout) -> dict[str, Any]:
    """What the first gate says."""
    gates = rollout.status().get("gates") or [{}]
    return dict(gates[0])


def refused(rollout: Rollout, sentence: str) -> None:
    """Wait until the first gate is Unreachable with this sentence."""
    wait_for(
        lambda: (
            gate(rollout).get("measurement") == "Unreachable"
            and sentence in gate(rollout)["message"]
        ),
        f"the gate to say: {sentence}",
        30,
    )


def told_nowhere(api: ApiClient, ns: str, log: Path, *secrets: str) -> None:
    said = json.dumps([api.items("ModelRollout", ns), api.items("Event", ns)]) + log.read_text()
    assert "ModelRollout" in said
    assert not [secret for secret in secrets if secret in said]


def test_a_password_a_private_ca_and_a_client_certificate(
    api: ApiClient,
    ns: str,
    world: ScriptedWorld,
    made: Certificates,
    url: str,
    tmp_path: Path,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    """Wrong at first; the certificate is another one from the second version on."""
    password, log = tmp_path / "password", tmp_path / "operator.log"
    password.write_text("wrong-password\n")
    files = {"CERT": tmp_path / "tls.crt", "KEY": tmp_path / "tls.key"}
    for path, source in zip(files.values(), made.pair("client"), strict=True):
        shutil.copy(source, path)
    env = {
        "PROMETHEUS_USERNAME": USER,
        "PROMETHEUS_PASSWORD_FILE": str(password),
        "PROMETHEUS_CA_FILE": str(made.ca),
        **{f"PROMETHEUS_{name}_FILE": str(path) for name, path in files.items()},
    }
    with operator_with(api, ns, world, log, f"{url}/", **env):
        rollout.apply("models:/iris/1", analysis=PATIENT)
        refused(rollout, "HTTP 401 and said: Unauthorized. It does not take this user and password")
        password.write_text(f"{PASSWORD}\n")
        rollout.wait_phase("Promoted", 1)
        key, certificate = signed(tmp_path, "rotated", "DNS:operator", by=made.folder)
        shutil.copy(certificate, files["CERT"])
        shutil.copy(key, files["KEY"])
        rollout.apply("models:/iris/2", analysis=PATIENT)
        rollout.wait_phase("Promoted", 2)
        rollout.apply("models:/iris/3", analysis=PATIENT)
        third = rollout.wait_phase("RolledBack", 3)
        assert third["gates"][0]["value"] == 0.62
        assert rollout.condition("Stalled")["reason"] == "GateFailed"
    told_nowhere(api, ns, log, PASSWORD, "wrong-password")


def test_a_token_that_is_rotated_in_mid_trial(
    api: ApiClient,
    ns: str,
    world: ScriptedWorld,
    made: Certificates,
    url: str,
    tmp_path: Path,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    token, log = tmp_path / "token", tmp_path / "operator.log"
    token.write_text("first-token\n")
    gatekeeper = Gatekeeper(url, made, "first-token")
    env = {
        "PROMETHEUS_TOKEN_FILE": str(token),
        "PROMETHEUS_HEADERS": json.dumps({"X-Scope-OrgID": TENANT}),
    }
    with gatekeeper.open() as gate_url, operator_with(api, ns, world, log, gate_url, **env):
        rollout.apply("models:/iris/1", analysis=PATIENT)
        rollout.wait_phase("Promoted", 1)
        assert not gatekeeper.refused
        rollout.apply("models:/iris/2", analysis=PATIENT, strategy=SLOW)
        wait_for(lambda: rollout.weight() == 10, "the first step")
        gatekeeper.token = "second-token"
        refused(rollout, "no such token: ***. It does not take the token: put a valid one into")
        assert rollout.weight() == 10
        token.write_text("second-token\n")
        second = rollout.wait_phase("Promoted", 2)
        assert [h["verdict"] for h in second["history"]] == ["Promoted", "Promoted"]
        assert set(gatekeeper.refused) == {"Bearer first-token"}
        rollout.apply("models:/iris/3", analysis=PATIENT)
        assert rollout.wait_phase("RolledBack", 3)["gates"][0]["value"] == 0.62
    told_nowhere(api, ns, log, "first-token", "second-token")


GOOD = {"USERNAME": USER, "PASSWORD": PASSWORD, "CA": "ca", "CERT": "client", "KEY": "client-key"}
WAYS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "as it should be": ({}, ()),
    "nothing but certificates": (
        {"USERNAME": "", "PASSWORD": ""},
        ("HTTP 401", "It wants credentials: set PROMETHEUS_TOKEN_FILE, or PROMETHEUS_USERNAME"),
    ),
    "a wrong password": (
        {"PASSWORD": "wrong-password"},
        ("HTTP 401", "It does not take this user and password"),
    ),
    "no CA": ({"CA": ""}, ("signed by an unknown CA: set PROMETHEUS_CA_FILE",)),
    "another CA": ({"CA": "other"}, ("signed by an unknown CA: set PROMETHEUS_CA_FILE",)),
    "no client certificate": (
        {"CERT": "", "KEY": ""},
        ("wants a client certificate", "set PROMETHEUS_CERT_FILE and PROMETHEUS_KEY_FILE"),
    ),
    "a client certificate of another CA": (
        {"CERT": "other", "KEY": "other-key"},
        ("client certificate", "set PROMETHEUS_CERT_FILE and PROMETHEUS_KEY_FILE"),
    ),
}


@pytest.fixture
def variables(made: Certificates, tmp_path: Path) -> dict[str, str]:
    """Files by the names that the ways have, and what is no file."""
    key, certificate = self_signed(tmp_path, "DNS:other")
    cert, client_key = made.pair("client")
    return {
        "ca": str(made.ca),
        "client": str(cert),
        "client-key": str(client_key),
        "other": str(certificate),
        "other-key": str(key),
    }


def environment(way: dict[str, str], variables: dict[str, str]) -> dict[str, str]:
    return {
        f"PROMETHEUS_{name}{'_FILE' if name in {'CA', 'CERT', 'KEY'} else ''}": variables.get(
            value, value
        )
        for name, value in {**GOOD, **way}.items()
    }


def asked_by_the_operator(url: str, env: dict[str, str]) -> str:
    """What it says against it; "" where it answers. On the loop that the operator has."""
    plain, known = of_url(url, access(env))

    async def ask() -> str:
        async with aiohttp.ClientSession() as session:
            told = await Prometheus(plain, session, PrometheusLogin(known)).snapshot(
                Metric.ACCURACY, 0
            )
        answer = told.answer
        return answer.message if isinstance(answer, MetricsUnreachable) else ""

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(ask())


def asked_by_doctor(url: str, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> str:
    """What it says against it; "" where it answers."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    try:
        results = list(check_prometheus(by_cli.find(None, url)))
    except Failure as failure:
        return str(failure)
    assert "answers" in results[0].found
    return ""


def test_what_lacks_is_told_with_the_value_to_set(
    url: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the operator and by `doctor` alike."""
    for case, (way, sentences) in WAYS.items():
        env = environment(way, variables)
        for told in (
            asked_by_the_operator(url, env),
            asked_by_doctor(url, monkeypatch, env),
        ):
            assert bool(told) is bool(sentences), (case, told)
            assert all(sentence in told for sentence in sentences), (case, told)
            assert "-password" not in told
