"""A ModelRollout as read: raw, and as the operator's own models have it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pydantic import ValidationError

from rollout_cli.cluster.kube_client import Access, Object, rollouts_path
from rollout_cli.exit_codes import Absent, Failure
from rollout_operator.domain.api.names import KIND
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Condition, Status


@dataclass(frozen=True, slots=True)
class Rollout:
    """One ModelRollout; spec is None where it cannot be read, and `spec_error` says why."""

    raw: Object
    status: Status
    spec: Spec | None
    spec_error: str = ""

    @classmethod
    def of(cls, raw: Object) -> Self:
        """Read an object of the API. Raises Failure where its status is newer than this program."""
        try:
            status = Status.model_validate(raw.get("status") or {})
        except ValidationError as invalid:
            where = ".".join(map(str, invalid.errors()[0]["loc"]))
            raise Failure(
                f"status.{where} cannot be read by this version of the tool: install the version of"
                " the operator."
            ) from invalid
        try:
            return cls(raw, status, Spec.model_validate(raw["spec"]))
        except ValidationError as invalid:
            first = invalid.errors()[0]
            return cls(
                raw, status, None, f"spec.{'.'.join(map(str, first['loc']))}: {first['msg']}"
            )

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.raw["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.raw["metadata"]["namespace"])

    @property
    def generation(self) -> int:
        """Number of its spec."""
        return int(self.raw["metadata"]["generation"])

    @property
    def wanted(self) -> str:
        """The MODEL_URI that the spec asks for."""
        return str(self.raw["spec"].get("modelUri", ""))

    @property
    def created(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.raw["metadata"]["creationTimestamp"])

    @property
    def seen(self) -> bool:
        """Whether the status speaks of the spec as it is now."""
        return self.status.observed_generation >= self.generation

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type."""
        return next((c for c in self.status.conditions if c.type == kind), None)

    def revisions(self) -> dict[str, str]:
        """Role by revision: of everything that may have pods."""
        status = self.status
        found = {r.revision: "retiring" for r in status.retiring}
        if status.candidate is not None:
            found[status.candidate.revision] = "candidate"
        if status.stable is not None:
            found[status.stable.revision] = "stable"
        return found


def bare(name: str) -> str:
    """The name without the kind before it: `mro/iris` is iris, as `-o name` prints it."""
    return name.rsplit("/", 1)[-1]


def read(access: Access, name: str) -> Rollout:
    """The rollout of this name; raises Absent with what there is instead."""
    try:
        return Rollout.of(access.get(rollouts_path(access.namespace, bare(name))))
    except Absent as absent:
        raise Absent(_instead(access, bare(name), str(absent))) from absent


def read_all(access: Access, everywhere: bool) -> list[Rollout]:
    """All rollouts of the namespace, or of all namespaces."""
    try:
        found: list[dict[str, Any]] = access.items(
            rollouts_path("" if everywhere else access.namespace)
        )
    except Absent as absent:
        raise Absent(NOT_INSTALLED) from absent
    return [Rollout.of(raw) for raw in found]


NOT_INSTALLED = (
    f"This cluster has no {KIND}s: install the operator first (docs/guides/install.md), or choose"
    " another --context."
)


def _instead(access: Access, name: str, message: str) -> str:
    if "not found" not in message:
        return NOT_INSTALLED
    names = sorted(r["metadata"]["name"] for r in access.items(rollouts_path(access.namespace)))
    there = (
        f"There {'is' if len(names) == 1 else 'are'} {', '.join(names[:8])}"
        if names
        else "That namespace has none"
    )
    return (
        f"There is no {KIND} {name!r} in namespace {access.namespace!r}. {there}; look elsewhere"
        " with -n NAMESPACE, or `get -A`."
    )
