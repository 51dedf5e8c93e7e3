"""A certificate that nobody signed but itself."""

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
