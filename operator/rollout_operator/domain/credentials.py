"""What pods fetch models with, by namespace: from the operator's configuration, never a rollout."""

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, TypeAdapter, field_validator, model_validator

from rollout_operator.domain.api.api_types import NAME, ApiModel
from rollout_operator.domain.configured import NamespacePattern, from_json, is_for

EXAMPLE = '[{"namespaces": ["*"], "secret": "mlflow-reader"}]'
PATH = r"^/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"
_OURS = re.compile(r"/(dev|etc|model|opt|proc|sys|tmp|usr|var/run)/|.*/\.\.?/")
"""Folders of the image and of the pod, and ways out of one."""
_Name = Annotated[str, Field(pattern=NAME, max_length=253)]


class Authority(ApiModel, extra="forbid"):
    """Certificates of a private CA, from exactly one of the two."""

    secret: _Name | None = None
    """A Secret in the rollout's namespace."""
    config_map: _Name | None = None
    """A ConfigMap there, such as trust-manager's."""
    key: str = Field("ca.crt", min_length=1, max_length=253)
    """The key that holds them, in PEM."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.secret is None) == (self.config_map is None):
            raise ValueError("name exactly one of secret and configMap")
        return self


class ModelVolume(ApiModel, extra="forbid"):
    """A PersistentVolumeClaim in the rollout's namespace with files of models, read-only."""

    claim: _Name
    """Its name."""
    path: str = Field(pattern=PATH, max_length=1_000)
    """Where it is mounted: the path that the versions' `file:` sources begin with."""


class Cache(ApiModel, extra="forbid"):
    """Where models are kept that were fetched before, in exactly one of the two."""

    claim: _Name | None = None
    """A PersistentVolumeClaim in the rollout's namespace."""
    host_path: str | None = Field(None, pattern=PATH, max_length=1_000)
    """A folder of each node, which user 65532 may write."""
    max_bytes: int = Field(10 * 1024**3, gt=0)
    """Of all models in it; the least recently used make room."""


class Credentials(ApiModel, extra="forbid"):
    """What the step of a pod has that fetches the model; the server beside it has nothing of it."""

    namespaces: tuple[NamespacePattern, ...] = Field(("*",), min_length=1)
    """Patterns of namespaces (`ml-*`); the first entry with one that matches is taken."""
    secret: _Name | None = None
    """A Secret in the rollout's namespace: its keys are variables (MLFLOW_TRACKING_TOKEN,
    AWS_ACCESS_KEY_ID …), and files below /var/run/rollouts/credentials.
    """
    service_account: _Name | None = None
    """The pods' service account, for a cloud's workload identity; its token is not mounted."""
    ca: Authority | None = None
    """A private CA that MLflow and stores are trusted by."""
    env: Mapping[str, str] = Field(default_factory=dict)
    """More variables of that step: HTTPS_PROXY, MLFLOW_S3_ENDPOINT_URL …"""
    volumes: tuple[ModelVolume, ...] = Field((), max_length=20)
    """Volumes that MLflow keeps artifacts on."""
    cache: Cache | None = None
    """Where what was fetched is kept for later."""

    @field_validator("cache")
    @classmethod
    def _one_cache(cls, given: Cache | None) -> Cache | None:
        if given is not None and (given.claim is None) == (given.host_path is None):
            raise ValueError("cache: name exactly one of claim and hostPath")
        return given

    @field_validator("volumes")
    @classmethod
    def _nothing_of_ours(cls, given: tuple[ModelVolume, ...]) -> tuple[ModelVolume, ...]:
        paths = [one.path for one in given]
        if wrong := next((p for p in paths if paths.count(p) > 1 or _OURS.match(f"{p}/")), None):
            raise ValueError(f"volumes: {wrong} is mounted twice, or is the pod's own")
        return given


_READER = TypeAdapter(tuple[Credentials, ...])


def credentials(text: str) -> tuple[Credentials, ...]:
    """The entries of MODEL_CREDENTIALS, a JSON list; empty for "". Raises ValueError."""
    if not text.strip():
        return ()
    return from_json("MODEL_CREDENTIALS", text, list, _READER, EXAMPLE)


def of_namespace(entries: tuple[Credentials, ...], namespace: str) -> Credentials | None:
    """The first entry for this namespace; None where pods have no credentials."""
    return next((entry for entry in entries if is_for(namespace, entry.namespaces)), None)
