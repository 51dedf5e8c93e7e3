"""Where things are kept: the cache survives a cluster, the state goes with it."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("ROLLOUTS_CACHE") or Path.home() / ".cache" / "model-rollouts")
STATE = CACHE / "cluster"
"""Files of the running cluster: kubeconfig, pid files, logs, and what the network was before."""
KUBECONFIG = STATE / "kubeconfig"
LOGS = STATE / "logs"
SOCKET = Path("/run/model-rollouts/containerd.sock")
RUN = SOCKET.parent

INGRESS_URL = "http://127.0.0.1:30080"
ENVOY_URL = "http://127.0.0.1:30081"
PROMETHEUS_URL = "http://127.0.0.1:30090"
MLFLOW_URL = "http://127.0.0.1:30050"
NAMESPACE = "rollouts-system"
