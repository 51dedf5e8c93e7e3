"""Where messages go: destinations of the operator's configuration, and what is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, TypeAdapter, model_validator

from rollout_operator.domain.api.api_types import PROFILE_NAME, QUALIFIED, ApiModel
from rollout_operator.domain.api.words import Verdict
from rollout_operator.domain.configured import NamespacePattern, from_json, is_for

EXAMPLE = '[{"name": "ml-team", "folder": "/etc/rollout-operator/messages/ml-team"}]'
MOST_DESTINATIONS = 20
"""As many as one entry of status.messages can name."""


class Kind(StrEnum):
    """What is told besides the verdicts, whose words are kinds too."""

    WAITING_FOR_DECISION = "WaitingForDecision"
    """A verdict said Pause: a person retries, promotes or aborts."""
    WAITING_FOR_APPROVAL = "WaitingForApproval"
    """All steps are over, and a person is asked to approve."""
    STALLED = "Stalled"
    """The condition Stalled has become True, by what is no verdict; once for each reason."""


UNASKED = frozenset({"Cancelled", "Superseded"})
"""Verdicts that somebody brought about: told only where they are asked for by name."""
KINDS = (*(verdict.value for verdict in Verdict), *(kind.value for kind in Kind))
"""Every kind of message."""


class Format(StrEnum):
    """What a destination takes."""

    TEXT = "Text"
    """Sentences for people: Slack, Teams, e-mail, PagerDuty and whatever else Apprise knows."""
    CLOUD_EVENTS = "CloudEvents"
    """CloudEvents 1.0 for programs, by HTTP POST."""


class NamespaceSelector(ApiModel, extra="forbid"):
    """Labels that a namespace must have."""

    match_labels: Mapping[
        Annotated[str, Field(pattern=QUALIFIED)], Annotated[str, Field(max_length=63)]
    ] = Field(min_length=1)
    """Each with this value."""

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a namespace with these labels is meant."""
        return all(labels.get(key) == value for key, value in self.match_labels.items())


class Destination(ApiModel, extra="forbid"):
    """One place that messages go to; what is secret of it lies in files."""

    name: str = Field(pattern=PROFILE_NAME, max_length=63)
    """By which status, metrics and logs know it."""
    folder: str = Field(pattern=r"^/[A-Za-z0-9._/-]+$", max_length=1_000)
    """Holds the file `url` and, for CloudEvents, where wanted `token` and `signingKey`."""
    format: Format = Format.TEXT
    """What it takes."""
    kinds: tuple[str, ...] = ()
    """Of the messages that it gets; empty for all but UNASKED."""
    namespaces: tuple[NamespacePattern, ...] = Field(("*",), min_length=1)
    """Patterns (`ml-*`) of namespaces whose rollouts it is told of."""
    namespace_selector: NamespaceSelector | None = None
    """Besides, the labels of those namespaces; None for any."""

    @model_validator(mode="after")
    def _known_kinds(self) -> Self:
        if unknown := [kind for kind in self.kinds if kind not in KINDS]:
            raise ValueError(f"kinds: {unknown[0]} is none; there are {', '.join(KINDS)}")
        return self

    def wants(self, kind: str) -> bool:
        """Whether it is told messages of this kind."""
        return kind in self.kinds if self.kinds else kind not in UNASKED

    def is_of(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether it is told of rollouts in this namespace, which has these labels."""
        selector = self.namespace_selector
        return is_for(namespace, self.namespaces) and (selector is None or selector.selects(labels))


@dataclass(frozen=True, slots=True)
class Outbox:
    """What one process knows of the messages of one rollout."""

    holder: str
    """The process, by a name that no other has."""
    names: frozenset[str]
    """Every destination that is configured."""
    recipients: tuple[Destination, ...]
    """Those that are told of this rollout's namespace."""
    hold: timedelta
    """For how long at least a message is this process's alone to send."""
    settled: frozenset[tuple[int, str, str]] = field(default_factory=frozenset)
    """Attempt, kind and destination of those that were delivered or given up."""
    asks: frozenset[tuple[int, str]] = field(default_factory=frozenset)
    """Attempt and kind of those that are to be held longer: they are still to be sent."""
    owned: frozenset[tuple[int, str]] = field(default_factory=frozenset)
    """Attempt and kind of those that this process has in memory, and goes on with by itself."""
    room: bool = True
    """Whether there is memory for more: also for what a process that has ended has left."""


_READER = TypeAdapter(
    Annotated[tuple[Destination, ...], Field(max_length=MOST_DESTINATIONS)],
)


def destinations(text: str) -> tuple[Destination, ...]:
    """The destinations of MESSAGES, a JSON list; empty for "". Raises ValueError."""
    if not text.strip():
        return ()
    given = from_json("MESSAGES", text, list, _READER, EXAMPLE)
    names = [one.name for one in given]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"MESSAGES names {twice} twice: give each destination its own name")
    return given
