"""Rules and alerts by promtool, the program that belongs to the Prometheus in use."""

import math
import re
import subprocess
from pathlib import Path

import yaml

from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.gates.promql import LEAST_SHARE, query
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


LIVE = {("age", "10.0"): 30, ("age", "+Inf"): 60, ("age", "missing"): 10, ("job", "x"): 100}
TRAINED = {("age", "10.0"): 0.5, ("age", "+Inf"): 0.5, ("age", "missing"): 0.0, ("job", "x"): 1.0}


def test_the_query_for_input_drift_gives_psi_by_column(tmp_path: Path) -> None:
    """Two pods of one revision together, each with half of the rows; another has no profile."""

    def psi(column: str) -> float:
        rows = sum(count for (name, _), count in LIVE.items() if name == column)
        pairs = [
            (max(LIVE[key] / rows, LEAST_SHARE), max(TRAINED[key], LEAST_SHARE))
            for key in LIVE
            if key[0] == column
        ]
        return sum((p - q) * math.log(p / q) for p, q in pairs)

    series = [
        {"series": f"{name}{{{labels},{of}}}", "values": f"{value:g}"}
        for pod in ("a", "b")
        for labels in (f'namespace="n",revision="r",model="m",version="2",pod="{pod}"',)
        for (column, place), count in LIVE.items()
        for of in (f'column="{column}",bin="{place}"',)
        for name, value in (
            ("ml_input_total", count / 2),
            ("ml_input_trained", TRAINED[column, place]),
        )
    ]
    bare = 'ml_predictions_total{namespace="n",revision="other",pod="c"}'
    expected = [
        (f'ml_input_drift{{bin="{what}",column="{column}",namespace="n",revision="r"}}', value)
        for column in ("age", "job")
        for what, value in (("psi", psi(column)), ("rows", 100.0))
    ]
    expected.append(('ml_input_drift{bin="predictions",namespace="n",revision="other"}', 7.0))
    test = {
        "evaluation_interval": "1m",
        "fuzzy_compare": True,
        "tests": [
            {
                "interval": "1m",
                "input_series": [*series, {"series": bare, "values": "7"}],
                "promql_expr_test": [
                    {
                        "expr": f"last_over_time({query(Metric.INPUT_DRIFT)})",
                        "eval_time": "0m",
                        "exp_samples": [{"labels": on, "value": value} for on, value in expected],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "drift.yaml"
    file.write_text(yaml.safe_dump(test))
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


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
