"""The charts: what Helm renders of them, held against Kubernetes' schemas, kube-score, Pod Security
and a real API server.
"""

import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml

from rollout_bridge import mappings
from rollout_operator.desired.build import build
from rollout_operator.desired.common import Owner
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.egress import egress
from rollout_operator.domain.prometheus_access import PrometheusAccess
from rollout_operator.settings import Settings
from scripts.release import version
from tests.support import builders
from tests.support.api_client import ApiClient, wait_for
from tests.support.charts import (
    BRIDGE,
    CHARTS,
    MODEL,
    OPERATOR,
    ROOT,
    VARIANTS,
    by_kind,
    golden,
    helm,
    manifests,
    pods,
    render,
    tool,
    values_of,
    written,
)
from tests.support.kinds import OWNED_KINDS, path_of
from tests.support.rollout import Rollout

each_variant = pytest.mark.parametrize(("chart", "values"), VARIANTS.values(), ids=VARIANTS.keys())


@pytest.mark.parametrize("chart", [OPERATOR, MODEL])
def test_helm_lint(chart: str) -> None:
    done = helm("lint", "--strict", CHARTS / chart, "--values", values_of(chart))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_chart_renders_what_was_looked_at(variant: str) -> None:
    """A change of a template is seen in what it renders; `make golden` writes these files anew."""
    assert written(variant) == golden(variant).read_text()


@each_variant
def test_kubernetes_knows_every_field(chart: str, values: dict[str, Any]) -> None:
    unknown = set()
    for manifest in manifests(chart, values):
        if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
            unknown.add(manifest["kind"])
            continue
        kubernetes_validate.validate(manifest, "1.34", strict=True)
    assert unknown <= {"PodMonitor", "ServiceMonitor", "PrometheusRule"}


@each_variant
def test_kube_score_finds_nothing(chart: str, values: dict[str, Any]) -> None:
    text = render(chart, values)
    done = subprocess.run(
        [tool("kube-score"), "score", "-", "--output-format", "ci"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [
        line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))
    ]
    assert not found
    assert done.returncode == 0, done.stderr
    assert "[OK]" in done.stdout


@each_variant
def test_a_namespace_that_enforces_restricted_takes_every_pod(
    api: ApiClient, chart: str, values: dict[str, Any]
) -> None:
    """Pod Security's own admission decides, on a dry run; it would refuse a pod without any one of
    the settings.
    """
    name = "restricted"
    api.namespace(name)
    api.patch(
        f"/api/v1/namespaces/{name}",
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
    )
    found = pods(manifests(chart, values))
    assert found
    for number, spec in enumerate(found):
        spec.pop(
            "priorityClassName", None
        )  # the bare API server makes no system classes outside of kube-system
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{number}"}, "spec": spec}
        reply = api.http.post(
            f"/api/v1/namespaces/{name}/pods",
            json=pod,
            params={"dryRun": "All", "fieldValidation": "Strict"},
        )
        assert reply.status_code == 201, reply.text
        spec["containers"][0]["securityContext"].pop("capabilities")
        reply = api.http.post(f"/api/v1/namespaces/{name}/pods", json=pod, params={"dryRun": "All"})
        assert reply.status_code == 403, "else nothing was enforced"


BUILDS = {
    "as Flux has it": "e6dce5b644c3",
    "too long for a label": "a" * 80,
    "too long, and cut at a dot": "a" + ".a" * 40,
    "too long, and cut behind a dot": "aa" + ".a" * 40,
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
@pytest.mark.parametrize("chart", [OPERATOR, MODEL])
def test_a_version_with_build_metadata_renders_valid_labels(
    tmp_path: Path, chart: str, build: str
) -> None:
    """Packaged as Flux does; a label value holds no `+` and at most 63 characters."""
    called = f"1.2.3+{build}"
    done = helm("package", CHARTS / chart, "--version", called, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (packed,) = tmp_path.glob("*.tgz")
    done = helm("template", "any", packed, "--values", values_of(chart))
    assert done.returncode == 0, done.stderr
    labels = re.findall(r"helm\.sh/chart: *(.*)", done.stdout)
    assert labels
    expected = f"{chart}-1.2.3_{build}"[:63].strip("-_.")
    assert {yaml.safe_load(one) for one in labels} == {expected}
    assert all(
        re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", yaml.safe_load(one))
        for one in labels
    )


def _bridge(**changes: Any) -> dict[str, Any]:
    return {"bridge": {**BRIDGE["bridge"], **changes}}


BY_LABEL = {
    "name": "team",
    "secret": "team-url",
    "namespaceSelector": {"matchLabels": {"team": "ml"}},
}
REFUSED = {
    "no Prometheus": ({"prometheus": {"url": ""}}, "set prometheus.url, for example"),
    "no registry": ({"mlflow": {"trackingUri": ""}}, "set mlflow.trackingUri, for example"),
    "a value that does not exist": (
        {"promethues": {}},
        "additional properties 'promethues' not allowed",
    ),
    "an unknown level": ({"logLevel": "LOUD"}, "/logLevel"),
    "a URL that is none": ({"prometheus": {"url": "prometheus:9090"}}, "/prometheus/url"),
    "a token without its Secret": (
        {"prometheus": {"auth": {"tokenKey": "token"}}},
        "set prometheus.auth.secret to its name",
    ),
    "two CAs": (
        {"prometheus": {"url": "https://p", "ca": {"secret": "a", "configMap": "b"}}},
        "names a Secret and a ConfigMap: leave one of them out",
    ),
    "a CA without TLS": (
        {"prometheus": {"url": "http://p", "ca": {"secret": "a"}}},
        "write https:// in prometheus.url",
    ),
    "credentials as a header": (
        {"prometheus": {"headers": {"Authorization": "Bearer x"}}},
        "/prometheus/headers/Authorization",
    ),
    "a typo in credentials": (
        {"prometheus": {"auth": {"secretName": "x"}}},
        "'secretName' not allowed",
    ),
    "a digest that is none": ({"image": {"digest": "sha256:1"}}, "/image/digest"),
    "another word for egress": ({"modelEgress": "none"}, "/modelEgress"),
    "an egress rule with a typo": ({"modelEgress": [{"port": 443}]}, "/modelEgress"),
    "a namespace that is none": ({"watchNamespaces": ["A"]}, "/watchNamespaces/0"),
    "a replica count, which there is none of": (
        {"replicas": 2},
        "additional properties 'replicas' not allowed",
    ),
    "a bridge without mappings": (
        {"bridge": {"enabled": True}},
        "bridge.mappings is empty: say which alias",
    ),
    "reverts without a key": (
        _bridge(reverts={"secret": "", "rollouts": BRIDGE["bridge"]["reverts"]["rollouts"]}),
        "set bridge.reverts.secret to the name of the Secret",
    ),
    "a revert of no file": (
        _bridge(
            reverts={
                "secret": "s",
                "rollouts": [{"namespace": "a", "name": "b", "repository": "c/d", "path": "/e"}],
            }
        ),
        "/bridge/reverts/rollouts/0/path",
    ),
    "proofs of a cluster without a name": (
        {"promotionProof": {"signingKey": {"secret": "promotion-proof"}}},
        "set promotionProof.environment, what this cluster is called",
    ),
    "proofs by anybody": (
        {"promotionProof": {"required": [{"promotedBy": ["*/*/*"], "keys": []}]}},
        "/promotionProof/required/0/keys",
    ),
    "a bridge without a secret": (
        _bridge(webhookSecret={"secret": ""}),
        "set bridge.webhookSecret.secret to the name of a Secret",
    ),
    "a dispatch without a token": (
        _bridge(githubToken={"secret": ""}),
        "set bridge.githubToken.secret to the name of a Secret",
    ),
    "a mapping that leads nowhere": (
        _bridge(mappings=[{"model": "a", "alias": "b"}]),
        "/bridge/mappings/0",
    ),
    "a mapping with a typo": (
        _bridge(mappings=[{"model": "a", "alias": "b", "rolout": {}}]),
        "'rolout' not allowed",
    ),
    "a template that names the model": (
        _bridge(
            mappings=[
                {
                    "model": "a",
                    "alias": "b",
                    "rollout": {"namespace": "n", "name": "i", "template": {"modelUri": "x"}},
                }
            ]
        ),
        "/bridge/mappings/0/rollout/template",
    ),
    "a destination of messages without a Secret": (
        {"messages": {"destinations": [{"name": "team"}]}},
        "secret",
    ),
    "a destination with its URL in the values": (
        {"messages": {"destinations": [{"name": "team", "secret": "s", "url": "slack://a/b/c"}]}},
        "'url' not allowed",
    ),
    "two destinations of one name": (
        {"messages": {"destinations": [{"name": "team", "secret": s} for s in "ab"]}},
        "messages.destinations names team twice",
    ),
    "labels of namespaces that the operator may not read": (
        {"watchNamespaces": ["a"], "messages": {"destinations": [BY_LABEL]}},
        "team chooses namespaces by label, which the roles of watchNamespaces do not allow",
    ),
    "both monitors": (
        {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}},
        "enable one of them",
    ),
}


@pytest.mark.parametrize(("values", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_values_are_refused_with_a_sentence(values: dict[str, Any], told: str) -> None:
    with pytest.raises(AssertionError) as refusal:
        render(OPERATOR, values)
    assert told in str(refusal.value)


MODEL_REFUSED = {
    "no model": ({"stable": {"modelUri": ""}}, "set stable.modelUri, for example"),
    "an alias, which moves": (
        {"stable": {"modelUri": "models:/iris@champion"}},
        "/stable/modelUri",
    ),
    "a file": ({"stable": {"modelUri": "file:///etc/passwd"}}, "/stable/modelUri"),
    "weight 101": ({"canary": {"weight": 101}}, "/canary/weight"),
    "no replicas": ({"stable": {"replicas": 0}}, "/stable/replicas"),
    "a host with a line break": ({"ingress": {"host": "a.example.com\nx"}}, "/ingress/host"),
}


@pytest.mark.parametrize(("values", "told"), MODEL_REFUSED.values(), ids=MODEL_REFUSED.keys())
def test_bad_values_of_a_model_are_refused_with_a_sentence(
    values: dict[str, Any], told: str
) -> None:
    with pytest.raises(AssertionError) as refusal:
        render(MODEL, values)
    assert told in str(refusal.value)


def test_the_crd_is_kept_and_is_the_generated_one() -> None:
    (crd,) = by_kind(OPERATOR)["CustomResourceDefinition"]
    assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert crd == yaml.safe_load((ROOT / "crds" / "modelrollouts.yaml").read_text())
    (loose,) = by_kind(OPERATOR, {"crds": {"keep": False}})["CustomResourceDefinition"]
    assert "annotations" not in loose["metadata"]
    assert "CustomResourceDefinition" not in by_kind(OPERATOR, {"crds": {"enabled": False}})


MAY = [
    (["rollouts.mlops.dev"], ["modelrollouts"], ["get", "list", "watch"]),
    (["rollouts.mlops.dev"], ["modelrollouts/status"], ["update"]),
    (["rollouts.mlops.dev"], ["modelrollouts/finalizers"], ["update"]),
    (["apps"], ["deployments"], ["get", "list", "watch", "create", "patch", "delete"]),
    ([""], ["services"], ["get", "list", "watch", "create", "patch", "delete"]),
    (["networking.k8s.io"], ["ingresses"], ["get", "list", "watch", "create", "patch", "delete"]),
    (
        ["gateway.networking.k8s.io"],
        ["httproutes"],
        ["get", "list", "watch", "create", "patch", "delete"],
    ),
    (["gateway.networking.k8s.io"], ["gateways"], ["get"]),
    (
        ["networking.k8s.io"],
        ["networkpolicies"],
        ["get", "list", "watch", "create", "patch", "delete"],
    ),
    (["policy"], ["poddisruptionbudgets"], ["get", "list", "watch", "create", "patch"]),
    (
        ["autoscaling"],
        ["horizontalpodautoscalers"],
        ["get", "list", "watch", "create", "patch", "delete"],
    ),
    (["discovery.k8s.io"], ["endpointslices"], ["get", "list", "watch"]),
    ([""], ["pods"], ["list"]),
    ([""], ["pods"], ["get", "create", "patch", "delete"]),
    ([""], ["events"], ["create"]),
]
"""Everything that the operator may do. No Secrets, no ConfigMaps, no exec, no wildcard; its own
resource it cannot even edit.
"""


def rules(role: dict[str, Any]) -> list[tuple[list[str], list[str], list[str]]]:
    return [(r["apiGroups"], r["resources"], r["verbs"]) for r in role["rules"]]


def test_what_the_operator_may_do_exactly() -> None:
    found = by_kind(OPERATOR)
    (own,) = [r for r in found["ClusterRole"] if r["metadata"]["name"] == OPERATOR]
    assert rules(own) == MAY
    assert "Role" not in found
    bound = [b["roleRef"]["name"] for b in found["ClusterRoleBinding"]]
    assert bound == [OPERATOR], (
        "the aggregated roles are for people, nobody binds the operator to them"
    )


STATUS = Status(
    phase=Phase.TRIAL,
    attempt=2,
    stable=builders.revision(1),
    candidate=builders.revision(2),
    step=0,
    weight=10,
)


def test_the_role_is_enough_for_every_object_where_owner_references_are_policed(
    api: ApiClient,
) -> None:
    """The API server of these tests admits by OwnerReferencesPermissionEnforcement; what is applied
    is what the operator builds.
    """
    ns, user = "owned", "operator-of-the-chart"
    api.namespace(ns)
    (role,) = [r for r in by_kind(OPERATOR)["ClusterRole"] if r["metadata"]["name"] == OPERATOR]
    path = "/apis/rbac.authorization.k8s.io/v1"
    given = {"metadata": {"name": user, "namespace": ns}, "rules": role["rules"]}
    api.http.post(f"{path}/namespaces/{ns}/roles", json=given).raise_for_status()
    named = {"apiGroup": "rbac.authorization.k8s.io", "name": user}
    bound = {
        "metadata": {"name": user},
        "roleRef": {**named, "kind": "Role"},
        "subjects": [{**named, "kind": "User"}],
    }
    api.http.post(f"{path}/namespaces/{ns}/rolebindings", json=bound).raise_for_status()
    Rollout(api, ns).apply("models:/iris/1").raise_for_status()
    made = build(
        Owner(api.get(Rollout(api, ns).path)["metadata"]["uid"], "iris", ns),
        builders.spec(autoscaling={"max": 4, "target": 70}),
        STATUS,
        {},
    )

    def applied(manifest: dict[str, Any]) -> httpx.Response:
        """As this user, on a dry run."""
        headers = {"Content-Type": "application/apply-patch+yaml", "Impersonate-User": user}
        query = {"fieldManager": "operator", "force": "true", "dryRun": "All"}
        place = path_of(manifest["kind"], ns, manifest["metadata"]["name"])
        return api.http.patch(place, content=json.dumps(manifest), params=query, headers=headers)

    wait_for(lambda: applied(made[0]).status_code < 300 or None, "the role to be in force")
    assert {m["kind"] for m in made} == set(OWNED_KINDS) - {"EndpointSlice"}
    for manifest in made:
        reply = applied(manifest)
        assert reply.status_code < 300, (
            f"{manifest['kind']} {manifest['metadata']['name']}: {reply.text}"
        )
    rest = [r for r in role["rules"] if r["resources"] != ["modelrollouts/finalizers"]]
    api.patch(f"{path}/namespaces/{ns}/roles/{user}", {"rules": rest}).raise_for_status()
    refused = wait_for(
        lambda: reply if (reply := applied(made[0])).status_code >= 300 else None,
        "the rule to be gone",
    )
    assert "cannot set blockOwnerDeletion" in refused.text, "else nothing was enforced"


EGRESS: dict[str, tuple[Any, list[Any] | None]] = {
    "rules": ([{"to": [{"podSelector": {}}], "ports": [{"port": 443}]}], [{"podSelector": {}}]),
    "the word": ("any", None),
    "nothing": ([], []),
}


@pytest.mark.parametrize(("value", "peers"), EGRESS.values(), ids=EGRESS.keys())
def test_the_operator_reads_the_egress_that_the_chart_gives_it(
    value: Any, peers: list[Any] | None
) -> None:
    (container,) = pods(by_kind(OPERATOR, {"modelEgress": value})["Deployment"])[0]["containers"]
    found = egress(
        {}, {e["name"]: e.get("value", "") for e in container["env"]}.get("MODEL_EGRESS", "")
    )
    assert peers == (None if found is None else [peer for rule in found[1:] for peer in rule["to"]])


FOLDER = "/etc/rollout-operator/prometheus"
WAYS: dict[str, tuple[dict[str, Any], dict[str, str], set[str]]] = {
    "nothing": ({}, {}, set()),
    "user and password": (
        {"auth": {"secret": "login"}},
        {"username_file": f"{FOLDER}/username", "password_file": f"{FOLDER}/password"},
        {"login/username=username", "login/password=password"},
    ),
    "by other keys": (
        {"auth": {"secret": "login", "usernameKey": "user", "passwordKey": "word"}},
        {"username_file": f"{FOLDER}/username", "password_file": f"{FOLDER}/password"},
        {"login/user=username", "login/word=password"},
    ),
    "a token": (
        {"auth": {"secret": "login", "tokenKey": "jwt"}},
        {"token_file": f"{FOLDER}/token"},
        {"login/jwt=token"},
    ),
    "a CA of a Secret, and a client certificate": (
        {"ca": {"secret": "tls", "key": "root.pem"}, "clientCertificate": {"secret": "me"}},
        {
            "ca_file": f"{FOLDER}/ca.crt",
            "cert_file": f"{FOLDER}/tls.crt",
            "key_file": f"{FOLDER}/tls.key",
        },
        {"tls/root.pem=ca.crt", "me/tls.crt=tls.crt", "me/tls.key=tls.key"},
    ),
    "a CA of a ConfigMap": (
        {"ca": {"configMap": "company"}},
        {"ca_file": f"{FOLDER}/ca.crt"},
        {"company/ca.crt=ca.crt"},
    ),
}


@pytest.mark.parametrize(("values", "access", "mounted"), WAYS.values(), ids=WAYS.keys())
def test_the_operator_reads_of_prometheus_what_the_chart_mounts(
    values: dict[str, Any], access: dict[str, str], mounted: set[str]
) -> None:
    asked = {"url": "https://p/x", "headers": {"X-Scope-OrgID": 'a"b'}, **values}
    (pod,) = pods(by_kind(OPERATOR, {"prometheus": asked})["Deployment"])
    env = {e["name"]: e.get("value", "") for e in pod["containers"][0]["env"]}
    given = Settings.from_environment({**env, "INFERENCE_IMAGE": "image"}).prometheus_access
    assert given == PrometheusAccess(headers={"X-Scope-OrgID": 'a"b'}, **access)
    sources = [s for v in pod["volumes"] for s in v.get("projected", {}).get("sources", ())]
    found = {
        f"{one['name']}/{item['key']}={item['path']}"
        for source in sources
        for one in source.values()
        for item in one["items"]
    }
    assert found == mounted
    places = {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    assert (FOLDER in places) is bool(mounted)


def test_the_operator_reads_of_destinations_what_the_chart_mounts() -> None:
    folder = "/etc/rollout-operator/messages"
    programs = {"name": "audit", "secret": "audit-url", "format": "CloudEvents"}
    values = {
        "messages": {"destinations": [BY_LABEL, programs], "giveUpAfterSeconds": 2592000},
        "dashboard": {"publicUrl": "https://rollouts.example.com"},
    }
    found = by_kind(OPERATOR, values)
    (pod,) = pods(found["Deployment"])
    env = {e["name"]: e.get("value", "") for e in pod["containers"][0]["env"]}
    given = Settings.from_environment({**env, "INFERENCE_IMAGE": "image"})
    assert {one.name: one.folder for one in given.messages} == {
        "team": f"{folder}/team",
        "audit": f"{folder}/audit",
    }
    assert given.messages_give_up == timedelta(days=30)
    assert given.dashboard_url == "https://rollouts.example.com"
    (volume,) = [v for v in pod["volumes"] if v["name"] == "messages"]
    mounted = {
        item["path"]: (source["secret"]["name"], source["secret"]["optional"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    assert mounted == {
        "team/url": ("team-url", True),
        **{f"audit/{key}": ("audit-url", True) for key in ("url", "token", "signingKey")},
    }
    assert folder in {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    own = next(r for r in found["ClusterRole"] if r["metadata"]["name"] == OPERATOR)
    more = [rule for rule in rules(own) if rule not in MAY]
    assert more == [([""], ["namespaces"], ["list", "watch"])]


@pytest.mark.parametrize("asked", [True, False])
def test_who_asks_no_router_may_read_no_gateway(asked: bool) -> None:
    found = by_kind(OPERATOR, {"routes": {"ask": asked}})
    env = {
        e["name"]: e.get("value", "") for e in pods(found["Deployment"])[0]["containers"][0]["env"]
    }
    given = Settings.from_environment({**env, "INFERENCE_IMAGE": "image"})
    assert given.routes_ask is asked
    own = next(r for r in found["ClusterRole"] if r["metadata"]["name"] == OPERATOR)
    assert any("gateways" in resources for _, resources, _ in rules(own)) is asked


def test_in_namespaced_mode_nothing_is_cluster_wide() -> None:
    found = by_kind(
        OPERATOR,
        {"watchNamespaces": ["team-a", "team-b"], "rbac": {"aggregateClusterRoles": False}},
    )
    assert "ClusterRole" not in found
    assert "ClusterRoleBinding" not in found
    assert {r["metadata"]["namespace"] for r in found["Role"]} == {"team-a", "team-b"}
    assert [rules(r) for r in found["Role"]] == [MAY, MAY]
    env = {e["name"]: e.get("value") for e in pods(found["Deployment"])[0]["containers"][0]["env"]}
    assert env["WATCH_NAMESPACES"] == "team-a,team-b"


def test_what_the_bridge_may_do_exactly() -> None:
    """Its ModelRollouts by name, nothing in other namespaces, nothing of any other kind; create
    only where a mapping has a template.
    """
    found = by_kind(OPERATOR, BRIDGE)
    mine = {"name": "rollout-operator-bridge"}
    roles = {r["metadata"]["namespace"]: r["rules"] for r in found["Role"]}
    changes = {
        "apiGroups": ["rollouts.mlops.dev"],
        "resources": ["modelrollouts"],
        "verbs": ["get", "patch"],
    }
    create = {
        "apiGroups": ["rollouts.mlops.dev"],
        "resources": ["modelrollouts"],
        "verbs": ["create"],
    }
    assert roles == {
        "team-a": [{**changes, "resourceNames": ["iris"]}, create],
        "team-b": [{**changes, "resourceNames": ["churn"]}],
    }
    for binding in found["RoleBinding"]:
        assert binding["roleRef"] == {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            **mine,
        }
        assert binding["subjects"] == [{"kind": "ServiceAccount", "namespace": "models", **mine}]
    assert {a["metadata"]["name"] for a in found["ServiceAccount"]} == {OPERATOR, mine["name"]}
    assert not [b for b in found["ClusterRoleBinding"] if b["subjects"][0]["name"] == mine["name"]]


def test_the_bridge_has_its_secrets_by_reference_and_mappings_that_it_can_read() -> None:
    found = by_kind(OPERATOR, BRIDGE)
    (own,) = [d for d in found["Deployment"] if d["metadata"]["name"].endswith("-bridge")]
    (container,) = own["spec"]["template"]["spec"]["containers"]
    env = {e["name"]: e for e in container["env"]}
    assert env["WEBHOOK_SECRET"]["valueFrom"] == {
        "secretKeyRef": {"name": "webhook", "key": "secret"}
    }
    assert env["WEBHOOK_SECRET_PREVIOUS"]["valueFrom"] == {
        "secretKeyRef": {"name": "webhook", "key": "previous"}
    }
    assert env["GITHUB_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "github", "key": "token"}}
    (config,) = [c for c in found["ConfigMap"] if c["metadata"]["name"].endswith("-bridge")]
    known = mappings.parse(config["data"]["mappings.yaml"])
    assert [str(m.target) for m in known.mappings] == [
        "ModelRollout team-a/iris",
        "ModelRollout team-b/churn",
        "dispatch model-rollout to acme/churn",
    ]
    assert env["EVENT_KEY"]["valueFrom"] == {
        "secretKeyRef": {"name": "bridge-events", "key": "signingKey"}
    }
    revert = known.revert_of("team-a", "iris")
    assert revert is not None
    assert (str(revert), revert.named) == ("revert in acme/production prod/iris.yaml", "iris-eu")
    (policy,) = [p for p in found["NetworkPolicy"] if p["metadata"]["name"].endswith("-bridge")]
    operator = {"podSelector": {"matchLabels": _selector(found, OPERATOR)}}
    assert policy["spec"]["ingress"][0]["from"] == [*BRIDGE["bridge"]["from"], operator]
    assert {p["port"] for rule in policy["spec"]["egress"] for p in rule["ports"]} == {
        53,
        443,
        6443,
    }


def _selector(found: dict[str, Any], name: str) -> dict[str, str]:
    (own,) = [d for d in found["Deployment"] if d["metadata"]["name"] == name]
    selected: dict[str, str] = own["spec"]["selector"]["matchLabels"]
    return selected


def test_a_bridge_for_reverts_alone_needs_no_secret_of_mlflow() -> None:
    reverts = BRIDGE["bridge"]["reverts"]
    found = by_kind(OPERATOR, _bridge(mappings=[], webhookSecret={"secret": ""}))
    (own,) = [d for d in found["Deployment"] if d["metadata"]["name"].endswith("-bridge")]
    names = {e["name"] for e in own["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert {"EVENT_KEY", "GITHUB_TOKEN"} <= names
    assert "WEBHOOK_SECRET" not in names
    (config,) = [c for c in found["ConfigMap"] if c["metadata"]["name"].endswith("-bridge")]
    known = mappings.parse(config["data"]["mappings.yaml"])
    assert (known.mappings, len(known.reverts)) == ((), len(reverts["rollouts"]))
    assert "Role" not in found, "it changes nothing in the cluster"


def test_nothing_that_selects_the_operator_selects_the_bridge() -> None:
    found = by_kind(OPERATOR, BRIDGE)
    labels = {
        d["metadata"]["name"]: d["spec"]["template"]["metadata"]["labels"]
        for d in found["Deployment"]
    }
    for service in found["Service"]:
        selected = [
            name
            for name, has in labels.items()
            if service["spec"]["selector"].items() <= has.items()
        ]
        assert selected == [service["metadata"]["name"]]
    (own,) = [d for d in found["Deployment"] if d["metadata"]["name"].endswith("-bridge")]
    checked = own["spec"]["template"]["metadata"]["annotations"]["checksum/mappings"]
    fewer = by_kind(OPERATOR, _bridge(mappings=BRIDGE["bridge"]["mappings"][:1]))["Deployment"]
    assert checked not in str(fewer), "a change of the mappings starts new pods"


def test_without_the_bridge_there_is_nothing_of_it() -> None:
    assert "bridge" not in render(OPERATOR)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param({}, f"model-rollouts/operator:{version.here(ROOT)}", id="the chart's version"),
        pytest.param({"tag": "1.2"}, "model-rollouts/operator:1.2", id="a tag"),
        pytest.param(
            {"registry": "r.example.com:5000", "repository": "a/b"},
            f"r.example.com:5000/a/b:{version.here(ROOT)}",
            id="a registry",
        ),
        pytest.param(
            {"tag": "1", "digest": "sha256:" + "a" * 64},
            "model-rollouts/operator@sha256:" + "a" * 64,
            id="a digest wins",
        ),
    ],
)
def test_the_image(image: dict[str, str], expected: str) -> None:
    assert (
        pods(by_kind(OPERATOR, {"image": image})["Deployment"])[0]["containers"][0]["image"]
        == expected
    )


def test_a_model_with_a_canary_has_two_of_everything_and_a_weight() -> None:
    found = by_kind(
        MODEL,
        {"canary": {"weight": 25, "replicas": 3}, "stable": {"replicas": 4}, "image": {"tag": "9"}},
        release="iris",
    )
    assert {d["metadata"]["name"]: d["spec"]["replicas"] for d in found["Deployment"]} == {
        "iris": 4,
        "iris-canary": 3,
    }
    assert {p["containers"][0]["image"] for p in pods(found["Deployment"])} == {
        "model-rollouts/inference:9"
    }
    for service, deployment in zip(found["Service"], found["Deployment"], strict=True):
        others = [d for d in found["Deployment"] if d is not deployment]
        assert (
            service["spec"]["selector"].items()
            <= deployment["spec"]["template"]["metadata"]["labels"].items()
        )
        assert not any(
            service["spec"]["selector"].items()
            <= d["spec"]["template"]["metadata"]["labels"].items()
            for d in others
        )
    annotations = {
        i["metadata"]["name"]: i["metadata"].get("annotations", {}) for i in found["Ingress"]
    }
    assert annotations["iris"] == {}
    assert annotations["iris-canary"]["nginx.ingress.kubernetes.io/canary-weight"] == "25"


def test_a_model_without_a_canary_has_one_of_everything() -> None:
    found = by_kind(MODEL, {"canary": {"enabled": False}}, release="iris")
    assert [
        len(found[kind]) for kind in ("Deployment", "Service", "Ingress", "PodDisruptionBudget")
    ] == [1, 1, 1, 1]


CLUSTER_WIDE = ("Cluster", "Custom", "ValidatingAdmission", "MutatingAdmission")
"""How kinds without a namespace begin."""


@each_variant
def test_the_api_server_takes_everything(
    api: ApiClient, chart: str, values: dict[str, Any]
) -> None:
    """A dry run against a real API server with strict field validation, the CRD among it."""
    for name in ("models", "team-a", "team-b"):
        api.namespace(name)
    for manifest in manifests(chart, values):
        if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
            continue
        group, meta = manifest["apiVersion"], manifest["metadata"]
        if manifest["kind"] in {"Pod", "Deployment"}:
            pods([manifest])[0].pop("priorityClassName", None)
        place = (
            f"/namespaces/{meta.get('namespace', 'models')}"
            if not manifest["kind"].startswith(CLUSTER_WIDE)
            else ""
        )
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        resource = re.sub("ys$", "ies", re.sub("sss$", "sses", manifest["kind"].lower() + "s"))
        path = f"{root}{place}/{resource}/{meta['name']}"
        query = {
            "fieldManager": "helm",
            "force": "true",
            "fieldValidation": "Strict",
            "dryRun": "All",
        }
        reply = api.http.patch(
            path,
            content=json.dumps(manifest),
            params=query,
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        assert reply.status_code < 300, f"{manifest['kind']} {meta['name']}: {reply.text}"
