"""The pod that looks at the files of a version without a digest, before anything is tried.

As model pods do it: the same image, account, credentials and limits, and nobody else to talk to.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from rollout_operator.desired import fetch_step
from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.pod_settings import with_settings
from rollout_operator.domain.api.names import GROUP, POD_SETTINGS
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Inspecting
from rollout_operator.domain.credentials import Credentials

INSPECTED = f"{GROUP}/inspects"
"""Annotation: the version that the pod looks at."""
LOOKING = (
    "LOG_LEVEL",
    "MODEL_ALLOW_CODE",
    "MODEL_ALLOW_PICKLE",
    "MODEL_MAX_BYTES",
    "MODEL_PYTHON",
    "MODEL_SIGNERS",
    "MODEL_TRUSTED_TYPES",
)
"""Variables of all model servers by which a model is judged."""


def pod_name(owner: Owner) -> str:
    """One for each rollout: what was left of an earlier version makes room."""
    short = owner.name if len(owner.name) <= 40 else owner.name[:31].rstrip("-.")
    mark = "" if short == owner.name else f"-{sha256(owner.name.encode()).hexdigest()[:8]}"
    return f"{short}{mark}-inspect"


def inspection_pod(  # noqa: PLR0917 - what makes one pod
    owner: Owner,
    spec: Spec,
    inspecting: Inspecting,
    image: str,
    environment: Mapping[str, str],
    credentials: Credentials | None,
    settings: str | None = None,
) -> Manifest:
    """Its termination message is an Inspection, as JSON. settings: what the profile says of it."""
    given = credentials if credentials is not None else Credentials()
    resources = spec.resources.to_api()
    step = fetch_step.container(given, inspecting.uri, "", image, resources, environment)
    names = (name for name in LOOKING if name in environment)
    env = {**{name: environment[name] for name in names}, "HOME": fetch_step.TMP["mountPath"]}
    inspect = {
        "name": "inspect",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "rollout_inference.loading.inspect_model", fetch_step.FOLDER],
        "env": [{"name": name, "value": value} for name, value in sorted(env.items())],
        "resources": resources,
        "securityContext": fetch_step.SECURITY,
        "volumeMounts": [
            fetch_step.TMP,
            {"name": "model", "mountPath": fetch_step.FOLDER, "readOnly": True},
        ],
    }
    account = given.service_account
    kept = {} if settings is None else {POD_SETTINGS: settings}
    annotations = {INSPECTED: inspecting.uri, **kept}
    pod = {
        "metadata": owner.metadata(pod_name(owner), annotations=annotations),
        "spec": {
            **({} if account is None else {"serviceAccountName": account}),
            "restartPolicy": "Never",
            "activeDeadlineSeconds": int(spec.strategy.progress_deadline.total_seconds()),
            **fetch_step.POD_SECURITY,
            "initContainers": [step],
            "containers": [inspect],
            "volumes": [{"name": "tmp", "emptyDir": {}}, *fetch_step.volumes(given)],
        },
    }
    pods = owner.pod_selector()
    return {"apiVersion": "v1", "kind": "Pod", **with_settings(pod, settings, pods)}


def made_with(pod: Mapping[str, Any]) -> str | None:
    """What the profile said when the pod was made, as JSON; None for nothing."""
    return (pod["metadata"].get("annotations") or {}).get(POD_SETTINGS)
