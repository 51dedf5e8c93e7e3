"""Where and how model pods run: profiles that the operator's configuration names, and that a
ModelRollout chooses from. It names no node, account or Secret itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, field_validator, model_validator

from rollout_operator.domain.api.api_types import (
    NAME,
    PROFILE_NAME,
    QUALIFIED,
    ApiModel,
)
from rollout_operator.domain.api.names import GROUP, MANAGED_BY
from rollout_operator.domain.api.status import LONGEST_POD_SETTINGS
from rollout_operator.domain.configured import NamespacePattern, from_json, is_for

DEFAULT = "default"
"""The profile that is taken where spec.profile says nothing."""
EXAMPLE = '{"gpu": {"namespaces": ["ml-*"], "nodeSelector": {"pool": "gpu"}}}'
LABEL = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
QUANTITY = "^[0-9]+([.][0-9]+)?([numkMGTPE]|[KMGTPE]i)?$"
OURS = (f"{GROUP}/", MANAGED_BY, "pod-template-hash", "prometheus.io/")
"""How labels and annotations begin that pods have already: Services, budgets and scrapes find them
by these.
"""
IN_SPEC = ("cpu", "memory")
"""Resources that a ModelRollout asks for itself."""

_Name = Annotated[str, Field(pattern=NAME, max_length=253)]
_Key = Annotated[str, Field(pattern=QUALIFIED, max_length=317)]
_Label = Annotated[str, Field(pattern=LABEL)]
_Amount = Annotated[str, Field(pattern=QUANTITY, max_length=32)]
_User = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Changes(StrEnum):
    """When pods that run get what was changed in their profile."""

    NEXT_ATTEMPT = "NextAttempt"
    """With the next attempt, or when their rollout is told so."""
    AT_ONCE = "AtOnce"
    """Pods of stable are replaced one by one, without a trial."""


class _Strict(ApiModel, extra="forbid"):
    """A part of a PodSpec; what it does not know is refused."""


class Toleration(_Strict):
    """A taint that pods are let onto."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class Affinity(_Strict):
    """As a PodSpec has it. A term without a labelSelector means pods of the same revision."""

    node_affinity: Mapping[str, Any] | None = None
    pod_affinity: Mapping[str, Any] | None = None
    pod_anti_affinity: Mapping[str, Any] | None = None


class Spread(_Strict):
    """How pods are spread. Without a labelSelector: those of the same revision."""

    max_skew: int = Field(1, ge=1)
    topology_key: str = Field(min_length=1)
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = "DoNotSchedule"
    label_selector: Mapping[str, Any] | None = None
    min_domains: int | None = Field(None, ge=1)
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    match_label_keys: tuple[str, ...] | None = None


class PullSecret(_Strict):
    """A Secret in the rollout's namespace."""

    name: _Name


class PodSecurity(_Strict):
    """The users and groups that pods run as. Containers stay without privileges in any case."""

    run_as_user: _User | None = None
    run_as_group: _User | None = None
    fs_group: _User | None = None
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = None
    supplemental_groups: tuple[_User, ...] | None = None
    se_linux_options: Mapping[str, str] | None = None
    seccomp_profile: Mapping[str, str] | None = None


class Profile(_Strict):
    """One profile; its parts are written as in a PodSpec."""

    namespaces: tuple[NamespacePattern, ...] = Field(("*",), min_length=1)
    """Patterns of namespaces (`ml-*`) whose rollouts may use it."""
    changes: Changes = Changes.NEXT_ATTEMPT
    node_selector: Mapping[_Key, _Label] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    affinity: Affinity | None = None
    topology_spread_constraints: tuple[Spread, ...] | None = None
    priority_class_name: _Name | None = None
    runtime_class_name: _Name | None = None
    image_pull_secrets: tuple[PullSecret, ...] | None = None
    service_account_name: _Name | None = None
    """Instead of the account of the credentials, if they have one."""
    labels: Mapping[_Key, _Label] | None = None
    """Of the pods."""
    annotations: Mapping[_Key, str] | None = None
    """Of the pods."""
    security_context: PodSecurity | None = None
    """Instead of the user and group 65532; `{}` leaves both to the namespace (OpenShift)."""
    termination_grace_period_seconds: int | None = Field(None, ge=10, le=3600)
    resources: Mapping[_Key, _Amount] | None = None
    """Extended resources of the server (`nvidia.com/gpu: "1"`), as limits."""

    @field_validator("labels", "annotations")
    @classmethod
    def _not_ours(cls, given: Mapping[str, str] | None) -> Mapping[str, str] | None:
        for key in given or ():
            if key.startswith(OURS):
                raise ValueError(f"{key} is the operator's own: take another name")
        return given

    @field_validator("resources", mode="before")
    @classmethod
    def _as_texts(cls, given: object) -> object:
        """A quantity may be written as a number."""
        if not isinstance(given, Mapping):
            return given
        for key in given:
            if key in IN_SPEC:
                raise ValueError(f"{key} is asked for by each ModelRollout, in spec.resources")
        return {k: str(v) if type(v) is int else v for k, v in given.items()}

    @model_validator(mode="after")
    def _short(self) -> Self:
        if (length := len(self.settings or "")) > LONGEST_POD_SETTINGS:
            raise ValueError(
                f"it has {length} characters as JSON, and at most {LONGEST_POD_SETTINGS} fit into"
                " a status"
            )
        return self

    @property
    def settings(self) -> str | None:
        """All that is for pods, as JSON; None where that is nothing."""
        given = self.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude={"namespaces", "changes"}
        )
        return json.dumps(given, sort_keys=True, separators=(",", ":")) if given else None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The profile that a rollout's spec asks for, as the configuration has it now."""

    name: str = ""
    """ "" where there is none."""
    settings: str | None = None
    """What it says of pods, as JSON."""
    at_once: bool = False
    """Whether pods that run get what was changed in it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    namespaces: tuple[str, ...]
    """Patterns of namespaces (`ml-*`) whose rollouts may use it."""
    chosen: Chosen
    """What those get."""

    def admits(self, namespace: str) -> bool:
        return is_for(namespace, self.namespaces)


class Profiles:
    """The profiles of the operator's configuration, by name."""

    def __init__(self, given: Mapping[str, Profile]) -> None:
        self._entries = {
            name: _Entry(
                profile.namespaces,
                Chosen(name, profile.settings, profile.changes is Changes.AT_ONCE),
            )
            for name, profile in sorted(given.items())
        }

    def choose(self, namespace: str, name: str | None) -> Chosen:
        """The profile of this name for a rollout of this namespace; None: the default one, if any.

        Raises LookupError with a sentence where the namespace has none of this name.
        """
        entry = self._entries.get(name or DEFAULT)
        if entry is not None and entry.admits(namespace):
            return entry.chosen
        if name is None:
            return Chosen()
        there = [known for known, entry in self._entries.items() if entry.admits(namespace)]
        help_ = f"write {' or '.join(there)}, or leave it out" if there else "leave it out"
        raise LookupError(f"spec.profile: namespace {namespace} has no profile {name}: {help_}.")


NO_PROFILES = Profiles({})
_READER = TypeAdapter(
    dict[Annotated[str, Field(pattern=PROFILE_NAME, max_length=63)], Profile],
)


def profiles(text: str) -> Profiles:
    """The profiles of MODEL_PROFILES, a JSON object by name; none for "". Raises ValueError."""
    if not text.strip():
        return NO_PROFILES
    given = from_json("MODEL_PROFILES", text, dict, _READER, EXAMPLE)
    return Profiles(given)


def settings_hash(settings: str | None) -> str:
    """Eight hex digits by which the settings of pods are named; `none` for none."""
    return "none" if settings is None else sha256(settings.encode()).hexdigest()[:8]
