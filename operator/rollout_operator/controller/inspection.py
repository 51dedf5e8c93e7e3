"""The pod that looks at a version without a digest: what it says, and that it comes and goes."""

import json
from collections.abc import Mapping
from typing import Any

from rollout_operator.controller.apply import WriteGuard
from rollout_operator.controller.pod_status import trouble
from rollout_operator.controller.ports import Ports
from rollout_operator.desired.common import Owner, owner_of
from rollout_operator.desired.environment import of_namespace as environment_of
from rollout_operator.desired.inspection_pod import (
    INSPECTED,
    inspection_pod,
    made_with,
    pod_name,
)
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import LONGEST_SIGNATURE, Status
from rollout_operator.domain.credentials import of_namespace
from rollout_operator.domain.observed import Inspection, Observed
from rollout_operator.domain.rollout import Rollout
from rollout_operator.errors import Gone, Refused


async def inspection(owner: Owner, rollout: Rollout, ports: Ports) -> Inspection | None:
    """What the rollout's pod has said; None where nothing is to be inspected. Raises CallFailed."""
    status, profile = rollout.status, rollout.profile
    if status.inspecting is None or status.inspecting.message:
        return None
    try:
        pod = await ports.cluster.read("Pod", owner.namespace, pod_name(owner))
    except Gone:
        refused = ports.memory.pod_rejection((owner.namespace, owner.name))
        return Inspection(status.inspecting.uri, trouble=refused) if refused else Inspection()
    seen = read(pod, owner.uid)
    if profile is not None and not seen.ended and made_with(pod) != profile.settings:
        # It may wait for a node that it will never get: one of the profile as it is now goes there.
        return Inspection(known=seen.known)
    return seen


def read(pod: Mapping[str, Any], uid: str) -> Inspection:
    """What a pod has said, if it is the rollout's of this uid, and is to stay."""
    meta = pod["metadata"]
    known = meta["uid"], int(meta["resourceVersion"])
    owners = {one.get("uid") for one in meta.get("ownerReferences") or ()}
    if uid not in owners or "deletionTimestamp" in meta:
        return Inspection(known=None if uid not in owners else known, trouble="")
    uri = str((meta.get("annotations") or {}).get(INSPECTED, ""))
    status = pod.get("status") or {}
    ended = status.get("phase") in {"Succeeded", "Failed"}
    for container in status.get("containerStatuses") or ():
        told = ((container.get("state") or {}).get("terminated") or {}).get("message") or ""
        if (found := _answer(uri, told, known)) is not None:
            return found
    said = trouble([pod]).said
    if ended and not said:
        said = f"{status.get('reason', '')}: {status.get('message', '')}".strip(": ")
    return Inspection(uri=uri, ended=ended, trouble=said, known=known)


def _summary(told: Mapping[str, Any]) -> str:
    """What is good to know of the files before they are tried, as a phrase."""
    size = f"{int(told.get('bytes', 0)) / 2**20:,.1f} MiB"
    flavors = ", ".join(map(str, told.get("flavors") or ())) or "no flavour"
    points = int(told.get("points", 0))
    proof = f", held against scikit-learn on {points:,} rows" if points else ""
    reason = f" ({told['reason']})" if told.get("reason") else ""
    packages = "; ".join(map(str, told.get("packages") or ()))
    other = f"; made with {packages}" if packages else ""
    return f"{size} of {flavors}, to be served by {told.get('serves')}{proof}{reason}{other}"


def _answer(uri: str, text: str, known: tuple[str, int]) -> Inspection | None:
    """The JSON object that the process leaves; None where it has left none."""
    try:
        told = json.loads(text)
        signature = str(told["signature"])
        return Inspection(
            uri=uri,
            ended=True,
            digest=str(told["digest"]),
            signature=signature if len(signature) <= LONGEST_SIGNATURE else "",
            trouble=str(told["trouble"]),
            summary=_summary(told),
            known=known,
        )
    except (ValueError, KeyError, TypeError):
        return None


async def have_pod_follow(
    guard: WriteGuard, seen: Observed, spec: Spec, status: Status, ports: Ports
) -> None:
    """Create the pod that the status asks for, and delete the one that it asks for no more.

    Raises CallFailed.
    """
    asked, owner, found = status.inspecting, owner_of(guard.seen), seen.inspection
    wanted = asked is not None and not asked.message
    name = pod_name(owner)
    if found is not None and found.known is not None:
        if not wanted or asked is None or found.uri != asked.uri:
            await ports.cluster.delete("Pod", owner.namespace, name, found.known)
        return
    if not wanted or asked is None:
        return
    manifest = inspection_pod(
        owner,
        spec,
        asked,
        seen.image,
        environment_of(ports.environment, owner.namespace),
        of_namespace(ports.credentials, owner.namespace),
        seen.profile.settings if seen.profile is not None else None,
    )
    try:
        await ports.cluster.apply(manifest, None, guard.ensure_current)
    except Refused as failure:
        ports.memory.reject_pod(guard.key, str(failure))
        raise
    ports.memory.reject_pod(guard.key, "")
