"""What the API server's audit log says of the operator: its requests, its transitions, the weights
it wrote. Pure, but for reading.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.faults.audit import Seen, broken

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
OPERATOR = "operator"
"""The user that the operator logs in as."""
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "RequestResponse",
            "users": [OPERATOR],
            "verbs": ["update", "patch"],
            "resources": [{"group": "rollouts.mlops.dev"}],
        },
        {
            "level": "Request",
            "users": [OPERATOR],
            "verbs": ["patch"],
            "resources": [{"group": "networking.k8s.io"}],
        },
        {"level": "Metadata", "users": [OPERATOR]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True)
class Request:
    """One request of the operator."""

    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    began: float
    """Unix time by the API server's clock, as `ended`."""
    ended: float
    body: Any
    """Where it is recorded, as `answer`; else None."""
    answer: Any


def read(path: Path, offset: int = 0) -> tuple[list[Request], int]:
    """The requests in the log from a place in the file on, and the place to go on from: a line that
    is still being written waits.
    """
    with path.open("rb") as file:
        file.seek(offset)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    return [_request(json.loads(line)) for line in whole.splitlines()], offset + len(whole)


def _request(entry: dict[str, Any]) -> Request:
    place = entry.get("objectRef") or {}
    resource = place.get("resource", entry.get("requestURI", "").split("?")[0])
    return Request(
        verb=entry["verb"],
        resource=f"{resource}/{place['subresource']}" if place.get("subresource") else resource,
        namespace=place.get("namespace", ""),
        name=place.get("name", ""),
        code=(entry.get("responseStatus") or {}).get("code", 0),
        began=_unix(entry["requestReceivedTimestamp"]),
        ended=_unix(entry["stageTimestamp"]),
        body=entry.get("requestObject"),
        answer=entry.get("responseObject"),
    )


def _unix(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def kinds(requests: Iterable[Request]) -> Counter[str]:
    """How many requests of each kind: verb and resource; watches, which last, are not counted."""
    return Counter(f"{r.verb} {r.resource}" for r in requests if r.verb != "watch")


@dataclass(frozen=True)
class Written:
    """A weight of one rollout's canary route; 0 where the route was deleted."""

    rollout: str
    weight: int
    at: float


def weights(requests: Iterable[Request]) -> Iterator[Written]:
    """Every weight that was written, when its write was over."""
    for one in requests:
        if one.resource != "ingresses" or one.code >= 300 or not one.name.endswith("-canary"):
            continue
        rollout = one.name.removesuffix("-canary")
        if one.verb == "delete":
            yield Written(rollout, 0, one.ended)
        elif one.body is not None:
            yield Written(rollout, int(one.body["metadata"]["annotations"][WEIGHT]), one.ended)


def statuses(requests: Iterable[Request]) -> list[Request]:
    """Status writes that took place, in their order."""
    found = [
        r for r in requests if r.resource == "modelrollouts/status" and r.code == 200 and r.answer
    ]
    return sorted(found, key=lambda r: int(r.answer["metadata"]["resourceVersion"]))


def transgressions(requests: Iterable[Request]) -> list[str]:
    """Transitions that were made twice, or out of their order;
    those of tests/faults hold here too.
    """
    of: dict[tuple[str, str], list[Seen]] = {}
    for one in statuses(requests):
        version = int(one.answer["metadata"]["resourceVersion"])
        of.setdefault((one.namespace, one.name), []).append(
            Seen(version, "ModelRollout", False, one.answer)
        )
    return [f"{name}: {said}" for (_, name), events in of.items() for said in broken(events)]


def share(values: Sequence[float], part: float) -> float:
    """A quantile: the smallest value that `part` of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
