"""The form of pages is held: faults are found, and what is no prose is left alone."""

import pytest

from scripts.docs import prose
from scripts.docs.prose import faults

LONG = "word " * 21
"""105 columns."""
GOOD = "# Title\n\nFor everybody.\n\nText.\n\nNext: [another page](other.md).\n"

FOUND = {
    "a line of 101 columns": ("x" * 101, [("columns", 1)]),
    "a long line in a list": (f"- short\n- {LONG}", [("columns", 2)]),
    "a long heading": (f"# {LONG}", [("columns", 1)]),
    "a long line after a fence that is closed": (f"```\n{LONG}\n```\n\n{LONG}", [("columns", 5)]),
    "a long line after a comment of two lines": (f"<!-- one\ntwo -->\n{LONG}", [("columns", 3)]),
    "a paragraph of 61 words": ("\n".join(["word " * 10] * 6 + ["word"]), [("words", 1)]),
    "an item of 61 words, over lines that are indented": (
        "- short\n- " + "\n  ".join(["word " * 10] * 6 + ["word"]),
        [("words", 2)],
    ),
    "a paragraph of 61 words below a heading": (
        "# Title\n" + "word " * 10 + "\nword" * 51,
        [("words", 2)],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FOUND.values(), ids=FOUND.keys())
def test_a_fault_is_found(text: str, expected: list[tuple[str, int]]) -> None:
    found = faults(text, chapter=False)
    assert [f.line for f in found] == [line for _, line in expected]
    assert all(word in f.told for f, (word, _) in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "command",
    ["sed -i s/a/b/ file", "cat file | xargs rm", "grep -P '\\d' file", "apt-get install jq"],
)
def test_a_command_for_linux_alone_is_found(command: str) -> None:
    (fault,) = faults(f"Text.\n\n```\nls\n{command}\n```\n", chapter=False)
    assert fault.line == 5
    assert "works on Linux only" in fault.told


LEFT_ALONE = {
    "a line of 100 columns": "x" * 100,
    "a row of a table": f"| {LONG} | b |",
    "code": f"```\n{LONG}\n```",
    "code that is indented, in a list": f"- run\n\n  ```\n  {LONG}\n  ```",
    "a fence of another kind inside": f"~~~\n```\n{LONG}\n~~~",
    "a comment": f"<!-- {LONG} -->",
    "a word that only looks like such a command": "```\nkubectl used -i x\n```",
    "such a command in a Dockerfile": "```dockerfile\nRUN apt-get install jq\n```",
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


def test_every_page_is_in_form() -> None:
    assert len(prose.pages()) > 40
    assert not [*prose.complaints()]


def test_the_readme_has_at_most_120_lines() -> None:
    assert len((prose.ROOT / "README.md").read_text().splitlines()) <= 120
