"""The form of pages is held: faults are found, what is no prose is left alone, counts shrink."""

from collections.abc import Mapping

import pytest

from scripts.docs import prose
from scripts.docs.prose import Fault, complaints, faults, tightened

LONG = "word " * 21
"""105 columns."""
GOOD = "# Title\n\nFor everybody.\n\nText.\n\nNext: [another page](other.md).\n"

FOUND = {
    "a line of 101 columns": ("x" * 101, [("lines", 1)]),
    "a long line in a list": (f"- short\n- {LONG}", [("lines", 2)]),
    "a long heading": (f"# {LONG}", [("lines", 1)]),
    "a long line after a fence that is closed": (f"```\n{LONG}\n```\n\n{LONG}", [("lines", 5)]),
    "a long line after a comment of two lines": (f"<!-- one\ntwo -->\n{LONG}", [("lines", 3)]),
    "a paragraph of 61 words": ("\n".join(["word " * 10] * 6 + ["word"]), [("paragraphs", 1)]),
    "an item of 61 words, over lines that are indented": (
        "- short\n- " + "\n  ".join(["word " * 10] * 6 + ["word"]),
        [("paragraphs", 2)],
    ),
    "a paragraph of 61 words below a heading": (
        "# Title\n" + "word " * 10 + "\nword" * 51,
        [("paragraphs", 2)],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FOUND.values(), ids=FOUND.keys())
def test_a_fault_is_found(text: str, expected: list[tuple[str, int]]) -> None:
    assert [(f.kind, f.line) for f in faults(text, chapter=False)] == expected


LEFT_ALONE = {
    "a line of 100 columns": "x" * 100,
    "a row of a table": f"| {LONG} | b |",
    "code": f"```\n{LONG}\n```",
    "code that is indented, in a list": f"- run\n\n  ```\n  {LONG}\n  ```",
    "a fence of another kind inside": f"~~~\n```\n{LONG}\n~~~",
    "a comment": f"<!-- {LONG} -->",
    "a line that is long by the target of its link": f"[word](https://example.com/{'a' * 100})",
    "a bare URL": f"See <https://example.com/{'a' * 100}>.",
    "a paragraph of 60 words, dashes not counted": "\n".join(["word - " * 10] * 6),
    "two paragraphs of 40 words": "\n".join(["word " * 10] * 4 + [""] + ["word " * 10] * 4),
    "items of 40 words": "\n".join("- " + "\n  ".join(["word " * 10] * 4) for _ in range(3)),
}


@pytest.mark.parametrize("text", LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_what_is_no_fault_is_left_alone(text: str) -> None:
    assert not faults(text, chapter=False)


def test_a_page_in_form_has_no_fault() -> None:
    assert not faults(GOOD)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("For everybody", "About everything"), "does not say for whom"),
        (GOOD.replace("Next: ", "See "), "does not end with `Next"),
        (GOOD + "\nOne more thing.\n", "does not end with `Next"),
    ],
    ids=["no reader named", "no next page", "something after the next page"],
)
def test_a_chapter_says_for_whom_it_is_and_what_comes_next(text: str, told: str) -> None:
    (fault,) = faults(text)
    assert told in fault.told
    assert not faults(text, chapter=False)


def places(count: int) -> dict[str, list[Fault]]:
    return {"lines": [Fault("lines", n, "too long") for n in range(1, count + 1)]}


RATCHET: Mapping[str, tuple[int, int, list[str]]] = {
    "as many as written down": (2, 2, []),
    "none, and none written down": (0, 0, []),
    "a page in form gets worse": (1, 0, ["page.md:1: too long"]),
    "a page that is not in form gets worse": (
        2,
        1,
        ["page.md:1: too long", "page.md:2: too long", "page.md had 1"],
    ),
    "a page gets better": (
        1,
        2,
        ["page.md has 1 such places (lines) left, 2 are written down: run 'make docs'."],
    ),
    "a page is in form at last": (
        0,
        2,
        ["page.md has 0 such places (lines) left, 2 are written down: run 'make docs'."],
    ),
}


@pytest.mark.parametrize(("there", "may", "expected"), RATCHET.values(), ids=RATCHET.keys())
def test_what_is_not_in_form_yet_may_only_shrink(there: int, may: int, expected: list[str]) -> None:
    said = [*complaints({"page.md": places(there)}, {"page.md": {"lines": may}})]
    assert len(said) == len(expected)
    assert all(sentence.startswith(begin) for sentence, begin in zip(said, expected, strict=True))


@pytest.mark.parametrize(
    ("there", "may", "left"),
    [(3, 2, {"page.md": {"lines": 2}}), (1, 2, {"page.md": {"lines": 1}}), (0, 2, {}), (1, 0, {})],
    ids=["worse: not raised", "better: lowered", "in form: gone", "new: not let in"],
)
def test_tightening_never_allows_more(
    there: int, may: int, left: dict[str, dict[str, int]]
) -> None:
    assert tightened({"page.md": places(there)}, {"page.md": {"lines": may}}) == left


def test_all_pages_are_as_they_are_written_down() -> None:
    assert len(prose.pages()) > 15
    assert not [*complaints(prose.state(), prose.known())]


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "docs/comparison.md"])
def test_the_first_pages_are_in_form(page: str) -> None:
    assert not prose.counted(prose.ROOT / page)


def test_the_readme_has_at_most_120_lines() -> None:
    assert len((prose.ROOT / "README.md").read_text().splitlines()) <= 120
