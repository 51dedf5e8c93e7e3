"""Which alias of which registered model asks for what: the mapping file. Nothing outside of it can
be reached by a webhook.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from rollout_bridge.webhook import DEFAULT_WORKSPACE, AliasSet
from rollout_cli.promotion.github_api import is_path
from rollout_operator.domain.api import manifest
from rollout_operator.domain.api.spec import MAX_NAME, MODEL_ALIAS, MODEL_NAME, Spec

FIXED_PAYLOAD = (
    "model_uri",
    "model",
    "version",
    "alias",
    "workspace",
    "requested_at",
    "delivery_id",
)
"""Keys of a dispatch's client_payload that are always there; GitHub takes ten in all."""
MOST_KEYS = 10
Name = Annotated[
    str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=MAX_NAME)
]
Namespace = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
]


Repository = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,39}/[A-Za-z0-9._-]{1,100}$")
]


class MappingsError(ValueError):
    """The mapping file cannot be used; the message says where and what to write."""


class _Closed(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
    )


class RolloutTarget(_Closed):
    """A ModelRollout whose `spec.modelUri` follows the alias."""

    namespace: Namespace
    name: Name
    template: dict[str, Any] | None = None
    """The rest of its spec, owned by the bridge too; with it the ModelRollout is made where there
    is none.
    """
    force: bool = False
    """Take fields over that somebody else (Git, kubectl) has set; without it such a request is
    refused.
    """

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.template is None:
            return self
        if "modelUri" in self.template:
            raise ValueError("template has a modelUri: leave it out, it comes from the webhook")
        try:
            # As JSON, whose types are the API server's: "0.7" in quotes is no number to it.
            spec = Spec.model_validate_json(
                json.dumps({**self.template, "modelUri": "models:/any/1"}), strict=True
            )
        except ValidationError as failure:
            raise ValueError(
                "; ".join(
                    f"template.{_error_message(e)}" for e in failure.errors(include_url=False)
                )
            ) from failure
        known = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for path in _unknown(self.template, known):
            raise ValueError(f"template.{path} is no field of a ModelRollout's spec")
        return self

    def __str__(self) -> str:
        return f"ModelRollout {self.namespace}/{self.name}"


class DispatchTarget(_Closed):
    """A `repository_dispatch` to a GitHub repository; `payload` is sent along, beside
    FIXED_PAYLOAD.
    """

    repository: Repository
    event_type: Annotated[str, StringConstraints(min_length=1, max_length=100)] = "model-rollout"
    payload: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if taken := sorted(self.payload.keys() & set(FIXED_PAYLOAD)):
            raise ValueError(f"payload: {', '.join(taken)} is set by the bridge")
        if len(self.payload) + len(FIXED_PAYLOAD) > MOST_KEYS:
            most = MOST_KEYS - len(FIXED_PAYLOAD)
            raise ValueError(
                f"payload has {len(self.payload)} keys: write at most {most}, GitHub takes"
                f" {MOST_KEYS} in all"
            )
        return self

    def __str__(self) -> str:
        return f"dispatch {self.event_type} to {self.repository}"


Target = RolloutTarget | DispatchTarget


class Rule(_Closed):
    """One alias of one registered model, and what follows when it is set: exactly one of rollout
    and dispatch.
    """

    model: Annotated[str, StringConstraints(pattern=f"^{MODEL_NAME}$", max_length=200)]
    alias: Annotated[str, StringConstraints(pattern=f"^{MODEL_ALIAS}$", max_length=256)]
    workspace: Annotated[str, StringConstraints(min_length=1, max_length=63)] = DEFAULT_WORKSPACE
    rollout: RolloutTarget | None = None
    dispatch: DispatchTarget | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.rollout is None) == (self.dispatch is None):
            raise ValueError("write exactly one of rollout and dispatch")
        return self

    @property
    def target(self) -> Target:
        """What follows."""
        target = self.rollout or self.dispatch
        assert target is not None
        return target


class RevertRule(_Closed):
    """Where the manifest of a ModelRollout lies, out of which a version is to go that was rolled
    back.
    """

    namespace: Namespace
    name: Name
    repository: Repository
    path: Annotated[str, StringConstraints(max_length=500)]
    """Of the manifest in the repository."""
    base: Annotated[str, StringConstraints(max_length=200)] = ""
    """Branch that is to change; "" for the repository's own."""
    called: Name | None = Field(None, alias="as")
    """Name of the ModelRollout in the manifest; None for the same."""

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if not is_path(self.path):
            raise ValueError(
                f"path {self.path!r} is no path in a repository: write prod/iris.yaml, on one"
                " line, without . or .. or //"
            )
        return self

    @property
    def named(self) -> str:
        """What the ModelRollout is called in the manifest."""
        return self.called or self.name

    def __str__(self) -> str:
        return f"revert in {self.repository} {self.path}"


class Mappings(_Closed):
    """The whole file."""

    mappings: Annotated[tuple[Rule, ...], Field(max_length=1000)] = ()
    reverts: Annotated[tuple[RevertRule, ...], Field(max_length=1000)] = ()
    """Where pull requests are opened after a rollback."""

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not self.mappings and not self.reverts:
            raise ValueError("it has neither mappings nor reverts: write one of them")
        return self

    @model_validator(mode="after")
    def _unique(self) -> Self:
        places = [(one.namespace, one.name) for one in self.reverts]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(f"reverts has {'/'.join(place)} twice: one manifest asks for it")
        seen: set[str] = set()
        for one in self.mappings:
            if one.rollout is not None and (key := str(one.rollout)) in seen:
                raise ValueError(f"{key} follows two aliases: it can follow only one")
            seen.add(str(one.target))
        return self

    def targets(self, event: AliasSet) -> list[Target]:
        """What follows from an alias that was set; empty where nothing is configured."""
        asked = (event.workspace, event.model, event.alias)
        return [m.target for m in self.mappings if (m.workspace, m.model, m.alias) == asked]

    def revert_of(self, namespace: str, name: str) -> RevertRule | None:
        """Where the manifest of a ModelRollout lies; None where nothing is configured."""
        asked = (namespace, name)
        return next((one for one in self.reverts if (one.namespace, one.name) == asked), None)

    @property
    def dispatches(self) -> bool:
        """Whether any of them goes to GitHub."""
        return any(m.dispatch is not None for m in self.mappings)

    @property
    def rollouts(self) -> bool:
        """Whether any of them goes to the cluster."""
        return any(m.rollout is not None for m in self.mappings)


def read(path: Path) -> Mappings:
    """Read the mapping file; raises MappingsError."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise MappingsError(
            f"{path} cannot be read: {failure.strerror}. Mount the file, or correct MAPPINGS_FILE."
        ) from failure
    except UnicodeDecodeError as failure:
        raise MappingsError(
            f"{path} is not UTF-8 text: write it anew, or correct MAPPINGS_FILE."
        ) from failure
    except MappingsError as failure:
        raise MappingsError(f"{path}: {failure}") from failure


def parse(text: str) -> Mappings:
    """Read mappings from YAML, as kubectl reads it; raises MappingsError."""
    found = list(manifest.read(text))
    documents = [d for d in found if isinstance(d, manifest.Document)]
    if troubles := [d for d in found if isinstance(d, manifest.Trouble)] + [
        t for d in documents for t in d.twice
    ]:
        raise MappingsError("; ".join(f"line {t.place.line}: {t.message}" for t in troubles))
    if len(documents) > 1:
        raise MappingsError(f"the file has {len(documents)} documents: write one, without ---")
    try:
        return Mappings.model_validate(documents[0].value if documents else None)
    except ValidationError as failure:
        errors = failure.errors(include_url=False)
        # Of a list whose items are wrong pydantic also says that it is too short.
        inner = [e for e in errors if len(e["loc"]) > 1]
        raise MappingsError("; ".join(_error_message(e) for e in inner or errors)) from failure


def _error_message(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where or 'the file'}: {error['msg'].removeprefix('Value error, ')}"


def _unknown(given: Mapping[str, Any], known: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths in `given` that the model left out."""
    for key, value in given.items():
        if key not in known:
            yield f"{path}{key}"
        elif isinstance(value, dict) and isinstance(known[key], dict):
            yield from _unknown(value, known[key], f"{path}{key}.")
        elif isinstance(value, list) and isinstance(known[key], list):
            for number, (one, other) in enumerate(zip(value, known[key], strict=False)):
                if isinstance(one, dict) and isinstance(other, dict):
                    yield from _unknown(one, other, f"{path}{key}[{number}].")
