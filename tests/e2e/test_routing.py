"""What real routers do with what they are told: testers' header, two rollouts on one host, TLS."""

import json
import re
import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from scripts.demo.models import Registry
from scripts.demo.rollout import Rollout, eventually
from scripts.demo.traffic import FLOWERS, TIMEOUT
from scripts.kube import Kube
from tests.e2e.conftest import setting
from tests.e2e.harness import (
    NOTHING,
    PATIENCE,
    SETTINGS,
    SYSTEM,
    Trained,
    copy_of,
    hold,
    kubectl,
    version_of,
    who_answers,
)
from tests.support.certificate import self_signed

PROVIDERS = {
    "Ingress": {},
    "HTTPRoute": {"provider": "HTTPRoute", "parentRefs": [{"name": "public"}]},
}
by_either_router = pytest.mark.parametrize("provider", PROVIDERS)


def answered(
    url: str, host: str, expected: Mapping[str, int], headers: Mapping[str, str] = NOTHING
) -> None:
    """Wait until 50 requests are answered exactly so; a router that reads new routes in between
    begins to count anew.
    """
    found = Counter[str]()

    def so() -> bool | None:
        found.clear()
        found.update(who_answers(url, host, 50, headers))
        return True if found == expected else None

    eventually(
        so,
        f"50 requests to be answered by {dict(expected)}",
        PATIENCE,
        lambda: f"They were by {dict(found)}",
    )


@by_either_router
def test_testers_choose_the_candidate_by_header(
    provider: str, rollout: Rollout, models: Trained, ingress_url: str
) -> None:
    rollout.settings["traffic"] = {**PROVIDERS[provider], "host": rollout.host}
    hold(rollout, 900)
    rollout.apply(models.modest)
    rollout.wait("Promoted", models.modest, PATIENCE)
    rollout.apply(models.good)
    rollout.wait("Trial", models.good, PATIENCE)
    new, old = version_of(models.good), version_of(models.modest)
    answered(ingress_url, rollout.host, {new: 50}, {"X-Model-Candidate": "true"})
    answered(ingress_url, rollout.host, {new: 10, old: 40})
    answered(ingress_url, rollout.host, {new: 10, old: 40}, {"X-Model-Candidate": "no"})


@by_either_router
def test_every_host_leads_to_the_model_and_has_its_share_of_a_trial(
    provider: str, rollout: Rollout, models: Trained, ingress_url: str
) -> None:
    names = [rollout.host, f"also.{rollout.host}"]
    rollout.settings["traffic"] = {**PROVIDERS[provider], "hosts": names}
    hold(rollout, 900)
    rollout.apply(models.modest)
    rollout.wait("Promoted", models.modest, PATIENCE)
    rollout.apply(models.good)
    rollout.wait("Trial", models.good, PATIENCE)
    new, old = version_of(models.good), version_of(models.modest)
    for name in names:
        answered(ingress_url, name, {new: 10, old: 40})
    rollout.settings["traffic"] = {
        **PROVIDERS[provider],
        "hosts": names[1:],
        "removalDelay": "2s",
    }
    rollout.apply(models.good)
    answered(ingress_url, names[0], {"HTTP 404": 50})
    answered(ingress_url, names[1], {new: 10, old: 40})


@by_either_router
def test_two_rollouts_on_one_host_do_not_disturb_each_other(
    provider: str, kube: Kube, rollout: Rollout, models: Trained, ingress_url: str
) -> None:
    """Paths lead to each; one of them is on trial, the other must not see anything of it."""
    other = copy_of(Registry(setting("MLFLOW_TRACKING_URI")), models.good)
    beside = Rollout(kube, rollout.namespace, "wine", settings=json.loads(json.dumps(SETTINGS)))
    for one, path in ((rollout, "/team/iris"), (beside, "/team/wine")):
        one.settings["traffic"] = {**PROVIDERS[provider], "host": rollout.host, "path": path}
    hold(rollout, 900)
    rollout.apply(models.modest)
    beside.apply(other)
    rollout.wait("Promoted", models.modest, PATIENCE)
    beside.wait("Promoted", other, PATIENCE)
    rollout.apply(models.good)
    rollout.wait("Trial", models.good, PATIENCE)

    url = ingress_url.rstrip("/")
    answered(
        f"{url}/team/iris",
        rollout.host,
        {version_of(models.good): 10, version_of(models.modest): 40},
    )
    assert who_answers(f"{url}/team/wine", rollout.host, 50) == {version_of(other): 50}
    assert who_answers(f"{url}/team", rollout.host, 5) == {"HTTP 404": 5}, "no path leads there"


@contextmanager
def forwarded(port: int) -> Iterator[int]:
    """A local port that leads to the router's `port`."""
    command = ["kubectl", "port-forward", "-n", SYSTEM, "service/traefik", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)", line := process.stdout.readline())
            assert found is not None, line
            yield int(found[1])
        finally:
            process.terminate()


def test_tls_with_a_secret_of_ones_own(
    rollout: Rollout, models: Trained, ingress_url: str, tmp_path: Path
) -> None:
    """The Secret's certificate is what clients see; the candidate's share holds behind it; plain
    HTTP is sent there.
    """
    key, certificate = self_signed(tmp_path, f"DNS:{rollout.host}")
    kubectl(
        "create",
        "secret",
        "tls",
        "iris-tls",
        f"--cert={certificate}",
        f"--key={key}",
        "--namespace",
        rollout.namespace,
    )
    rollout.settings["traffic"] = {"host": rollout.host, "tlsSecret": "iris-tls"}
    hold(rollout, 900)
    rollout.apply(models.modest)
    rollout.wait("Promoted", models.modest, PATIENCE)
    context = ssl.create_default_context(cafile=str(certificate))

    with forwarded(443) as port:

        def over_tls(requests: int) -> Counter[str]:
            url, body = f"https://127.0.0.1:{port}/predict/", {"instances": [FLOWERS[0]]}
            name = {"sni_hostname": rollout.host}
            with httpx.Client(
                verify=context, headers={"Host": rollout.host}, timeout=TIMEOUT, trust_env=False
            ) as http:
                replies = [http.post(url, json=body, extensions=name) for _ in range(requests)]
            return Counter(
                r.headers.get("X-Model-Version", f"HTTP {r.status_code}") for r in replies
            )

        def served() -> bool | None:
            try:
                return over_tls(5) == {version_of(models.modest): 5} or None
            except httpx.ConnectError:
                return None  # the router's own certificate, until it has read the Secret

        eventually(served, "the host to answer over TLS by its certificate", PATIENCE)
        assert who_answers(ingress_url, rollout.host, 1) == {"HTTP 308": 1}
        rollout.apply(models.good)
        rollout.wait("Trial", models.good, PATIENCE)
        expected = {version_of(models.good): 10, version_of(models.modest): 40}
        eventually(
            lambda: over_tls(50) == expected or None,
            "the candidate's share over TLS",
            PATIENCE,
            lambda: str(over_tls(50)),
        )
