"""The step of a model pod that fetches with credentials, and the folder that it leaves.

The server mounts that folder, read-only, and nothing else of it: no Secret, no token, no variable.
"""

from collections.abc import Mapping

from rollout_operator.desired.common import Manifest, authority_volume
from rollout_operator.domain.credentials import Cache, Credentials

FOLDER = "/model"
CREDENTIALS = "/var/run/rollouts/credentials"
CA = "/var/run/rollouts/ca"
CACHE = "/var/run/rollouts/cache"
TMP = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - the pod's own emptyDir
ONLY_FETCHING = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_INSECURE_TLS")
"""Variables that the server needs no more, once another step has fetched."""
FETCHING = (*ONLY_FETCHING, "MODEL_MAX_BYTES", "MODEL_SIGNERS")
"""Variables of all model servers that the step has, too."""
SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

POD_SECURITY = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
"""Of every pod that reads a model."""


def variables(given: Credentials, environment: Mapping[str, str]) -> dict[str, str]:
    """Plain variables of the step; those of the Secret come on top by `envFrom`."""
    trusted = f"{CA}/ca.crt"
    authority = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE") if given.ca else ()
    return {
        **{name: environment[name] for name in FETCHING if name in environment},
        **dict.fromkeys(authority, trusted),
        **_of_the_cache(given),
        **_of_the_volumes(given),
        "HOME": TMP["mountPath"],
        **given.env,
    }


def _of_the_cache(given: Credentials) -> dict[str, str]:
    if given.cache is None:
        return {}
    return {"MODEL_CACHE": CACHE, "MODEL_CACHE_BYTES": str(given.cache.max_bytes)}


def _of_the_volumes(given: Credentials) -> dict[str, str]:
    """Where there are none, the step takes no folder of its pod for a source."""
    if not given.volumes:
        return {}
    return {"MODEL_VOLUMES": ":".join(volume.path for volume in given.volumes)}


def container(  # noqa: PLR0917 - what makes one step
    given: Credentials,
    uri: str,
    digest: str,
    image: str,
    resources: Manifest,
    environment: Mapping[str, str],
) -> Manifest:
    """The init container; digest: of the files, "" where none is known yet."""
    env = {
        **variables(given, environment),
        "MODEL_URI": uri,
        "MODEL_DIGEST": digest,
    }
    mounts: list[Manifest] = [{"name": "model", "mountPath": FOLDER}, TMP]
    if given.secret is not None:
        mounts.append({"name": "credentials", "mountPath": CREDENTIALS, "readOnly": True})
    if given.ca is not None:
        mounts.append({"name": "ca", "mountPath": CA, "readOnly": True})
    if given.cache is not None:
        mounts.append({"name": "cache", "mountPath": CACHE})
    for number, volume in enumerate(given.volumes):
        mounts.append({"name": f"models-{number}", "mountPath": volume.path, "readOnly": True})
    made: Manifest = {
        "name": "fetch",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "rollout_inference.loading.fetch_model", FOLDER],
        "env": [{"name": name, "value": value} for name, value in sorted(env.items())],
        "resources": resources,
        "securityContext": SECURITY,
        "volumeMounts": mounts,
    }
    if given.secret is not None:
        made["envFrom"] = [{"secretRef": {"name": given.secret}}]
    return made


def volumes(given: Credentials) -> list[Manifest]:
    """What the step needs, and the folder that it shares with the server."""
    made: list[Manifest] = [{"name": "model", "emptyDir": {}}]
    if given.secret is not None:
        made.append({"name": "credentials", "secret": {"secretName": given.secret}})
    if given.ca is not None:
        made.append(authority_volume("ca", given.ca))
    if given.cache is not None:
        made.append({"name": "cache", **_cache_source(given.cache)})
    for number, volume in enumerate(given.volumes):
        claim = {"claimName": volume.claim, "readOnly": True}
        made.append({"name": f"models-{number}", "persistentVolumeClaim": claim})
    return made


def _cache_source(cache: Cache) -> Manifest:
    if cache.claim is not None:
        return {"persistentVolumeClaim": {"claimName": cache.claim}}
    # Only an administrator may give it to the user that pods run as.
    return {"hostPath": {"path": cache.host_path, "type": "Directory"}}
