"""How often a CPU limit holds a pod back, as its cgroup tells."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from rollout_inference.cpu_limit import CpuLimit, files, read

V2 = "usage_usec 91\nuser_usec 60\nnr_periods 40\nnr_throttled 10\nthrottled_usec 7\n"
V1 = "nr_periods 40\nnr_throttled 10\nthrottled_time 7000\n"
FILES: dict[str, tuple[list[str | None], tuple[int, int] | None]] = {
    "version 2": ([V2], (40, 10)),
    "version 1": ([None, V1], (40, 10)),
    "the first that tells": ([V1, "nr_periods 1\nnr_throttled 1\n"], (40, 10)),
    "version 2 of the root, which has no limit": (["usage_usec 91\n"], None),
    "no file": ([None, None], None),
    "something else": (["nr_periods many\n"], None),
    "empty": ([""], None),
}


@pytest.mark.parametrize(("texts", "expected"), FILES.values(), ids=FILES.keys())
def test_what_cpu_stat_says(
    texts: list[str | None], expected: tuple[int, int] | None, tmp_path: Path
) -> None:
    there = [tmp_path / str(n) for n in range(len(texts))]
    for file, text in zip(there, texts, strict=True):
        if text is not None:
            file.write_text(text)
    assert read(there) == expected
    registry = CollectorRegistry()
    registry.register(CpuLimit(("model",), ("iris",), there))
    shown = generate_latest(registry).decode()
    told = {
        line
        for line in shown.splitlines()
        if line.startswith("ml_cpu") and not line.startswith("#") and "_created" not in line
    }
    assert told == (
        {
            'ml_cpu_periods_total{model="iris"} 40.0',
            'ml_cpu_throttled_periods_total{model="iris"} 10.0',
        }
        if expected is not None
        else set()
    )


PLACES = {
    "version 2, in a container": ("0::/\n", "cpu.stat"),
    "version 2, beside others": ("0::/kubepods/pod1\n", "kubepods/pod1/cpu.stat"),
    "version 1, in a container that sees its own group as the root": (
        "4:cpu,cpuacct:/kubepods/pod1\n",
        "cpu/cpu.stat",
    ),
    "version 1, beside others": (
        "4:cpu,cpuacct:/kubepods/pod1\n",
        "cpu,cpuacct/kubepods/pod1/cpu.stat",
    ),
}


@pytest.mark.parametrize(("own", "place"), PLACES.values(), ids=PLACES.keys())
def test_it_is_the_process_own_group_that_is_read(own: str, place: str, tmp_path: Path) -> None:
    root, said = tmp_path / "cgroup", tmp_path / "own"
    said.write_text(own)
    (root / place).parent.mkdir(parents=True)
    (root / place).write_text(V2)
    assert read(files(root, said)) == (40, 10)
