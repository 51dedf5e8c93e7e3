"""A version that was promoted in one namespace arrives in another one, by a pull request with a
signed proof, and by nothing else: two operators on a real API server, a real Git repository, and
every part of the proof spoiled.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from rollout_operator.domain.api.names import PROMOTED, PROOF
from rollout_operator.domain.promotion_proof import Claims, claims_in
from tests.api.cli import Cli
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.github_server import TOKEN, GitHubServer, github_server
from tests.support.kinds import manifest
from tests.support.operator_process import OperatorProcess
from tests.support.proofs import key, private_pem, public_pem, signed
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

FILE = "prod/iris.yaml"
LONG = 180
"""Seconds: two operators start on a machine that may be busy."""
SPEC = {
    "modelUri": "models:/iris/1",
    "traffic": {"host": "production.example.com"},
    "strategy": {"steps": [{"weight": 50, "hold": "1s"}], "scaleDownDelay": "2s"},
    "analysis": {"interval": "1s", "maxHold": "5s"},
}


@dataclass
class Stage:
    """Both namespaces, each with an operator of its own, and the repository."""

    staging: Rollout
    production: Rollout
    github: GitHubServer
    cli: Cli
    folder: Path

    def applied(self, branch: str) -> None:
        """Apply what Git has of production, as a GitOps client does."""
        clone = self.github.clone(self.folder / uuid4().hex, branch)
        found = yaml.safe_load((clone / FILE).read_text())
        self.production.api.apply(self.production.path, found).raise_for_status()

    def handed_on(self, *more: str) -> str:
        """Promote on, and have the pull request merged; its branch."""
        self.cli.ok("promote-to", "iris", "-r", self.github.repository, "-p", FILE, *more)
        head = str(self.github.pulls[-1]["head"])
        self.github.merge(head, "main")
        self.github.pulls[-1]["state"] = "closed"
        return head

    def show(self, proof: str | None) -> None:
        """Write the proof that production's rollout shows; None for none."""
        body = {"metadata": {"annotations": {PROOF: proof}}}
        self.production.api.patch(self.production.path, body).raise_for_status()

    def stalled(self, why: str) -> dict[str, Any]:
        """Wait until production says so; its status."""

        def says() -> bool:
            condition = self.production.condition("Stalled")
            return condition.get("status") == "True" and why in condition["message"]

        wait_for(says, f"Stalled: {why}", LONG)
        return self.production.status()

    def proof(self, attempt: int) -> str:
        """What staging's operator has signed of this attempt."""

        def signed_for() -> str:
            text = str(self.staging.status().get("proof", ""))
            found = claims_in(text)
            return text if found is not None and found.attempt == attempt else ""

        return wait_for(signed_for, f"the proof of attempt {attempt}", LONG)


def _show(log: Path) -> None:
    print(log.read_text()[-3000:])  # pytest shows it where the test fails


@pytest.fixture
def stage(
    api: ApiClient, world: ScriptedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    end = uuid4().hex[:8]
    staging, production = f"staging-{end}", f"production-{end}"
    rule = {
        "namespaces": ["production-*"],
        "promotedBy": [f"staging/{staging}/{{name}}"],
        "maxAge": "1h",
        "keys": [public_pem(key("former")), public_pem(key("staging"))],
    }
    settings = {
        staging: {"PROOF_KEY": private_pem(key("staging")), "PROOF_ENVIRONMENT": "staging"},
        production: {"PROMOTION_PROOF": json.dumps([rule])},
    }
    body = {"spec": SPEC}
    text = yaml.safe_dump(manifest("ModelRollout", "iris", body))
    with ExitStack() as stack, served(world) as url:
        for ns, given in settings.items():
            api.namespace(ns)
            stack.enter_context(KubeletThread(api, world, ns))
            log = tmp_path / f"{ns}.log"
            stack.callback(_show, log)
            stack.enter_context(
                OperatorProcess(api.kubeconfig, url, log, WATCH_NAMESPACES=ns, **given)
            )
        github = stack.enter_context(github_server(tmp_path, {FILE: text}))
        monkeypatch.setenv("GITHUB_API_URL", github.url)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        yield Stage(
            Rollout(api, staging),
            Rollout(api, production),
            github,
            Cli(api.kubeconfig, staging),
            tmp_path,
        )


def tampered(proof: str, field: str, value: Any) -> str:
    """The same with another value, by somebody without the key."""
    head, middle, signature = proof.split(".")
    said = json.loads(base64.urlsafe_b64decode(f"{middle}=="))
    raw = base64.urlsafe_b64encode(json.dumps(said | {field: value}).encode())
    return f"{head}.{raw.rstrip(b'=').decode()}.{signature}"


NO_KEY = "none of the keys"
OTHERS: dict[str, tuple[Any, str]] = {
    "iss": ("laptop", "it is of laptop/"),
    "sub": ("elsewhere/iris", "it is of staging/elsewhere/iris"),
    "uid": (None, "does not understand (uid"),
    "uri": ("models:/iris/9", "it is of models:/iris/9"),
    "digest": ("sha256:" + "f" * 64, "it is of other files"),
    "attempt": ("2", "does not understand (attempt"),
    "verdict": ("RolledBack", "does not understand (verdict"),
    "reason": ("PromotedByCommand", "promoted there for PromotedByCommand"),
    "gates": (1, "does not understand (gates"),
    "iat": (1_700_000_000, "more than 1h ago"),
}
"""Another value of each claim, and what is said where staging itself has signed it."""


def spoiled(proof: str) -> Iterator[tuple[str, str]]:
    """Proofs that are none, and what is said of each."""
    own = claims_in(proof)
    assert own is not None
    for field in Claims.model_fields:
        value, why = OTHERS[field]
        yield tampered(proof, field, value), NO_KEY
        yield signed({**dict(own), field: value}, key("staging")), why
    yield signed(dict(own), key("mallory")), NO_KEY
    yield signed({**dict(own), "iat": own.iat + 3600}, key("staging")), "yet to come"
    yield signed(dict(own), key("staging"), typ="JWT"), "is no promotion-proof+jwt"
    yield proof[:-5], "cannot be read"
    yield f"models:/iris/2 {own.digest} Promoted by staging", "cannot be read"


def test_a_version_arrives_by_its_proof_and_by_nothing_else(stage: Stage) -> None:
    staging, production = stage.staging, stage.production
    staging.promote("1", attempt=1, seconds=LONG)
    first = stage.proof(1)

    # A first deploy, too: to delete and make again would go round the demand.
    stage.applied("main")
    status = stage.stalled("has no proof that it was promoted before")
    assert (status["phase"], status["attempt"]) == ("Invalid", 0)
    assert f"promote it as staging/{staging.ns}/iris" in status["message"]
    assert production.deployments() == {}
    head = stage.handed_on()
    assert head.startswith("promote/iris-iris-1-")
    assert "| proof | `signed by the operator there` |" in stage.github.pulls[0]["body"]
    stage.applied("main")
    production.wait_phase("Promoted", 1, LONG)
    annotations = production.api.get(production.path)["metadata"]["annotations"]
    assert annotations[PROOF] == first
    assert annotations[PROMOTED].startswith("models:/iris/1 sha256:")

    staging.promote("2", attempt=2, seconds=LONG)
    second = stage.proof(2)
    # By hand, with the proof of the version before.
    body = {"spec": {"modelUri": "models:/iris/2"}}
    production.api.patch(production.path, body).raise_for_status()
    stage.stalled("The proof of models:/iris/2 does not count: it is of models:/iris/1.")
    for proof, why in spoiled(second):
        stage.show(None)
        stage.stalled("has no proof")
        stage.show(proof)
        status = stage.stalled(why)
        assert (status["attempt"], status["stable"]["version"]) == (1, "1"), why
        assert list(production.deployments()) == ["1"], why
        assert (status["reason"], status["weight"]) == ("PromotionNotProved", 0)
        assert "kubectl modelrollout promote-to" in status["message"]

    stage.handed_on("--from", "staging")
    stage.applied("main")
    production.wait_phase("Promoted", 2, LONG)
    assert production.status()["stable"]["version"] == "2"

    # What was tried is not asked again, and the version before needs no proof to come back.
    stage.show(None)
    body = {"spec": {"modelUri": "models:/iris/1"}}
    production.api.patch(production.path, body).raise_for_status()
    production.wait_phase("Promoted", 3, LONG)
    assert production.status()["stable"]["version"] == "1"
    production.wait_true("Ready")


def test_a_proof_that_comes_late_is_taken_and_goes_with_nothing_under_way(
    stage: Stage, world: ScriptedWorld
) -> None:
    staging, production = stage.staging, stage.production
    staging.promote("1", attempt=1, seconds=LONG)
    stage.applied("main")
    stage.stalled("has no proof")
    stage.show(stage.proof(1))
    production.wait_phase("Promoted", 1, LONG)
    staging.promote("2", attempt=2, seconds=LONG)
    slow = {"steps": [{"weight": 50, "hold": "10m"}], "scaleDownDelay": "2s"}
    annotated = {"metadata": {"annotations": {PROOF: stage.proof(2)}}}
    body = {**annotated, "spec": {"modelUri": "models:/iris/2", "strategy": slow}}
    production.api.patch(production.path, body).raise_for_status()
    production.wait_phase("Trial", 2, LONG)
    wait_for(lambda: production.weight() == 50, "the trial's share", LONG)

    # Withdrawn in mid-trial, and without any registry: an abort needs neither.
    stage.show(None)
    world.registry_down = True
    abort = {"metadata": {"annotations": {"rollouts.mlops.dev/abort": "2"}}}
    production.api.patch(production.path, abort).raise_for_status()
    status = production.wait_phase("RolledBack", 2, LONG)
    assert (status["stable"]["version"], status["reason"]) == ("1", "Aborted")
    assert not production.weight()

    # To try it again is another attempt, and needs the proof again.
    world.registry_down = False
    retry = {"metadata": {"annotations": {"rollouts.mlops.dev/retry": "2"}}}
    production.api.patch(production.path, retry).raise_for_status()
    stage.stalled("has no proof")
    stage.show(stage.proof(2))
    production.wait_phase("Trial", 3, LONG)


def test_what_staging_does_not_sign_is_none_of_production(stage: Stage) -> None:
    """In a watch there is no proof; another operator's word is refused by name."""
    staging = stage.staging
    staging.promote("1", attempt=1, seconds=LONG)
    stage.proof(1)
    watched = {
        "steps": [{"weight": 50, "hold": "1s"}],
        "scaleDownDelay": "2s",
        "watch": "1h",
    }
    staging.apply("models:/iris/2", strategy=watched)
    assert staging.wait_phase("Promoted", 2, LONG)["watch"]
    wait_for(
        lambda: "proof" not in staging.status() or not staging.status()["proof"], "no proof", LONG
    )
    words = ["promote-to", "iris", "-r", stage.github.repository, "-p", FILE]
    code, _, err = stage.cli(*words)
    assert (code, "is still watched" in err) == (77, True), err
    staging.api.patch(
        staging.path, {"metadata": {"annotations": {"rollouts.mlops.dev/promote": "2"}}}
    ).raise_for_status()
    stage.proof(2)
    code, _, err = stage.cli(*words, "--from", "laptop")
    assert (code, "signs as 'staging'" in err) == (77, True), err
