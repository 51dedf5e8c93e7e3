"""Who is measured: how each is started, what a user gives it, and how one sees that it is done.
Pure, but for the programs' paths.

All get the same task: one replica, an Ingress of nginx, weights of 10, 50 and 100, and the rule
that accuracy is at least 0.7. Each has its strictest setting, so that one bad value is enough.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from scripts.cluster import gobuild
from tests.bench.operator.waves import WEIGHTS, Pace, spec
from tests.support.kinds import WEIGHT, Object

IMAGE = "registry.example/model:1"
"""No pod runs it: kwok plays the nodes."""
NAMESPACES = "/api/v1/namespaces"


@dataclass(frozen=True)
class Settings:
    """What a contender is started with: its kubeconfig, where Prometheus and the registry answer,
    and free ports.
    """

    kubeconfig: Path
    url: str
    ports: Sequence[int]


@dataclass(frozen=True)
class Contender(ABC):
    """One of those that are measured; its user at the API server and its namespace have its
    name.
    """

    name: str
    pace: Pace

    @property
    @abstractmethod
    def watched(self) -> str:
        """The collection whose objects say how far each rollout is."""

    @abstractmethod
    def command(self, settings: Settings) -> list[str]:
        """The program and its arguments."""

    def environment(self, settings: Settings) -> dict[str, str]:
        """Variables of the program."""
        return {}

    @property
    def crds(self) -> list[Object]:
        """Its CustomResourceDefinitions."""
        return []

    @abstractmethod
    def once(self, url: str) -> Iterator[tuple[str, Object]]:
        """Objects of the whole namespace, each with its path: what says where accuracy is read."""

    @abstractmethod
    def first(self, rollout: str) -> Iterator[tuple[str, Object]]:
        """All that a user writes for a first version, each with its path."""

    @abstractmethod
    def change(self, rollout: str, version: int) -> tuple[str, Object]:
        """The merge patch by which another version is asked for, with its path."""

    @abstractmethod
    def promoted(self, seen: Object, version: int) -> bool:
        """Whether an object says that this version has taken over."""

    def query(self, rollout: str) -> str:
        """What a peer asks Prometheus for."""
        return f'ml_model_accuracy{{peer="{self.name}",rollout="{rollout}"}}'

    def weight(self, ingress: Object) -> tuple[str, int] | None:
        """The rollout and the weight of an Ingress, where it is the canary's."""
        value = (ingress["metadata"].get("annotations") or {}).get(WEIGHT)
        name = ingress["metadata"]["name"]
        if value is None or not name.endswith("-canary"):
            return None
        return name.split("-")[0], int(value)


@dataclass(frozen=True)
class Ours(Contender):
    """This project's operator, or one of another checkout; python: its interpreter."""

    python: str = sys.executable

    @property
    def watched(self) -> str:
        return f"/apis/rollouts.mlops.dev/v1alpha1/namespaces/{self.name}/modelrollouts"

    def command(self, settings: Settings) -> list[str]:
        return [self.python, "-m", "rollout_operator", "run"]

    def environment(self, settings: Settings) -> dict[str, str]:
        return {
            "KUBECONFIG": str(settings.kubeconfig),
            "INFERENCE_IMAGE": IMAGE,
            "PROMETHEUS_URL": settings.url,
            "MLFLOW_TRACKING_URI": settings.url,
            "WATCH_NAMESPACES": self.name,
            "METRICS_PORT": str(settings.ports[0]),
            "HEALTH_PORT": str(settings.ports[1]),
        }

    def once(self, url: str) -> Iterator[tuple[str, Object]]:
        return iter(())

    def first(self, rollout: str) -> Iterator[tuple[str, Object]]:
        yield (
            self.watched,
            {
                "apiVersion": "rollouts.mlops.dev/v1alpha1",
                "kind": "ModelRollout",
                "metadata": {"name": rollout},
                # Replaced pods go after 30 s, as with Argo Rollouts.
                "spec": _with_delay(spec(rollout, 1, self.pace), "30s"),
            },
        )

    def change(self, rollout: str, version: int) -> tuple[str, Object]:
        return f"{self.watched}/{rollout}", {"spec": {"modelUri": f"models:/bench/{version}"}}

    def promoted(self, seen: Object, version: int) -> bool:
        status = seen.get("status") or {}
        stable = status.get("stable") or {}
        return status.get("phase") == "Promoted" and str(stable.get("version")) == str(version)


def _with_delay(body: Object, delay: str) -> Object:
    return {**body, "strategy": {**body["strategy"], "scaleDownDelay": delay}}


@dataclass(frozen=True)
class ArgoRollouts(Contender):
    """Argo Rollouts with a background analysis from the second step on."""

    @property
    def watched(self) -> str:
        return f"/apis/argoproj.io/v1alpha1/namespaces/{self.name}/rollouts"

    def command(self, settings: Settings) -> list[str]:
        return [
            str(gobuild.program("rollouts-controller")),
            f"--kubeconfig={settings.kubeconfig}",
            "--leader-elect=false",
            f"--metricsPort={settings.ports[0]}",
            f"--healthzPort={settings.ports[1]}",
        ]

    @property
    def crds(self) -> list[Object]:
        return _crds(gobuild.ARGO_ROLLOUTS)

    def once(self, url: str) -> Iterator[tuple[str, Object]]:
        metric = {
            "name": "accuracy",
            "interval": f"{self.pace.interval}s",
            "failureLimit": 0,
            "successCondition": "result[0] >= 0.7",
            "provider": {
                "prometheus": {"address": url, "query": self.query("{{args.rollout}}")},
            },
        }
        yield (
            f"/apis/argoproj.io/v1alpha1/namespaces/{self.name}/analysistemplates",
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AnalysisTemplate",
                "metadata": {"name": "accuracy"},
                "spec": {"args": [{"name": "rollout"}], "metrics": [metric]},
            },
        )

    def first(self, rollout: str) -> Iterator[tuple[str, Object]]:
        for name in (f"{rollout}-stable", f"{rollout}-candidate"):
            yield f"{NAMESPACES}/{self.name}/services", _service(name, rollout)
        yield _ingresses(self.name), _ingress(rollout, f"{rollout}-stable")
        pause = {"pause": {"duration": f"{self.pace.hold}s"}}
        canary = {
            "stableService": f"{rollout}-stable",
            "canaryService": f"{rollout}-candidate",
            "trafficRouting": {"nginx": {"stableIngress": rollout}},
            "analysis": {
                "startingStep": 1,
                "templates": [{"templateName": "accuracy"}],
                "args": [{"name": "rollout", "value": rollout}],
            },
            "steps": [part for w in WEIGHTS for part in ({"setWeight": w}, pause)],
        }
        yield (
            self.watched,
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Rollout",
                "metadata": {"name": rollout},
                "spec": {**_workload(rollout), "strategy": {"canary": canary}},
            },
        )

    def change(self, rollout: str, version: int) -> tuple[str, Object]:
        return f"{self.watched}/{rollout}", {"spec": _template(rollout, version)}

    def promoted(self, seen: Object, version: int) -> bool:
        status = seen.get("status") or {}
        return (
            _version(seen) == version
            and status.get("phase") == "Healthy"
            and status.get("observedGeneration") == str(seen["metadata"]["generation"])
            and status.get("stableRS", "") == status.get("currentPodHash")
        )


@dataclass(frozen=True)
class Flagger(Contender):
    """Flagger with nginx; it has one interval for holds and looks alike."""

    @property
    def watched(self) -> str:
        return f"/apis/flagger.app/v1beta1/namespaces/{self.name}/canaries"

    def command(self, settings: Settings) -> list[str]:
        return [
            str(gobuild.program("flagger")),
            f"-kubeconfig={settings.kubeconfig}",
            "-mesh-provider=nginx",
            f"-metrics-server={settings.url}",
            f"-port={settings.ports[0]}",
            "-log-level=info",
        ]

    @property
    def crds(self) -> list[Object]:
        return _crds(gobuild.FLAGGER)

    def once(self, url: str) -> Iterator[tuple[str, Object]]:
        yield (
            f"/apis/flagger.app/v1beta1/namespaces/{self.name}/metrictemplates",
            {
                "apiVersion": "flagger.app/v1beta1",
                "kind": "MetricTemplate",
                "metadata": {"name": "accuracy"},
                "spec": {
                    "provider": {"type": "prometheus", "address": url},
                    "query": self.query("{{ target }}"),
                },
            },
        )

    def first(self, rollout: str) -> Iterator[tuple[str, Object]]:
        yield (
            f"/apis/apps/v1/namespaces/{self.name}/deployments",
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": rollout},
                "spec": _workload(rollout),
            },
        )
        yield _ingresses(self.name), _ingress(rollout, rollout)
        accuracy = {
            "name": "accuracy",
            "templateRef": {"name": "accuracy"},
            "thresholdRange": {"min": 0.7},
            "interval": "1m",
        }
        yield (
            self.watched,
            {
                "apiVersion": "flagger.app/v1beta1",
                "kind": "Canary",
                "metadata": {"name": rollout},
                "spec": {
                    "provider": "nginx",
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": rollout},
                    "ingressRef": {
                        "apiVersion": "networking.k8s.io/v1",
                        "kind": "Ingress",
                        "name": rollout,
                    },
                    "progressDeadlineSeconds": 600,
                    "service": {"port": 80, "targetPort": 8080},
                    "analysis": {
                        "interval": f"{self.pace.interval}s",
                        "threshold": 1,
                        "stepWeights": list(WEIGHTS),
                        "metrics": [accuracy],
                    },
                },
            },
        )

    def change(self, rollout: str, version: int) -> tuple[str, Object]:
        path = f"/apis/apps/v1/namespaces/{self.name}/deployments/{rollout}"
        return path, {"spec": _template(rollout, version)}

    def promoted(self, seen: Object, version: int) -> bool:
        status = seen.get("status") or {}
        if version == 1:
            return status.get("phase") == "Initialized"
        # What it has promoted is a hash: of the same template as what it has applied last.
        return status.get("phase") == "Succeeded" and status.get(
            "lastAppliedSpec", ""
        ) == status.get("lastPromotedSpec")


@dataclass
class Turns:
    """Flagger's status has no version: what it promotes counts from the moment that a wave has
    been seen to begin.
    """

    begun: set[str] = field(default_factory=set)

    def counts(self, contender: Contender, seen: Object, version: int) -> bool:
        """Whether the object says that this version has taken over."""
        name = seen["metadata"]["name"]
        if not isinstance(contender, Flagger) or version == 1:
            return contender.promoted(seen, version)
        if (seen.get("status") or {}).get("phase") == "Progressing":
            self.begun.add(name)
        return name in self.begun and contender.promoted(seen, version)


def _crds(component: gobuild.Component) -> list[Object]:
    gobuild.build(component)
    files = sorted((component.folder / "crds").glob("*crd.yaml"))
    return [one for file in files for one in yaml.safe_load_all(file.read_text()) if one]


def _ingresses(namespace: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"


def _service(name: str, rollout: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": rollout}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def _ingress(rollout: str, service: str) -> Object:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    rules = [{"host": f"{rollout}.example.com", "http": {"paths": paths}}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": rollout},
        "spec": {"ingressClassName": "nginx", "rules": rules},
    }


def _template(rollout: str, version: int) -> Object:
    container = {
        "name": "model",
        "image": IMAGE,
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "VERSION", "value": str(version)}],
    }
    return {
        "template": {
            "metadata": {"labels": {"app": rollout}},
            "spec": {"containers": [container]},
        }
    }


def _workload(rollout: str) -> Object:
    return {
        "replicas": 1,
        "selector": {"matchLabels": {"app": rollout}},
        **_template(rollout, 1),
    }


def _version(seen: Object) -> int:
    return int(seen["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
