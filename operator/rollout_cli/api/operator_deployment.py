"""The operator's Deployment, and what it says of the operator."""

from rollout_cli.api.kubernetes import Object

OPERATOR = "app.kubernetes.io/name=rollout-operator"
"""Label of the operator's Deployment and pods, as a selector."""


def variables(deployment: Object) -> dict[str, str]:
    """What a Deployment sets in its pods' environment; without what is empty, or comes from
    elsewhere.
    """
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return {v["name"]: v["value"] for c in containers for v in c.get("env", ()) if v.get("value")}
