"""etcd and kube-apiserver alone, on free loopback ports: what the API tests need, and the root of
the local cluster.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster import debian, gobuild

START_TIMEOUT = 180.0
STOP_TIMEOUT = 15.0


class StartError(RuntimeError):
    """A part did not come up; the message says where its log is."""


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Binaries:
    """Where the two programs are."""

    etcd: Path
    kube_apiserver: Path


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, ended by its pid: TERM, then KILL. env: variables beside our own."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def control_plane(
    directory: Path, binaries: Binaries, users: Sequence[str] = (), flags: Sequence[str] = ()
) -> Iterator[Path]:
    """Run etcd and kube-apiserver with their files in `directory`; yields the path of a
    cluster-admin kubeconfig.

    users: more cluster admins, each with a file kubeconfig.<user> beside it, so that audit can tell
    them apart; flags: more of them for kube-apiserver. Writes both process ids to `directory`/pids.
    Raises StartError where one of them does not come up.
    """
    directory.mkdir(parents=True, exist_ok=True)
    client, peer, secure = free_port(), free_port(), free_port()
    tokens = {user: secrets.token_urlsafe(24) for user in ("admin", *users)}
    token = tokens["admin"]
    (directory / "tokens.csv").write_text(
        "".join(f'{t},{user},{user},"system:masters"\n' for user, t in tokens.items())
    )
    key = directory / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    etcd = [
        str(binaries.etcd),
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    ]
    server = [
        str(binaries.kube_apiserver),
        f"--etcd-servers=http://127.0.0.1:{client}",
        "--bind-address=127.0.0.1",
        f"--secure-port={secure}",
        f"--cert-dir={directory / 'certs'}",
        f"--token-auth-file={directory / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={key}",
        f"--service-account-key-file={key}",
        # No controller makes default service accounts here, and no pod ever runs.
        "--disable-admission-plugins=ServiceAccount",
        *flags,
    ]
    kubeconfig = directory / "kubeconfig"
    for user, its_token in tokens.items():
        path = kubeconfig if user == "admin" else directory / f"kubeconfig.{user}"
        path.write_text(json.dumps(_kubeconfig(f"https://127.0.0.1:{secure}", its_token)))
        path.chmod(0o600)
    with (
        running(etcd, directory / "etcd.log") as store,
        running(server, directory / "kube-apiserver.log") as process,
    ):
        (directory / "pids").write_text(f"{store.pid} {process.pid}\n")
        _wait_ready(
            f"https://127.0.0.1:{secure}/readyz", token, process, directory / "kube-apiserver.log"
        )
        yield kubeconfig


def _kubeconfig(url: str, token: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [
            {"name": "test", "cluster": {"server": url, "insecure-skip-tls-verify": True}}
        ],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }


def _wait_ready(url: str, token: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for HTTP 200 of `url`; the certificate is the server's own, made a moment ago on
    loopback.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with (
            contextlib.suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(request, context=context, timeout=2),
        ):
            return
        time.sleep(0.2)
    raise StartError(
        f"kube-apiserver did not become ready; see {log}:\n"
        + log.read_text(errors="replace")[-2000:]
    )


@contextlib.contextmanager
def apiserver(
    directory: Path, users: Sequence[str] = (), flags: Sequence[str] = ()
) -> Iterator[Path]:
    """`control_plane` with the binaries that `scripts.cluster build` makes; what is missing is
    built first.
    """
    debian.install()
    for component in gobuild.COMPONENTS:
        if component.name == "kubernetes":
            gobuild.build(component)
    binaries = Binaries(Path(shutil.which("etcd") or "etcd"), gobuild.program("kube-apiserver"))
    with control_plane(directory, binaries, users, flags) as kubeconfig:
        yield kubeconfig
