"""The programs that Debian has: installed when missing."""

import os
import shutil
from collections.abc import Mapping

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
    if not (packages := missing(wanted)):
        return
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with doing(f"Installing Debian packages: {', '.join(packages)}"):
        run(["apt-get", "update", "-q"], env=env)
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], env=env)
