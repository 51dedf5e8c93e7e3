"""What the operator tells of a rollout, as a CloudEvent: whether it is genuine and in time, and
what it says. No I/O, no clock.

Sources: docs/guides/messages.md; CloudEvents 1.0.2, github.com/cloudevents/spec (json-format.md);
the signature is Standard Webhooks', github.com/standard-webhooks/standard-webhooks, whose formula
is MLflow's, too.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from rollout_bridge.webhook import (
    Envelope,
    Headers,
    Malformed,
    NotGenuine,
    Other,
    envelope,
    verify,
)
from rollout_operator.domain.api.spec import MODEL_NAME

NAMES = Headers("webhook-signature", "webhook-timestamp", "webhook-id")
PREFIX = "whsec_"
"""Of a key in base64, as Standard Webhooks writes it; any other is taken as it is."""
TYPE = "dev.mlops.rollouts."
"""How the types of the operator's events begin."""
TAKEN_BACK = ("RolledBack", "Returned")
"""Kinds of a version that does not answer any more, though somebody asks for it."""

_Text = Annotated[str, Field(max_length=2048)]


class Measured(BaseModel):
    """A gate as it was last measured."""

    metric: _Text
    threshold: float
    value: float | None = None
    samples: int | None = None
    measurement: _Text


class TakenBack(BaseModel):
    """A version was rolled back, or returned from."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    namespace: Annotated[str, Field(max_length=63)]
    name: Annotated[str, Field(max_length=253)]
    attempt: Annotated[int, Field(ge=1)]
    kind: _Text
    """RolledBack or Returned."""
    uri: Annotated[str, Field(pattern=f"^models:/{MODEL_NAME}/[1-9][0-9]*$", max_length=256)]
    reason: _Text = ""
    message: _Text = ""
    gates: Annotated[tuple[Measured, ...], Field(max_length=20)] = ()
    link: _Text = ""
    """The rollout in the dashboard; "" for none."""
    stable: _Text = ""
    """What is stable when the event is sent; "" for nothing."""
    at: AwareDatetime | None = None
    """When it was taken back; None where the event does not say it."""

    @property
    def place(self) -> str:
        """NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"


def key_of(text: str) -> bytes:
    """The key that a Secret's `signingKey` stands for. Raises binascii.Error for one that begins
    with PREFIX and goes on with no base64.
    """
    if not text.startswith(PREFIX):
        return text.encode()
    return base64.b64decode(text.removeprefix(PREFIX), validate=True)


def open_event(
    headers: Mapping[str, str], now: float, max_age: float, keys: Sequence[bytes], body: bytes
) -> Envelope:
    """The envelope of an event that one of the keys has signed; `now` in Unix seconds. Raises
    NotGenuine.
    """
    advice = "write signingKey into the Secret of the operator's destination"
    sealed = envelope(headers, now, max_age, NAMES, advice)
    # Standard Webhooks has several signatures while a key changes.
    for signature in sealed.signature.split()[:4]:
        try:
            one = Envelope(sealed.delivery, sealed.sent_at, signature)
            verify(keys, one, body, "")
        except NotGenuine:
            continue
        return sealed
    raise NotGenuine(
        f"{NAMES.signature} does not fit: signingKey of the operator's destination and EVENT_KEY"
        " differ"
    )


def read_event(body: bytes) -> TakenBack | Other:
    """What a genuine event says. Raises Malformed for what the operator does not send."""
    try:
        event = json.loads(body)
        what, data = str(event["type"]), event["data"]
        kind = data["kind"]
        if not what.startswith(TYPE) or kind not in TAKEN_BACK:
            return Other(f"{what} of {data['namespace']}/{data['name']}"[:200])
        return TakenBack.model_validate({**data, "at": event.get("time")})
    except ValidationError as failure:
        first = failure.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Malformed(f"data.{where} of the event: {first['msg']}"[:200]) from failure
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as failure:
        raise Malformed(
            f"the body is no event of the operator: {type(failure).__name__} {failure}"[:200]
        ) from failure
