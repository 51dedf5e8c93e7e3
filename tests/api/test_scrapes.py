"""Every kind of gate on a real Prometheus, whose past was scraped every 15, 30 and 60 s by one job
and by two.
"""

import itertools
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import urllib3

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.gates import promql
from rollout_operator.domain.observed import MetricsUnreachable, Series
from scripts.cluster.apiserver import free_port
from tests.support.builders import START
from tests.support.charts import tool
from tests.support.scraping import GATES, Scrapes, looks, values

ALL = [
    Scrapes(every, every * share, jobs, good)
    for every, jobs, (share, good) in itertools.product(
        (15, 30, 60), (1, 2), ((0.6, True), (0.6, False), (0.3, True))
    )
]
"""A good and a bad candidate, and a stable revision that is scraped at other moments."""
REVISIONS = {one: f"r{n}" for n, one in enumerate(ALL)}
PASSED, FAILED = "Pass", "Fail"


def samples() -> Iterator[str]:
    """All that was scraped, as OpenMetrics with times."""
    by_name: dict[str, list[str]] = {}
    for one, revision in REVISIONS.items():
        for job in range(one.jobs):
            for moment in one.times(job):
                for (name, le, outcome), value in values(moment, one.good).items():
                    labels = {
                        "namespace": "models",
                        "revision": revision,
                        "pod": "a",
                        "instance": "10.0.0.1:8080",
                        "job": f"job-{job}",
                    }
                    more = {k: v for k, v in (("le", le), ("outcome", outcome)) if v}
                    said = ",".join(f'{k}="{v}"' for k, v in {**labels, **more}.items())
                    by_name.setdefault(name, []).append(
                        f"{name}{{{said}}} {value} {START.timestamp() + moment:.3f}"
                    )
    for lines in by_name.values():
        yield from lines
    yield "# EOF"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that has them."""
    home = tmp_path_factory.mktemp("prometheus")
    (home / "samples.txt").write_text("\n".join(samples()) + "\n")
    made: list[str | Path] = [
        tool("promtool"),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        home / "samples.txt",
        home / "data",
    ]
    done = subprocess.run(made, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (home / "prometheus.yml").write_text("{}")
    address = f"127.0.0.1:{free_port()}"
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(_serving(home, address), stdout=log, stderr=log) as process,
    ):
        try:
            _ready(f"http://{address}/-/ready", home / "log")
            yield f"http://{address}"
        finally:
            process.terminate()


def _serving(home: Path, address: str) -> list[str | Path]:
    options = {
        "config.file": home / "prometheus.yml",
        "storage.tsdb.path": home / "data",
        "web.listen-address": address,
    }
    return [
        tool("prometheus"),
        *(f"--{name}={value}" for name, value in options.items()),
        "--storage.tsdb.retention.time=100y",
    ]


def _ready(url: str, log: Path) -> None:
    for _ in range(600):
        try:
            if urllib3.request("GET", url, retries=False, timeout=5).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
def test_a_real_prometheus_gives_the_same_verdicts(prometheus: str, gate: dict[str, Any]) -> None:
    asked, pool = Gate.model_validate(gate), urllib3.PoolManager()

    @cache
    def ask(one: Scrapes, now: float, back: float) -> tuple[Series, ...]:
        fields = {
            "query": promql.query(Metric(asked.metric), back, revision=REVISIONS[one]),
            "time": f"{START.timestamp() + now:.3f}",
        }
        reply = pool.request(
            "POST", f"{prometheus}/api/v1/query", fields=fields, encode_multipart=False
        )
        found = promql.read(reply.status, reply.data)
        assert not isinstance(found, MetricsUnreachable), found
        return found.get(("models", REVISIONS[one]), ())

    for every, jobs, good, interval in itertools.product(
        (15, 30, 60), (1, 2), (True, False), (15, 60)
    ):
        ours, theirs = (
            Scrapes(every, every * 0.6, jobs, good),
            Scrapes(every, every * 0.3, jobs, good=True),
        )
        real, played = (
            looks(asked, interval, ours, theirs, ask),
            looks(asked, interval, ours, theirs),
        )
        case = (
            f"scraped every {every} s by {jobs}, looked at every {interval} s,"
            f" {'good' if good else 'bad'}"
        )
        assert [(look, said.measurement) for look, said in real] == [
            (look, said.measurement) for look, said in played
        ], case
        assert real[-1][1].measurement == (PASSED if good else FAILED), (case, real[-1][1].message)
