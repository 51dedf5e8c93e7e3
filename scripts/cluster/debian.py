"""The programs that Debian has: installed when missing."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripts.cluster.progress import doing
from scripts.cluster.shell import run

PACKAGES = {
    "buildah": "buildah",
    "containerd": "containerd",
    "conntrack": "conntrack",
    "etcd": "etcd-server",
    "gcc": "gcc",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "openssl": "openssl",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}
"""Program → package that has it."""
LOCK = Path(tempfile.gettempdir()) / "model-rollouts-apt.lock"


def missing(wanted: Mapping[str, str] = PACKAGES) -> list[str]:
    """Packages whose program is not there."""
    found = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted(
        {
            package
            for program, package in wanted.items()
            if shutil.which(program, path=found) is None
        }
    )


def install(wanted: Mapping[str, str] = PACKAGES) -> None:
    """Install what is missing; needs root."""
    if missing(wanted):
        apt_get(lambda: missing(wanted))


def apt_get(missing_packages: Callable[[], Sequence[str]]) -> None:
    """Install what this says is missing. One process at a time asks, and then installs: apt gives
    up at once where another holds its lists, and test runs begin in several processes.
    """
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (packages := missing_packages()):
            return
        with doing(f"Installing Debian packages: {', '.join(packages)}"):
            run(["apt-get", "update", "-q"], env=env)
            run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], env=env)
