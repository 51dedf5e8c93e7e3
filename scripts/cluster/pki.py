"""Certificates and tokens of the local cluster: made new for each one, thrown away with it."""

import base64
import json
import secrets
from pathlib import Path

from scripts.cluster.paths import KUBECONFIG, STATE
from scripts.cluster.shell import run

PKI = STATE / "pki"
IDENTITIES = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": ("system:node:local", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", ""),
}
"""File name → user and group that the API server knows it as."""


def make(address: str, port: int) -> None:
    """Make everything, unless it is there already."""
    if (PKI / "tokens.csv").exists():
        return
    PKI.mkdir(parents=True, exist_ok=True)
    PKI.chmod(0o700)
    _openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=model-rollouts",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
    )
    names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    subjects = ",".join(
        [f"DNS:{n}" for n in names] + [f"IP:{ip}" for ip in ("127.0.0.1", "10.96.0.1", address)]
    )
    _signed("apiserver", "/CN=kube-apiserver", f"subjectAltName={subjects}")
    _signed(
        "kubelet-client",
        "/O=system:masters/CN=kube-apiserver-kubelet-client",
        "extendedKeyUsage=clientAuth",
    )
    _signed("front-proxy-client", "/CN=front-proxy-client", "extendedKeyUsage=clientAuth")
    _openssl("genrsa", "-out", "service-account.key", "2048")
    tokens = {name: secrets.token_urlsafe(24) for name in IDENTITIES}
    ca = base64.b64encode((PKI / "ca.crt").read_bytes()).decode()
    for name, token in tokens.items():
        target = KUBECONFIG if name == "admin" else PKI / f"{name}.kubeconfig"
        target.write_text(_kubeconfig(f"https://{address}:{port}", ca, token))
        target.chmod(0o600)
    lines = [
        f'{token},{IDENTITIES[name][0]},{name},"{IDENTITIES[name][1]}"\n'
        for name, token in tokens.items()
    ]
    (PKI / "tokens.csv").write_text("".join(lines))


def _openssl(*words: str) -> None:
    run(["openssl", *words], cwd=PKI)


def _signed(name: str, subject: str, extension: str) -> None:
    _openssl(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        subject,
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.csr",
    )
    (PKI / f"{name}.ext").write_text(extension)
    signing = [
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "30",
        "-extfile",
        f"{name}.ext",
    ]
    _openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")


def _kubeconfig(server: str, ca: str, token: str) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "model-rollouts",
        "clusters": [
            {
                "name": "model-rollouts",
                "cluster": {"server": server, "certificate-authority-data": ca},
            }
        ],
        "users": [{"name": "model-rollouts", "user": {"token": token}}],
        "contexts": [
            {
                "name": "model-rollouts",
                "context": {"cluster": "model-rollouts", "user": "model-rollouts"},
            }
        ],
    }
    return json.dumps(config, indent=1)


def files() -> Path:
    """The folder with keys and certificates."""
    return PKI
