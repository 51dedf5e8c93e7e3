"""The form of a page: line lengths, paragraphs, commands, whom it is for, where to go next."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.docs import links

ROOT = Path(__file__).parents[2]
COLUMNS, WORDS = 100, 60
"""What a line and a paragraph may have at most."""
ALONE = frozenset(
    {"README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/README.md", "findings/README.md"}
)
"""Pages that are no chapter: they need not say for whom they are, nor what comes next."""
LINES = frozenset({"CHANGELOG.md"})
"""Pages whose lines alone are held: entries are as long as what they tell."""

LINUX_ONLY = re.compile(
    r"(?:^|[|;&(])\s*(sed -i|grep -P|readlink -f|xargs|apt-get|date -d|stat -c)\b"
)
"""Commands that a Mac does not know, or takes otherwise."""
SHELL = frozenset({"", "bash", "sh", "console"})
"""The languages of fenced blocks that are typed at a prompt."""

FENCE = re.compile(r"^\s*(```|~~~)")
TARGET = re.compile(r"\]\([^)]*\)|<?https?://[^\s>)]+>?|\s(?:src|href)=\"[^\"]*\"")
ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.)\s")
WORD = re.compile(r"\w")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fault:
    """What one place of a page lacks."""

    line: int
    """It counts from 1."""
    told: str


def faults(text: str, chapter: bool = True) -> list[Fault]:
    """All that a page lacks, by line; a `chapter` must say for whom it is, and what comes next."""
    found = long_lines(text)
    said = list(_paragraphs(list(_prose(text))))
    found += [
        Fault(number, f"a paragraph of {words} words, at most {WORDS} are read")
        for number, paragraph in said
        if (words := _words(paragraph)) > WORDS
    ]
    found += [
        Fault(number, f"`{match.group(1)}` works on Linux only: write what works on a Mac too")
        for number, line in _commands(text)
        if (match := LINUX_ONLY.search(line))
    ]
    if chapter:
        if not said or not said[0][1].startswith("For "):
            found.append(Fault(1, "it does not say for whom it is: begin it with `For`"))
        if not said or not said[-1][1].startswith("Next: ["):
            found.append(
                Fault(len(text.splitlines()), "it does not end with `Next: [name](page.md).`")
            )
    return sorted(found, key=lambda fault: fault.line)


def long_lines(text: str) -> list[Fault]:
    """The lines of prose that do not fit."""
    return [
        Fault(number, f"{length} columns, at most {COLUMNS} fit")
        for number, line in _prose(text)
        if (length := len(TARGET.sub("", line))) > COLUMNS
    ]


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines outside code and comments, with their numbers; tables are left blank."""
    inside = ""
    bare = COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), text)
    for number, line in enumerate(bare.splitlines(), 1):
        if fence := FENCE.match(line):
            inside = "" if inside == fence.group(1) else inside or fence.group(1)
            yield number, ""
        elif inside or line.lstrip().startswith("|"):
            yield number, ""
        else:
            yield number, line


def _commands(text: str) -> Iterator[tuple[int, str]]:
    """The lines of blocks that are typed at a prompt, with their numbers."""
    inside = language = ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and not inside:
            inside, language = fence.group(1), line[fence.end() :].strip()
        elif fence and inside == fence.group(1):
            inside = ""
        elif inside and language in SHELL:
            yield number, line


def _paragraphs(prose: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Paragraphs and items of lists, each with the number of its first line; headings are none."""
    begun, lines = 0, list[str]()
    for number, line in [*prose, (0, "")]:
        ends = not line.strip() or line.startswith("#")
        if lines and (ends or ITEM.match(line)):
            yield begun, " ".join(lines)
            lines = []
        if not ends:
            begun = begun if lines else number
            lines.append(line.strip())


def _words(paragraph: str) -> int:
    return sum(bool(WORD.search(word)) for word in TARGET.sub("]", paragraph).split())


def pages() -> list[Path]:
    """Every page whose form is held."""
    return links.documents(ROOT)


def complaints() -> Iterator[str]:
    """What each page lacks, as `page:line: what`."""
    for page in pages():
        name, text = str(page.relative_to(ROOT)), page.read_text()
        lacks = long_lines(text) if name in LINES else faults(text, chapter=name not in ALONE)
        yield from (f"{name}:{fault.line}: {fault.told}" for fault in lacks)
