"""Cells of tables in Markdown."""


def cell(text: str) -> str:
    """A text as it stands in a cell."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
