"""Rollouts themselves, and the router that each of them needs."""

import difflib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.rollout import Rollout
from rollout_cli.doctor.check_result import CheckResult, bad, good, warning
from rollout_cli.exit_codes import Absent
from rollout_operator.domain.api.autoscaling import ScalingMetric
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase

CANARY = {"k8s.io/ingress-nginx": "nginx' canary annotations; Traefik from 3.7 takes them too"}
"""IngressClass controllers that are known to divide requests by the annotations that the operator
writes.
"""


def check_rollout(rollout: Rollout, now: datetime) -> Iterator[CheckResult]:
    """Whether the operator follows, and what it says where it is stuck."""
    what = f"{rollout.namespace}/{rollout.name}"
    status = rollout.status
    if not rollout.is_observed and (now - rollout.created).total_seconds() > 15:
        yield bad(
            what,
            "the operator has not seen the spec as it is now",
            "see above whether the operator runs, and whether it watches this namespace",
        )
    elif rollout.spec is None:
        yield bad(
            what,
            rollout.spec_error,
            "correct the field; `kubectl modelrollout lint FILE` judges it",
        )
    elif status.invalid:
        yield bad(
            what, status.invalid, "docs/reference/reasons.md has what to do about InvalidSpec"
        )
    elif status.paused_since is not None:
        yield warning(
            what,
            f"paused in phase {status.phase}",
            f"kubectl modelrollout resume {rollout.name} -n {rollout.namespace}",
        )
    elif status.halted or status.phase in {Phase.INVALID, Phase.ROLLED_BACK}:
        yield warning(
            what,
            f"{status.phase}: {status.reason}: {status.message}",
            f"docs/reference/reasons.md has what to do about {status.reason}",
        )
    elif status.api_rejection:
        yield bad(
            what,
            f"{status.phase}, but {status.api_rejection}",
            "docs/reference/reasons.md has what to do about ObjectRefused",
        )
    elif status.shortage is not None:
        yield bad(
            what,
            f"{status.phase}, but {status.shortage.message}",
            "docs/reference/reasons.md has what to do about PodsNotReady",
        )
    elif status.unrouted is not None:
        todo = f"docs/reference/reasons.md has what to do about {status.unrouted.reason}"
        yield bad(what, f"{status.phase}, but {status.unrouted.message}", todo)
    else:
        yield good(what, f"{status.phase}: {status.message}")
    yield from _by_others(what, rollout.namespace, status)


def _by_others(what: str, namespace: str, status: Status) -> Iterator[CheckResult]:
    """What others do to the rollout's pods and host."""
    for said, todo in (
        (
            status.scaled,
            (
                f"kubectl get hpa -n {namespace} shows autoscalers; docs/reference/reasons.md has"
                " more about ScaledByAnother"
            ),
        ),
        (status.unscaled, "docs/guides/autoscaling.md has what each metric takes"),
        (
            status.affinity,
            "docs/guides/ingress-tls-paths.md has what visitors that stay mean for a trial",
        ),
        (status.outdated, "docs/guides/profiles.md has when pods get what was changed"),
        (
            status.shared,
            "kubectl get the objects that it names; take another host or path, or delete them",
        ),
    ):
        if said:
            yield warning(what, said, todo)


CUSTOM = ("custom.metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2")
ADAPTER = "prometheus-adapter with the rules of monitoring/prometheus-adapter.yaml"
FIGURES = {
    ScalingMetric.CPU: (("metrics.k8s.io/v1beta1",), "metrics-server"),
    ScalingMetric.RPS: (CUSTOM, ADAPTER),
    ScalingMetric.LATENCY: (CUSTOM, ADAPTER),
}
"""By what autoscalers follow: the APIs that have it, of which one is enough, and who serves it."""


def check_autoscaler(kube: KubeApi, rollout: Rollout) -> Iterator[CheckResult]:
    """Whether there is what serves the metric of the rollout's autoscalers."""
    if rollout.spec is None or (scaling := rollout.spec.autoscaling) is None:
        return
    what = f"autoscaling of {rollout.namespace}/{rollout.name}"
    apis, by = FIGURES[scaling.metric]
    for api in apis:
        with suppress(Absent):
            kube.get(f"/apis/{api}")
            yield good(what, f"by {scaling.metric}, which {api} has")
            return
    yield bad(
        what,
        f"by {scaling.metric}, but the cluster has no {apis[0]}: no number of pods is changed",
        f"install {by} (docs/guides/autoscaling.md)",
    )


def check_router(kube: KubeApi, rollout: Rollout) -> Iterator[CheckResult]:
    """The IngressClass or the Gateway API that the rollout's traffic needs."""
    if rollout.spec is None:
        return
    traffic = rollout.spec.traffic
    what = f"router of {rollout.namespace}/{rollout.name}"
    if traffic.provider is Provider.NONE:
        yield good(what, f"none: callers inside the cluster ask Service {rollout.name}")
        return
    if traffic.provider is Provider.HTTP_ROUTE:
        try:
            kube.get("/apis/gateway.networking.k8s.io/v1")
            yield good(
                what,
                "Gateway API is installed; what the Gateway says of the route stands in the"
                " rollout's message",
            )
        except Absent:
            yield bad(
                what,
                "provider HTTPRoute, but Gateway API is not installed",
                "install its CRDs and restart the operator",
            )
        return
    classes = {
        c["metadata"]["name"]: c["spec"].get("controller", "")
        for c in kube.items("/apis/networking.k8s.io/v1/ingressclasses")
    }
    name = traffic.ingress_class_name
    if name not in classes:
        there = (
            f"there {'is' if len(classes) == 1 else 'are'} {', '.join(sorted(classes))}"
            if classes
            else "there is none at all"
        )
        close = difflib.get_close_matches(name, classes, 1)
        todo = (
            f"write ingressClassName: {close[0]}"
            if close
            else (
                "install an Ingress controller that takes nginx' canary annotations, or name its"
                " class"
            )
        )
        yield bad(what, f"there is no IngressClass {name!r}; {there}", todo)
    elif (does := CANARY.get(classes[name])) is not None:
        yield good(what, f"IngressClass {name} ({does})")
    else:
        todo = (
            "see that its controller divides requests by nginx' canary annotations, or use"
            " provider: HTTPRoute"
        )
        yield warning(
            what,
            f"IngressClass {name} has the controller {classes[name]}, which this tool does not"
            " know",
            todo,
        )
