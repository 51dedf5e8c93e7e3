"""validate, prepare and draft as they are typed: exit codes, sentences, files."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rollout_trainer.__main__ import main
from tests.unit.trainer.samples import CONTRACT, RAW, ROOT, weighed

BAD = "sepal_length,sepal_width,petal_length,petal_width,species\n5.1,35,1.4,0.2,<b>setosa\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data/raw and data/contracts, as a user's repository has them."""
    for folder in ("raw", "contracts"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    (tmp_path / "data/raw/iris.csv").write_bytes(RAW.read_bytes())
    (tmp_path / "data/contracts/iris.yaml").write_bytes(CONTRACT.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_validate_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run("validate", "--sample")
    assert result.exit_code == 0, result.output
    assert "meets its contract" in result.output
    assert "drift" in result.output, "the processed data is the reference"


def test_validate_a_bad_file(project: Path) -> None:
    Path("data/raw/iris.csv").write_text(BAD)
    result = run("validate", "data/raw/iris.csv", "--html", "build/report.html")
    assert result.exit_code == 1
    assert "35.0 in row 2" in result.output
    assert "breaks its contract" in result.output
    page = Path("build/report.html").read_text()
    assert "<b>" not in page, "what stands in the data is no markup"
    assert "&lt;b&gt;setosa" in page
    parser = HTMLParser()
    parser.feed(page)
    assert page.count("<tr>") == page.count("</tr>")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(["validate"], "Name a CSV file, or give --sample", id="nothing to validate"),
        pytest.param(["validate", "x.csv", "--sample"], "either a file or --sample", id="two things"),
        pytest.param(["validate", "data/raw/none.csv"], "has no contract", id="no such file"),
        pytest.param(
            ["validate", "data/raw/none.csv", "--contract", "data/contracts/iris.yaml"], "cannot be read", id="a contract, no data"
        ),
        pytest.param(["validate", "data/raw/iris.csv", "--contract", "none.yaml"], "cannot be read", id="no such contract"),
        pytest.param(["validate", "data/raw/iris.csv", "--reference", "none.csv"], "cannot be read", id="no such reference"),
        pytest.param(["prepare", "data/raw/iris.csv", "--output", "data/raw/iris.csv"], "would be overwritten", id="onto itself"),
        pytest.param(["draft", "data/raw/iris.csv", "--label", "species"], "exists and is not overwritten", id="a contract is there"),
        pytest.param(["draft", "data/raw/iris.csv", "--label", "kind", "--output", "c.yaml"], "no column kind", id="no such label"),
    ],
)
def test_a_wrong_file_or_option_is_exit_code_2(project: Path, words: list[str], sentence: str) -> None:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert sentence in " ".join(result.output.split())


def test_prepare_writes_what_was_accepted_and_keeps_it_when_the_next_is_refused(project: Path) -> None:
    assert run("prepare", "data/raw/iris.csv").exit_code == 0
    accepted = Path("data/processed/iris.csv").read_bytes()
    assert accepted == (ROOT / "data/processed/iris.csv").read_bytes()
    Path("data/raw/iris.csv").write_text(BAD)
    assert run("prepare", "data/raw/iris.csv").exit_code == 1
    assert Path("data/processed/iris.csv").read_bytes() == accepted
    assert [p.name for p in Path("data/processed").iterdir()] == ["iris.csv"]


def test_drift_is_measured_against_what_was_accepted_last(project: Path) -> None:
    assert run("prepare", "data/raw/iris.csv").exit_code == 0
    lines = Path("data/raw/iris.csv").read_text().splitlines(keepends=True)
    Path("data/raw/iris.csv").write_text(lines[0] + "".join(lines[1:71]) + "".join(lines[71:151:4]))
    result = run("validate", "data/raw/iris.csv")
    assert result.exit_code == 1
    assert "distance" in result.output


def test_from_a_csv_to_a_contract_to_clean_data(project: Path) -> None:
    weighed().to_csv("data/raw/things.csv", index=False)
    assert run("validate", "data/raw/things.csv").exit_code == 2
    assert run("draft", "data/raw/things.csv", "--label", "kind").exit_code == 0
    assert run("prepare", "data/raw/things.csv").exit_code == 0
    assert len(Path("data/processed/things.csv").read_text().splitlines()) == 61
