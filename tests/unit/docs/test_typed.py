"""What a page tells its reader to type, as tests read it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.support.documents import commands
from tests.support.newcomer import QUICK_STARTS, ROOT

PAGE = """# A page

```
before
```

## First

```
one
two
```

```text
what is seen
```

### Within

```yaml
kind: a file
```

   ```sh
   three
   ```

## Second

Nothing is typed.

## Third

```bash
four
```
"""
CASES = {
    "all of it": ([], ["before\n", "one\ntwo\n", "   three\n", "four\n"]),
    "a section, with those within it": (["First"], ["one\ntwo\n", "   three\n"]),
    "a section within another": (["Within"], ["   three\n"]),
    "two sections, in the order that is asked for": (["Third", "Within"], ["four\n", "   three\n"]),
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    return file


@pytest.mark.parametrize(("headings", "typed"), CASES.values(), ids=CASES)
def test_what_is_typed_is_found(headings: list[str], typed: list[str], page: Path) -> None:
    assert commands(page, *headings) == typed


@pytest.mark.parametrize(
    ("heading", "told"),
    [
        pytest.param("Second", "has nothing to type under 'Second'", id="a section of words only"),
        pytest.param("Fourth", "no heading 'Fourth'", id="no such section"),
    ],
)
def test_a_section_that_has_nothing_is_told(heading: str, told: str, page: Path) -> None:
    with pytest.raises(ValueError, match=told):
        commands(page, "First", heading)


@pytest.mark.parametrize("name", QUICK_STARTS)
def test_a_quick_start_ends_in_a_watch(name: str) -> None:
    headings, _ = QUICK_STARTS[name]
    typed = "".join(commands(ROOT / name, *headings)).splitlines()
    assert typed[0].startswith("docker build ")
    assert [line for line in typed if line.endswith(" -w")] == typed[-1:]


CHART = ROOT / "charts/rollout-operator/values.schema.json"
DIGITS = re.compile(r"(?:--set |,)([\w.]+)=(\d+)\b")
"""What Helm takes for a number."""
PAGES = [page for page in sorted(ROOT.glob("docs/**/*.md")) if "--set " in page.read_text()]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *PAGES], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_no_page_has_helm_take_a_word_for_a_number(page: Path) -> None:
    """The chart wants a string for `image.tag`, and refuses `--set image.tag=1`."""
    chart = Draft7Validator(json.loads(CHART.read_text()))
    for name, value in DIGITS.findall(page.read_text()):
        values: Any = int(value)
        for key in reversed(name.split(".")):
            values = {key: values}
        refused = [e.message for e in chart.iter_errors(values) if e.validator == "type"]
        assert not refused, f"{name}={value}: {refused}"
