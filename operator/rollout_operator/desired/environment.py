"""The operator's configuration of one rollout's model servers."""

import hmac
from collections.abc import Mapping
from hashlib import sha256


def model_environment(common: Mapping[str, str], secret: str, uid: str) -> dict[str, str]:
    """Variables of a rollout's pods: those of all model servers, and the rollout's own key."""
    return {**common, "FEEDBACK_KEY": signing_key(secret, uid)}


def signing_key(secret: str, uid: str) -> str:
    """The key by which all pods of one rollout sign and check prediction ids, and pods of no other.

    Without a secret it rests on the rollout's uid alone: clients cannot know that, whoever may read
    ModelRollouts can.
    """
    return hmac.new(secret.encode(), uid.encode(), sha256).hexdigest()
