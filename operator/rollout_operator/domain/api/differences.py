"""Answers to copies that differed, as status has a few of them."""

from typing import Literal

from pydantic import Field

from rollout_operator.domain.api.api_types import ApiModel, Moment

MOST_OF_AN_OUTCOME = 4
"""Differences of one outcome that a status holds."""
MOST_DIFFERENCES = 2 * MOST_OF_AN_OUTCOME
"""Differences that a status holds."""
MOST_FIELDS = 20
"""Fields of a request that are told of."""


class SentValue(ApiModel):
    """What was sent in one field, where the operator's configuration lets it be seen."""

    field: str = Field(max_length=64)
    """Its name, as the model has it."""
    value: str = Field(max_length=64)
    """The value as JSON; its beginning where it is longer."""


class Difference(ApiModel):
    """A copy of a request that the candidate answered otherwise than stable, or not at all."""

    revision: str = Field(max_length=16)
    """The candidate's hash."""
    outcome: Literal["different", "failed"]
    """Which of the two, as in ml_shadow_total."""
    at: Moment
    """When it came, by the clock of stable's pod."""
    stable: str = Field("", max_length=320, description="Stable's answer to one row, as JSON.")
    candidate: str = Field(
        max_length=320, description="The candidate's, or what came in its place."
    )
    sent: tuple[SentValue, ...] = Field(
        (),
        max_length=MOST_FIELDS,
        description="What was sent, of the fields that the operator's configuration lets be seen.",
    )
    masked: tuple[str, ...] = Field(
        (), max_length=MOST_FIELDS, description="Names of other fields, whose values were not kept."
    )
