"""The notebooks, executed from top to bottom in a folder of their own; what they assert holds."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    found: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return found


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_the_notebooks_are_there() -> None:
    assert [p.stem for p in NOTEBOOKS] == ["01_exploration", "02_experiment", "03_evaluation"]


def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that raises fails the test with its traceback. Neither the checkout nor the user's own
    MLflow is written to.
    """
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "data").symlink_to(ROOT / "data", target_is_directory=True)
    (tmp_path / "trainer").symlink_to(ROOT / "trainer", target_is_directory=True)
    notebook = read(path)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [c for c in notebook.cells if c.cell_type == "code" and c.source]
    assert code
    assert all(c.execution_count for c in code)


def test_a_notebook_is_kept_without_what_it_printed(path: Path) -> None:
    notebook = read(path)
    kept = [
        c.id for c in notebook.cells if c.cell_type == "code" and (c.outputs or c.execution_count)
    ]
    assert not kept, (
        "clear all outputs before committing: they grow stale, and their differences cannot be read"
    )
