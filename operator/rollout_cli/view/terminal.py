"""The terminal: its colours, its width and the signs it can show."""

import io
import json
import sys
from typing import Any

import yaml
from rich.console import Console

from rollout_cli.output_format import Output
from rollout_cli.view.formatting import PLAIN, PRETTY, Marks

PIPE_WIDTH = 200
"""Columns where there is no terminal: wide enough that nothing a program may want to read is
wrapped.
"""


def console(stderr: bool = False) -> Console:
    """A console without colour where NO_COLOR is set or nobody looks; characters that its encoding
    lacks become `?`.

    Text is printed as it stands: what a webhook says may well hold [words] or :words:, which rich
    would take for its own.
    """
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    found = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = PIPE_WIDTH
    return found


def marks(of: Console) -> Marks:
    """The signs that this console can show."""
    return PRETTY if of.encoding.lower().startswith("utf") else PLAIN


def dump(value: Any, output: Output) -> str:
    """The value as JSON or YAML, as kubectl prints it."""
    written = json.dumps(value, indent=2, ensure_ascii=False)
    if output is Output.YAML:
        # Of JSON's types only: YAML's writer knows neither enumerations nor tuples.
        return yaml.safe_dump(
            json.loads(written), sort_keys=True, allow_unicode=True, width=120
        ).rstrip()
    return written
