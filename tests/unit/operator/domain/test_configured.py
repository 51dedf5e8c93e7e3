"""Namespaces that entries of the configuration are for."""

import pytest
from pydantic import BaseModel, ValidationError

from rollout_operator.domain.credentials import Credentials
from rollout_operator.domain.feedback_stores import FeedbackStore
from rollout_operator.domain.outbox import Destination
from rollout_operator.domain.profiles import Profile
from rollout_operator.domain.promotion_proof import ProofRule
from rollout_operator.domain.shadow_fields import ShadowFields
from rollout_operator.domain.windows import ConfiguredWindow

ENTRIES = (
    Credentials,
    ConfiguredWindow,
    Destination,
    FeedbackStore,
    Profile,
    ProofRule,
    ShadowFields,
)


def wrong(entry: type[BaseModel], pattern: str) -> list[str]:
    """What is wrong with an entry's namespaces."""
    try:
        entry.model_validate({"namespaces": [pattern]})
    except ValidationError as failure:
        return [one["msg"] for one in failure.errors() if one["loc"][:1] == ("namespaces",)]
    return []


@pytest.mark.parametrize(
    "pattern", ["Production", "", "prod_eu", "!prod", "a/b", "prod ", "[", "é"]
)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_fits_no_namespace_is_told(entry: type[BaseModel], pattern: str) -> None:
    """An entry without effect: no proof is demanded, no window is frozen, and nobody knows."""
    # Of a list whose entries are wrong it is also said that it is too short.
    said, *_ = wrong(entry, pattern)
    assert "fits no namespace" in said
    assert "write production, or ml-*" in said


@pytest.mark.parametrize("pattern", ["production", "ml-*", "*", "team-?", "ml-[ab]", "[!x]*"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_patterns_of_namespaces_are_taken(entry: type[BaseModel], pattern: str) -> None:
    assert wrong(entry, pattern) == []
