"""The server's configuration, read from the environment once, at start."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class SettingsError(ValueError):
    """A setting is missing or wrong; the message says which and what to write."""


class Settings(BaseModel):
    """Frozen. Exactly one of model_uri and model_path is set; max_body is in bytes, max_rows in rows of one request."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_uri: str = ""
    model_path: Path | None = None
    model_digest: str = ""
    model_revision: str = ""
    log_level: str = "INFO"
    host: str = "0.0.0.0"  # noqa: S104 - a pod serves its own network
    port: int = 8080
    max_body: int = 8 * 1024 * 1024
    max_rows: int = 100_000
    allow_pickle: bool = False
    termination_log: Path = Path("/dev/termination-log")

    @property
    def name(self) -> str:
        """The model's registered name; of a path its last part."""
        if self.model_path is not None:
            return self.model_path.resolve().name
        return re.sub(r"^models:/([^/@]+).*$", r"\1", self.model_uri)

    @property
    def version(self) -> str:
        """The version in the registry; "local" for a path."""
        return "local" if self.model_path is not None else re.sub(r"^.*[/@]", "", self.model_uri)

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the settings; raises SettingsError for what is missing or wrong."""
        uri, path = env.get("MODEL_URI", "").strip(), env.get("MODEL_PATH", "").strip()
        if bool(uri) == bool(path):
            raise SettingsError("set exactly one of MODEL_URI, for example models:/iris/7, and MODEL_PATH, a folder with an MLmodel file")
        if uri and not re.fullmatch(r"models:/[A-Za-z0-9_][A-Za-z0-9_. -]*(/[1-9][0-9]*|@[A-Za-z][A-Za-z0-9_-]*)", uri):
            raise SettingsError(f"MODEL_URI={uri!r} is none: write models:/<name>/<version> or models:/<name>@<alias>")
        digest = env.get("MODEL_DIGEST", "").strip()
        if digest and not _DIGEST.fullmatch(digest):
            raise SettingsError(f"MODEL_DIGEST={digest!r} is none: write sha256: and 64 hex digits")
        level = env.get("LOG_LEVEL", "INFO").upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise SettingsError(f"LOG_LEVEL={level!r} is unknown: write DEBUG, INFO, WARNING or ERROR")
        port = env.get("PORT", "8080")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise SettingsError(f"PORT={port!r} is no port: write a number from 1 to 65535")
        return cls(
            model_uri=uri,
            model_path=Path(path) if path else None,
            model_digest=digest,
            model_revision=env.get("MODEL_REVISION", ""),
            log_level=level,
            port=int(port),
            allow_pickle=env.get("MODEL_ALLOW_PICKLE", "").lower() in {"1", "true"},
            termination_log=Path(env.get("TERMINATION_LOG", "/dev/termination-log")),
        )
