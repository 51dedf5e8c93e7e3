"""Command line: `python3 -m scripts.cluster VERB`."""

import argparse
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable

from scripts.cluster import addons, debian, gobuild, images, kind, node
from scripts.cluster.choice import Kind, NoCluster, choose
from scripts.cluster.paths import INGRESS_URL, KUBECONFIG, MLFLOW_URL, PROMETHEUS_URL, STATE
from scripts.cluster.progress import doing, say
from scripts.cluster.shell import CommandFailed


def build(which: Kind) -> None:
    """Everything that takes long, into the cache: images with Python in them are made while Go
    compiles.
    """
    if which != "local":
        return
    debian.install()
    failures: list[BaseException] = []

    def python_images() -> None:
        try:
            for image in images.IMAGES:
                if image.on_base:
                    images.build(image)
        except BaseException as failure:
            failures.append(failure)

    beside = threading.Thread(target=python_images)
    beside.start()
    try:
        for component in gobuild.COMPONENTS:
            gobuild.build(component)
    finally:
        beside.join()
    if failures:
        raise failures[0]
    for image in images.IMAGES:
        images.build(image)


def up(which: Kind) -> None:
    """Bring the cluster up, with everything installed."""
    build(which)
    if which == "local":
        if STATE.exists() and not is_up(which):
            with doing("Clearing away a cluster that was cut off"):
                node.down()
        node.up()
        addons.install(
            _kubectl(which),
            {i.variable: i.tag for i in images.IMAGES},
            gobuild.program("helm"),
            with_dns=True,
        )
    elif which == "kind":
        kind.up()
        addons.install(_kubectl(which), kind.load_images(), "helm", with_dns=False)
    (STATE / "kind-of-cluster").write_text(which) if which != "existing" else None
    say("The cluster is up: operator, Traefik, Prometheus and MLflow run in it.")


def down(which: Kind) -> None:
    """Remove the cluster and everything it put on this machine."""
    if which == "existing":
        say("A cluster that was given is not removed.")
        return
    with doing("Removing the cluster"):
        if which == "kind":
            kind.down()
        else:
            node.down()
    if which == "local" and (left := node.leftovers()):
        raise CommandFailed("Left over after removal: " + "; ".join(left))
    say("The cluster is gone: no process, mount, interface or iptables rule of it is left.")


def is_up(which: Kind) -> bool:
    """Whether the cluster answers."""
    if which == "existing":
        return True
    try:
        return KUBECONFIG.exists() and "ok" in _kubectl(which)(
            "get", "--raw", "/readyz", "--request-timeout=3s"
        )
    except (CommandFailed, FileNotFoundError):
        return False


def environment(which: Kind) -> dict[str, str]:
    """What the demo and the tests need to know of the cluster."""
    if which == "existing":
        names = ("KUBECONFIG", "INGRESS_URL", "PROMETHEUS_URL", "MLFLOW_TRACKING_URI")
        if absent := [n for n in names if not os.environ.get(n)]:
            raise NoCluster(
                f"CLUSTER=existing also needs {', '.join(absent)}: how this machine reaches the"
                " cluster's Ingress, Prometheus and MLflow"
            )
        return {n: os.environ[n] for n in names}
    found = {
        "KUBECONFIG": str(KUBECONFIG),
        "INGRESS_URL": INGRESS_URL,
        "PROMETHEUS_URL": PROMETHEUS_URL,
        "MLFLOW_TRACKING_URI": MLFLOW_URL,
    }
    if which == "local":
        found["PATH"] = f"{gobuild.program('kubectl').parent}:{os.environ['PATH']}"
    return found


def run_with(which: Kind, command: list[str]) -> int:
    """Run a command with the cluster up; one that this call brought up goes down again
    afterwards.
    """
    ours = not is_up(which)
    try:
        up(which)
        return subprocess.run(
            command, env={**os.environ, **environment(which)}, check=False
        ).returncode
    finally:
        if ours:
            down(which)


def _kubectl(which: Kind) -> addons.Kubectl:
    return addons.Kubectl(gobuild.program("kubectl") if which == "local" else "kubectl", KUBECONFIG)


def _print_exports(which: Kind) -> None:
    for name, value in environment(which).items():
        shown = value.removesuffix(f":{os.environ['PATH']}") + ":$PATH" if name == "PATH" else value
        print(f"export {name}={shown}")


def main() -> int:
    """Parse the command line; errors are one clear message and exit code 1."""
    parser = argparse.ArgumentParser(prog="python3 -m scripts.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, text in {
        "build": "build programs and images into the cache",
        "up": "bring the cluster up and leave it",
        "down": "remove the cluster and everything it put on this machine",
        "env": "print the exports of the running cluster",
        "status": "say whether the cluster is up",
    }.items():
        verbs.add_parser(name, help=text, description=text)
    runner = verbs.add_parser(
        "run",
        help="run a command with the cluster up",
        description="run a command with the cluster up",
    )
    runner.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND [ARG …]")
    arguments = parser.parse_args()
    try:
        which = choose(
            os.environ,
            engine=kind.engine() is not None,
            linux=platform.system() == "Linux",
            root=_is_root(),
        )
        return _do(arguments, which)
    except (NoCluster, CommandFailed, FileNotFoundError) as failure:
        print(f"\nerror: {failure}", file=sys.stderr)
        return 1


def _do(arguments: argparse.Namespace, which: Kind) -> int:
    if arguments.verb == "run":
        command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
        if not command:
            raise NoCluster("run needs a command: python3 -m scripts.cluster run -- COMMAND")
        return run_with(which, command)
    if arguments.verb == "status":
        print(f"{which}: {'up' if is_up(which) else 'down'}")
        return 0
    if arguments.verb == "env":
        _print_exports(which)
        return 0
    actions: dict[str, Callable[[Kind], None]] = {"build": build, "up": up, "down": down}
    actions[arguments.verb](which)
    if arguments.verb == "up":
        _print_exports(which)
    return 0


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


if __name__ == "__main__":
    sys.exit(main())
