"""Real pods: the models are trained once for all workers; each test has a namespace, a host and a
rollout of its own.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest

from scripts.demo.models import RECIPES, Registry, train
from scripts.demo.rollout import Rollout, eventually, fresh_namespace
from scripts.demo.traffic import Traffic, answers_on
from scripts.kube import Kube
from tests.e2e.harness import PATIENCE, SETTINGS, Trained, register_with_wrong_digest

NAME = "iris-e2e"


def setting(name: str) -> str:
    """An environment variable that `python3 -m scripts.cluster run -- …` exports."""
    value = os.environ.get(name)
    assert value, (
        f"{name} is not set: run `make e2e`, or `python3 -m scripts.cluster run -- uv run pytest"
        " tests/e2e`"
    )
    return value


@pytest.fixture(scope="session")
def kube() -> Kube:
    setting("KUBECONFIG")
    return Kube()


@pytest.fixture(scope="session")
def ingress_url() -> str:
    return setting("INGRESS_URL")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The registered versions; the first worker that gets the lock trains them, the others read
    what it wrote.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    kept = shared / "models.json"
    with Path(shared / "models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            registry = Registry(setting("MLFLOW_TRACKING_URI"))
            modest, good, bad = (train(registry, NAME, recipe).uri for recipe in RECIPES)
            trained = Trained(modest, good, bad, register_with_wrong_digest(registry, good))
            kept.write_text(json.dumps(asdict(trained)))
    return Trained(**json.loads(kept.read_text()))


@pytest.fixture
def rollout(kube: Kube, request: pytest.FixtureRequest) -> Iterator[Rollout]:
    """A rollout that is not applied yet, in a fresh namespace; a test that fails leaves it to be
    looked at.
    """
    # Cases of one test run side by side: each has a namespace of its own.
    story, _, case = (
        re.sub("[^a-z0-9]+", "-", part.lower()).strip("-")
        for part in request.node.name.removeprefix("test_").partition("[")
    )
    name = f"e2e-{story[: 50 - len(case)]}-{case}".rstrip("-")
    fresh_namespace(kube, name)
    mine = Rollout(kube, name, settings=json.loads(json.dumps(SETTINGS)))
    yield mine
    print(mine.tell())
    if not request.session.testsfailed:
        kube.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def traffic(rollout: Rollout, ingress_url: str) -> Iterator[Callable[[], Traffic]]:
    """Starts predict traffic to the rollout's host as soon as it answers; it goes on until the test
    ends.
    """
    with ExitStack() as stack:

        def start() -> Traffic:
            eventually(
                lambda: answers_on(ingress_url, rollout.host) or None,
                f"{rollout.host} to answer",
                PATIENCE,
            )
            return stack.enter_context(Traffic(ingress_url, rollout.host, rate=10))

        yield start


@pytest.fixture
def stable(rollout: Rollout, models: Trained, traffic: Callable[[], Traffic]) -> Traffic:
    """The rollout with the modest version promoted, and traffic to it."""
    rollout.apply(models.modest)
    rollout.wait("Promoted", models.modest, PATIENCE)
    return traffic()
