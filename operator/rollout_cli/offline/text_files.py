"""Files that people name on the command line."""

import sys
from pathlib import Path

from rollout_cli.exit_codes import Absent


def text_of(file: Path) -> str:
    """What is in it; `-` is stdin. Raises Absent with a sentence."""
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else "it is not UTF-8 text"
        raise Absent(f"{file} cannot be read: {reason}.") from failure
