"""Kubernetes Events about a ModelRollout."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from rollout_operator.domain.api.names import FIELD_MANAGER, GROUP, KIND, VERSION


def event_body(
    rollout: dict[str, Any], kind: str, reason: str, message: str, once: str
) -> dict[str, Any]:
    """An Event about this ModelRollout; its name follows from `once`, so that the same is posted
    only once, whoever posts it.
    """
    meta = rollout["metadata"]
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    suffix = sha256(f"{meta['uid']}/{once}".encode()).hexdigest()[:16]
    about = {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{suffix}", "namespace": meta["namespace"]},
        "involvedObject": {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, **about},
        "type": kind,
        "reason": reason,
        "message": message,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
    }
