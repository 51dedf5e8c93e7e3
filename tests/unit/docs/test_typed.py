"""What a page tells its reader to type, as tests read it."""

from pathlib import Path

import pytest

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
