"""What pods say is wrong with them."""

from typing import Any

import pytest

from rollout_operator.controller.pod_status import trouble

PODS = {
    "no pods": ([], ""),
    "a pod's last words": (
        [
            {
                "status": {
                    "containerStatuses": [
                        {
                            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                            "lastState": {"terminated": {"message": "bad digest\n"}},
                        }
                    ]
                }
            }
        ],
        "The pod says: bad digest",
    ),
    "killed for its memory": (
        [
            {
                "spec": {
                    "containers": [{"name": "model", "resources": {"limits": {"memory": "256Mi"}}}]
                },
                "status": {
                    "containerStatuses": [
                        {
                            "name": "model",
                            "state": {
                                "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
                            },
                            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                        }
                    ]
                },
            }
        ],
        (
            "OOMKilled: the model needs more memory than its limit of 256Mi: raise"
            " spec.resources.limits.memory"
        ),
    ),
    "killed without a limit": (
        [
            {
                "status": {
                    "containerStatuses": [
                        {"name": "model", "state": {"terminated": {"reason": "OOMKilled"}}}
                    ]
                }
            }
        ],
        (
            "OOMKilled: the model needs more memory than the node had: raise"
            " spec.resources.limits.memory"
        ),
    ),
    "an image that cannot be pulled": (
        [
            {
                "status": {
                    "containerStatuses": [
                        {
                            "state": {
                                "waiting": {"reason": "ErrImagePull", "message": "no such image"}
                            }
                        }
                    ]
                }
            }
        ],
        "ErrImagePull: no such image",
    ),
    "a pod that is starting": (
        [
            {
                "status": {
                    "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]
                }
            }
        ],
        "",
    ),
    "a pod that fits nowhere": (
        [
            {
                "status": {
                    "conditions": [
                        {
                            "type": "PodScheduled",
                            "status": "False",
                            "reason": "Unschedulable",
                            "message": "too big",
                        }
                    ]
                }
            }
        ],
        "Unschedulable: too big",
    ),
}


@pytest.mark.parametrize(("pods", "said"), PODS.values(), ids=PODS.keys())
def test_trouble_of_pods(pods: list[dict[str, Any]], said: str) -> None:
    assert trouble(pods) == said
