"""YAML with numbers as YAML 1.2 has them: `1e-2` is one. For PyYAML, which reads YAML 1.1, it is
text, as it lacks a dot.

Everything else stays as PyYAML reads it: yes and no are truth values, 010 is eight.
"""

import re
from typing import Any

import yaml

EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")


class _Loader(yaml.SafeLoader):
    """PyYAML's, and numbers with an exponent."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+.0123456789"))


def load(text: str) -> Any:
    """The value of the one document in `text`; raises yaml.YAMLError."""
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
