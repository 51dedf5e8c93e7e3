"""Certificates that nobody signed but themselves, and those that one of them signed."""

import subprocess
from pathlib import Path


def self_signed(directory: Path, alternative_name: str) -> tuple[Path, Path]:
    """Key and certificate of "DNS:…" or "IP:…", good for two days."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=test", "-addext", f"subjectAltName={alternative_name}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return key, certificate


def signed(directory: Path, name: str, alternative_name: str, by: Path) -> tuple[Path, Path]:
    """Key and certificate of "DNS:…" or "IP:…", signed by the self-signed one in the folder `by`;
    good for two days.
    """
    key, certificate = directory / f"{name}-key.pem", directory / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    signer = ["-CA", str(by / "certificate.pem"), "-CAkey", str(by / "key.pem")]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative_name}"]
    leaf = ["-addext", "basicConstraints=critical,CA:FALSE"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *signer, *names, *leaf, *files], check=True, capture_output=True)
    return key, certificate
