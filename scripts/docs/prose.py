"""The form of a page: line lengths, paragraphs, whom it is for, where to go next."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
KNOWN = Path(__file__).parent / "known.yaml"
COLUMNS, WORDS = 100, 60
"""What a line and a paragraph may have at most."""
ALONE = frozenset({"README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/README.md"})
"""Pages that are no chapter: they need not say for whom they are, nor what comes next."""
APART = frozenset({"CHANGELOG.md", "docs/reference/modelrollout.md"})
"""Pages that are not held: entries that are merged as they come, and what is generated."""

FENCE = re.compile(r"^\s*(```|~~~)")
TARGET = re.compile(r"\]\([^)]*\)|<?https?://[^\s>)]+>?|\s(?:src|href)=\"[^\"]*\"")
ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.)\s")
WORD = re.compile(r"\w")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fault:
    """What one place of a page lacks; kind is a key of known.yaml, line counts from 1."""

    kind: str
    line: int
    told: str


Found = Mapping[str, Mapping[str, Sequence[Fault]]]
Allowed = Mapping[str, Mapping[str, int]]
"""By page and kind: the faults that there are; how many there may be."""


def faults(text: str, chapter: bool = True) -> list[Fault]:
    """All that a page lacks, by line; a `chapter` must say for whom it is, and what comes next."""
    prose = list(_prose(text))
    found = [
        Fault("lines", number, f"{length} columns, at most {COLUMNS} fit")
        for number, line in prose
        if (length := len(TARGET.sub("", line))) > COLUMNS
    ]
    said = list(_paragraphs(prose))
    found += [
        Fault("paragraphs", number, f"a paragraph of {words} words, at most {WORDS} are read")
        for number, paragraph in said
        if (words := _words(paragraph)) > WORDS
    ]
    if chapter:
        if not said or not said[0][1].startswith("For "):
            found.append(Fault("frame", 1, "it does not say for whom it is: begin it with `For`"))
        if not said or not said[-1][1].startswith("Next: ["):
            found.append(
                Fault(
                    "frame", len(text.splitlines()), "it does not end with `Next: [name](page.md).`"
                )
            )
    return sorted(found, key=lambda fault: fault.line)


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
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(p for p in found if str(p.relative_to(ROOT)) not in APART)


def counted(page: Path) -> dict[str, list[Fault]]:
    """The faults of one page, by kind."""
    by_kind: dict[str, list[Fault]] = {}
    for fault in faults(page.read_text(), chapter=str(page.relative_to(ROOT)) not in ALONE):
        by_kind.setdefault(fault.kind, []).append(fault)
    return by_kind


def known() -> dict[str, dict[str, int]]:
    """How many faults each page that does not conform yet may have, by kind."""
    return yaml.safe_load(KNOWN.read_text()) or {} if KNOWN.exists() else {}


def complaints(found: Found, allowed: Allowed) -> Iterator[str]:
    """What is worse than allowed, and what is better and so allowed no longer."""
    for page in sorted({*found, *allowed}):
        for kind in sorted({*found.get(page, {}), *allowed.get(page, {})}):
            there, may = found.get(page, {}).get(kind, ()), allowed.get(page, {}).get(kind, 0)
            if len(there) > may:
                yield from (f"{page}:{fault.line}: {fault.told}" for fault in there)
                if may:
                    yield (
                        f"{page} had {may} such places ({kind}) and has {len(there)} now: mend as"
                        " many as you added."
                    )
            elif len(there) < may:
                yield (
                    f"{page} has {len(there)} such places ({kind}) left, {may} are written down:"
                    " run 'make docs'."
                )


def tightened(found: Found, allowed: Allowed) -> dict[str, dict[str, int]]:
    """What is allowed from now on: what there is, never more than was allowed."""
    kept: dict[str, dict[str, int]] = {}
    for page, kinds in sorted(allowed.items()):
        for kind, may in kinds.items():
            if few := min(may, len(found.get(page, {}).get(kind, ()))):
                kept.setdefault(page, {})[kind] = few
    return kept


def state() -> dict[str, dict[str, list[Fault]]]:
    """The faults of all pages."""
    return {str(page.relative_to(ROOT)): counted(page) for page in pages()}


def tighten() -> None:
    """Write known.yaml anew; where it is missing, with all that there is."""
    found = state()
    all_of_it = {
        page: {kind: len(there) for kind, there in kinds.items()} for page, kinds in found.items()
    }
    allowed = known() if KNOWN.exists() else all_of_it
    head = "# How many places each page that is not in form yet may have. `make docs` lowers it.\n"
    KNOWN.write_text(head + yaml.safe_dump(tightened(found, allowed), sort_keys=True))
