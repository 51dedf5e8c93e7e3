"""A version that is good in its trial and turns bad in its watch: the one before answers again, by
the pods that it had, and no request is lost on the way.
"""

import threading

from scripts.demo.rollout import Rollout
from scripts.demo.traffic import Traffic
from tests.e2e.harness import PATIENCE, Trained, hold
from tests.e2e.labelling import labelling

GATE = {"metric": "accuracy", "min": 0.7, "evidence": "Labelled", "minCoverage": 0.5}


def test_what_turns_bad_after_its_promotion_is_returned(
    rollout: Rollout, models: Trained, stable: Traffic, ingress_url: str
) -> None:
    before, turned = rollout.status()["stable"], threading.Event()
    hold(rollout, 4)
    rollout.settings["strategy"]["watch"] = "1h"
    rollout.settings["analysis"] = {"interval": "2s", "gates": [dict(GATE)]}
    rollout.apply(models.good)
    with labelling(ingress_url, rollout.host, turned) as codes:
        promoted = rollout.wait("Promoted", models.good, PATIENCE)
        assert promoted["watch"]["former"] == before["revision"]
        assert rollout.condition("Ready")["status"] == "True"
        turned.set()
        status = rollout.wait("RolledBack", models.good, PATIENCE)
    assert set(codes) == {200}
    assert status["stable"]["revision"] == before["revision"]
    assert [r["uri"] for r in status["rejected"]] == [models.good]
    assert status["history"][0]["verdict"] == "Returned"
    assert status["history"][0]["returnedTo"] == models.modest
    assert not stable.failed
