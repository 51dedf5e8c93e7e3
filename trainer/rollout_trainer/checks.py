"""A table held against its contract: every check has a finding, passed or not."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from rollout_trainer.contract import Contract, span, whole
from rollout_trainer.drift import distances

SHOWN = 5
"""Offending rows that a sentence names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    """Such as "values", "duplicates" or "drift"."""
    column: str
    """The column that was checked; "" for a check of the whole table."""
    found: str
    """What the table has, in words."""
    allowed: str
    """What the contract allows, in words."""
    passed: bool
    """Whether the one is within the other."""

    def __str__(self) -> str:
        about = f"{self.check} of {self.column}" if self.column else self.check
        return f"{about}: {self.found}, allowed is {self.allowed}"


@dataclass(frozen=True, slots=True)
class Examined:
    """All findings, and the table as a model gets it."""

    findings: tuple[Finding, ...]
    """In the order of the checks."""
    clean: pd.DataFrame | None
    """The contract's columns in its order, rows with missing values left out; None where a finding
    did not pass.
    """

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that did not pass."""
        return tuple(f for f in self.findings if not f.passed)


def examine(
    table: pd.DataFrame, contract: Contract, reference: pd.DataFrame | None = None
) -> Examined:
    """Hold `table` against the contract, and against `reference` for drift where one is given."""
    if missing := [c for c in (*contract.columns, contract.label) if c not in table.columns]:
        finding = Finding(
            "columns",
            "",
            f"no column {', '.join(missing)}",
            ", ".join((*contract.columns, contract.label)),
            passed=False,
        )
        return Examined((finding,), None)
    findings = [
        Finding(
            "columns",
            "",
            _columns(table, contract),
            f"{len(contract.columns)} features and {contract.label}",
            passed=True,
        )
    ]
    wanted = table[[*contract.columns, contract.label]]
    findings += _values(wanted, contract)
    typed = _typed(wanted, contract)
    findings += _shape(typed, contract)
    if reference is not None and set(wanted.columns) <= set(reference.columns):
        findings += _drift(typed, _typed(reference[wanted.columns], contract), contract)
    passed = all(f.passed for f in findings)
    return Examined(tuple(findings), _without_gaps(typed, contract.label) if passed else None)


def _columns(table: pd.DataFrame, contract: Contract) -> str:
    others = [str(c) for c in table.columns if c not in {*contract.columns, contract.label}]
    return "all there" + (f"; not used: {', '.join(others)}" if others else "")


def _values(table: pd.DataFrame, contract: Contract) -> list[Finding]:
    """Types and ranges, cell by cell: pandera's schema, with its failures gathered by column."""
    failures: dict[str, list[tuple[object, object]]] = {}
    for column, schema in schema_of(contract).columns.items():
        try:
            pa.DataFrameSchema({column: schema}).validate(table[[column]], lazy=True)
        except SchemaErrors as broken:
            # A case without a row says that a range could not be compared: the cells that are no
            # numbers are cases of their own.
            cases = broken.failure_cases.dropna(subset=["index"])
            failures[str(column)] = list(
                dict.fromkeys(zip(cases["index"], cases["failure_case"], strict=True))
            )
    found = []
    for name, limits in contract.features.items():
        allowed = span(limits.min, limits.max)
        seen = pd.to_numeric(table[name], errors="coerce")
        inside = span(seen.min(), seen.max()) if seen.notna().any() else "no value"
        found.append(_cells("values", name, failures.get(name, []), inside, allowed))
    classes = ", ".join(map(str, contract.classes))
    found.append(
        _cells("classes", contract.label, failures.get(contract.label, []), "no others", classes)
    )
    return found


def schema_of(contract: Contract) -> pa.DataFrameSchema:
    """The contract's columns as a pandera schema; missing values are allowed here, their share is a
    check of its own.
    """
    columns = {
        name: pa.Column(
            float, pa.Check.in_range(limits.min, limits.max), nullable=True, coerce=True
        )
        for name, limits in contract.features.items()
    }
    label = pa.Column(
        None,
        pa.Check(lambda labels: _labels(labels, contract).isin(contract.classes)),
        nullable=True,
    )
    return pa.DataFrameSchema({**columns, contract.label: label})


def _cells(
    check: str, column: str, failures: list[tuple[object, object]], fine: str, allowed: str
) -> Finding:
    if not failures:
        return Finding(check, column, fine, allowed, passed=True)
    named = ", ".join(f"{value} in row {_row(index)}" for index, value in failures[:SHOWN])
    more = f" and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
    return Finding(check, column, named + more, allowed, passed=False)


def _row(index: object) -> str:
    """The line of a CSV file that has a header: what an editor shows."""
    return str(index + 2) if isinstance(index, int | np.integer) else str(index)


def _typed(table: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The table with floats and labels; what cannot be read as such counts as missing."""
    typed = table.copy()
    for name in contract.columns:
        typed[name] = (
            pd.to_numeric(table[name], errors="coerce")
            .astype(float)
            .replace([np.inf, -np.inf], np.nan)
        )
    typed[contract.label] = _labels(table[contract.label], contract)
    return typed


def _labels(labels: pd.Series, contract: Contract) -> pd.Series:
    """Labels of the kind that the contract's classes are of, missing ones still among them: Int64,
    or text as it stands.
    """
    if isinstance(contract.classes[0], int):
        numbers = {label: whole(label) for label in labels.dropna().unique().tolist()}
        return labels.astype(object).map(numbers).astype("Int64")
    return labels.astype(str).where(labels.notna())


def _without_gaps(typed: pd.DataFrame, label: str) -> pd.DataFrame:
    """The rows that miss nothing; whole numbers as labels are int64, even where one was missing."""
    rows = typed.dropna().reset_index(drop=True)
    return rows.astype({label: "int64"}) if rows[label].dtype == "Int64" else rows


def _shape(typed: pd.DataFrame, contract: Contract) -> list[Finding]:
    """Rows, missing values, duplicates and the balance of the classes."""
    rows = len(typed)
    missing = float(typed.isna().any(axis=1).mean()) if rows else 0.0
    doubled = float(typed.duplicated().mean()) if rows else 0.0
    counts = typed[contract.label].value_counts()
    shares = {c: (int(counts.get(c, 0)) / rows if rows else 0.0) for c in contract.classes}
    rarest = min(shares, key=lambda c: shares[c])
    return [
        Finding("rows", "", str(rows), f"{contract.min_rows} or more", rows >= contract.min_rows),
        Finding(
            "missing values",
            "",
            _percent(missing),
            f"{_percent(contract.max_missing)} of rows",
            missing <= contract.max_missing,
        ),
        Finding(
            "duplicates",
            "",
            _percent(doubled),
            f"{_percent(contract.max_duplicates)} of rows",
            doubled <= contract.max_duplicates,
        ),
        Finding(
            "class balance",
            contract.label,
            f"{_percent(shares[rarest])} {rarest}",
            f"{_percent(contract.min_class_share)} or more",
            shares[rarest] >= contract.min_class_share and shares[rarest] > 0,
        ),
    ]


def _drift(typed: pd.DataFrame, reference: pd.DataFrame, contract: Contract) -> list[Finding]:
    return [
        Finding(
            "drift",
            d.column,
            f"distance {d.size:.2f}"
            + (", within chance" if d.size > contract.max_drift and not d.beyond_chance else ""),
            f"{contract.max_drift:g} or less",
            d.size <= contract.max_drift or not d.beyond_chance,
        )
        for d in distances(typed, reference, contract.columns, contract.label)
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
