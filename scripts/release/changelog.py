"""What the changelog says of a version: the release's notes, and the chart's list of changes."""

import re

KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")
"""The headings of Keep a Changelog, which are Artifact Hub's kinds of changes too."""
MOST_CHANGES, LONGEST = 40, 300
"""Of a chart's annotation: Helm keeps it in each release's Secret, which may have 1 MiB."""


def section(changelog: str, version: str) -> str:
    """The text under `## [version]`, without the heading; "" where there is none."""
    parts = re.split(r"^## \[([^]]+)\].*$", changelog, flags=re.M)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return found.get(version, "").strip()


def changes(notes: str) -> list[dict[str, str]]:
    """Each entry as `{kind, description}`, one line of text each; raises ValueError for a heading
    that is no kind of change.
    """
    found: list[dict[str, str]] = []
    parts = re.split(r"^### (.+)$", notes, flags=re.M)
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        kind = heading.strip().lower()
        if kind not in KINDS:
            raise ValueError(
                f"CHANGELOG.md has the heading '{heading}': write one of"
                f" {', '.join(k.capitalize() for k in KINDS)}."
            )
        entries = re.split(r"^- ", body, flags=re.M)[1:]
        found += [{"kind": kind, "description": _short(" ".join(e.split()))} for e in entries]
    return found[:MOST_CHANGES]


def _short(text: str) -> str:
    """The first sentences that are short enough together."""
    if len(text) <= LONGEST:
        return text
    kept = text[: LONGEST - 1]
    end = kept.rfind(". ")
    return kept[: end + 1] if end > 0 else f"{kept.rsplit(' ', 1)[0]} …"
