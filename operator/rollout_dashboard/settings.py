"""The dashboard's configuration: read from the environment once, at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from rollout_cli.exit_codes import WrongUsage
from rollout_operator.domain.windows import ConfiguredWindow, windows

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Settings:
    """Frozen; handed down as an argument."""

    host: str = "127.0.0.1"
    """Address that it listens on."""
    port: int = 8080
    """Port that it listens on; 0 for one that is free."""
    read_only: bool = False
    """Whether every action is refused, whatever the viewer may do."""
    public_url: str = ""
    """PUBLIC_URL: where browsers reach it, scheme and host; "" for whatever Host they name."""
    token_header: str = ""
    """TOKEN_HEADER: a header of the proxy in front that carries the viewer's token, besides
    `Authorization: Bearer`; "" for none.
    """
    namespaces: tuple[str, ...] = ()
    """NAMESPACES: where ModelRollouts are looked for on behalf of a viewer who may not list them in
    all; empty for the namespaces that he may list.
    """
    prometheus: str = ""
    """PROMETHEUS_URL; "" for none, and then nothing is shown over time."""
    mlflow: str = ""
    """MLFLOW_URL: where people open MLflow; "" for no links to it."""
    mlflow_runs: str = ""
    """MLFLOW_TRACKING_URI: where metrics and parameters of runs are read; "" for nowhere."""
    windows: tuple[ConfiguredWindow, ...] = ()
    """ROLLOUT_WINDOWS: as the operator has them, to say when a rollout is frozen next."""
    api_server: str = ""
    """URL of the API server."""
    ca_file: str = ""
    """File with the CA that its certificate is trusted by; "" for the system's."""
    tls_cert: str = ""
    """TLS_CERT_FILE: own certificate; "" for plain HTTP."""
    tls_key: str = ""
    """TLS_KEY_FILE: its key."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by TLS, so that cookies may say Secure."""
        return bool(self.tls_cert) or self.public_url.startswith("https://")

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the environment variables; raises WrongUsage for what is missing or wrong."""
        port = env.get("PORT", "8080")
        if not port.isdigit() or not 0 < int(port) <= 65535:
            raise WrongUsage(f"PORT={port!r} is out of range: write a number from 1 to 65535.")
        level = env.get("LOG_LEVEL", "INFO").upper()
        if level not in LEVELS:
            raise WrongUsage(f"LOG_LEVEL={level!r} is unknown: write one of {', '.join(LEVELS)}.")
        public = env.get("PUBLIC_URL", "").rstrip("/")
        if public and (urlsplit(public).scheme not in {"http", "https"} or urlsplit(public).path):
            raise WrongUsage(
                f"PUBLIC_URL={public!r} cannot be used: write scheme and host only, such as"
                " https://rollouts.example.com."
            )
        cert, key = env.get("TLS_CERT_FILE", ""), env.get("TLS_KEY_FILE", "")
        if bool(cert) != bool(key):
            raise WrongUsage("Set TLS_CERT_FILE and TLS_KEY_FILE both, or neither.")
        return cls(
            host=env.get("HOST", "0.0.0.0"),  # noqa: S104 - a Service has to reach it
            port=int(port),
            read_only=_flag(env, "READ_ONLY"),
            public_url=public,
            token_header=env.get("TOKEN_HEADER", "").strip().lower(),
            namespaces=tuple(n.strip() for n in env.get("NAMESPACES", "").split(",") if n.strip()),
            prometheus=env.get("PROMETHEUS_URL", ""),
            mlflow=env.get("MLFLOW_URL", "").rstrip("/"),
            mlflow_runs=env.get("MLFLOW_TRACKING_URI", "").rstrip("/"),
            windows=_windows(env),
            api_server=_api_server(env),
            ca_file=env.get("KUBERNETES_CA_FILE", ""),
            tls_cert=cert,
            tls_key=key,
            log_level=level,
        )


def _windows(env: Mapping[str, str]) -> tuple[ConfiguredWindow, ...]:
    try:
        return windows(env.get("ROLLOUT_WINDOWS", ""))
    except ValueError as wrong:
        raise WrongUsage(f"{wrong}.") from wrong


def _flag(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "false").lower()
    if text not in {"true", "false"}:
        raise WrongUsage(f"{name}={text!r} is unknown: write true or false.")
    return text == "true"


def _api_server(env: Mapping[str, str]) -> str:
    if url := env.get("KUBERNETES_URL", "").rstrip("/"):
        return url
    host, port = env.get("KUBERNETES_SERVICE_HOST", ""), env.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise WrongUsage(
            "No API server: this runs in a pod, or with KUBERNETES_URL; on your own machine use"
            " `kubectl modelrollout dashboard`."
        )
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"
