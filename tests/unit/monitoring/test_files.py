"""The rules and the dashboard as files: runbooks, tests and copies exist, and no series is asked
for that nobody exports.
"""

import json
import re
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from rollout_bridge import metrics as _bridge  # noqa: F401 - registers what the bridge exports
from rollout_operator import metrics as _operator  # noqa: F401 - registers what the operator does
from tests.unit.monitoring.rules import ALL, ROOT, sources

TESTS = yaml.safe_load((ROOT / "monitoring" / "rules.test.yaml").read_text())
DASHBOARD: dict[str, Any] = json.loads((ROOT / "monitoring" / "dashboard.json").read_text())
ALERTS = {rule["alert"]: rule for rule in ALL if "alert" in rule}
RECORDED = {rule["record"] for rule in ALL if "record" in rule}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_its_runbook(name: str) -> None:
    runbook = f"docs/operations/runbooks/{name}.md"
    assert ALERTS[name]["annotations"]["runbook_url"] == runbook
    severity = ALERTS[name]["labels"]["severity"]
    assert (ROOT / runbook).read_text().startswith(f"# {name}\n\nFor ")
    assert f"Severity: {severity}." in (ROOT / runbook).read_text()
    assert {"summary", "description"} <= ALERTS[name]["annotations"].keys()
    assert severity in {"info", "warning", "critical"}


def test_every_alert_fires_in_a_test() -> None:
    fired = {
        t["alertname"]
        for test in TESTS["tests"]
        for t in test.get("alert_rule_test", ())
        if t["exp_alerts"]
    }
    assert fired == set(ALERTS)


def exported() -> set[str]:
    """Names of all samples that the operator exports, and of all that the model server's sources
    name, with every suffix.
    """
    bases = {metric.name for metric in REGISTRY.collect()}
    for file in (ROOT / "inference").rglob("*.py"):
        bases |= set(re.findall(r'"(ml_[a-z0-9_]+)"', file.read_text()))
    return {
        base.removesuffix("_total") + suffix
        for base in bases
        for suffix in ("", "_total", "_bucket", "_count", "_sum")
    }


def asked() -> dict[str, str]:
    """Every expression, by where it stands."""
    found = {rule.get("alert") or rule["record"]: rule["expr"] for rule in ALL}
    for panel in DASHBOARD["panels"]:
        found |= {
            f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]
        }
    return found


@pytest.mark.parametrize(("place", "expression"), asked().items(), ids=asked().keys())
def test_only_series_that_exist_are_asked_for(place: str, expression: str) -> None:
    names = set(re.findall(r"\b(?:ml|modelrollout|namespace_revision)[a-z0-9_:]+", expression))
    assert names
    assert names <= exported() | RECORDED, place


WRITTEN = [
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "monitoring").glob("*.*"),
    *(ROOT / "charts").rglob("files/*.*"),
]


def test_a_source_that_is_written_of_is_one_that_the_server_exports() -> None:
    named = {
        (file.relative_to(ROOT).as_posix(), value)
        for file in WRITTEN
        for values in re.findall(
            r'\bsource(?:=~|=|!=|!~|: )\\?"?([a-z|]+)\b(?!:)', file.read_text(encoding="utf-8")
        )
        for value in values.split("|")
    }
    assert {
        "docs/reference/metrics.md",
        "docs/operations/runbooks/ModelAccuracyLow.md",
        "monitoring/rules.test.yaml",
    } <= {file for file, _ in named}
    assert sources() == {"training", "feedback"}
    assert {(file, value) for file, value in named if value not in sources()} == set()


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    assert len({p["id"] for p in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("name", ["rules.yaml", "dashboard.json"])
def test_the_chart_has_the_same(name: str) -> None:
    copy = (ROOT / "charts" / "rollout-operator" / "files" / name).read_text()
    assert copy == (ROOT / "monitoring" / name).read_text(), (
        f"run: cp monitoring/{name} charts/rollout-operator/files/"
    )
