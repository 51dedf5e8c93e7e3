"""A recording of a terminal, as asciicast v2: a line of facts, then one for each output."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class NotRecorded(Exception):
    """There is no recording, or a file that is none; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Cast:
    """What a terminal was sent."""

    columns: int
    """Characters of a line."""
    rows: int
    """Lines of the screen."""
    command: str
    """The one that ran in it."""
    events: Sequence[tuple[float, str]]
    """(seconds since the start, text)."""

    def text(self) -> str:
        """The file's text."""
        head = {"version": 2, "width": self.columns, "height": self.rows, "command": self.command}
        lines = [head, *([round(at, 3), "o", said] for at, said in self.events)]
        return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)

    @classmethod
    def of(cls, path: Path) -> "Cast":
        """Read a file; raises NotRecorded where there is none, or none of asciicast version 2."""
        try:
            head, *lines = (json.loads(line) for line in path.read_text().splitlines())
            events = [(float(at), str(said)) for at, kind, said in lines if kind == "o"]
            if head["version"] != 2:
                raise ValueError(f"it is of version {head['version']}")
            return cls(int(head["width"]), int(head["height"]), str(head["command"]), events)
        except FileNotFoundError as missing:
            told = f"There is no {path}: run `make recording`, which records a real run first."
            raise NotRecorded(told) from missing
        except (ValueError, KeyError, TypeError) as wrong:
            raise NotRecorded(f"{path} is no asciicast of version 2: {wrong}") from wrong
