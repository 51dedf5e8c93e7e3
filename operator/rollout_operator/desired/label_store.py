"""What a model pod has of the store that remembers its predictions and labels."""

from rollout_operator.desired.common import Manifest, Owner, authority_volume
from rollout_operator.domain.feedback_stores import FeedbackStore

FOLDER = "/var/lib/rollouts/feedback"
CA = "/var/run/rollouts/feedback-ca"


def variables(given: FeedbackStore, owner: Owner) -> dict[str, str]:
    """Plain ones: which labels are this rollout's, and how many are kept. A rollout that is made
    anew under the same name has another uid, and none of the labels before.
    """
    return {
        "FEEDBACK_SCOPE": owner.uid,
        "FEEDBACK_SECONDS": str(given.seconds),
        "FEEDBACK_STORE_ENTRIES": str(given.max_entries),
        "FEEDBACK_STORE_BYTES": str(given.max_bytes),
        **({"FEEDBACK_STORE": f"sqlite:{FOLDER}"} if given.claim is not None else {}),
        **({"PGSSLROOTCERT": f"{CA}/ca.crt"} if given.ca is not None else {}),
    }


def secret_variables(given: FeedbackStore) -> list[Manifest]:
    """The database's URL, which has a password in it; nothing else of the Secret."""
    if given.secret is None:
        return []
    key = {"name": given.secret, "key": given.key}
    return [{"name": "FEEDBACK_STORE", "valueFrom": {"secretKeyRef": key}}]


def mounts(given: FeedbackStore) -> list[Manifest]:
    """Of the server."""
    made: list[Manifest] = []
    if given.claim is not None:
        made.append({"name": "feedback", "mountPath": FOLDER})
    if given.ca is not None:
        made.append({"name": "feedback-ca", "mountPath": CA, "readOnly": True})
    return made


def volumes(given: FeedbackStore) -> list[Manifest]:
    """Of the pod."""
    made: list[Manifest] = []
    if given.claim is not None:
        made.append({"name": "feedback", "persistentVolumeClaim": {"claimName": given.claim}})
    if given.ca is not None:
        made.append(authority_volume("feedback-ca", given.ca))
    return made
