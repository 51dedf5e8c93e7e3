"""What status remembers of the spec as it was last read: enough to go back by, where what is there
now cannot be read. Pure.
"""

from pydantic import ValidationError

from rollout_operator.domain.api.analysis import Analysis
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import LONGEST_SPEC, Status


def remembered(spec: Spec) -> str:
    """What a status is to remember of the spec; "" of one that is too long."""
    # Nothing is measured and no window counts on a way back.
    strategy = spec.strategy.model_copy(update={"windows": ()})
    kept = spec.model_copy(update={"strategy": strategy, "analysis": Analysis()})
    text = kept.model_dump_json(by_alias=True, exclude_defaults=True)
    return text if len(text) <= LONGEST_SPEC else ""


def recalled(status: Status) -> Spec | None:
    """The spec that the status remembers; None where it does not, or another version wrote it."""
    try:
        return Spec.model_validate_json(status.last_spec) if status.last_spec else None
    except ValidationError:
        return None
