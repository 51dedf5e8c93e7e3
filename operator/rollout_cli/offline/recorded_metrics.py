"""Recorded metrics: replies of Prometheus' range API, or CSV; and what an instant query would have
answered at a moment in between.
"""

import csv
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rollout_cli.exit_codes import Absent, WrongUsage
from rollout_cli.offline.simulator import CANDIDATE, STABLE
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.gates.promql import NAMES
from rollout_operator.domain.gates.samples import window
from rollout_operator.domain.observed import Answer, Series

KNOWN = frozenset(name for names in NAMES.values() for name in names)
HOW = (
    "record it with `curl -s PROMETHEUS/api/v1/query_range -d 'query={revision=~\".+\"}' -d start=…"
    " -d end=… -d step=5`, or write a CSV with the columns time,name,value and, where they matter,"
    " revision,pod,source,outcome,le,bin"
)


@dataclass(frozen=True, slots=True)
class Track:
    """One series."""

    labels: Mapping[str, str]
    """All of them; `__name__` is the metric's name."""
    times: tuple[float, ...]
    """Unix seconds, ascending."""
    values: tuple[float, ...]
    """One for each of the times."""

    def at(self, now: float) -> Series | None:
        """As the operator's range selector shows it at `now`; None without a sample then."""
        end = bisect_right(self.times, now)
        gap = self.times[end - 1] - self.times[end - 2] if end > 1 else 0.0
        begin = bisect_right(self.times, now - window(gap))
        if begin == end:
            return None
        of = self.labels
        return Series(
            name=of["__name__"],
            pod=of.get("pod", ""),
            at=self.times[end - 1],
            value=self.values[end - 1],
            source=of.get("source", ""),
            le=of.get("le", ""),
            outcome=of.get("outcome", ""),
            bin=of.get("bin", ""),
            first=self.values[begin],
            gap=gap if end - begin > 1 else 0.0,
        )


@dataclass
class Recording:
    """Tracks of a candidate and of a stable revision, as a source for a replay."""

    tracks: list[Track]
    """In the order of the files; only series that gates read."""
    revisions: Mapping[str, str]
    """Revision by role: candidate, stable."""
    start: datetime
    """A second before the candidate's first sample."""
    end: datetime | None
    """Time of the candidate's last sample; None for a recording without end."""
    _by_role: dict[tuple[str, str], list[Track]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        roles = {revision: role for role, revision in self.revisions.items()}
        for track in self.tracks:
            if (role := roles.get(track.labels.get("revision", ""))) is not None:
                self._by_role.setdefault((role, track.labels["__name__"]), []).append(track)

    def advance(self, now: datetime, weight: int, copied: int) -> None:
        """What was recorded does not depend on the weight now, nor on copies."""

    def answer(self, metric: str, role: str, now: datetime) -> Answer:
        """What Prometheus would have answered."""
        tracks = [t for name in NAMES[Metric(metric)] for t in self._by_role.get((role, name), ())]
        return tuple(s for t in tracks if (s := t.at(now.timestamp())) is not None)


def recorded(
    files: Iterable[Path], candidate: str | None = None, stable: str | None = None
) -> Recording:
    """Read a recording. The candidate is the revision that appears last, unless named. Raises
    Absent and WrongUsage.
    """
    tracks = [track for file in files for track in _read(file)]
    known = [t for t in tracks if t.labels.get("__name__") in KNOWN and t.times]
    if not known:
        raise WrongUsage(f"There is none of the series {', '.join(sorted(KNOWN))} in it: {HOW}.")
    first: dict[str, float] = {}
    for track in known:
        revision = track.labels.get("revision", "")
        first[revision] = min(track.times[0], first.get(revision, track.times[0]))
    for name in (candidate, stable):
        if name is not None and name not in first:
            raise WrongUsage(
                f"The recording has no revision {name!r}: it has {', '.join(sorted(first))}."
            )
    by_age = sorted(first, key=lambda revision: first[revision])
    chosen = candidate if candidate is not None else by_age[-1]
    others = [r for r in by_age if r != chosen]
    base = stable if stable is not None else others[-1] if others else None
    ends = [t.times[-1] for t in known if t.labels.get("revision", "") == chosen]
    # Only samples later than the moment at which pods are Ready count: that moment is just before
    # the first of them.
    start = datetime.fromtimestamp(first[chosen] - 1, tz=UTC)
    roles = {CANDIDATE: chosen, **({STABLE: base} if base is not None else {})}
    return Recording(known, roles, start, datetime.fromtimestamp(max(ends), tz=UTC))


def _read(file: Path) -> list[Track]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise Absent(
            f"{file} cannot be read:"
            f" {getattr(failure, 'strerror', None) or 'it is not UTF-8 text'}."
        ) from failure
    try:
        return _of_json(json.loads(text)) if text.lstrip().startswith(("{", "[")) else _of_csv(text)
    except (ValueError, KeyError, TypeError, IndexError) as failure:
        raise WrongUsage(
            f"{file} is no recording ({type(failure).__name__}: {failure}): {HOW}."
        ) from failure


def _of_json(value: Any) -> list[Track]:
    """One reply of the range API, or a list of them."""
    if isinstance(value, list):
        return [track for reply in value for track in _of_json(reply)]
    return [
        _track(series["metric"], [(float(at), float(v)) for at, v in series["values"]])
        for series in value["data"]["result"]
    ]


def _of_csv(text: str) -> list[Track]:
    samples: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for row in csv.DictReader(text.splitlines()):
        time, name, value = row.pop("time"), row.pop("name"), row.pop("value")
        labels = {"__name__": name, **{k: v for k, v in row.items() if v}}
        samples.setdefault(tuple(sorted(labels.items())), []).append((_moment(time), float(value)))
    return [_track(dict(labels), points) for labels, points in samples.items()]


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _track(labels: Mapping[str, str], points: list[tuple[float, float]]) -> Track:
    ordered = sorted(points)
    return Track(labels, tuple(at for at, _ in ordered), tuple(value for _, value in ordered))
