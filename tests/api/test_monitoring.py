"""Rules and alerts by promtool, the program that belongs to the Prometheus in use."""

import re
import subprocess

import yaml

from tests.support.charts import ROOT, Manifest, by_kind, tool

MONITORING = ROOT / "monitoring"


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("promtool"), *words], capture_output=True, text=True, check=False, cwd=MONITORING
    )


def test_the_rules_are_sound() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_on_what_it_is_for() -> None:
    done = promtool("test", "rules", "rules.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout + done.stderr


def test_the_chart_links_runbooks_where_it_is_told() -> None:
    (rule,) = by_kind(
        "rollout-operator",
        {"prometheusRule": {"enabled": True, "runbookUrl": "https://wiki.example.com/r"}},
    )["PrometheusRule"]
    links = [
        r["annotations"]["runbook_url"]
        for g in rule["spec"]["groups"]
        for r in g["rules"]
        if "alert" in r
    ]
    plain = yaml.safe_load((MONITORING / "rules.yaml").read_text())
    assert len(links) == sum("alert" in r for g in plain["groups"] for r in g["rules"])
    assert all(re.fullmatch(r"https://wiki\.example\.com/r/\w+\.md", link) for link in links)


def test_the_plain_monitors_are_those_of_the_chart() -> None:
    values = {"podMonitor": {"enabled": True}, "modelPodMonitor": {"enabled": True}}
    rendered = by_kind("rollout-operator", values, namespace="rollouts-system")["PodMonitor"]
    plain = list(yaml.safe_load_all((MONITORING / "monitors.yaml").read_text()))
    for one, other in zip(sorted(rendered, key=name), sorted(plain, key=name), strict=True):
        assert (name(one), one["metadata"]["namespace"], one["spec"]) == (
            name(other),
            other["metadata"]["namespace"],
            other["spec"],
        )


def name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def test_one_monitor_scrapes_the_operator_and_another_the_models() -> None:
    found = by_kind(
        "rollout-operator", {"podMonitor": {"enabled": True}, "modelPodMonitor": {"enabled": True}}
    )["PodMonitor"]
    own, models = sorted(found, key=lambda m: len(m["metadata"]["name"]))
    assert own["spec"]["podMetricsEndpoints"][0]["honorLabels"] is True
    assert "honorLabels" not in models["spec"]["podMetricsEndpoints"][0], (
        "a model server must not speak for other namespaces"
    )
    assert models["spec"]["namespaceSelector"] == {"any": True}
