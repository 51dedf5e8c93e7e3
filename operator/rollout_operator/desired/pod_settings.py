"""What a profile says of pods, put into a pod, or into the template of one.

The names by which Services, budgets and scrapes find pods stay ours: a profile that has them is
refused at start.
"""

import json
from typing import Any

from rollout_operator.desired.common import Manifest

AS_WRITTEN = (
    "nodeSelector",
    "tolerations",
    "priorityClassName",
    "runtimeClassName",
    "imagePullSecrets",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
)
"""Parts that go into the pod's spec as they are."""
SAFE = ("runAsNonRoot", "seccompProfile")
"""What a profile leaves of our own security context; the users are its own."""


def with_settings(pod: Manifest, settings: str | None, selector: Manifest) -> Manifest:
    """The pod (metadata and spec, the server its first container) with these settings.

    settings: JSON, as status has it; None for none. selector: the pods that terms without a
    labelSelector mean.
    """
    given: dict[str, Any] = {} if settings is None else json.loads(settings)
    meta, spec = dict(pod["metadata"]), dict(pod["spec"])
    for name in ("labels", "annotations"):
        if name in given:
            meta[name] = {**given[name], **meta.get(name, {})}
    spec |= {name: given[name] for name in AS_WRITTEN if name in given}
    if "affinity" in given:
        spec["affinity"] = {
            kind: _selecting(terms, selector) for kind, terms in given["affinity"].items()
        }
    if "topologySpreadConstraints" in given:
        spec["topologySpreadConstraints"] = [
            {"labelSelector": selector, **spread} for spread in given["topologySpreadConstraints"]
        ]
    if "securityContext" in given:
        safe = {name: spec["securityContext"][name] for name in SAFE}
        spec["securityContext"] = {**safe, **given["securityContext"]}
    if "resources" in given:
        server, *others = spec["containers"]
        asked = server["resources"]
        limits = {**given["resources"], **(asked.get("limits") or {})}
        spec["containers"] = [{**server, "resources": {**asked, "limits": limits}}, *others]
    if "serviceAccountName" in spec:
        # Kubernetes keeps the account under its former name, too, and takes it from there where we
        # name none any more: what we own goes with us.
        spec["serviceAccount"] = spec["serviceAccountName"]
    return {**pod, "metadata": meta, "spec": spec}


def _selecting(terms: Any, selector: Manifest) -> Any:
    """Terms of affinity; those about pods, and without a labelSelector, mean the selector's."""
    if isinstance(terms, list):
        return [_selecting(term, selector) for term in terms]
    if not isinstance(terms, dict):
        return terms
    if "podAffinityTerm" in terms:
        return {**terms, "podAffinityTerm": _selecting(terms["podAffinityTerm"], selector)}
    if "topologyKey" in terms:
        return {"labelSelector": selector, **terms}
    return {
        name: _selecting(value, selector) if name.endswith("DuringExecution") else value
        for name, value in terms.items()
    }
