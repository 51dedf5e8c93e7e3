"""The bridge's configuration: read from the environment once, at start."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rollout_bridge.rollout_event import PREFIX, key_of
from rollout_cli.promotion.github_api import DEFAULT, URL, fault_of

SHORTEST_SECRET = 16


class SettingsError(ValueError):
    """A setting is missing or wrong; the message says what to write, and never a secret."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Frozen; handed down as an argument."""

    mappings_file: Path
    """MAPPINGS_FILE: YAML that is read once, at start."""
    secrets: tuple[str, ...] = field(repr=False)
    """The webhook's secret, and the one before it while MLflow is being told the new one."""
    github_token: str = field(default="", repr=False)
    """GITHUB_TOKEN; "" for none, and then no mapping may dispatch."""
    github_url: str = DEFAULT
    """Base URL of GitHub's REST API, without a trailing slash."""
    event_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """EVENT_KEY: by which the operator signs what it tells of rollouts."""
    port: int = 8080
    """Where webhooks are answered."""
    metrics_port: int = 8081
    """Where health and metrics are."""
    max_age: int = 300
    """Seconds that a webhook's timestamp may be off, to either side."""
    max_body: int = 65536
    """Bytes of a webhook's body."""
    retry_after: int = 30
    """Seconds after which MLflow is to send a webhook again that could not be carried out."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the environment variables; raises SettingsError for what is missing or wrong."""

        def whole(name: str, default: int, most: int) -> int:
            text = env.get(name, str(default))
            if not text.isdigit() or not 0 < int(text) <= most:
                raise SettingsError(
                    f"{name}={text!r} is out of range: write a whole number from 1 to {most}"
                )
            return int(text)

        def secret(name: str) -> str:
            # The operator reads the same Secret without the line's end, which a file has.
            value = env.get(name, "").strip()
            if len(value) < SHORTEST_SECRET:
                message = (
                    f"{name} has {len(value)} characters: write at least {SHORTEST_SECRET}, for"
                    " example from `openssl rand -hex 32`"
                )
                raise SettingsError(message)
            return value

        if not env.get("MAPPINGS_FILE"):
            raise SettingsError(
                "set MAPPINGS_FILE, for example MAPPINGS_FILE=/etc/rollout-bridge/mappings.yaml"
            )
        secrets = [
            secret(name) for name in ("WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS") if env.get(name)
        ]
        url = env.get(URL, DEFAULT).rstrip("/")
        if fault := fault_of(url):
            raise SettingsError(fault)
        level = env.get("LOG_LEVEL", "INFO").upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise SettingsError(
                f"LOG_LEVEL={level!r} is unknown: write DEBUG, INFO, WARNING or ERROR"
            )
        event_keys: tuple[bytes, ...] = ()
        if env.get("EVENT_KEY"):
            try:
                event_keys = (key_of(secret("EVENT_KEY")),)
            except binascii.Error as wrong:
                raise SettingsError(
                    f"EVENT_KEY begins with {PREFIX} and goes on with no base64: write what the"
                    " Secret of the operator's destination has as signingKey"
                ) from wrong
        return cls(
            event_keys=event_keys,
            mappings_file=Path(env["MAPPINGS_FILE"]),
            secrets=tuple(secrets),
            github_token=_token(env.get("GITHUB_TOKEN", "").strip()),
            github_url=url,
            port=whole("PORT", 8080, 65535),
            metrics_port=whole("METRICS_PORT", 8081, 65535),
            max_age=whole("MAX_AGE_SECONDS", 300, 3600),
            max_body=whole("MAX_BODY_BYTES", 65536, 1048576),
            retry_after=whole("RETRY_AFTER_SECONDS", 30, 600),
            log_level=level,
        )


def _token(token: str) -> str:
    """Raises SettingsError for what no header can have."""
    if not token.isprintable() or not token.isascii():
        raise SettingsError("GITHUB_TOKEN has characters that no token has: set it again")
    return token
