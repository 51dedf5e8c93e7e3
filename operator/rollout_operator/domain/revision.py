"""The identity of a revision."""

import json
from datetime import datetime
from hashlib import sha256

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.gates.histogram import bounds
from rollout_operator.domain.observed import Resolved


def revision_hash(
    uid: str, uri: str, digest: str, resources: dict[str, object], settings: str | None = None
) -> str:
    """Eight hex digits over what makes a revision: pinned URI, content digest, pod settings
    (resources, and what the profile says), and the ModelRollout's uid.

    The uid keeps a deleted and re-created rollout of the same name from taking over pods or samples
    of its predecessor.
    """
    parts = [uid, uri, digest, resources, *([] if settings is None else [settings])]
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()[:8]


def revision_of(  # noqa: PLR0917 - what makes one revision
    resolved: Resolved,
    spec: Spec,
    uid: str,
    image: str,
    now: datetime,
    settings: str | None = None,
) -> Revision:
    """The revision that `spec` asks for, given what the registry said; settings: what the profile
    says of pods.
    """
    return Revision(
        revision=revision_hash(
            uid, resolved.uri, resolved.digest, spec.resources.to_api(), settings
        ),
        requested=spec.model_uri,
        uri=resolved.uri,
        version=resolved.version,
        run=resolved.run,
        digest=resolved.digest,
        signature=resolved.signature,
        image=image,
        resources=spec.resources,
        profile=spec.profile,
        pod_settings=settings,
        replicas=spec.replicas,
        buckets=bounds(spec.analysis.gates),
        since=now,
    )


def serves(revision: Revision | None, spec: Spec) -> bool:
    """Whether `revision` is the model that `spec` asks for, as far as the spec's own words tell.

    What a pod may use changes no answer: pods of stable are given it in place, and nothing is tried
    for it.
    """
    return revision is not None and revision.requested == spec.model_uri


def tries(candidate: Revision | None, spec: Spec) -> bool:
    """Whether an attempt with `candidate` is the one that `spec` asks for: with other resources, or
    another profile, it may end otherwise.
    """
    return (
        candidate is not None
        and serves(candidate, spec)
        and candidate.resources == spec.resources
        and candidate.profile == spec.profile
    )


def same_model(one: Revision, other: Revision) -> bool:
    """Whether both answer alike: the same version with the same content, whatever their pods may
    use.
    """
    return (one.uri, one.digest) == (other.uri, other.digest)
