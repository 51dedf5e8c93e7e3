"""The Deployment of one revision."""

from collections.abc import Mapping

from pydantic import ValidationError

from rollout_operator.desired import fetch_step, label_store
from rollout_operator.desired.common import PORT, Manifest, Owner
from rollout_operator.desired.pod_settings import with_settings
from rollout_operator.domain.api.names import POD_SETTINGS, PROFILE, revision_name
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.credentials import Credentials
from rollout_operator.domain.feedback_stores import FeedbackStore
from rollout_operator.domain.profiles import settings_hash


def deployment(
    owner: Owner,
    revision: Revision,
    replicas: int | None,
    environment: Mapping[str, str],
    credentials: Credentials | None = None,
    *,
    store: FeedbackStore | None = None,
) -> Manifest:
    """Pods that serve exactly this revision.

    replicas: how many; None where an autoscaler says it, and the Deployment keeps what it has.
    environment: the operator's configuration for all model servers; credentials: what a step before
    the server fetches with, None where the server fetches by itself; store: what remembers labels.
    """
    mounts: list[Manifest] = [fetch_step.TMP]
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    serving = dict(environment)
    if credentials is not None:
        # What it could fetch with, and from where, is not the server's business.
        serving = {n: v for n, v in environment.items() if n not in fetch_step.ONLY_FETCHING}
        serving["MODEL_FOLDER"] = fetch_step.FOLDER
        mounts.append({"name": "model", "mountPath": fetch_step.FOLDER, "readOnly": True})
        volumes += fetch_step.volumes(credentials)
    secrets: list[Manifest] = []
    if store is not None:
        serving |= label_store.variables(store, owner)
        secrets = label_store.secret_variables(store)
        mounts += label_store.mounts(store)
        volumes += label_store.volumes(store)
    variables = {
        **serving,
        "MODEL_URI": revision.uri,
        "MODEL_DIGEST": revision.digest,
        "MODEL_REVISION": revision.revision,
        **({"LATENCY_BUCKETS": ",".join(map(repr, revision.buckets))} if revision.buckets else {}),
        "HOME": fetch_step.TMP["mountPath"],
    }
    container = {
        "name": "model",
        "image": revision.image,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            *({"name": name, "value": value} for name, value in sorted(variables.items())),
            *secrets,
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": revision.resources.to_api(),
        "readinessProbe": {
            "httpGet": {"path": "/health/", "port": "http"},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "livenessProbe": {
            "httpGet": {"path": "/health/live", "port": "http"},
            "initialDelaySeconds": 30,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        # Endpoints are removed while the pod still serves: without the sleep, requests under way to
        # it would fail.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "securityContext": fetch_step.SECURITY,
        "volumeMounts": mounts,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": owner.metadata(
            revision_name(owner.name, revision.revision), revision.revision, _kept(revision)
        ),
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": owner.selector(revision.revision)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "template": _template(
                owner,
                revision,
                {
                    **fetch_step.POD_SECURITY,
                    "terminationGracePeriodSeconds": 30,
                    **_fetching(credentials, revision, environment),
                    "containers": [container],
                    "volumes": volumes,
                },
            ),
        },
    }


def _template(owner: Owner, revision: Revision, spec: Manifest) -> Manifest:
    """The pods' template, with what their profile says."""
    settings = revision.pod_settings
    # What a profile says no more must go: of a Deployment that says more than we do, nobody could
    # tell that from what a webhook has added.
    mark = {} if settings is None else {POD_SETTINGS: settings_hash(settings)}
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/metrics/",
        **mark,
    }
    meta = {"labels": owner.labels(revision.revision), "annotations": annotations}
    selector = {"matchLabels": owner.selector(revision.revision)}
    return with_settings({"metadata": meta, "spec": spec}, settings, selector)


def _kept(revision: Revision) -> dict[str, str]:
    """What is known of the profile, for when the status is lost."""
    kept = {PROFILE: revision.profile, POD_SETTINGS: revision.pod_settings}
    return {name: value for name, value in kept.items() if value is not None}


def _fetching(
    credentials: Credentials | None, revision: Revision, environment: Mapping[str, str]
) -> Manifest:
    """The parts of a pod's spec that fetch with credentials; none where there are none."""
    if credentials is None:
        return {}
    step = fetch_step.container(
        credentials,
        revision.uri,
        revision.digest,
        revision.image,
        revision.resources.to_api(),
        environment,
    )
    account = credentials.service_account
    return {
        **({} if account is None else {"serviceAccountName": account}),
        "initContainers": [step],
    }


def served_by(live: Manifest) -> Revision | None:
    """The revision that a Deployment of ours serves, by what the API server has of it; None where
    it does not say.
    """
    meta = live["metadata"]
    try:
        container = next(
            c for c in live["spec"]["template"]["spec"]["containers"] if c["name"] == "model"
        )
        kept = meta.get("annotations") or {}
        said = {one["name"]: one.get("value", "") for one in container["env"]}
        return Revision.model_validate(
            {
                "revision": said["MODEL_REVISION"],
                "requested": said["MODEL_URI"],
                "uri": said["MODEL_URI"],
                "version": said["MODEL_URI"].rsplit("/", 1)[-1],
                "digest": said["MODEL_DIGEST"],
                "image": container["image"],
                "resources": container.get("resources") or {},
                "profile": kept.get(PROFILE),
                "podSettings": kept.get(POD_SETTINGS),
                "replicas": live["spec"]["replicas"],
                "since": meta["creationTimestamp"],
                "promoted": True,
            }
        )
    except (KeyError, StopIteration, ValidationError):
        return None
