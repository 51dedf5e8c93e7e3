"""The parts of scripts.cluster that decide, without starting anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.cluster import processes
from scripts.cluster.addons import MANIFESTS, PARTS, render
from scripts.cluster.backend import NoCluster, choose_backend
from scripts.cluster.extras import EXTRAS
from scripts.cluster.gobuild import COMPONENTS
from scripts.cluster.images import IMAGES, PACKAGES, content_key
from scripts.cluster.network import our_rules
from scripts.cluster.paths import REPOSITORY

EXTRA_IMAGES = tuple(i for extra in EXTRAS.values() for i in extra.images)
CHOICES = {
    "an engine means kind": ({}, True, True, True, "kind"),
    "root on Linux without engine means local": ({}, False, True, True, "local"),
    "an engine on a Mac means kind": ({}, True, False, False, "kind"),
    "a given cluster": ({"CLUSTER": "existing", "KUBECONFIG": "/k"}, True, True, True, "existing"),
    "a KUBECONFIG alone is not taken for consent": (
        {"KUBECONFIG": "/k"},
        False,
        True,
        True,
        "local",
    ),
    "local where kind could be": ({"CLUSTER": "local"}, True, True, True, "local"),
}


@pytest.mark.parametrize(
    ("env", "engine", "linux", "root", "backend"), CHOICES.values(), ids=CHOICES.keys()
)
def test_the_cluster_is_chosen(
    env: dict[str, str], engine: bool, linux: bool, root: bool, backend: str
) -> None:
    assert choose_backend(env, engine=engine, linux=linux, root=root) == backend


REFUSALS = {
    "nothing can be had": ({}, False, True, False, "start Docker or Podman"),
    "an unknown backend": (
        {"CLUSTER": "minikube"},
        True,
        True,
        True,
        "write existing, kind or local",
    ),
    "existing without kubeconfig": ({"CLUSTER": "existing"}, True, True, True, "export KUBECONFIG"),
    "kind without engine": ({"CLUSTER": "kind"}, False, True, True, "start Docker or Podman"),
    "local without root": ({"CLUSTER": "local"}, False, True, False, "use sudo"),
}


@pytest.mark.parametrize(
    ("env", "engine", "linux", "root", "advice"), REFUSALS.values(), ids=REFUSALS.keys()
)
def test_a_refusal_says_what_to_do(
    env: dict[str, str], engine: bool, linux: bool, root: bool, advice: str
) -> None:
    with pytest.raises(NoCluster, match=advice):
        choose_backend(env, engine=engine, linux=linux, root=root)


SAVED = """*nat
:PREROUTING ACCEPT [1:60]
:KUBE-SERVICES - [0:0]
:CNI-0123 - [0:0]
:DOCKER - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j DOCKER
-A POSTROUTING -s 10.244.0.2/32 -m comment --comment "name: \\"x\\"" -j CNI-0123
-A KUBE-SERVICES -j KUBE-MARK
COMMIT
"""


def test_only_rules_and_chains_of_ours_are_taken_back() -> None:
    rules, chains = our_rules(SAVED)
    assert chains == ["KUBE-SERVICES", "CNI-0123"]
    assert [r.rsplit(" ", 1)[1] for r in rules] == ["KUBE-SERVICES", "CNI-0123"]
    assert our_rules("*nat\n:PREROUTING ACCEPT [1:60]\n-A PREROUTING -j DOCKER\nCOMMIT\n") == (
        [],
        [],
    )


def test_a_key_changes_with_content_and_name(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "a.py").write_text("1")
    first = content_key([folder])
    assert content_key([folder]) == first
    (folder / "a.py").write_text("2")
    second = content_key([folder])
    (folder / "a.py").rename(folder / "b.py")
    assert len({first, second, content_key([folder])}) == 3


@pytest.mark.parametrize("part", [*PARTS, "coredns", *EXTRAS])
def test_every_placeholder_has_an_image(part: str) -> None:
    images = {image.variable: "x" for image in (*IMAGES, *EXTRA_IMAGES)}
    assert "${" not in render((MANIFESTS / f"{part}.yaml").read_text(), images)


def test_a_placeholder_without_image_is_an_error() -> None:
    with pytest.raises(KeyError, match="NO_IMAGE"):
        render("image: ${NO_IMAGE}", {})


def test_every_component_has_its_own_cache_entry() -> None:
    components = [*COMPONENTS, *(e.component for e in EXTRAS.values())]
    assert len({c.folder for c in components}) == len(components)


def test_no_image_takes_the_place_of_another() -> None:
    """Older archives of an image are found by its name and a hyphen."""
    names = [i.name for i in (*IMAGES, *EXTRA_IMAGES)]
    assert len(set(names)) == len(names)
    assert [n for n in names if "-" in n] == []


def test_an_extra_that_does_not_exist_is_refused_with_the_names_of_those_that_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cluster", "run", "--with", "istio", "--", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert all(f"{name}" in done.stderr for name in EXTRAS)


def test_a_cluster_that_is_given_must_say_where_its_extras_are() -> None:
    env = {**os.environ, "CLUSTER": "existing", "KUBECONFIG": "/k", "INGRESS_URL": "http://i"}
    env |= {"PROMETHEUS_URL": "http://p", "MLFLOW_TRACKING_URI": "http://m"}
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cluster", "run", "--with", "envoy", "--", "true"],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in env.items() if k != "ENVOY_URL"},
    )
    assert done.returncode == 1
    assert "CLUSTER=existing also needs ENVOY_URL" in done.stderr


def test_a_process_is_known_by_pid_and_start_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "PIDS", tmp_path / "pids")
    monkeypatch.setattr(processes, "LOGS", tmp_path / "logs")
    processes.start("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"])
    assert processes.alive("sleeper")
    pid = int((tmp_path / "pids" / "sleeper").read_text().split()[0])
    processes.stop("sleeper")
    assert processes.start_time(pid) is None
    assert processes.names() == []


def test_a_pid_that_belongs_to_another_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "PIDS", tmp_path)
    (tmp_path / "stale").write_text(f"{os.getpid()} 1")
    assert not processes.alive("stale")
    processes.stop("stale")
    assert processes.start_time(os.getpid()) is not None


def test_a_process_that_will_not_go_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True);"
        " time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    processes.end_pid(process.pid)
    assert processes.start_time(process.pid) is None
    process.stdout.close()


@pytest.mark.parametrize("image", PACKAGES)
def test_an_image_gets_the_packages_that_are_in_its_key(image: str) -> None:
    copied = [
        line.split()[1]
        for line in (REPOSITORY / f"Dockerfile.{image}").read_text().splitlines()
        if line.startswith("COPY ") and "/" in line.split()[1]
    ]
    assert tuple(copied) == PACKAGES[image]
    let_through = (REPOSITORY / ".dockerignore").read_text().split()
    assert {f"!{package}" for package in copied} <= set(let_through)


@pytest.mark.parametrize("verb", ["build", "up", "down", "env", "status", "run"])
def test_every_verb_has_help(verb: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cluster", verb, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "usage:" in done.stdout
