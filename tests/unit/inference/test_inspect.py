"""A version is looked at before it is tried: its digest, its flavours, and who will serve it."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from rollout_inference.loading import inspect_model
from rollout_inference.loading.inspect_model import LONGEST, Inspection
from rollout_model.artifact import MOST_TEXT
from rollout_model.digest import tree_digest


def asked(folder: Path, log: Path, patch: pytest.MonkeyPatch) -> tuple[int, Inspection]:
    """Exit code and answer, as Kubernetes would read it."""
    patch.setenv("TERMINATION_LOG", str(log))
    patch.setenv("MODEL_URI", "models:/iris/1")
    code = inspect_model.main(folder)
    return code, Inspection(**json.loads(log.read_text()))


def test_what_can_be_served_says_its_digest_and_its_runtime(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, found = asked(copy, tmp_path / "log", monkeypatch)
    assert code == 0
    assert found.digest == tree_digest(copy)
    assert found.serves == "onnx"
    assert not found.trouble
    assert found.flavors == ["python_function", "sklearn"]
    assert json.loads(found.signature)[0]["name"] == "sepal_length"
    assert found.bytes > 1000
    assert found.points > 100
    assert found.packages == []


def test_what_cannot_be_served_says_why_and_its_digest_all_the_same(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = yaml.safe_load((copy / "MLmodel").read_text())
    described["flavors"] = {"pytorch": {}, "python_function": {"loader_module": "mlflow.pytorch"}}
    (copy / "MLmodel").write_text(yaml.safe_dump(described))
    code, found = asked(copy, tmp_path / "log", monkeypatch)
    assert code == 1
    assert "pytorch" in found.trouble
    assert found.serves == ""
    assert found.digest == tree_digest(copy)


REQUIRED = {
    "what the server has": ("numpy\nscikit-learn>=1\n", []),
    "another version": (
        "scikit-learn==1.6.1\n",
        [f"scikit-learn==1.6.1, and the server has {version('scikit-learn')}"],
    ),
    "a package that is not here": (
        "imbalanced_learn==0.14.2\n",
        ["imbalanced_learn==0.14.2, which the server lacks"],
    ),
    "MLflow, which the server has as mlflow-skinny": ("mlflow==2.22.0\n", []),
    "XGBoost, which the server has as xgboost-cpu": (
        f"xgboost=={version('xgboost-cpu')}\nxgboost==1.0\n",
        [f"xgboost==1.0, and the server has {version('xgboost-cpu')}"],
    ),
    "what is for another system": ('pywin32==300 ; sys_platform == "win32"\n', []),
    "options, comments, and nothing": ("--extra-index-url x\n# a comment\n\n-r other.txt\n", []),
}


@pytest.mark.parametrize(("lines", "otherwise"), REQUIRED.values(), ids=REQUIRED.keys())
def test_packages_that_the_server_has_otherwise_are_named(
    lines: str,
    otherwise: list[str],
    copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (copy / "requirements.txt").write_text(lines)
    _, found = asked(copy, tmp_path / "log", monkeypatch)
    assert found.packages == otherwise


def test_a_folder_without_a_model_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    code, found = asked(tmp_path / "empty", tmp_path / "log", monkeypatch)
    assert code == 1
    assert "holds no file" in found.trouble
    assert found.digest == ""


def test_an_mlmodel_that_is_too_large_is_said_and_not_read(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (copy / "MLmodel").open("a") as file:
        file.write("# " + "x" * MOST_TEXT + "\n")
    code, found = asked(copy, tmp_path / "log", monkeypatch)
    assert code == 1
    assert f"MLmodel has more than {MOST_TEXT} bytes" in found.trouble
    assert found.flavors == []
    assert found.digest == tree_digest(copy)


def test_a_model_that_is_too_large_is_not_even_hashed(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_MAX_BYTES", "1000")
    code, found = asked(copy, tmp_path / "log", monkeypatch)
    assert code == 1
    assert "The model is too large" in found.trouble
    assert found.digest == ""


def test_a_link_out_of_the_folder_is_refused(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "link").symlink_to("/etc/hostname")
    code, found = asked(copy, tmp_path / "log", monkeypatch)
    assert code == 1
    assert "symbolic link" in found.trouble


LARGE = {
    "a signature of many columns": Inspection("sha256:0", signature="x" * 9000),
    "a long reason": Inspection("sha256:0", reason="ö" * 4000, signature="x" * 3000),
    "many flavours": Inspection("sha256:0", flavors=["flavour"] * 2000),
    "a long trouble": Inspection("sha256:0", trouble="ä" * 9000),
    "a trouble of four bytes a character": Inspection("sha256:0", trouble="🌸" * 1200),
    "a trouble of quotation marks": Inspection("sha256:0", trouble='"' * 3000),
}


@pytest.mark.parametrize("found", LARGE.values(), ids=LARGE.keys())
def test_an_answer_is_never_longer_than_kubernetes_keeps(found: Inspection) -> None:
    text = found.to_json()
    assert len(text.encode()) <= LONGEST
    read = Inspection(**json.loads(text))
    assert read.digest == "sha256:0"
    assert bool(read.trouble) == bool(found.trouble)


def test_the_model_is_read_from_the_folder_whatever_the_uri(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step before has fetched it: nothing here may need the registry, or credentials."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    moved = tmp_path / "volume"
    shutil.copytree(copy, moved)
    assert asked(moved, tmp_path / "log", monkeypatch)[0] == 0
