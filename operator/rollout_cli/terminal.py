"""The terminal: its colours, its width and the signs it can show."""

import io
import json
import sys
from enum import StrEnum
from typing import Any

import yaml
from rich.console import Console

from rollout_cli.words import PLAIN, PRETTY, Marks

PIPE_WIDTH = 200
"""Columns where there is no terminal: wide enough that nothing a program may want to read is wrapped."""


class Output(StrEnum):
    """What `-o` takes."""

    JSON = "json"
    YAML = "yaml"
    NAME = "name"
    WIDE = "wide"


def console(stderr: bool = False) -> Console:
    """A console without colour where NO_COLOR is set or nobody looks; characters that its encoding lacks become `?`."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)


def marks(of: Console) -> Marks:
    """The signs that this console can show."""
    return PRETTY if of.encoding.lower().startswith("utf") else PLAIN


def dump(value: Any, output: Output) -> str:
    """The value as JSON or YAML, as kubectl prints it."""
    if output is Output.YAML:
        return yaml.safe_dump(value, sort_keys=True, allow_unicode=True, width=120).rstrip()
    return json.dumps(value, indent=2, ensure_ascii=False)
