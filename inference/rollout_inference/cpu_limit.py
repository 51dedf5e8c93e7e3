"""How often the kernel holds the pod back because of its CPU limit, from the cgroup's cpu.stat.

Source: docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files; version 1 has the same names
in a folder of the controller's.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from rollout_inference.control_group import CGROUPS, OWN, folders

PERIODS, THROTTLED = "nr_periods", "nr_throttled"
SERIES = {
    "ml_cpu_periods": "Periods of 0.1 s in which the pod wanted CPU",
    "ml_cpu_throttled_periods": "Those in which its CPU limit held it back",
}
"""What the two are exported as, and their help."""


def files(root: Path = CGROUPS, own: Path = OWN) -> tuple[Path, ...]:
    """Where the process' own cpu.stat is, by version 2 and 1, and those of the groups around."""
    found = folders(root, own)
    for name in ("cpu", "cpu,cpuacct"):
        found += folders(root / name, own, "cpu")
    return tuple(folder / "cpu.stat" for folder in found)


def read(files: Iterable[Path]) -> tuple[int, int] | None:
    """Periods in which the pod wanted CPU, and those of them in which it used up its limit; None
    where no file tells.
    """
    for file in files:
        try:
            lines = (line.split() for line in file.read_text().splitlines())
            found = {line[0]: int(line[1]) for line in lines if len(line) == 2}
        except (OSError, ValueError):
            continue
        if PERIODS in found and THROTTLED in found:
            return found[PERIODS], found[THROTTLED]
    return None


class CpuLimit(Collector):
    """The two counters, read when they are asked for; nothing where no file tells."""

    def __init__(
        self, names: tuple[str, ...], labels: tuple[str, ...], files: Iterable[Path]
    ) -> None:
        self._names, self._labels, self._files = names, labels, tuple(files)

    def collect(self) -> Iterator[Metric]:
        """Both counters with the names and values of the labels."""
        if (told := read(self._files)) is None:
            return
        for (name, what), value in zip(SERIES.items(), told, strict=True):
            family = CounterMetricFamily(name, what, labels=self._names)
            family.add_metric(self._labels, value)
            yield family
