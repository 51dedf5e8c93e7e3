"""What remembers predictions and their labels, by namespace: from the operator's configuration,
never a rollout.
"""

from typing import Annotated, Self

from pydantic import Field, TypeAdapter, model_validator

from rollout_operator.domain.api.api_types import NAME, ApiModel
from rollout_operator.domain.configured import NamespacePattern, from_json, is_for
from rollout_operator.domain.credentials import Authority

EXAMPLE = '[{"namespaces": ["*"], "claim": "feedback"}]'
_Name = Annotated[str, Field(pattern=NAME, max_length=253)]


class FeedbackStore(ApiModel, extra="forbid"):
    """SQLite on a volume, or PostgreSQL: exactly one of `claim` and `secret`."""

    namespaces: tuple[NamespacePattern, ...] = Field(("*",), min_length=1)
    """Patterns of namespaces (`ml-*`); the first entry with one that matches is taken."""
    claim: _Name | None = None
    """A PersistentVolumeClaim in the rollout's namespace; all pods of a rollout run on one node."""
    secret: _Name | None = None
    """A Secret there with the URL of a PostgreSQL database."""
    key: str = Field("url", min_length=1, max_length=253)
    """The Secret's key that holds it: `postgresql://user:password@host/database`."""
    ca: Authority | None = None
    """A private CA that the database is trusted by; its URL says `sslmode=verify-full`."""
    seconds: int = Field(7 * 24 * 3600, ge=60, le=400 * 24 * 3600)
    """How long after its prediction a label is taken."""
    max_entries: int = Field(1_000_000, ge=1_000)
    """Predictions that are remembered of one rollout; the eldest make room."""
    max_bytes: int = Field(512 * 1024**2, ge=1024**2)
    """Bytes of them."""

    @model_validator(mode="after")
    def _one_store(self) -> Self:
        if (self.claim is None) == (self.secret is None):
            raise ValueError(
                "name exactly one of claim (SQLite on a volume) and secret (PostgreSQL)"
            )
        if self.ca is not None and self.secret is None:
            raise ValueError("ca is of a database: leave it out beside claim")
        return self


_READER = TypeAdapter(tuple[FeedbackStore, ...])


def feedback_stores(text: str) -> tuple[FeedbackStore, ...]:
    """The entries of FEEDBACK_STORES, a JSON list; empty for "". Raises ValueError."""
    if not text.strip():
        return ()
    return from_json("FEEDBACK_STORES", text, list, _READER, EXAMPLE)


def store_of(entries: tuple[FeedbackStore, ...], namespace: str) -> FeedbackStore | None:
    """The first entry for this namespace; None where signed ids are all that there is."""
    return next((entry for entry in entries if is_for(namespace, entry.namespaces)), None)
