"""Links within the documents: each leads to a file, and to a heading of it.

Pages that code names are there, too.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r'!?\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*\]\(([^)\s]+)\)|\s(?:src|href)="([^"]+)"')
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
ELSEWHERE = re.compile(r"^(?:[a-z]+:|//|\.\./\.\./(?:actions|security)\b)")
"""Other schemes, and pages of the repository's host beside its files."""


MENTION = re.compile(r"(?<![\w/.-])docs/[\w./-]+\.md\b")
"""How messages, charts, rules and comments name a page."""
SOURCES = (
    "operator",
    "inference",
    "trainer",
    "charts",
    "gitops",
    "monitoring",
    "scripts",
    "tests",
    ".github",
)
SUFFIXES = frozenset({".py", ".yaml", ".sh", ".txt", ".tpl", ".json"})


def mentioned(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """The pages that files other than pages name, each with the file that does."""
    files = [root / "Makefile"]
    for folder in SOURCES:
        files += (f for f in (root / folder).rglob("*") if f.suffix in SUFFIXES and f.is_file())
    for file in sorted(files):
        if file.is_file():
            for page in dict.fromkeys(MENTION.findall(file.read_text())):
                yield file, page


def documents(root: Path = ROOT) -> list[Path]:
    """Every page, that of the findings too."""
    folders = (root / "docs").rglob("*.md"), (root / "findings").glob("*.md")
    return sorted([*root.glob("*.md"), *(page for pages in folders for page in pages)])


def links(document: Path) -> Iterator[str]:
    """The targets within this repository, as they stand in the document."""
    text = CODE.sub("", FENCE.sub("", document.read_text()))
    found = [a or b for a, b in LINK.findall(text)] + IMAGE.findall(text)
    yield from (target for target in dict.fromkeys(found) if not ELSEWHERE.match(target))


@cache
def anchors(document: Path) -> frozenset[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    text = FENCE.sub("", document.read_text())
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        number = sum(
            1 for f in found if f == plain or re.fullmatch(f"{re.escape(plain)}-[0-9]+", f)
        )
        found.add(f"{plain}-{number}" if number else plain)
    return frozenset(found)


def dead(document: Path) -> Iterator[str]:
    """The links of a document that lead nowhere."""
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target)
        ):
            yield link
