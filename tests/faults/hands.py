"""What controllers and kubelets do, as far as a bare API server lacks it: pods Ready, endpoints,
garbage collection.
"""

from tests.faults.upstream import Lists, Object, Upstream
from tests.faults.world import World


async def work(api: Upstream, world: World, lists: Lists) -> bool:
    """Bring the cluster where its controllers would bring it from what was listed; says whether
    anything was written.
    """
    wrote = await _collect(api, lists)
    for one in lists["Deployment"]:
        wrote |= await _ready(api, world, one)
    for one in lists["Service"]:
        wrote |= await _endpoints(api, one, lists)
    return wrote


async def _collect(api: Upstream, lists: Lists) -> bool:
    """Garbage collection: what belongs to an object that is gone goes too."""
    alive = {o["metadata"]["uid"] for kind in ("ModelRollout", "Service") for o in lists[kind]}
    wrote = False
    for kind in (
        "Ingress",
        "Service",
        "Deployment",
        "EndpointSlice",
        "NetworkPolicy",
        "PodDisruptionBudget",
    ):
        for one in lists[kind]:
            meta = one["metadata"]
            if not {o["uid"] for o in meta.get("ownerReferences", ())} <= alive:
                await api.delete(kind, meta["namespace"], meta["name"])
                wrote = True
    return wrote


async def _ready(api: Upstream, world: World, one: Object) -> bool:
    meta = one["metadata"]
    env = {
        e["name"]: e.get("value", "")
        for e in one["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    version = env["MODEL_URI"].rsplit("/", 1)[1]
    world.revisions[env["MODEL_REVISION"]] = (meta["namespace"], version)
    wanted = 0 if version in world.broken else one["spec"]["replicas"]
    status = one.get("status", {})
    if (status.get("readyReplicas", 0), status.get("observedGeneration", 0)) == (
        wanted,
        meta["generation"],
    ):
        return False
    counts = dict.fromkeys(
        ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), wanted
    )
    await api.set_status(
        "Deployment",
        meta["namespace"],
        meta["name"],
        {**counts, "observedGeneration": meta["generation"]},
    )
    return True


async def _endpoints(api: Upstream, service: Object, lists: Lists) -> bool:
    meta, selector = service["metadata"], service["spec"]["selector"].items()
    pods = [
        f"{d['metadata']['name']}-6f7d8-{n}"
        for d in lists["Deployment"]
        if d["metadata"]["namespace"] == meta["namespace"]
        and selector <= d["spec"]["template"]["metadata"]["labels"].items()
        for n in range(d.get("status", {}).get("readyReplicas", 0))
    ]
    name = f"{meta['name']}-x"
    known = next(
        (
            s
            for s in lists["EndpointSlice"]
            if (s["metadata"]["namespace"], s["metadata"]["name"]) == (meta["namespace"], name)
        ),
        None,
    )
    if known is not None and [e["targetRef"]["name"] for e in known.get("endpoints") or ()] == pods:
        return False
    body = {
        "metadata": {
            "labels": {**meta.get("labels", {}), "kubernetes.io/service-name": meta["name"]},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Service", "name": meta["name"], "uid": meta["uid"]}
            ],
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [
            {
                "targetRef": {"kind": "Pod", "name": pod},
                "addresses": [f"10.0.0.{n + 1}"],
                "conditions": {"ready": True},
            }
            for n, pod in enumerate(pods)
        ],
    }
    await api.apply("EndpointSlice", meta["namespace"], name, body)
    return True
