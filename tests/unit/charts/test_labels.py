"""The charts' own labels, as their templates write them."""

from pathlib import Path

import pytest

TEMPLATES = sorted((Path(__file__).parents[3] / "charts").rglob("templates/_helpers.tpl"))
LABEL = (
    'helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 |'
    ' trimAll "-_." }}'
)


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.parents[1].name)
def test_a_version_with_build_metadata_makes_a_valid_label(file: Path) -> None:
    """Flux makes 0.1.0+e6dce5b644c3 of a chart in Git; a label holds no `+` and at most 63
    characters.
    """
    written = {
        line.strip()
        for line in file.read_text(encoding="utf-8").splitlines()
        if "helm.sh/chart" in line
    }
    assert written == {LABEL}
