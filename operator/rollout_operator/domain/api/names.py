"""The names under which the operator and everything it makes are known."""

GROUP = "rollouts.mlops.dev"
VERSION = "v1alpha1"
KIND = "ModelRollout"
PLURAL = "modelrollouts"
FIELD_MANAGER = "rollout-operator"

MANAGED_BY = "app.kubernetes.io/managed-by"
ROLLOUT = f"{GROUP}/rollout"
REVISION = f"{GROUP}/revision"
SHARD = f"{GROUP}/shard"
"""Label of a ModelRollout, and of its objects, that says which of several operators looks after it.
"""

APPLIED = f"{GROUP}/applied"
"""Annotation of a Deployment: the hash of the manifest that was applied last."""

POD_SETTINGS = f"{GROUP}/pod-settings"
"""Annotation of a Deployment: what its profile says of pods; of its pods: the hash of that."""

PROFILE = f"{GROUP}/profile"
"""Annotation of a Deployment: the profile of its pods, where the spec names one."""

TAKE_PROFILE = f"{GROUP}/take-profile"
"""Annotation of a ModelRollout: the hash of a profile that pods of stable are to have now."""

COMMANDED_BY = f"{GROUP}/commanded-by"
"""Annotation of a ModelRollout: `<verb> <attempt>: <name>`, who has given the last command."""

COMMAND_REASON = f"{GROUP}/reason"
"""Annotation of a ModelRollout: `<verb> <attempt>: <text>`, why the last command was given."""

PROMOTED = f"{GROUP}/promoted"
"""Annotation of a ModelRollout: `<uri> <digest> Promoted by …`, where its version was promoted
before it was asked for here.
"""

PROOF = f"{GROUP}/promotion-proof"
"""Annotation of a ModelRollout: the same, signed by the operator that has promoted it."""

STABLE = f"{GROUP}/stable"
"""Annotation of a Service that selects the pods of two revisions: which of them is stable."""

DIGEST_TAG = f"{GROUP}/digest"
"""Tag of a model version that holds its content digest."""

SIGNATURE_TAG = f"{GROUP}/signature"
"""Tag of a model version that holds its MLflow signature as JSON."""


def revision_name(rollout: str, revision: str) -> str:
    """Name of a revision's Deployment and Service."""
    return f"{rollout}-{revision}"


def scale_selector(rollout: str) -> str:
    """Selects all model pods of a rollout, as `kubectl get pods -l` takes it."""
    return f"{ROLLOUT}={rollout},{REVISION}"


def canary_name(route: str) -> str:
    """Name of the canary Ingress beside the stable Ingress of this name."""
    return f"{route}-canary"
