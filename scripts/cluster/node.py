"""The local cluster's processes: etcd, containerd, control plane, kubelet and kube-proxy on this
one machine.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts.cluster import cleanup, gobuild, images, network, pki, processes
from scripts.cluster.paths import CACHE, KUBECONFIG, LOGS, RUN, SOCKET, STATE
from scripts.cluster.progress import doing, say
from scripts.cluster.shell import CommandFailed, run

API_PORT, ETCD_PORT, ETCD_PEER_PORT = 16443, 12379, 12380
SERVICE_NETWORK = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"
CONTENT = CACHE / "containerd"
"""containerd's image content: kept, so that images are imported only once."""
KUBELET = STATE / "kubelet"
NODE = "local"


def up() -> None:
    """Start everything that does not run yet; returns when the node is Ready."""
    address = network.node_address()
    STATE.mkdir(parents=True, exist_ok=True)
    network.remember()
    network.enable_forwarding()
    pki.make(address, API_PORT)
    with doing("Starting etcd, containerd and the control plane"):
        _etcd()
        _containerd()
        _control_plane(address)
        _wait(
            "the API server", lambda: "ok" in _kubectl("get", "--raw", "/readyz"), "kube-apiserver"
        )
    with doing("Importing images"):
        import_images()
    with doing("Starting kubelet and kube-proxy"):
        _kubelet(address)
        _wait("the node", lambda: "True" in _kubectl("get", "node", NODE, "-o", _READY), "kubelet")
        _kube_proxy()


def down() -> None:
    """End and remove everything of ours; what is not there is no error."""
    for name in ("kubelet", "kube-proxy"):
        processes.stop(name)
    cleanup.remove_pods()
    for name in ("scheduler", "controller-manager", "kube-apiserver", "etcd", "containerd"):
        processes.stop(name)
    for name in processes.names():
        processes.stop(name)
    cleanup.end_shims()
    for point in network.mounts((STATE, RUN, Path("/var/run/model-rollouts"))):
        run(["umount", "-l", point])
    network.restore()
    cleanup.remove_cgroups()
    for folder in (RUN, STATE, Path("/var/lib/cni/networks/model-rollouts"), CACHE / "cni"):
        shutil.rmtree(folder, ignore_errors=True)


def leftovers() -> list[str]:
    """What is still there of ours: processes, mounts, interfaces, rules."""
    found = [f"process {name}" for name in processes.names()] + [
        f"process {pid} (containerd-shim)" for pid in cleanup.shims()
    ]
    return (
        found + [f"mount {point}" for point in network.mounts((STATE, RUN))] + network.leftovers()
    )


def import_images(wanted: Iterable[images.Image] = images.IMAGES) -> None:
    """Give containerd every image that it does not have yet."""
    known = run(["ctr", "-a", SOCKET, "-n", "k8s.io", "images", "list", "--quiet"]).split()
    for image in wanted:
        if image.tag in known or not image.archive.exists():
            continue
        say(f"  importing {image.name}")
        run(["ctr", "-a", SOCKET, "-n", "k8s.io", "images", "import", image.archive])
        for old in known:
            if old.startswith(f"localhost/rollouts/{image.name}:"):
                run(["ctr", "-a", SOCKET, "-n", "k8s.io", "images", "remove", old])


_READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'


def _kubectl(*words: str) -> str:
    try:
        return run([gobuild.program("kubectl"), "--kubeconfig", KUBECONFIG, *words])
    except CommandFailed:
        return ""


def _wait(what: str, ready: Callable[[], bool], process: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if not processes.alive(process) or time.monotonic() > end:
            log = LOGS / f"{process}.log"
            raise CommandFailed(
                f"{what} did not become ready; see"
                f" {log}:\n{log.read_text(errors='replace')[-2500:]}"
            )
        time.sleep(0.3)


def _etcd() -> None:
    client, peer = f"http://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PEER_PORT}"
    words = [
        f"--data-dir={STATE / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
    ]
    words += [
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]
    processes.start("etcd", ["etcd", *words, "--unsafe-no-fsync"])


def _control_plane(address: str) -> None:
    keys = pki.files()
    service_account = keys / "service-account.key"
    processes.start(
        "kube-apiserver",
        [
            gobuild.program("kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
            f"--bind-address={address}",
            f"--advertise-address={address}",
            f"--secure-port={API_PORT}",
            f"--tls-cert-file={keys / 'apiserver.crt'}",
            f"--tls-private-key-file={keys / 'apiserver.key'}",
            f"--client-ca-file={keys / 'ca.crt'}",
            f"--kubelet-client-certificate={keys / 'kubelet-client.crt'}",
            f"--kubelet-client-key={keys / 'kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--token-auth-file={keys / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            # What is served by others, such as metrics.k8s.io, is asked by this identity.
            f"--proxy-client-cert-file={keys / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={keys / 'front-proxy-client.key'}",
            f"--requestheader-client-ca-file={keys / 'ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={service_account}",
            f"--service-account-key-file={service_account}",
        ],
    )
    processes.start(
        "controller-manager",
        [
            gobuild.program("kube-controller-manager"),
            f"--kubeconfig={keys / 'controller-manager.kubeconfig'}",
            f"--root-ca-file={keys / 'ca.crt'}",
            f"--service-account-private-key-file={service_account}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            # Autoscalers that a test need not wait for: by default 15 s and 5 min. How long a pod
            # may take to start stays 5 min: beyond it, what its start costs is taken for load.
            "--horizontal-pod-autoscaler-sync-period=5s",
            "--horizontal-pod-autoscaler-downscale-stabilization=30s",
        ],
    )
    scheduler = [
        f"--kubeconfig={keys / 'scheduler.kubeconfig'}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]
    processes.start("scheduler", [gobuild.program("kube-scheduler"), *scheduler])


def _containerd() -> None:
    RUN.mkdir(parents=True, exist_ok=True)
    network_config = STATE / "cni"
    network_config.mkdir(parents=True, exist_ok=True)
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": "10.244.0.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(STATE / "ipam"),
    }
    # ptp and not bridge: every packet between pods is routed, so Services work without the
    # br_netfilter module.
    plugins = [
        {"type": "ptp", "ipMasq": True, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    conflist = {"cniVersion": "0.4.0", "name": "model-rollouts", "plugins": plugins}
    (network_config / "10-model-rollouts.conflist").write_text(json.dumps(conflist))
    config = STATE / "containerd.toml"
    config.write_text(f"""version = 2
root = "{CONTENT}"
state = "{RUN}/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE.tag}"
  # Without CAP_SYS_RESOURCE no sandbox could lower its OOM score, and none would start.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{network_config}"
""")
    processes.start("containerd", ["containerd", "--config", config])
    end = time.monotonic() + 30
    while not SOCKET.exists() and time.monotonic() < end:
        time.sleep(0.1)


def _kubelet(address: str) -> None:
    KUBELET.mkdir(parents=True, exist_ok=True)
    # Pods resolve cluster names only; the host's servers would be of no use where nothing outside
    # is reached.
    (STATE / "resolv.conf").write_text("")
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.files() / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(STATE / "resolv.conf"),
        "podLogsDir": str(STATE / "pod-logs"),
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "5s",
    }
    path = STATE / "kubelet.json"
    path.write_text(json.dumps(config))
    words = [
        f"--config={path}",
        f"--kubeconfig={pki.files() / 'kubelet.kubeconfig'}",
        f"--root-dir={KUBELET}",
    ]
    words += [
        f"--cert-dir={STATE / 'kubelet-pki'}",
        f"--hostname-override={NODE}",
        f"--node-ip={address}",
    ]
    processes.start("kubelet", [gobuild.program("kubelet"), *words])


def _kube_proxy() -> None:
    words = [
        "--proxy-mode=iptables",
        "--conntrack-max-per-core=0",
        # An answer larger than a connection's first window (64 KiB) is now and then taken for
        # invalid on its way back through a NodePort, and is cut there.
        "--conntrack-tcp-be-liberal",
        "--nodeport-addresses=127.0.0.0/8",
        f"--hostname-override={NODE}",
    ]
    words += [
        f"--cluster-cidr={network.POD_NETWORK}",
        f"--kubeconfig={pki.files() / 'kube-proxy.kubeconfig'}",
    ]
    words += ["--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249"]
    processes.start("kube-proxy", [gobuild.program("kube-proxy"), *words])
