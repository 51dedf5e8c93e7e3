"""What a client sends and makes of the answers, for those who replay it."""

import base64
import json
import sys
from importlib.metadata import version
from typing import Any

import numpy as np

KEPT = ("content-type", "inference-header-content-length", "content-encoding")


class Recorder:
    """Notes one request after the other."""

    def __init__(self, package: str) -> None:
        self.package, self.asked = package, []  # type: tuple[str, list[dict[str, Any]]]
        self._current: dict[str, Any] = {}

    def begin(self, model: str, rows: str, way: str) -> None:
        """The next request: its model, which part of its rows, and how it is made."""
        self._current = {"model": model, "rows": rows, "way": way}

    def note(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """What is sent."""
        lower = {name.lower(): value for name, value in headers.items()}
        self._current |= {
            "path": path,
            "headers": {name: lower[name] for name in KEPT if name in lower},
            "body": base64.b64encode(body).decode(),
        }

    def end(self, said: dict[str, Any]) -> None:
        """What the client makes of the answer, by the outputs' names."""
        self.asked.append({**self._current, "said": said})

    def write(self) -> None:
        """All of it, with the client's version."""
        found = {"client": f"{self.package} {version(self.package)}", "asked": self.asked}
        json.dump(found, sys.stdout, default=lambda one: one.decode())


def cells(values: list[Any]) -> Any:
    """A column as pandas would have it: text as objects, numbers with NaN for gaps."""
    if any(isinstance(one, str) for one in values):
        return np.array(values, dtype=object)
    if any(one is None for one in values):
        return np.array([np.nan if one is None else one for one in values], dtype=np.float64)
    return np.array(values)
