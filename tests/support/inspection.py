"""The pod that looks at a version without a digest, as the API server has it."""

from tests.support.api_client import ApiClient
from tests.support.kinds import Object
from tests.support.rollout import Rollout


def pod_of(api: ApiClient, rollout: Rollout) -> Object | None:
    """The rollout's, if it is there and is to stay."""
    found = [
        pod
        for pod in api.items("Pod", rollout.ns)
        if pod["metadata"]["name"] == f"{rollout.name}-inspect"
        and "deletionTimestamp" not in pod["metadata"]
    ]
    return found[0] if found else None
