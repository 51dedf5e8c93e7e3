"""Whether a live object still says what its manifest says."""

import re
from decimal import Decimal
from typing import Any

_SUFFIXES = {"n": "1e-9", "u": "1e-6", "m": "1e-3", "": "1", "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12", "P": "1e15", "E": "1e18"}
_BINARY = {suffix: str(1024**power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
LEFT_OVER = frozenset(
    (
        *("tls", "filters", "sectionName"),
        *("to", "ports", "endPort", "except", "namespaceSelector", "podSelector"),
        *(f"nginx.ingress.kubernetes.io/canary-by-header{more}" for more in ("", "-value")),
    )
)
"""What manifests have only sometimes, and nobody else fills in: it must go where it is not wanted any more."""
EXACT = frozenset(("selector", "podSelector", "namespaceSelector"))
"""Selectors: each label more would select less."""
_QUANTITY = re.compile(r"([0-9.]+)([numkMGTPE]|[KMGTPE]i)?")


def _amount(value: object) -> Decimal | None:
    """A Kubernetes quantity as a number; the API server rewrites 1000m as 1, which is no drift."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        return None
    suffix = match[2] or ""
    try:
        return Decimal(match[1]) * Decimal((_SUFFIXES | _BINARY)[suffix])
    except ArithmeticError:
        return None


def says(live: Any, wanted: Any) -> bool:
    """Whether `live` holds everything in `wanted` and nothing left over; fields that others or defaulting added do not matter."""
    if isinstance(wanted, dict):
        if not isinstance(live, dict) or LEFT_OVER & (live.keys() - wanted.keys()):
            return False
        return all(name in live and (live[name] == value if name in EXACT else says(live[name], value)) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(says(a, b) for a, b in zip(live, wanted, strict=True))
    return bool(live == wanted) or (_amount(wanted) is not None and _amount(live) == _amount(wanted))
