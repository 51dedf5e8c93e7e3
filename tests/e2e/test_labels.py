"""Labels that come back through the router, at whatever pod, decide about the candidate whose
predictions they are for.
"""

import pytest

from scripts.demo.rollout import Rollout, verdict_of
from scripts.demo.traffic import Traffic
from tests.e2e.harness import PATIENCE, Trained, hold
from tests.e2e.labelling import labelling

GATE = {"metric": "accuracy", "min": 0.7, "evidence": "Labelled", "minCoverage": 0.5}
"""The other traffic sends no labels; its share of the candidate's predictions counts as missing."""


@pytest.mark.parametrize("verdict", ["Promoted", "RolledBack"])
def test_labels_decide(
    verdict: str, rollout: Rollout, models: Trained, stable: Traffic, ingress_url: str
) -> None:
    """The training metric of the bad version is no hindrance here: what its answers are worth is
    seen by their labels alone.
    """
    uri = models.good if verdict == "Promoted" else models.bad
    hold(rollout, 4)
    rollout.settings["analysis"] = {"interval": "2s", "gates": [dict(GATE)]}
    rollout.apply(uri)
    rollout.wait("Trial", uri, PATIENCE)
    with labelling(ingress_url, rollout.host) as codes:
        status = rollout.wait(verdict, uri, PATIENCE)
    assert set(codes) == {200}, "every label is taken, once, by whichever pod it comes to"
    ended = verdict_of(status, uri)
    (gate,) = ended["gates"]
    assert gate["measurement"] == ("Pass" if verdict == "Promoted" else "Fail")
    assert gate["samples"] <= len(codes)
    assert not stable.failed
