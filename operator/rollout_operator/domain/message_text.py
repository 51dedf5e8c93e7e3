"""What a message says, for people and for programs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rollout_operator.domain.api.conditions import why
from rollout_operator.domain.api.names import GROUP, PLURAL, VERSION
from rollout_operator.domain.api.status import Attempt, Notification, Status
from rollout_operator.domain.messages import message_id, waits_for
from rollout_operator.domain.outbox import Kind
from rollout_operator.domain.verdicts import weighed

NEXT_STEPS: Mapping[str, str] = {
    "Promoted": "Nothing is to be done; `kubectl modelrollout report {0}` has the evidence.",
    "RolledBack": (
        "`kubectl modelrollout report {0}` has the evidence, and `kubectl modelrollout retry {0}`"
        " tries this version again."
    ),
    "Returned": (
        "`kubectl modelrollout report {0}` has the evidence; the version before answers, and"
        " `kubectl modelrollout retry {0}` tries this one again."
    ),
    Kind.WAITING_FOR_DECISION: (
        "Decide: `kubectl modelrollout promote {0}`, `abort {0}` or `retry {0}`."
    ),
    Kind.WAITING_FOR_APPROVAL: (
        "Decide: `kubectl modelrollout approve {0}` or `kubectl modelrollout abort {0}`."
    ),
    "": "`kubectl modelrollout explain {0}` says why, and what helps.",
}
"""By kind, and for all others."""
EVENT_TYPE = "dev.mlops.rollouts."
"""What the types of CloudEvents begin with: GROUP reversed, as their specification asks for."""

_CALLS = re.compile(r"<(?=[!@#])|@(?=(?:everyone|here|channel|all)\b)")
"""What Slack's `<!channel>` and Discord's `@everyone` begin with."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The ModelRollout that a message is about."""

    namespace: str
    """Its namespace."""
    name: str
    """Its metadata.name."""
    uid: str
    """Its metadata.uid."""

    @property
    def place(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as every destination gets it."""

    id: str
    """The same whenever it is sent."""
    rollout: Rollout
    """What it is about."""
    attempt: int
    """The attempt's number; 0 before the first."""
    kind: str
    """A verdict's word, or a Kind."""
    at: datetime
    """When it came to that."""
    uri: str = ""
    """models:/<name>/<version>; "" where no version is known."""
    reason: str = ""
    """Why, as one word."""
    said: str = ""
    """The same as a sentence."""
    gates: tuple[Mapping[str, Any], ...] = ()
    """As they were last measured: metric, value, threshold, samples, measurement."""
    started: datetime | None = None
    """When the attempt began."""
    link: str = ""
    """The rollout in the dashboard; "" where none is configured."""
    stable: str = ""
    """models:/<name>/<version> of what is stable when it is sent; "" for nothing."""

    @property
    def model(self) -> str:
        """The registered model's name; "" where none is known."""
        return self.uri.removeprefix("models:/").rpartition("/")[0]

    @property
    def version(self) -> str:
        """The registry's number of the version; "" where none is known."""
        return self.uri.rpartition("/")[2]

    @property
    def seconds(self) -> int | None:
        """How long the attempt has taken; None where it has not begun."""
        return None if self.started is None else int((self.at - self.started).total_seconds())

    @property
    def next_step(self) -> str:
        """What a person does now."""
        where = f"{self.rollout.name} -n {self.rollout.namespace}"
        return NEXT_STEPS.get(self.kind, NEXT_STEPS[""]).format(where)

    @property
    def title(self) -> str:
        """One line."""
        what = f"{self.model} version {self.version}" if self.uri else self.rollout.place
        return _plain(f"{what}: {words(self.kind)} ({self.rollout.place})")

    @property
    def text(self) -> str:
        """The lines below the title."""
        after = "" if self.seconds is None else f", after {duration(self.seconds)}"
        lines = [
            f"{self.kind}{f' ({self.reason})' if self.reason else ''}: {_plain(self.said)}",
            *(_gate(gate) for gate in self.gates),
            f"Attempt {self.attempt} of {self.rollout.place}{after}.",
            self.next_step,
            self.link,
            f"Message {self.id}",
        ]
        return "\n".join(line for line in lines if line)

    def cloud_event(self) -> dict[str, Any]:
        """By the JSON format of CloudEvents 1.0.2: github.com/cloudevents/spec, json-format.md."""
        one = self.rollout
        data = {
            "namespace": one.namespace,
            "name": one.name,
            "uid": one.uid,
            "attempt": self.attempt,
            "kind": self.kind,
            "model": self.model or None,
            "version": self.version or None,
            "uri": self.uri or None,
            "reason": self.reason or None,
            "message": self.said or None,
            "gates": [dict(gate) for gate in self.gates],
            "started": None if self.started is None else _moment(self.started),
            "seconds": self.seconds,
            "nextStep": self.next_step,
            "link": self.link or None,
            "stable": self.stable or None,
        }
        return {
            "specversion": "1.0",
            "id": self.id,
            "type": EVENT_TYPE + self.kind.lower(),
            "source": f"/apis/{GROUP}/{VERSION}/namespaces/{one.namespace}/{PLURAL}/{one.name}",
            "subject": one.place,
            "time": _moment(self.at),
            "datacontenttype": "application/json",
            "data": {key: value for key, value in data.items() if value is not None},
        }


def message(rollout: Rollout, status: Status, one: Notification, dashboard: str) -> Message:
    """The message of an entry of status.messages; of an attempt that has left history, what is
    still known.

    dashboard: its URL without a trailing slash, "" for none.
    """
    made = Message(
        id=message_id(rollout.uid, one.place),
        rollout=rollout,
        attempt=one.attempt,
        kind=one.kind,
        at=one.at,
        link=f"{dashboard}/rollouts/{rollout.place}" if dashboard else "",
        stable=stable_uri(status),
    )
    of_attempt = [ended for ended in status.history if ended.attempt == one.attempt]
    by_verdict = next((ended for ended in of_attempt if ended.verdict == one.kind), None)
    if by_verdict is not None:
        return _told_by(made, by_verdict)
    still = one.about in {"", why(status)[0]}
    if status.attempt == one.attempt and one.kind in {waits_for(status), Kind.STALLED} and still:
        return _told_now(made, status)
    # It was so when the entry was made, and is over.
    return _told_by(made, of_attempt[0]) if of_attempt else replace(made, reason=one.about)


def stable_uri(status: Status) -> str:
    """What is stable, with its version pinned; "" for nothing."""
    return status.stable.uri if status.stable is not None else ""


def _told_by(made: Message, ended: Attempt) -> Message:
    return Message(
        made.id, made.rollout, made.attempt, made.kind, made.at, ended.uri, ended.reason,
        ended.message, tuple(gate.to_api() for gate in ended.gates), ended.started, made.link,
        made.stable,
    )  # fmt: skip


def _told_now(made: Message, status: Status) -> Message:
    said = next((c for c in status.conditions if c.type == "Stalled"), None)
    stalled = made.kind == Kind.STALLED and said is not None
    revision = status.candidate or status.stable
    return Message(
        made.id, made.rollout, made.attempt, made.kind, made.at,
        revision.uri if revision is not None else "",
        said.reason if stalled and said is not None else status.reason,
        said.message if stalled and said is not None else status.message,
        tuple(gate.to_api() for gate in weighed(status)),
        status.attempt_since, made.link, made.stable,
    )  # fmt: skip


def words(kind: str) -> str:
    """RolledBack as `rolled back`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()


def duration(seconds: int) -> str:
    """`1 h 3 min`, `4 min 5 s` or `12 s`."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def _gate(gate: Mapping[str, Any]) -> str:
    value, samples = gate.get("value"), gate.get("samples")
    measured = "no value" if value is None else f"{value:.4g}"
    counted = "" if samples is None else f", {samples:g} samples"
    held = f"{measured} against {gate['threshold']:g}{counted}"
    return f"{gate['metric']}: {held}: {gate['measurement']}"


def _plain(said: str) -> str:
    """On one line, without control characters and without what calls everybody in a chat: a pod's
    own words may be part of it.
    """
    said = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    # What is taken out may leave another call behind.
    while (fewer := _CALLS.sub("", said)) != said:
        said = fewer
    return said


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
