"""Whose look comes first where more are due than there are turns."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rollout_operator.domain.api.words import Phase

HEAD_START = timedelta(seconds=5)
"""By how much longer what can wait must have been due to come before what is urgent: it is served
late under load, and always served.
"""


def is_urgent(status: Mapping[str, Any]) -> bool:
    """Whether users' requests go, or are about to go, to a version whose verdict is open or being
    carried out: a first weight, a step, a rollback, a watch. New attempts, what is replaced and
    what rests can wait.

    status: of a ModelRollout, as the API has it.
    """
    on_trial = bool(status.get("candidate")) and status.get("phase") != Phase.PENDING
    return on_trial or bool(status.get("watch"))
