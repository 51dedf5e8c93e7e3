"""Whose signature a model needs: public keys, from the operator's configuration."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from rollout_operator.domain.api.api_types import PUBLIC_KEY, ApiModel
from rollout_operator.domain.configured import from_json

EXAMPLE = '[{"key": "-----BEGIN PUBLIC KEY-----\\n…\\n-----END PUBLIC KEY-----\\n"}]'


class Signer(ApiModel, extra="forbid"):
    """One of those who may sign."""

    key: Annotated[str, Field(pattern=PUBLIC_KEY, max_length=2_000)]
    """Of P-256, P-384 or P-521, in PEM."""


_READER = TypeAdapter(tuple[Signer, ...])


def signers(text: str) -> tuple[Signer, ...]:
    """The entries of MODEL_SIGNERS, a JSON list; empty for "". Raises ValueError."""
    if not text.strip():
        return ()
    return from_json("MODEL_SIGNERS", text, list, _READER, EXAMPLE)
