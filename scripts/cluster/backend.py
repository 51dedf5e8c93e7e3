"""The backend: a cluster that is given, kind, or one built on the spot."""

from collections.abc import Mapping
from typing import Literal, cast

Backend = Literal["existing", "kind", "local"]
"""Who runs the cluster: somebody else, kind in a container engine, or processes of this machine."""
BACKENDS = ("existing", "kind", "local")


class NoCluster(RuntimeError):
    """None of the three can be had; the message says what to do."""


def choose_backend(env: Mapping[str, str], *, engine: bool, linux: bool, root: bool) -> Backend:
    """The cluster to use, by CLUSTER, or else the first that can be had. Raises NoCluster."""
    wanted = env.get("CLUSTER", "")
    if wanted and wanted not in BACKENDS:
        raise NoCluster(f"CLUSTER={wanted} is unknown: write existing, kind or local")
    if wanted == "existing" and not env.get("KUBECONFIG"):
        raise NoCluster(
            "CLUSTER=existing needs KUBECONFIG: export KUBECONFIG=<path of the cluster's"
            " kubeconfig>"
        )
    if wanted == "kind" and not engine:
        raise NoCluster("CLUSTER=kind needs a container engine: start Docker or Podman")
    if wanted == "local" and not (linux and root):
        raise NoCluster("CLUSTER=local needs Linux and root: use sudo, or CLUSTER=kind")
    if wanted:
        return cast("Backend", wanted)
    if engine:
        return "kind"
    if linux and root:
        return "local"
    raise NoCluster(
        "No cluster can be made here: start Docker or Podman, or be root on Linux, or set"
        " CLUSTER=existing and KUBECONFIG"
    )
