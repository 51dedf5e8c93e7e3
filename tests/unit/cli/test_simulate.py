"""`simulate`: metrics of any origin through the operator's own decisions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout_cli.__main__ import run
from rollout_cli.offline.recorded_metrics import recorded
from rollout_operator.domain.api.analysis import Metric

Said = Callable[..., tuple[int, str, str]]
T = 1_800_000_000


@pytest.fixture
def simulate(capsys: pytest.CaptureFixture[str]) -> Said:
    def said(*words: str | Path) -> tuple[int, str, str]:
        code = run(["simulate", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return said


def manifest(tmp_path: Path, *gates: dict[str, Any], **analysis: Any) -> Path:
    file = tmp_path / "iris.yaml"
    of = {"gates": list(gates), **analysis} if gates else analysis
    spec = {"modelUri": "models:/iris/7", "traffic": {"host": "iris.example.com"}, "analysis": of}
    kind = {
        "apiVersion": "rollouts.mlops.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "iris"},
    }
    file.write_text(yaml.safe_dump({**kind, "spec": spec}))
    return file


LABELLED = {"metric": "accuracy", "min": 0.7, "evidence": "Labelled"}
ERRORS = {"metric": "errorRate", "max": 0.01}
LATENCY = {"metric": "latencyP95Seconds", "max": 0.1}
SHIFT = {"metric": "predictionShift", "max": 0.1}
DRIFT = {"metric": "inputDrift", "max": 0.2}
GENERATED: dict[str, tuple[list[dict[str, Any]], list[str], int, str]] = {
    "a good model by its reported accuracy": ([], [], 0, "Promoted after 2 min"),
    "answers and rows as before": ([SHIFT, DRIFT], ["--rps", "60"], 0, "Promoted"),
    "answers otherwise": ([SHIFT], ["--shift", "0.4"], 1, "more than of stable's"),
    "other rows": ([DRIFT], ["--drift", "0.5", "--rps", "60"], 1, "PSI 0.5 of column"),
    "a bad one": ([], ["--accuracy", "0.5"], 1, "RolledBack after 10 s"),
    "a good model by labels": ([LABELLED], ["--accuracy", "0.9"], 0, "Promoted"),
    "a bad one by labels": ([LABELLED], ["--accuracy", "0.5"], 1, "RolledBack"),
    "no traffic, no evidence": ([ERRORS], ["--rps", "0"], 1, "No evidence for 10m"),
    "errors": ([ERRORS], ["--errors", "0.2"], 1, "error rate"),
    "a slow model": ([LATENCY], ["--latency", "0.2"], 1, "p95 latency in seconds"),
    "a first deploy": ([], ["--first-deploy"], 0, "Promoted"),
    "too few labels": ([LABELLED], ["--labels", "0.2"], 1, "minCoverage is 80%"),
    "not worse than stable": (
        [{"metric": "accuracy", "maxDrop": 0.1, "evidence": "Labelled"}],
        ["--accuracy", "0.9", "--stable-accuracy", "0.88", "--rps", "50"],
        0,
        "Promoted",
    ),
}


@pytest.mark.parametrize(
    ("gates", "words", "code", "sentence"), GENERATED.values(), ids=GENERATED.keys()
)
def test_generated(
    simulate: Said,
    tmp_path: Path,
    gates: list[dict[str, Any]],
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    found, out, err = simulate(manifest(tmp_path, *gates), *words)
    assert found == code, out + err
    assert sentence in out.splitlines()[-1]


COPIES: dict[str, tuple[list[str], int, set[int]]] = {
    "alike": ([], 0, {0, 50}),
    "a little otherwise": (["--differs", "0.01"], 0, {0, 50}),
    "otherwise": (["--differs", "0.3"], 1, {0}),
    "no requests, no copies": (["--rps", "0"], 1, {0}),
}


@pytest.mark.parametrize(("words", "code", "weights"), COPIES.values(), ids=COPIES.keys())
def test_a_trial_that_begins_with_copies(
    simulate: Said, tmp_path: Path, words: list[str], code: int, weights: set[int]
) -> None:
    file = manifest(tmp_path, {"metric": "disagreement", "max": 0.05})
    known = yaml.safe_load(file.read_text())
    steps = [{"weight": 0, "shadow": 50, "hold": "60s"}, {"weight": 50, "hold": "60s"}]
    known["spec"]["strategy"] = {"steps": steps}
    file.write_text(yaml.safe_dump(known))
    found, out, err = simulate(file, *words, "-o", "json")
    assert found == code, out + err
    timeline = json.loads(out)["timeline"]
    assert {entry["weight"] for entry in timeline[:-1]} == weights


def test_without_a_route_the_share_is_what_the_pods_come_to(simulate: Said, tmp_path: Path) -> None:
    file = manifest(tmp_path)
    known = yaml.safe_load(file.read_text())
    known["spec"] |= {"traffic": {"provider": "None"}, "replicas": 3}
    file.write_text(yaml.safe_dump(known))
    code, out, err = simulate(file, "-o", "json")
    assert code == 0, err
    shares = [entry["weight"] for entry in json.loads(out)["timeline"]]
    assert list(dict.fromkeys(shares)) == [25, 50, 100], "for weights of 10 and 50"


def test_the_same_seed_gives_the_same_trial(simulate: Said, tmp_path: Path) -> None:
    file = manifest(tmp_path, LABELLED, ERRORS)
    once = simulate(file, "--accuracy", "0.75", "--seed", "4", "-o", "json")
    assert once == simulate(file, "--accuracy", "0.75", "--seed", "4", "-o", "json")
    assert (
        json.loads(once[1])["timeline"]
        != json.loads(simulate(file, "--accuracy", "0.75", "--seed", "5", "-o", "json")[1])[
            "timeline"
        ]
    )


def test_many_trials_tell_how_likely_a_verdict_is(simulate: Said, tmp_path: Path) -> None:
    code, out, _ = simulate(
        manifest(tmp_path, LABELLED), "--accuracy", "0.5", "--runs", "5", "-o", "json"
    )
    (row,) = json.loads(out)
    assert (code, row["verdict"], row["runs"], row["share"]) == (0, "RolledBack", 5, 1.0)


@pytest.mark.parametrize(
    "words", [(), ("-o", "json"), ("-o", "yaml")], ids=["for people", "as JSON", "as YAML"]
)
def test_many_trials_are_told_in_every_format(
    simulate: Said, tmp_path: Path, words: tuple[str, ...]
) -> None:
    code, out, err = simulate(
        manifest(tmp_path, LABELLED), "--accuracy", "0.5", "--runs", "5", *words
    )
    assert (code, err) == (0, "")
    assert "RolledBack" in out
    assert ("longestSeconds" if words else "LONGEST") in out


def series(
    revision: str, values: dict[int, float], name: str = "ml_model_accuracy"
) -> dict[str, Any]:
    labels = {"__name__": name, "namespace": "models", "revision": revision, "pod": f"{revision}-p"}
    return {"metric": labels, "values": [[T + at, str(value)] for at, value in values.items()]}


def reply(*found: dict[str, Any]) -> str:
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": list(found)}}
    )


def every(value: float, begin: int, end: int) -> dict[int, float]:
    return dict.fromkeys(range(begin, end, 5), value)


RECORDED: dict[str, tuple[dict[int, float], int, str]] = {
    "steady and good": (every(0.9, 60, 400), 0, "Promoted after 2 min"),
    "it drops in the second step": (
        every(0.9, 60, 150) | every(0.6, 150, 400),
        1,
        "accuracy 0.6 is below 0.7",
    ),
    "the recording ends too early": (
        every(0.9, 60, 130),
        2,
        "The metrics end here, without a verdict",
    ),
    "samples stop for long": (every(0.9, 60, 80) | every(0.9, 900, 920), 1, "No evidence for 10m"),
}


@pytest.mark.parametrize(("values", "code", "sentence"), RECORDED.values(), ids=RECORDED.keys())
def test_recorded(
    simulate: Said, tmp_path: Path, values: dict[int, float], code: int, sentence: str
) -> None:
    file = tmp_path / "range.json"
    file.write_text(reply(series("old", every(0.8, 0, 400)), series("new", values)))
    found, out, err = simulate("--metrics", file)
    assert found == code, out + err
    assert "Replaying candidate new, stable old" in out
    assert sentence in out.splitlines()[-1]


def test_the_same_as_csv(simulate: Said, tmp_path: Path) -> None:
    file = tmp_path / "range.csv"
    rows = [f"{T + at},ml_model_accuracy,0.5,new,p" for at in range(0, 60, 5)]
    file.write_text("\n".join(["time,name,value,revision,pod", *rows]))
    code, out, _ = simulate("--metrics", file)
    assert (code, "accuracy 0.5 is below 0.7" in out) == (1, True)


def test_an_answer_is_what_a_range_selector_shows(tmp_path: Path) -> None:
    file = tmp_path / "range.json"
    file.write_text(reply(series("new", {0: 0.5, 10: 0.6, 40: 0.7})))
    source = recorded([file])
    from datetime import UTC, datetime

    def at(seconds: float) -> list[tuple[float, float, float]]:
        answer = source.answer(
            Metric.ACCURACY, "candidate", datetime.fromtimestamp(T + seconds, UTC)
        )
        return [(s.at - T, s.value, s.first) for s in answer]  # type: ignore[union-attr]

    assert at(12) == [(10, 0.6, 0.5)]
    assert at(39) == [(10, 0.6, 0.6)], "30 s back, and no further"
    assert at(100) == [(40, 0.7, 0.7)], "scrapes 30 s apart count for 75 s"
    assert at(116) == []


WRONG: dict[str, tuple[str | None, list[str], int, str]] = {
    "no such file": (None, [], 66, "cannot be read"),
    "nothing that a gate reads": (
        reply(series("a", {0: 1}, "up")),
        [],
        64,
        "There is none of the series",
    ),
    "no JSON": ("{", [], 64, "is no recording"),
    "an error of Prometheus": ('{"status":"error"}', [], 64, "is no recording"),
    "a revision that is not in it": (
        reply(series("a", {0: 1})),
        ["--candidate", "b"],
        64,
        "it has a",
    ),
    "many runs of one recording": (
        reply(series("a", {0: 1})),
        ["--runs", "3"],
        64,
        "a recording is what it is",
    ),
}


@pytest.mark.parametrize(("text", "words", "code", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_replayed(
    simulate: Said, tmp_path: Path, text: str | None, words: list[str], code: int, sentence: str
) -> None:
    file = tmp_path / "range.json"
    if text is not None:
        file.write_text(text)
    found, _, err = simulate("--metrics", file, *words)
    assert (found, sentence in err) == (code, True), err


def test_a_manifest_that_would_be_refused_is_not_simulated(simulate: Said, tmp_path: Path) -> None:
    code, _, err = simulate(manifest(tmp_path, {"metric": "accuracy", "min": 7}))
    assert code == 64
    assert "would be refused: spec.analysis.gates[0]" in err


METRICS = """
metrics:
  conversionRate: {counts: Share, better: Higher, query: orders_total, samples: visits_total}
  refundsLately:
    counts: Share
    better: Lower
    query: sum by (namespace, revision) (increase(refunds_total[1m]))
    samples: sum by (namespace, revision) (increase(orders_total[1m]))
  revenue:
    counts: Mean
    better: Higher
    unit: EUR
    query: revenue_total
    samples: visits_total
    squares: revenue_squared_total
    bounds: {min: 0, max: 100}
  spentLately:
    counts: Mean
    better: Higher
    query: sum by (namespace, revision) (increase(revenue_total[1m]))
    samples: sum by (namespace, revision) (increase(visits_total[1m]))
  p99:
    counts: Percentile
    better: Lower
    by: Pod
    query: histogram_quantile(0.99, sum by (namespace, pod, le) (rate(x_bucket[1m])))
    samples: sum by (namespace, pod) (increase(x_count[1m]))
  queue: {counts: Gauge, better: Lower, query: queue_size}
models: {values: {max: 50, better: Higher}}
"""
RATE = {"metric": "conversionRate", "min": 0.2, "evidence": "Labelled"}
RATE_DROP = {"metric": "conversionRate", "maxDrop": 0.1, "evidence": "Labelled"}
REFUNDS = {"metric": "refundsLately", "max": 0.1}
REVENUE = {"metric": "revenue", "min": 20, "evidence": "Labelled", "maxSamples": 20000}
REVENUE_DROP = {"metric": "revenue", "maxDrop": 15, "evidence": "Labelled", "maxSamples": 20000}
VALUE = {"metric": "value", "min": 5, "evidence": "Labelled"}
OWN: dict[str, tuple[dict[str, Any], str, int, str]] = {
    "a share by counts": (RATE, "conversionRate=0.4", 0, "Promoted"),
    "too low a share by counts": (RATE, "conversionRate=0.05", 1, "conversionRate"),
    "a share beside stable": (RATE_DROP, "conversionRate=0.4:0.4", 0, "Promoted"),
    "a share below stable's": (RATE_DROP, "conversionRate=0.1:0.6", 1, "conversionRate"),
    "a share of a range": (REFUNDS, "refundsLately=0.01", 0, "Promoted"),
    "too great a share of a range": (REFUNDS, "refundsLately=0.4", 1, "refundsLately 0.4"),
    "a mean by its values": (REVENUE, "revenue=40", 0, "Promoted"),
    "too low a mean": (REVENUE, "revenue=5", 1, "EUR on average"),
    "a mean beside stable": (REVENUE_DROP, "revenue=50:50", 0, "Promoted"),
    "a mean below stable's": (REVENUE_DROP, "revenue=10:60", 1, "worse than stable"),
    "a mean of a range": ({"metric": "spentLately", "min": 5}, "spentLately=9", 0, "Promoted"),
    "a range below stable's": (
        {"metric": "spentLately", "maxDrop": 2},
        "spentLately=5:9",
        1,
        "4 worse than stable's 9",
    ),
    "a percentile": ({"metric": "p99", "max": 0.5}, "p99=0.2", 0, "Promoted"),
    "too slow": ({"metric": "p99", "max": 0.5}, "p99=0.9", 1, "p99 0.9 is above"),
    "a gauge": ({"metric": "queue", "max": 5}, "queue=9", 1, "queue 9 is above 5"),
    "values of feedback": (VALUE, "value=20", 0, "Promoted"),
}


@pytest.fixture
def values(tmp_path: Path) -> Path:
    file = tmp_path / "values.yaml"
    file.write_text(METRICS)
    return file


@pytest.mark.parametrize(("gate", "own", "code", "words"), OWN.values(), ids=OWN.keys())
def test_what_gates_make_of_metrics_of_ones_own(
    simulate: Said,
    tmp_path: Path,
    values: Path,
    gate: dict[str, Any],
    own: str,
    code: int,
    words: str,
) -> None:
    file = manifest(tmp_path, gate)
    said = simulate(file, "--values", values, "--own", own, "--rps", "40")
    assert said[0] == code, said
    assert words in said[1]


MISTAKEN: dict[str, tuple[list[str], bool, str]] = {
    "nobody says what it is": (["--own", "p99=1"], False, "of --values, the metrics are: none"),
    "no values": ([], False, "say what it is by --values, the chart's values"),
    "nobody says what it comes to": ([], True, "Nothing says what conversionRate comes to"),
    "no value": (["--own", "conversionRate"], True, "gives no metric a value: write --own"),
    "no number": (["--own", "conversionRate=much"], True, "write a number from 0 to 1"),
    "no share": (["--own", "conversionRate=4"], True, "write a number from 0 to 1"),
    "beyond its bounds": (["--own", "revenue=5:101"], True, "write a number from 0 to 100"),
    "infinite": (["--own", "spentLately=inf"], True, "write a number."),
    "another name": (["--own", "conversion=0.4"], True, "the metrics are: conversionRate, p99"),
}


@pytest.mark.parametrize(("words", "known", "why"), MISTAKEN.values(), ids=MISTAKEN.keys())
def test_a_mistake_in_metrics_of_ones_own_is_told(
    simulate: Said, tmp_path: Path, values: Path, words: list[str], known: bool, why: str
) -> None:
    more = ["--values", values] if known else []
    code, _, err = simulate(manifest(tmp_path, RATE), *more, *words)
    assert code == 64
    assert why in " ".join(err.split())


def test_gates_that_the_metrics_do_not_bear_are_refused(
    simulate: Said, tmp_path: Path, values: Path
) -> None:
    wrong = manifest(tmp_path, {"metric": "p99", "min": 0.5})
    _, _, err = simulate(wrong, "--values", values, "--own", "p99=1")
    assert "spec.analysis.gates[0]: of p99 lower values are better" in " ".join(err.split())
