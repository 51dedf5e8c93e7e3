"""Command line: `python3 -m scripts.cluster VERB`."""

import argparse
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from scripts.cluster import addons, debian, extras, gobuild, images, kind_cluster, node
from scripts.cluster.backend import Backend, NoCluster, choose_backend
from scripts.cluster.paths import INGRESS_URL, KUBECONFIG, MLFLOW_URL, PROMETHEUS_URL, STATE
from scripts.cluster.progress import doing, say
from scripts.cluster.shell import CommandFailed


def build(backend: Backend, wanted: Sequence[str] = ()) -> None:
    """Everything that takes long, into the cache, with the extras that are wanted: images with
    Python in them are made while Go compiles.
    """
    if backend != "local":
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
    extras.build(wanted)


def up(backend: Backend, wanted: Sequence[str] = ()) -> None:
    """Bring the cluster up, with everything installed, and the extras that are wanted. Raises
    NoCluster where a cluster of this kind cannot have them.
    """
    if wanted and backend == "kind":
        raise NoCluster(
            f"{', '.join(wanted)} can be had on the local cluster only: use CLUSTER=local, or a"
            " cluster of your own that has it, with CLUSTER=existing"
        )
    build(backend, wanted)
    if backend == "local":
        if STATE.exists() and not is_up(backend):
            with doing("Clearing away a cluster that was cut off"):
                node.down()
        node.up()
        addons.install(
            _kubectl(backend),
            {i.variable: i.tag for i in images.IMAGES},
            gobuild.program("helm"),
            with_dns=True,
        )
        node.import_images(i for name in wanted for i in extras.EXTRAS[name].images)
        extras.install(wanted, _kubectl(backend))
    elif backend == "kind":
        kind_cluster.up()
        addons.install(_kubectl(backend), kind_cluster.load_images(), "helm", with_dns=False)
    (STATE / "kind-of-cluster").write_text(backend) if backend != "existing" else None
    say("The cluster is up: operator, Traefik, Prometheus and MLflow run in it.")


def down(backend: Backend) -> None:
    """Remove the cluster and everything it put on this machine."""
    if backend == "existing":
        say("A cluster that was given is not removed.")
        return
    with doing("Removing the cluster"):
        if backend == "kind":
            kind_cluster.down()
        else:
            node.down()
    if backend == "local" and (left := node.leftovers()):
        raise CommandFailed("Left over after removal: " + "; ".join(left))
    say("The cluster is gone: no process, mount, interface or iptables rule of it is left.")


def is_up(backend: Backend) -> bool:
    """Whether the cluster answers."""
    if backend == "existing":
        return True
    try:
        return KUBECONFIG.exists() and "ok" in _kubectl(backend)(
            "get", "--raw", "/readyz", "--request-timeout=3s"
        )
    except (CommandFailed, FileNotFoundError):
        return False


def environment(backend: Backend, wanted: Sequence[str] = ()) -> dict[str, str]:
    """What the demo and the tests need to know of the cluster."""
    if backend == "existing":
        names = ["KUBECONFIG", "INGRESS_URL", "PROMETHEUS_URL", "MLFLOW_TRACKING_URI"]
        names += extras.environment(wanted)
        if absent := [n for n in names if not os.environ.get(n)]:
            raise NoCluster(
                f"CLUSTER=existing also needs {', '.join(absent)}: how this machine reaches the"
                " cluster's routers, Prometheus and MLflow"
            )
        return {n: os.environ[n] for n in names}
    found = {
        "KUBECONFIG": str(KUBECONFIG),
        "INGRESS_URL": INGRESS_URL,
        "PROMETHEUS_URL": PROMETHEUS_URL,
        "MLFLOW_TRACKING_URI": MLFLOW_URL,
        **extras.environment(wanted),
    }
    if backend == "local":
        found["PATH"] = f"{gobuild.program('kubectl').parent}:{os.environ['PATH']}"
    return found


def run_with(backend: Backend, command: list[str], wanted: Sequence[str] = ()) -> int:
    """Run a command with the cluster up; one that this call brought up goes down again
    afterwards.
    """
    ours = not is_up(backend)
    try:
        up(backend, wanted)
        return subprocess.run(
            command, env={**os.environ, **environment(backend, wanted)}, check=False
        ).returncode
    finally:
        if ours:
            down(backend)


def _kubectl(backend: Backend) -> addons.Kubectl:
    return addons.Kubectl(
        gobuild.program("kubectl") if backend == "local" else "kubectl", KUBECONFIG
    )


def _with_extras(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--with",
        dest="extras",
        action="append",
        default=[],
        choices=sorted(extras.EXTRAS),
        help="a part that the cluster has only where it is asked for; can be given again",
    )


def _print_exports(backend: Backend, wanted: Sequence[str] = ()) -> None:
    for name, value in environment(backend, wanted).items():
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
        verb = verbs.add_parser(name, help=text, description=text)
        if name in {"build", "up"}:
            _with_extras(verb)
    runner = verbs.add_parser(
        "run",
        help="run a command with the cluster up",
        description="run a command with the cluster up",
    )
    _with_extras(runner)
    runner.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND [ARG …]")
    arguments = parser.parse_args()
    try:
        backend = choose_backend(
            os.environ,
            engine=kind_cluster.engine() is not None,
            linux=platform.system() == "Linux",
            root=_is_root(),
        )
        return _do(arguments, backend)
    except (NoCluster, CommandFailed, FileNotFoundError) as failure:
        print(f"\nerror: {failure}", file=sys.stderr)
        return 1


def _do(arguments: argparse.Namespace, backend: Backend) -> int:
    if arguments.verb == "run":
        command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
        if not command:
            raise NoCluster("run needs a command: python3 -m scripts.cluster run -- COMMAND")
        return run_with(backend, command, arguments.extras)
    if arguments.verb == "status":
        print(f"{backend}: {'up' if is_up(backend) else 'down'}")
        return 0
    if arguments.verb == "env":
        _print_exports(backend)
        return 0
    if arguments.verb == "down":
        down(backend)
        return 0
    actions: dict[str, Callable[[Backend, Sequence[str]], None]] = {"build": build, "up": up}
    actions[arguments.verb](backend, arguments.extras)
    if arguments.verb == "up":
        _print_exports(backend, arguments.extras)
    return 0


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


if __name__ == "__main__":
    sys.exit(main())
