"""validate, prepare and draft as they are typed: exit codes, sentences, files."""

from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from rollout_trainer.__main__ import main
from rollout_trainer.contract import contract_for
from rollout_trainer.data import load
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
    assert "35 in row 2" in result.output
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
        pytest.param(
            ["validate", "x.csv", "--sample"], "either a file or --sample", id="two things"
        ),
        pytest.param(["validate", "data/raw/none.csv"], "has no contract", id="no such file"),
        pytest.param(
            ["validate", "data/raw/none.csv", "--contract", "data/contracts/iris.yaml"],
            "cannot be read",
            id="a contract, no data",
        ),
        pytest.param(
            ["validate", "data/raw/iris.csv", "--contract", "none.yaml"],
            "cannot be read",
            id="no such contract",
        ),
        pytest.param(
            ["validate", "data/raw/iris.csv", "--reference", "none.csv"],
            "cannot be read",
            id="no such reference",
        ),
        pytest.param(
            ["prepare", "data/raw/iris.csv", "--output", "data/raw/iris.csv"],
            "would be overwritten",
            id="onto itself",
        ),
        pytest.param(
            ["draft", "data/raw/iris.csv", "--label", "species"],
            "exists and is not overwritten",
            id="a contract is there",
        ),
        pytest.param(
            ["draft", "data/raw/iris.csv", "--label", "kind", "--output", "c.yaml"],
            "no column kind",
            id="no such label",
        ),
    ],
)
def test_a_wrong_file_or_option_is_exit_code_2(
    project: Path, words: list[str], sentence: str
) -> None:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert sentence in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"a,b\n1,2\n1,2,3\n", "saw 3. Give a CSV file in UTF-8", id="a long row"),
        pytest.param("a,b\n1,é\n".encode("latin-1"), "Give a CSV file in UTF-8", id="Latin-1"),
    ],
)
def test_a_table_that_is_none_is_one_sentence(project: Path, content: bytes, sentence: str) -> None:
    (project / "odd.csv").write_bytes(content)
    result = run("draft", "odd.csv", "--label", "b")
    assert result.exit_code == 2, result.output
    assert sentence in " ".join(result.output.split())


def test_prepare_writes_what_was_accepted_and_keeps_it_when_the_next_is_refused(
    project: Path,
) -> None:
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


def labelled(*labels: str) -> None:
    """data/raw/things.csv whose labels are these in turn, as text."""
    table = weighed(120)
    table["kind"] = [labels[row % len(labels)] for row in range(len(table))]
    table.to_csv("data/raw/things.csv", index=False)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        pytest.param(["EU", "NA", "ASIA"], ("ASIA", "EU", "NA"), id="Namibia, or North America"),
        pytest.param(
            ["None", "null", "nan"], ("None", "nan", "null"), id="nothing but words for nothing"
        ),
        pytest.param(
            ["no", "yes"], ("no", "yes"), id="yes and no, which YAML takes for something else"
        ),
        pytest.param(["true", "false"], ("false", "true"), id="true and false are words"),
        pytest.param(["00", "01", "10"], ("00", "01", "10"), id="zeros in front"),
        pytest.param(["2", "-1", "0"], (-1, 0, 2), id="whole numbers"),
        pytest.param(["0.0", "1.0"], (0, 1), id="whole numbers that were fractions for a while"),
    ],
)
@pytest.mark.parametrize(
    "hole", [pytest.param(False, id="no hole"), pytest.param(True, id="a hole")]
)
def test_raw_and_prepared_data_teach_the_labels_as_they_stand(
    project: Path, labels: list[str], classes: tuple[str | int, ...], hole: bool
) -> None:
    labelled(*labels)
    raw = Path("data/raw/things.csv")
    if hole:
        lines = raw.read_text().splitlines(keepends=True)
        lines[5] = lines[5].rpartition(",")[0] + ",\n"
        raw.write_text("".join(lines))
    drafted = run("draft", str(raw), "--label", "kind")
    assert drafted.exit_code == 0, drafted.output
    assert contract_for(raw).classes == classes
    assert contract_for(raw).max_missing == (0.01 if hole else 0.0), "only an empty cell is missing"
    for _ in range(2):  # the second time drift is measured, too
        prepared = run("prepare", str(raw))
        assert prepared.exit_code == 0, prepared.output
    both = load(raw), load(Path("data/processed/things.csv"))
    assert both[0].digest == both[1].digest
    pd.testing.assert_series_equal(both[0].train_labels, both[1].train_labels)
    assert sorted(both[0].train_labels.unique().tolist()) == list(classes)


@pytest.mark.parametrize("classes", ["[yes, no]", "[true, false]", "[null, EU]"])
def test_a_class_that_yaml_takes_for_no_word_is_refused(project: Path, classes: str) -> None:
    labelled("EU", "NA")
    assert run("draft", "data/raw/things.csv", "--label", "kind").exit_code == 0
    contract = Path("data/contracts/things.yaml")
    contract.write_text(contract.read_text().replace("[EU, NA]", classes))
    result = run("validate", "data/raw/things.csv")
    assert result.exit_code == 2
    assert "put each class in quotes" in result.output


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        pytest.param("speed [/s]", "fast", id="a unit that reads like the end of a style"),
        pytest.param("speed", "[/n]", id="a cell that does"),
        pytest.param("[bold]speed", "[red]", id="the names of styles"),
        pytest.param(":warning:", ":x:", id="the names of emojis"),
    ],
)
def test_what_stands_in_the_data_is_no_markup_of_the_terminal(
    project: Path, column: str, cell: str
) -> None:
    table = weighed().rename(columns={"mass": column}).astype({"size": object})
    raw = Path("data/raw/[bold]things.csv")
    table.to_csv(raw, index=False)
    assert run("draft", str(raw), "--label", "kind").exit_code == 0
    prepared = run("prepare", str(raw))
    assert prepared.exit_code == 0, prepared.output
    table.loc[0, "size"] = cell
    table.to_csv(raw, index=False)
    result = run("validate", str(raw))
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    shown = result.output.splitlines()
    assert shown[0].strip() == str(raw)
    for said in (*column.split(), cell):
        assert any(said in line for line in shown[1:]), result.output


@pytest.mark.parametrize(
    ("index", "times", "left_out"),
    [
        pytest.param(range(60), 1, "Unnamed: 0.", id="an index that to_csv wrote"),
        pytest.param(range(60), 2, "Unnamed: 0.1, Unnamed: 0.", id="written twice"),
        pytest.param(range(240, 0, -4), 1, "Unnamed: 0.", id="of rows that were sorted and chosen"),
        pytest.param(
            [n / 7 for n in range(60)], 1, None, id="fractions without a name number nothing"
        ),
        pytest.param([n // 2 for n in range(60)], 1, None, id="nor does what is there twice"),
    ],
)
def test_what_only_numbers_the_rows_is_no_feature(
    project: Path, index: list[float], times: int, left_out: str | None
) -> None:
    raw = Path("data/raw/things.csv")
    table = weighed()
    table.index = pd.Index(index)
    table.to_csv(raw)
    for _ in range(times - 1):
        pd.read_csv(raw).to_csv(raw)
    drafted = run("draft", str(raw), "--label", "kind")
    assert drafted.exit_code == 0, drafted.output
    assert run("prepare", str(raw)).exit_code == 0
    if left_out is None:
        assert "Left out" not in drafted.output
        assert contract_for(raw).columns == ("Unnamed: 0", "mass", "size")
        return
    assert contract_for(raw).columns == ("mass", "size")
    assert f"it only numbers the rows: {left_out}" in drafted.output
    assert "# Left out" in Path("data/contracts/things.yaml").read_text()
