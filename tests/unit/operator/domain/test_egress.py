"""Whom model pods may connect to: the rule that follows from each kind of address, and what the
operator's setting adds.
"""

from typing import Any

import pytest

from rollout_operator.domain.egress import DNS, egress, leading_to


def namespace(name: str) -> dict[str, Any]:
    return {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]}


def block(port: int, *cidrs: str) -> dict[str, Any]:
    return {
        "to": [{"ipBlock": {"cidr": cidr}} for cidr in cidrs],
        "ports": [{"port": port, "protocol": "TCP"}],
    }


EVERYWHERE = ("0.0.0.0/0", "::/0")
ADDRESSES = {
    "a Service and its namespace": ("http://mlflow.tracking:5000", namespace("tracking")),
    "the same with svc": ("http://mlflow.tracking.svc:5000", namespace("tracking")),
    "the whole name of a Service": (
        "https://mlflow.tracking.svc.cluster.local",
        namespace("tracking"),
    ),
    "the whole name with its dot": (
        "http://mlflow.tracking.svc.cluster.local.:5000/path",
        namespace("tracking"),
    ),
    "a cluster with a domain of its own": (
        "http://mlflow.tracking.svc.k8s.example.com",
        namespace("tracking"),
    ),
    "a pod of a headless Service": (
        "http://mlflow-0.mlflow.tracking.svc.cluster.local:5000",
        namespace("tracking"),
    ),
    "with a password": ("http://user:secret@mlflow.tracking:5000", namespace("tracking")),
    "capital letters": ("http://MLflow.Tracking.svc:5000", namespace("tracking")),
    "a Service beside the rollout": ("http://mlflow:5000", {"to": [{"podSelector": {}}]}),
    "an address": ("http://192.0.2.7:5000", block(5000, "192.0.2.7/32")),
    "an address of version 6": ("http://[2001:DB8::7]:5000", block(5000, "2001:db8::7/128")),
    "an address without a port": ("http://192.0.2.7/", block(80, "192.0.2.7/32")),
    "a host elsewhere": ("https://mlflow.example.com:8443/api", block(8443, *EVERYWHERE)),
    "a host elsewhere without a port": ("https://mlflow.example.com", block(443, *EVERYWHERE)),
    "svc where it says nothing": ("https://a.svc.example.com", block(443, *EVERYWHERE)),
    "a folder": ("/var/mlruns", None),
    "a file": ("file:///var/mlruns", None),
    "a profile": ("databricks://team", None),
    "a word": ("databricks", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("url", "rule"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_the_rule_that_follows_from_an_address(url: str, rule: dict[str, Any] | None) -> None:
    assert leading_to(url) == rule


MLFLOW = {"MLFLOW_TRACKING_URI": "http://mlflow.tracking:5000"}
TRACED = {**MLFLOW, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.traces:4318"}
S3 = {
    "to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.9/32"]}}],
    "ports": [{"port": 443, "protocol": "TCP"}],
}
EVERYONE = (
    '[{"to": [{"namespaceSelector": {"matchLabels": {}}}, {"podSelector": {"matchExpressions":'
    ' [{"key": "a", "operator": "Exists"}]}}]}]'
)
ALLOWED: dict[str, tuple[dict[str, str], str, list[dict[str, Any]] | None]] = {
    "MLflow and names": (MLFLOW, "", [DNS, namespace("tracking")]),
    "traces too": (TRACED, "", [DNS, namespace("tracking"), namespace("traces")]),
    "both at one place": (
        {**MLFLOW, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel.tracking:4318"},
        "",
        [DNS, namespace("tracking")],
    ),
    "other variables lead nowhere": ({"HTTPS_PROXY": "http://proxy.example.com"}, "", [DNS]),
    "no more rules": (MLFLOW, " [] ", [DNS, namespace("tracking")]),
    "an artifact store": (
        MLFLOW,
        (
            '[{"to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.9/32"]}}], "ports":'
            ' [{"port": 443}]}]'
        ),
        [DNS, namespace("tracking"), S3],
    ),
    "a range of ports": (
        {},
        '[{"ports": [{"protocol": "UDP", "port": 1, "endPort": 9}, {"port": "s3"}]}]',
        [
            DNS,
            {
                "ports": [
                    {"protocol": "UDP", "port": 1, "endPort": 9},
                    {"protocol": "TCP", "port": "s3"},
                ]
            },
        ],
    ),
    "empty selectors stay, empty lists go": (
        {},
        EVERYONE,
        [
            DNS,
            {
                "to": [
                    {"namespaceSelector": {}},
                    {"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}},
                ]
            },
        ],
    ),
    "a single address": (
        {},
        '[{"to": [{"ipBlock": {"cidr": "192.0.2.7"}}]}]',
        [DNS, {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}]}],
    ),
    "everything by a rule": ({}, '[{"to": []}]', [DNS, {}]),
    "no policy": (MLFLOW, "any", None),
}


@pytest.mark.parametrize(("environment", "setting", "rules"), ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_allowed(
    environment: dict[str, str], setting: str, rules: list[dict[str, Any]] | None
) -> None:
    found = egress(environment, setting)
    assert (None if found is None else list(found)) == rules


WRONG = {
    "no JSON": ("443", {}, "MODEL_EGRESS: .*list"),
    "half of it": ('[{"ports": ', {}, "MODEL_EGRESS: Invalid JSON"),
    "a rule and no list": ('{"ports": [{"port": 443}]}', {}, "MODEL_EGRESS: .*list"),
    "another word": ("none", {}, "MODEL_EGRESS: Invalid JSON.*or the word any"),
    "an unknown field": ('[{"from": []}]', {}, r"MODEL_EGRESS\[0\]\.from: Extra inputs"),
    "null, which would open everything": ('[{"to": null}]', {}, r"MODEL_EGRESS\[0\]\.to"),
    "a port that is none": (
        '[{"ports": [{"port": 70000}]}]',
        {},
        r"MODEL_EGRESS\[0\]\.ports\[0\]\.port",
    ),
    "a port number as text": (
        '[{"ports": [{"port": "443"}]}]',
        {},
        r"MODEL_EGRESS\[0\]\.ports\[0\]\.port: ",
    ),
    "a selector without values": (
        '[{"to": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}]',
        {},
        "need values",
    ),
    "a protocol that is none": ('[{"ports": [{"protocol": "tcp"}]}]', {}, r"protocol"),
    "a range backwards": ('[{"ports": [{"port": 9, "endPort": 1}]}]', {}, "endPort needs a port"),
    "a peer that is nobody": ('[{"to": [{}]}]', {}, "a peer is either"),
    "a peer of two kinds": (
        '[{"to": [{"ipBlock": {"cidr": "::/0"}, "podSelector": {}}]}]',
        {},
        "a peer is either",
    ),
    "a network that is none": (
        '[{"to": [{"ipBlock": {"cidr": "s3.example.com"}}]}]',
        {},
        "s3.example.com",
    ),
    "an exception from elsewhere": (
        '[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["::1/128"]}}]}]',
        {},
        "is no part of",
    ),
    "an address of MLflow that is none": (
        "",
        {"MLFLOW_TRACKING_URI": "http://u:p@mlflow:99999"},
        "^MLFLOW_TRACKING_URI is no URL: Port out of range",
    ),
}


@pytest.mark.parametrize(("setting", "environment", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(setting: str, environment: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        egress(environment, setting)
