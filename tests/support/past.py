"""A past that was scraped as companies have it, for real servers to be asked about."""

import itertools
from collections.abc import Iterable, Iterator

from tests.support.builders import START
from tests.support.scraping import Scrapes, values

NAMESPACE = "models"
EVERY = (15, 30, 60)
"""Seconds between scrapes."""
JOBS = (1, 2)
GOOD, BAD, STABLE = (0.6, True), (0.6, False), (0.3, True)
"""A good and a bad candidate, and a stable revision that is scraped at other moments: the first
scrape as a share of an interval, and whether it is good.
"""


def scraped(every: int, jobs: int, who: tuple[float, bool]) -> Scrapes:
    """The scrapes of a pod of one of them."""
    share, good = who
    return Scrapes(every, every * share, jobs, good)


def all_scrapes(every: Iterable[int] = EVERY) -> list[Scrapes]:
    """Every kind of pod, scraped so far apart."""
    kinds = itertools.product(every, JOBS, (GOOD, BAD, STABLE))
    return [scraped(*kind) for kind in kinds]


def name(one: Scrapes) -> str:
    """The revision that stands for it."""
    return f"r-{one.every}-{one.jobs}-{one.late:g}-{'good' if one.good else 'bad'}"


def openmetrics(known: Iterable[Scrapes]) -> Iterator[str]:
    """All that was scraped, as OpenMetrics with times."""
    by_name: dict[str, list[str]] = {}
    for one in known:
        for job in range(one.jobs):
            for moment in one.times(job):
                for (series, le, outcome, of), value in values(moment, one.good).items():
                    labels = {
                        "namespace": NAMESPACE,
                        "revision": name(one),
                        "pod": "a",
                        "instance": "10.0.0.1:8080",
                        "job": f"job-{job}",
                    }
                    own = (("le", le), ("outcome", outcome), ("bin", of))
                    more = {k: v for k, v in own if v}
                    said = ",".join(f'{k}="{v}"' for k, v in {**labels, **more}.items())
                    by_name.setdefault(series, []).append(
                        f"{series}{{{said}}} {value} {START.timestamp() + moment:.3f}"
                    )
    for lines in by_name.values():
        yield from lines
    yield "# EOF"
