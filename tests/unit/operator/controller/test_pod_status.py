"""What pods say is wrong with them."""

from typing import Any

import pytest

from rollout_model import errors
from rollout_operator.controller.pod_status import CANNOT_SERVE, Trouble, trouble
from rollout_operator.desired.common import Owner
from rollout_operator.desired.deployment import deployment
from rollout_operator.domain.credentials import Credentials
from tests.support.builders import revision

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
    assert trouble(pods) == Trouble(said)


def ended(name: str, code: int, said: str, **more: Any) -> dict[str, Any]:
    """A container that has ended once, with these last words."""
    return {"name": name, "lastState": {"terminated": {"exitCode": code, "message": said}}, **more}


MISMATCH = "The pod says: DigestMismatch"
LASTING: dict[str, tuple[list[dict[str, Any]], Trouble]] = {
    "the server cannot serve the files": (
        [{"containerStatuses": [ended("model", 65, "DigestMismatch")]}],
        Trouble(MISMATCH, True),
    ),
    "the step before it cannot use them": (
        [{"initContainerStatuses": [ended("fetch", 65, "DigestMismatch")]}],
        Trouble(MISMATCH, True),
    ),
    "one pod of two says so": (
        [
            {"containerStatuses": [ended("model", 1, "could not be fetched")]},
            {"containerStatuses": [ended("model", 65, "DigestMismatch")]},
        ],
        Trouble(MISMATCH, True),
    ),
    "a registry that is down": (
        [{"containerStatuses": [ended("model", 1, "could not be fetched")]}],
        Trouble("The pod says: could not be fetched"),
    ),
    "a sidecar with the same code": (
        [{"containerStatuses": [ended("mesh", 65, "no certificate")]}],
        Trouble("The pod says: no certificate"),
    ),
}


@pytest.mark.parametrize(("statuses", "said"), LASTING.values(), ids=LASTING.keys())
def test_what_no_pod_can_serve_is_told_from_what_may_pass(
    statuses: list[dict[str, Any]], said: Trouble
) -> None:
    assert trouble([{"status": status} for status in statuses]) == said


def test_both_sides_mean_the_same_exit_code_and_containers() -> None:
    given = Credentials(secret="reader")
    made = deployment(Owner("u", "iris", "models"), revision(1), 1, {}, given)
    pod = made["spec"]["template"]["spec"]
    names = [one["name"] for one in (*pod["initContainers"], *pod["containers"])]
    assert frozenset((name, errors.CANNOT_SERVE) for name in names) == CANNOT_SERVE
