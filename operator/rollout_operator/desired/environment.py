"""The operator's configuration of one rollout's model servers."""

import hmac
from collections.abc import Mapping
from hashlib import sha256

from rollout_operator.desired.common import Owner
from rollout_operator.domain.configured import is_for

ALLOW_CODE = "MODEL_ALLOW_CODE"


def model_environment(common: Mapping[str, str], secret: str, owner: Owner) -> dict[str, str]:
    """Variables of a rollout's pods: those of its namespace, and the rollout's own key."""
    key = signing_key(secret, owner.uid)
    return {**of_namespace(common, owner.namespace), "FEEDBACK_KEY": key}


def of_namespace(common: Mapping[str, str], namespace: str) -> dict[str, str]:
    """The variables of all model servers, as they are in this namespace: whether models may be code
    is the operator's list of patterns, and a pod's yes or no.
    """
    patterns = common.get(ALLOW_CODE, "").split(",")
    code = {ALLOW_CODE: "1"} if is_for(namespace, map(str.strip, patterns)) else {}
    return {**{name: value for name, value in common.items() if name != ALLOW_CODE}, **code}


def signing_key(secret: str, uid: str) -> str:
    """The key by which all pods of one rollout sign and check prediction ids, and pods of no other.

    Without a secret it rests on the rollout's uid alone: clients cannot know that, whoever may read
    ModelRollouts can.
    """
    return hmac.new(secret.encode(), uid.encode(), sha256).hexdigest()
