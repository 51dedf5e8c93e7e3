"""What docs/guides/flux.md tells Flux to read: its CEL expressions,
on statuses that the engine makes.
"""

import re
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml

from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason
from tests.support.builders import at, on_trial
from tests.unit.gitops.lacking import LACKING, V1, rollout

PAGE = (Path(__file__).parents[3] / "docs" / "guides" / "flux.md").read_text()
ORDER = ("inProgress", "failed", "current")
"""In which Flux asks; where none is true it goes on waiting."""


def expressions() -> dict[str, str]:
    blocks = [
        yaml.safe_load(block)
        for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
        if "healthCheckExprs" in block
    ]
    (checks,) = (block["healthCheckExprs"] for block in blocks)
    (one,) = checks
    assert (one["apiVersion"], one["kind"]) == ("rollouts.mlops.dev/v1alpha1", "ModelRollout")
    return {name: one[name] for name in ORDER}


def judged(obj: dict[str, Any]) -> str:
    """What Flux makes of an object."""
    for name, expression in expressions().items():
        if cel.evaluate(expression, {"status": obj["status"], "metadata": obj["metadata"]}):
            return name
    return "inProgress"


JUDGED = {
    "as the CRD's default has it": (
        {**rollout(None), "status": {"observedGeneration": -1}},
        "inProgress",
    ),
    "on trial": (rollout(on_trial()), "inProgress"),
    "rolling back": (rollout(on_trial(phase=Phase.ROLLING_BACK)), "inProgress"),
    "paused by its spec": (rollout(on_trial(paused_since=at(1)), paused=True), "inProgress"),
    "promoted": (
        rollout(Status(phase=Phase.PROMOTED, stable=V1, reason=Reason.GATES_PASSED)),
        "current",
    ),
    "promoted, but Git asks for more": (
        rollout(Status(phase=Phase.PROMOTED, stable=V1), generation=2),
        "inProgress",
    ),
    "rolled back: stable answers": (
        rollout(on_trial(phase=Phase.ROLLED_BACK, reason=Reason.GATE_FAILED)),
        "current",
    ),
    "halted by a verdict": (rollout(on_trial(halted=True)), "failed"),
    "invalid": (rollout(on_trial(phase=Phase.INVALID)), "failed"),
    **{
        name: (obj, "failed" if stalled else "inProgress")
        for name, (obj, stalled) in LACKING.items()
    },
}


@pytest.mark.parametrize(("obj", "expected"), JUDGED.values(), ids=JUDGED.keys())
def test_a_rollback_holds_nothing_back_that_depends_on_it(
    obj: dict[str, Any], expected: str
) -> None:
    assert judged(obj) == expected


def test_the_kustomization_that_is_shown_does_not_hold_a_revert_back() -> None:
    """With `wait`, kustomize-controller applies nothing until the trial is over."""
    (shown,) = (
        one
        for b in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
        if (one := yaml.safe_load(b)).get("kind") == "Kustomization"
    )
    assert {"wait", "healthChecks", "timeout"} & shown["spec"].keys() == set()


def test_the_page_shows_what_lies_in_the_examples() -> None:
    folder = Path(__file__).parents[3] / "docs" / "examples" / "gitops" / "flux"
    blocks = [yaml.safe_load(b) for b in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    documents = [
        document
        for name in ("models.yaml", "models-with-wait.yaml", "models-and-dependents.yaml")
        for document in yaml.safe_load_all((folder / name).read_text())
        if document["kind"] == "Kustomization"
    ]
    plain, waiting, tolerant, _ = documents
    assert blocks == [
        plain,
        {key: waiting["spec"][key] for key in ("wait", "timeout")},
        {"healthCheckExprs": tolerant["spec"]["healthCheckExprs"]},
    ]
