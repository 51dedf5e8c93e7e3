"""What an API server notes: of one user the writes, of service accounts every request. Nothing of
that escapes it.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

WRITER = "operator"
"""The user whose writes are noted."""
_WRITES = ["create", "update", "patch", "delete", "deletecollection"]
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "users": [WRITER], "verbs": _WRITES},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
    ],
}


class Write(NamedTuple):
    """One write, taken or refused."""

    verb: str
    resource: str
    """With its subresource: modelrollouts/status."""


class Asked(NamedTuple):
    """One request of a service account, taken or refused."""

    user: str
    verb: str
    resource: str
    """With its subresource; the path where it is about none."""
    code: int
    """HTTP status."""


class AuditLog:
    """The log of an API server that is started with `flags`."""

    def __init__(self, directory: Path) -> None:
        policy, self.path = directory / "audit-policy.json", directory / "audit.log"
        policy.write_text(json.dumps(_POLICY))
        # Each entry is in the file before the request is answered.
        self.flags = [
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.path}",
            "--audit-log-mode=blocking-strict",
        ]

    def writes(self, namespace: str) -> Counter[Write]:
        """All writes to a namespace so far."""
        return Counter(
            Write(entry["verb"], _resource(entry))
            for entry in self._entries()
            if (entry.get("objectRef") or {}).get("namespace") == namespace
        )

    def asked(self) -> Counter[Asked]:
        """All requests of service accounts so far; a watch that lasts counts once."""
        # Of a watch there is an entry at its beginning, and one at its end.
        requests = {entry["auditID"]: entry for entry in self._entries()}
        return Counter(
            Asked(
                entry["user"]["username"],
                entry["verb"],
                _resource(entry),
                (entry.get("responseStatus") or {}).get("code", 0),
            )
            for entry in requests.values()
            if entry["user"]["username"].startswith("system:serviceaccount:")
        )

    def _entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def _resource(entry: dict[str, Any]) -> str:
    place = entry.get("objectRef") or {}
    parts = (place.get("resource"), place.get("subresource"))
    return "/".join(filter(None, parts)) or str(entry["requestURI"]).partition("?")[0]
