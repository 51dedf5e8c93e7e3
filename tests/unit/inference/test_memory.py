"""What does not fit into the pod's memory is not tried: it is said what the model needs, or
scikit-learn serves.
"""

import shutil
from pathlib import Path

import pytest

from rollout_inference.loading import loader, memory
from rollout_inference.settings import Settings
from rollout_model.artifact import verify
from rollout_model.errors import LoadFailed
from rollout_model.load_policy import LoadPolicy
from tests.unit.inference.datasets import IRIS, NAMES

MIB = memory.MIB


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        pytest.param({"memory.max": "268435456"}, "0::/", 256 * MIB, id="a container's"),
        pytest.param({"memory.max": "max"}, "0::/", None, id="none"),
        pytest.param({}, "0::/", None, id="no control groups"),
        pytest.param(
            {"a/memory.max": "max", "memory.max": "1048576"},
            "0::/a",
            MIB,
            id="of a group around it",
        ),
        pytest.param(
            {"a/memory.max": "1048576", "memory.max": "4194304"},
            "0::/a",
            MIB,
            id="its own, which is lower",
        ),
        pytest.param(
            {"memory/memory.limit_in_bytes": "1048576"},
            "4:memory:/pods/1",
            MIB,
            id="version 1, a container's",
        ),
        pytest.param(
            {"memory/a/memory.limit_in_bytes": "1048576"},
            "4:cpu,memory:/a",
            MIB,
            id="version 1, a group",
        ),
        pytest.param(
            {"memory/memory.limit_in_bytes": "9223372036854771712"},
            "4:memory:/",
            None,
            id="version 1, none",
        ),
    ],
)
def test_the_limit_is_what_the_kernel_says(
    tmp_path: Path, files: dict[str, str], own: str, expected: int | None
) -> None:
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(content + "\n")
    (tmp_path / "own").write_text(own + "\n")
    assert memory.limit(tmp_path / "groups", tmp_path / "own") == expected


def test_a_model_of_iris_fits_into_what_is_requested_where_nothing_else_is_said(copy: Path) -> None:
    artifact = verify(copy, LoadPolicy())
    for need in (
        memory.serving(copy / "onnx" / "model.onnx"),
        memory.reading(artifact),
        memory.converting(artifact),
    ):
        assert need.least < need.usual <= 256 * MIB


async def test_a_conversion_that_does_not_fit_is_not_tried(copy: Path, tmp_path: Path) -> None:
    """205 MiB: scikit-learn fits, the converter does not."""
    shutil.rmtree(copy / "onnx")
    model = await loader.load(_limited(copy, tmp_path, 205))
    assert (model.runtime.name, model.plan.points) == ("sklearn", 0)
    assert model.plan.reason.startswith("not converted: that needs about 2")
    assert model.plan.reason.endswith(
        "MiB, and the limit is 205 MiB: raise spec.resources.limits.memory"
    )
    assert model.runtime.run(IRIS.data.to_numpy()[:150:50]).labels == NAMES.tolist()


@pytest.mark.parametrize(
    ("carried", "limit"),
    [
        pytest.param(False, 100, id="with a conversion to make"),
        pytest.param(True, 30, id="with a conversion"),
    ],
)
async def test_a_model_that_does_not_fit_says_what_it_needs(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carried: bool, limit: int
) -> None:
    if not carried:
        shutil.rmtree(copy / "onnx")
    monkeypatch.setattr(loader, "child", None)
    sentence = (
        rf"^The model needs about 1\d\d MiB, and the limit is {limit} MiB: raise"
        r" spec\.resources\.limits\.memory\.$"
    )
    with pytest.raises(LoadFailed, match=sentence):
        await loader.load(_limited(copy, tmp_path, limit))


async def test_a_conversion_that_is_there_needs_less(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "child", None)
    assert (await loader.load(_limited(copy, tmp_path, 100))).runtime.name == "onnx"


def _limited(model: Path, folder: Path, mib: int) -> Settings:
    """Settings of a pod with this limit, in MiB."""
    (folder / "memory.max").write_text(f"{mib * MIB}\n")
    return Settings(model_path=model, cgroups=folder)
