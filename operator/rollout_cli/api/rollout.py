"""A ModelRollout as read: raw, and as the operator's own models have it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import ValidationError

from rollout_cli.api.kubernetes import Object
from rollout_cli.exit_codes import Failure
from rollout_operator.domain.api.names import KIND
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Condition, Status


@dataclass(frozen=True, slots=True)
class Rollout:
    """One ModelRollout."""

    raw: Object
    """The object as the API has it."""
    status: Status
    """All defaults where the object has none yet."""
    spec: Spec | None
    """None where it cannot be read."""
    spec_error: str = ""
    """Why it cannot be read; "" where it can."""

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
    def requested_uri(self) -> str:
        """The MODEL_URI that the spec asks for."""
        return str(self.raw["spec"].get("modelUri", ""))

    @property
    def created(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.raw["metadata"]["creationTimestamp"])

    @property
    def is_observed(self) -> bool:
        """Whether the status speaks of the spec as it is now."""
        return self.status.observed_generation >= self.generation

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type."""
        return next((c for c in self.status.conditions if c.type == kind), None)

    def revisions(self) -> dict[str, str]:
        """Role by revision: of everything that may have pods."""
        status = self.status
        roles = {r.revision: "retiring" for r in status.retiring}
        if status.candidate is not None:
            roles[status.candidate.revision] = "candidate"
        if status.stable is not None:
            roles[status.stable.revision] = "stable"
        return roles


def bare_name(name: str) -> str:
    """The name without the kind before it: `mro/iris` is iris, as `-o name` prints it."""
    return name.rsplit("/", 1)[-1]


NOT_INSTALLED = (
    f"This cluster has no {KIND}s: install the operator first (docs/guides/install.md), or choose"
    " another --context."
)
