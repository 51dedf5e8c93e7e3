"""Metrics and parameters of MLflow runs, by MLflow's REST API.

MLflow knows nothing of Kubernetes' rights: whoever may read a rollout is shown the runs of its two
versions, and no other. In a cluster no credentials are sent; on loopback the viewer's own.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import urllib3

from rollout_cli.exit_codes import Unreachable
from rollout_cli.view.formatting import share

TIMEOUT = 5.0
LARGEST = 1024 * 1024
"""Bytes of an answer."""
MOST, LONGEST = 200, 300
"""Metrics or parameters of a run, and characters of a value."""
RUN = re.compile(r"[0-9A-Za-z]{1,64}")


@dataclass(frozen=True, slots=True)
class Run:
    """What is shown of a run."""

    metrics: Mapping[str, str] = field(default_factory=dict)
    """The last value of each."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """As they were logged; those of the data among them."""


class Runs:
    """The runs of one MLflow."""

    def __init__(self, url: str, authorization: str = "") -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": authorization} if authorization else {}
        self._pool = urllib3.PoolManager(retries=False, timeout=TIMEOUT)

    def read(self, run: str) -> Run:
        """The run of this id; an empty one where there is no id. Raises Unreachable."""
        if not RUN.fullmatch(run):
            return Run()
        place = f"MLflow ({urlsplit(self._url).netloc.rpartition('@')[2]})"
        try:
            reply = self._pool.request(
                "GET",
                f"{self._url}/api/2.0/mlflow/runs/get",
                fields={"run_id": run},
                headers=self._headers,
                preload_content=False,
                redirect=False,
            )
            body = reply.read(LARGEST + 1)
            reply.release_conn()
        except (OSError, urllib3.exceptions.HTTPError) as failure:
            raise Unreachable(f"{place} did not answer: {type(failure).__name__}.") from failure
        if reply.status != 200 or len(body) > LARGEST:
            raise Unreachable(f"{place} answered HTTP {reply.status} for run {run}.")
        try:
            return read_run(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as failure:
            raise Unreachable(f"{place} answered with something else than a run.") from failure


def read_run(answer: Any) -> Run:
    """The run of an answer. Raises KeyError, TypeError, AttributeError or ValueError where it is
    none.
    """
    data = answer["run"]["data"]
    metrics = {str(m["key"]): _number(m["value"]) for m in data.get("metrics", [])[:MOST]}
    parameters = {str(p["key"]): str(p["value"])[:LONGEST] for p in data.get("params", [])[:MOST]}
    return Run(metrics, parameters)


def _number(value: object) -> str:
    number = float(str(value))
    return share(number) if math.isfinite(number) else str(value)
