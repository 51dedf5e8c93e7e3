"""The values of the operator's chart, as far as gates need them."""

import json
from pathlib import Path
from typing import Any

from rollout_cli.exit_codes import WrongUsage
from rollout_cli.offline.text_files import text_of
from rollout_operator.domain.api.manifest import Trouble, read
from rollout_operator.domain.own_metrics import OwnMetrics, configured_metrics


def metrics_of(values: Path) -> OwnMetrics:
    """The metrics that an operator with these values knows. Raises Absent and WrongUsage."""
    given: Any = {}
    for document in read(text_of(values)):
        if isinstance(document, Trouble):
            raise WrongUsage(f"{values}:{document.place.line}: {document.message}.")
        given = document.value
    if not isinstance(given, dict):
        raise WrongUsage(f"{values} holds no values of the chart: write a mapping.")
    try:
        models = given.get("models")
        said_of = models.get("values") if isinstance(models, dict) else None
        env = {"ROLLOUT_METRICS": given.get("metrics"), "MODEL_VALUES": said_of}
        return configured_metrics({name: json.dumps(one) for name, one in env.items() if one})
    except ValueError as wrong:
        said = str(wrong).replace("ROLLOUT_METRICS", "metrics", 1)
        said = said.replace("MODEL_VALUES", "models.values", 1)
        raise WrongUsage(f"{values}: {said}.") from wrong
