"""Where and how pods run: what a profile of the configuration may say, who may use it, and what it
makes of pods.
"""

import json
from typing import Any

import pytest

from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.deployment import deployment, served_by
from rollout_operator.desired.diff import comparable, matches
from rollout_operator.desired.fetch_step import POD_SECURITY
from rollout_operator.desired.inspection_pod import inspection_pod, made_with
from rollout_operator.domain.api.names import POD_SETTINGS, REVISION, ROLLOUT
from rollout_operator.domain.api.status import Inspecting
from rollout_operator.domain.credentials import Credentials
from rollout_operator.domain.profiles import Chosen, profiles, settings_hash
from rollout_operator.domain.revision import revision_hash
from rollout_operator.domain.rollout import Rollout
from rollout_operator.settings import Settings, SettingsError
from tests.support.builders import START, revision, spec
from tests.support.operator_env import operator_env

OWNER = Owner("uid-1", "iris", "models")
SELECTED = {"matchLabels": {ROLLOUT: "iris", REVISION: revision(1).revision}}
ZONE = "topology.kubernetes.io/zone"


def chosen(**profile: Any) -> Chosen:
    """What a rollout has that may use this profile."""
    return profiles(json.dumps({"some": profile})).choose("models", "some")


def made(given: Credentials | None = None, **profile: Any) -> Manifest:
    one = revision(1, promoted=True, profile="some", pod_settings=chosen(**profile).settings)
    return deployment(OWNER, one, 2, {}, given)


def pod(**profile: Any) -> Manifest:
    spec_of_pod: Manifest = made(**profile)["spec"]["template"]["spec"]
    return spec_of_pod


TERM = {"topologyKey": ZONE}
OTHERS = {"matchLabels": {"app": "cache"}}
PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a node pool": ({"nodeSelector": {"pool": "gpu"}},) * 2,
    "a taint": ({"tolerations": [{"key": "gpu", "operator": "Exists"}]},) * 2,
    "a priority": ({"priorityClassName": "serving"},) * 2,
    "a sandbox": ({"runtimeClassName": "gvisor"},) * 2,
    "pull secrets": ({"imagePullSecrets": [{"name": "registry"}]},) * 2,
    "an account, under its former name, too": (
        {"serviceAccountName": "models"},
        {"serviceAccountName": "models", "serviceAccount": "models"},
    ),
    "a longer grace period": ({"terminationGracePeriodSeconds": 90},) * 2,
    "a spread over pods of the revision": (
        {"topologySpreadConstraints": [{"topologyKey": ZONE}]},
        {
            "topologySpreadConstraints": [
                {
                    "topologyKey": ZONE,
                    "maxSkew": 1,
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": SELECTED,
                }
            ]
        },
    ),
    "nodes": (
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
    )
    * 2,
    "apart from pods of the revision, and near others": (
        {
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 1, "podAffinityTerm": TERM}
                    ]
                },
                "podAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {**TERM, "labelSelector": OTHERS}
                    ]
                },
            }
        },
        {
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 1, "podAffinityTerm": {**TERM, "labelSelector": SELECTED}}
                    ]
                },
                "podAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {**TERM, "labelSelector": OTHERS}
                    ]
                },
            }
        },
    ),
    "users of the namespace": (
        {"securityContext": {}},
        {
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
        },
    ),
    "a group of its own": (
        {"securityContext": {"fsGroup": 1000}},
        {
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
                "fsGroup": 1000,
            }
        },
    ),
}


@pytest.mark.parametrize(("profile", "wanted"), PARTS.values(), ids=PARTS.keys())
def test_a_pod_has_what_its_profile_says(profile: dict[str, Any], wanted: dict[str, Any]) -> None:
    plain = deployment(OWNER, revision(1, promoted=True), 2, {})["spec"]["template"]["spec"]
    assert pod(**profile) == {**plain, **wanted}


def test_without_a_profile_pods_are_what_they_were() -> None:
    template = deployment(OWNER, revision(1), 2, {})["spec"]["template"]
    assert template["spec"]["securityContext"] == POD_SECURITY["securityContext"]
    assert POD_SETTINGS not in template["metadata"]["annotations"]
    assert revision(1).to_api().keys().isdisjoint({"profile", "podSettings"})


def test_a_device_is_a_limit_of_the_server_beside_those_of_the_spec() -> None:
    asked = spec(resources={"limits": {"memory": "1Gi"}}).resources
    settings = chosen(resources={"nvidia.com/gpu": 1, "ephemeral-storage": "1Gi"}).settings
    one = revision(1, resources=asked, pod_settings=settings)
    (server,) = deployment(OWNER, one, 2, {})["spec"]["template"]["spec"]["containers"]
    assert server["resources"] == {
        **asked.to_api(),
        "limits": {"memory": "1Gi", "nvidia.com/gpu": "1", "ephemeral-storage": "1Gi"},
    }


def test_labels_and_annotations_are_of_pods_and_nothing_is_selected_by_them() -> None:
    made_of = made(labels={"team": "a"}, annotations={"example.com/note": "b"})
    template = made_of["spec"]["template"]["metadata"]
    assert template["labels"] == {**OWNER.labels(revision(1).revision), "team": "a"}
    assert template["annotations"]["example.com/note"] == "b"
    assert template["annotations"]["prometheus.io/scrape"] == "true"
    assert made_of["spec"]["selector"] == SELECTED
    assert "team" not in made_of["metadata"]["labels"]


def test_the_account_of_the_profile_goes_before_that_of_the_credentials() -> None:
    given = Credentials(service_account="reader")
    accounts = ("serviceAccountName", "serviceAccount")
    of_both = made(given, serviceAccountName="models")["spec"]["template"]["spec"]
    of_credentials = made(given, labels={"a": "b"})["spec"]["template"]["spec"]
    assert [of_both[n] for n in accounts] == ["models"] * 2
    assert [of_credentials[n] for n in accounts] == ["reader"] * 2


@pytest.mark.parametrize(
    "after", [{"tolerations": []}, {"labels": {"a": "b"}}, None], ids=["less", "other", "none"]
)
def test_what_a_profile_says_no_more_is_taken_from_the_pods(after: dict[str, Any] | None) -> None:
    live = comparable(made(nodeSelector={"pool": "gpu"}))
    settings = None if after is None else chosen(**after).settings
    wanted = comparable(deployment(OWNER, revision(1, pod_settings=settings), 2, {}))
    assert matches(live, comparable(made(nodeSelector={"pool": "gpu"})))
    assert not matches(live, wanted)


def test_a_spread_that_a_webhook_adds_stays_beside_ours() -> None:
    live = comparable(made(topologySpreadConstraints=[{"topologyKey": ZONE}]))
    template = live["spec"]["template"]["spec"]
    added = {"topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 2}
    template["topologySpreadConstraints"].insert(0, added)
    template["imagePullSecrets"] = [{"name": "mirror"}]
    assert matches(live, comparable(made(topologySpreadConstraints=[{"topologyKey": ZONE}])))
    assert not matches(live, comparable(made(topologySpreadConstraints=[{"topologyKey": "host"}])))


def test_a_status_that_is_lost_is_made_anew_with_the_profile() -> None:
    live = made(nodeSelector={"pool": "gpu"})
    live["metadata"]["creationTimestamp"] = "2026-11-29T12:00:00Z"
    found = served_by(live)
    assert found is not None
    assert (found.profile, found.pod_settings) == ("some", '{"nodeSelector":{"pool":"gpu"}}')


def test_the_pod_that_looks_at_a_version_has_the_profile() -> None:
    settings = chosen(nodeSelector={"pool": "gpu"}, labels={"team": "a"}).settings
    inspecting = Inspecting(uri="models:/iris/1", since=START)
    looking = inspection_pod(OWNER, spec(), inspecting, "image", {}, None, settings)
    assert looking["spec"]["nodeSelector"] == {"pool": "gpu"}
    assert looking["metadata"]["labels"] == {**OWNER.labels(), "team": "a"}
    assert made_with(looking) == settings
    assert made_with(inspection_pod(OWNER, spec(), inspecting, "image", {}, None)) is None


def test_other_settings_make_another_revision_and_none_the_one_from_before_profiles() -> None:
    asked: tuple[str, str, str, dict[str, object]] = ("uid", "models:/iris/1", "sha256:a", {})
    assert revision_hash(*asked) == revision_hash(*asked, None)
    assert len({revision_hash(*asked, s) for s in (None, "{}", '{"labels":{}}')}) == 3


SOME = profiles(
    json.dumps(
        {
            "default": {"namespaces": ["ml-*"], "labels": {"a": "b"}},
            "gpu": {"namespaces": ["ml-fraud", "models"], "changes": "AtOnce"},
            "large": {"namespaces": ["models"]},
        }
    )
)
TAKEN: dict[str, tuple[str, str | None, Chosen]] = {
    "the default, where none is named": ("ml-a", None, Chosen("default", '{"labels":{"a":"b"}}')),
    "none, where the default is others'": ("models", None, Chosen()),
    "one that is named": ("models", "gpu", Chosen("gpu", None, at_once=True)),
    "the default by its name": ("ml-a", "default", Chosen("default", '{"labels":{"a":"b"}}')),
}


@pytest.mark.parametrize(("namespace", "name", "wanted"), TAKEN.values(), ids=TAKEN.keys())
def test_which_profile_is_taken(namespace: str, name: str | None, wanted: Chosen) -> None:
    assert SOME.choose(namespace, name) == wanted


NOT_THEIRS: dict[str, tuple[str, str, str]] = {
    "an unknown name": ("models", "gpus", "no profile gpus: write gpu or large, or leave it out."),
    "others' profile": ("ml-a", "gpu", "no profile gpu: write default, or leave it out."),
    "a namespace without any": ("web", "gpu", "no profile gpu: leave it out."),
}


@pytest.mark.parametrize(("namespace", "name", "said"), NOT_THEIRS.values(), ids=NOT_THEIRS.keys())
def test_a_profile_that_a_namespace_may_not_use(namespace: str, name: str, said: str) -> None:
    raw: dict[str, Any] = {
        "metadata": {"namespace": namespace, "name": "iris"},
        "spec": spec(profile=name).to_api(),
        "status": {},
    }
    read = Rollout.read(raw, mirrors=False, profiles=SOME)
    assert (read.spec, read.profile) == (None, None)
    assert read.error == f"spec.profile: namespace {namespace} has {said}"


WRONG: dict[str, tuple[object, str]] = {
    "no JSON": ("gpu", "is no JSON object"),
    "a list": ([], "is no JSON object"),
    "a name that is none": ({"G_P": {}}, "G_P"),
    "an unknown part": ({"gpu": {"hostNetwork": True}}, "gpu.hostNetwork: Extra inputs"),
    "no namespaces": ({"gpu": {"namespaces": []}}, "gpu.namespaces: Tuple should have at least 1"),
    "a label of ours": (
        {"gpu": {"labels": {ROLLOUT: "x"}}},
        f"gpu.labels: {ROLLOUT} is the operator's own: take another name",
    ),
    "who manages": ({"gpu": {"labels": {"app.kubernetes.io/managed-by": "x"}}}, "operator's own"),
    "how pods are scraped": (
        {"gpu": {"annotations": {"prometheus.io/scrape": "false"}}},
        "operator's own",
    ),
    "the memory of a pod": (
        {"gpu": {"resources": {"memory": "1Gi"}}},
        "memory is asked for by each ModelRollout, in spec.resources",
    ),
    "no quantity": ({"gpu": {"resources": {"nvidia.com/gpu": "one"}}}, "nvidia.com/gpu"),
    "root": ({"gpu": {"securityContext": {"runAsUser": 0}}}, "securityContext.runAsUser"),
    "privileges": ({"gpu": {"securityContext": {"runAsNonRoot": False}}}, "Extra inputs"),
    "no time to end": ({"gpu": {"terminationGracePeriodSeconds": 1}}, "greater than or equal"),
    "a secret with its content": ({"gpu": {"imagePullSecrets": [{"data": "x"}]}}, "name"),
    "more than fits into a status": (
        {"gpu": {"annotations": {f"a{n}": "x" * 99 for n in range(50)}}},
        "at most 4096 fit into a status",
    ),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_used_is_said_at_start(given: object, said: str) -> None:
    env = operator_env(MODEL_PROFILES=given if isinstance(given, str) else json.dumps(given))
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(env)
    assert str(caught.value).startswith("MODEL_PROFILES ")
    assert said in str(caught.value)


def test_settings_are_named_by_a_short_hash() -> None:
    assert settings_hash(None) == "none"
    assert len(settings_hash("{}")) == 8
