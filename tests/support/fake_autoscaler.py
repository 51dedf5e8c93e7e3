"""The part of kube-controller-manager that follows HorizontalPodAutoscalers, with no metric behind
it: what each is to ask for, a test says.
"""

from dataclasses import replace

from tests.support.api_client import ApiClient, merged
from tests.support.fake_kubelet import Played
from tests.support.kinds import MANAGED, path_of

MANAGER = "kube-controller-manager"


class AutoscalerThread(Played):
    """Gives the Deployments of one namespace the pods that their autoscalers ask for.

    As Kubernetes' own: not below the least, not above the most, none away where scaling down is
    Disabled, and nothing at all where there are no pods.
    """

    def __init__(self, api: ApiClient, namespace: str) -> None:
        super().__init__()
        self.api, self.namespace = api, namespace
        self.load = dict[str, int]()
        """Pods that the metric asks for, by the name of a Deployment; others stay as they are."""
        self.writes = list[tuple[str, int]]()
        """What it has set, in order."""

    def turn(self) -> None:
        """Look at every autoscaler, and follow it."""
        there = {
            one["metadata"]["name"]: one
            for one in self.api.items("Deployment", self.namespace, MANAGED)
        }
        for one in self.api.items("HorizontalPodAutoscaler", self.namespace, MANAGED):
            told, name = one["spec"], one["spec"]["scaleTargetRef"]["name"]
            if name not in there or not (now := there[name]["spec"]["replicas"]):
                continue
            wanted = max(told["minReplicas"], min(told["maxReplicas"], self.load.get(name, now)))
            if told["behavior"]["scaleDown"]["selectPolicy"] == "Disabled":
                wanted = max(wanted, now)
            if wanted != now:
                version = {"resourceVersion": there[name]["metadata"]["resourceVersion"]}
                request = merged(
                    f"{path_of('Deployment', self.namespace, name)}/scale",
                    {"metadata": version, "spec": {"replicas": wanted}},
                )
                # What has changed since it was read is not scaled, as by Kubernetes' own.
                if self.api.send(replace(request, query={"fieldManager": MANAGER})).is_success:
                    self.writes.append((name, wanted))
