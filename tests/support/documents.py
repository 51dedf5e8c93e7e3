"""What a page tells its reader to type."""

import re
from pathlib import Path

from scripts.docs.links import FENCE
from scripts.docs.prose import SHELL


def commands(page: Path, *headings: str) -> list[str]:
    """The blocks of a page that are typed at a prompt, in order: of the sections under these
    headings, or of the whole page. Raises ValueError for a heading that is not there, or has none.
    """
    text = page.read_text()
    if not headings:
        return _typed(text)
    found = []
    for heading in headings:
        typed = _typed(section(text, heading))
        if not typed:
            raise ValueError(f"{page.name} has nothing to type under '{heading}'")
        found += typed
    return found


def section(text: str, heading: str) -> str:
    """What stands under a heading, down to the next one of its level; raises ValueError."""
    parts = re.split(r"^(##+ .+)$", text, flags=re.MULTILINE)
    for place, title in enumerate(parts):
        if title.lstrip("# ") == heading and title.startswith("##"):
            level = len(title) - len(title.lstrip("#"))
            kept = []
            for one in parts[place + 1 :]:
                if re.match(rf"#{{2,{level}}} ", one):
                    break
                kept.append(one)
            return "".join(kept)
    raise ValueError(f"There is no heading '{heading}'")


def _typed(text: str) -> list[str]:
    return [block for _, language, block in FENCE.findall(text) if language in SHELL]
