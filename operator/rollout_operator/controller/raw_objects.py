"""What is read of an object as the API server has it before any of it is kept: whose it is, which
version, whether anybody looks at it.
"""

import sys
from collections.abc import Mapping
from typing import Any

from rollout_operator.domain.api.names import GROUP, ROLLOUT
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.owned_object import SERVICE

Key = tuple[str, str]
"""Namespace and name of a ModelRollout."""
WatchEvent = tuple[str, str, int | str]
"""What a watch tells: kind, name, and the version of the object as it is now, or the uid of one
that was deleted.
"""

OPTIONAL_KINDS = frozenset({"HorizontalPodAutoscaler"})
"""What only some rollouts have, and an older role leaves out: nobody else waits for it."""


def key_of(meta: Mapping[str, Any]) -> Key:
    """The key of the ModelRollout with this metadata; the same texts for all that keep it."""
    return sys.intern(meta["namespace"]), sys.intern(meta["name"])


def rollout_of(raw: Mapping[str, Any]) -> Key:
    """The rollout that an owned object names in its labels."""
    meta = raw["metadata"]
    name = (meta.get("labels") or {}).get(ROLLOUT, "")
    return sys.intern(meta.get("namespace", "")), sys.intern(name)


def event_of(kind: str, meta: Mapping[str, Any]) -> WatchEvent:
    """What a watch tells of an object that is there, by its metadata."""
    return kind, meta["name"], int(meta["resourceVersion"])


def concerns(kind: str, meta: Mapping[str, Any]) -> bool:
    """Whether anybody looks at the object: of EndpointSlices, those of the stable Service, which is
    called like its rollout.
    """
    labels = meta.get("labels") or {}
    return kind != "EndpointSlice" or labels.get(SERVICE) == labels.get(ROLLOUT)


def at_rest(raw: Mapping[str, Any]) -> bool:
    """Whether a ModelRollout asks for nothing: its last word is about what its spec asks for, and
    nobody has commanded anything.
    """
    meta, status = raw["metadata"], raw.get("status") or {}
    settled = (
        status.get("phase") in AT_REST
        and status.get("observedGeneration") == meta["generation"]
        and not status.get("retiring")
    )
    return settled and not any(name.startswith(GROUP) for name in meta.get("annotations") or ())
