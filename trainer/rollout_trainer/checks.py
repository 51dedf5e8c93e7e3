"""A table held against its contract: every check has a finding, passed or not."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from rollout_trainer.columns import NOTHING, Datetime, Kind, Range, Text, listed, said, span
from rollout_trainer.contract import Contract, whole
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
    """The contract's columns in its order, without rows that miss what is required; None where a
    finding did not pass.
    """
    left_out: int = 0
    """Rows of the table that `clean` has not."""

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that did not pass."""
        return tuple(f for f in self.findings if not f.passed)


def examine(
    table: pd.DataFrame, contract: Contract, reference: pd.DataFrame | None = None
) -> Examined:
    """Hold `table` against the contract, and against `reference` for drift where one is given."""
    needed = (*contract.described, contract.label)
    if missing := [c for c in needed if c not in table.columns]:
        finding = Finding(
            "columns", "", f"no column {', '.join(missing)}", ", ".join(needed), passed=False
        )
        return Examined((finding,), None)
    features = f"{len(contract.columns)} features and {contract.label}"
    findings = [Finding("columns", "", _columns(table, contract), features, passed=True)]
    wanted = table[list(needed)]
    typed = _typed(wanted, contract)
    findings += _values(wanted, typed, contract)
    findings += _shape(typed, contract)
    if reference is not None and set(wanted.columns) <= set(reference.columns):
        findings += _drift(typed, _typed(reference[wanted.columns], contract), contract)
    if not all(f.passed for f in findings):
        return Examined(tuple(findings), None)
    clean = _without_gaps(typed, contract)
    return Examined(tuple(findings), clean, len(typed) - len(clean))


def _columns(table: pd.DataFrame, contract: Contract) -> str:
    known = {*contract.described, contract.label}
    others = [str(c) for c in table.columns if c not in known]
    return "all there" + (f"; not used: {', '.join(others)}" if others else "")


def _values(table: pd.DataFrame, typed: pd.DataFrame, contract: Contract) -> list[Finding]:
    """Types and ranges, cell by cell: pandera's schema, with its failures gathered by column."""
    failures: dict[str, list[tuple[object, object]]] = {}
    for column, schema in schema_of(contract).columns.items():
        try:
            pa.DataFrameSchema({column: schema}).validate(table[[column]], lazy=True)
        except SchemaErrors as broken:
            cases = broken.failure_cases
            failures[str(column)] = list(
                dict.fromkeys(zip(cases["index"], cases["failure_case"], strict=True))
            )
    found = [
        _cells("values", name, failures.get(name, []), _seen(typed[name], one), one.allowed)
        for name, one in contract.described.items()
    ]
    wrong = failures.get(contract.label, [])
    if contract.range is not None:
        seen = _seen(typed[contract.label], contract.range)
        return [*found, _cells("values", contract.label, wrong, seen, contract.range.allowed)]
    classes = listed(contract.classes or ())
    return [*found, _cells("classes", contract.label, wrong, "no others", classes)]


def _seen(values: pd.Series, column: Any) -> str:
    """What the values are, in words."""
    kept = values.dropna()
    if not len(kept):
        return "no value"
    if isinstance(column, Range):
        return span(kept.min(), kept.max())
    if isinstance(column, Datetime):
        return f"{said(kept.min())} to {said(kept.max())}"
    distinct = kept.unique().tolist()
    if len(distinct) <= SHOWN:
        return listed(sorted(map(str, distinct)))
    return f"{len(distinct)} different, up to {max(map(len, distinct))} characters"


def schema_of(contract: Contract) -> pa.DataFrameSchema:
    """The contract's columns as a pandera schema; missing values are allowed here, their share is a
    check of its own.
    """
    columns = {
        name: pa.Column(None, pa.Check(_allowed, column=one, contract=contract), nullable=True)
        for name, one in contract.described.items()
    }
    label = pa.Column(None, pa.Check(_label_allowed, contract=contract), nullable=True)
    return pa.DataFrameSchema({**columns, contract.label: label})


def _allowed(cells: pd.Series, column: Any, contract: Contract) -> pd.Series:
    """(rows,) of bool: cells that stand for no value, or for one that the column may have."""
    nothing = NOTHING if column.type != Kind.STRING else {"", *contract.missing}
    fitting: pd.Series = column.fits(column.typed(cells, contract.missing))
    return cells.isin(nothing) | fitting


def _label_allowed(cells: pd.Series, contract: Contract) -> pd.Series:
    values = _labels(cells, contract)
    if contract.range is not None:
        return contract.range.fits(values)
    return values.isin(contract.classes or ())


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
    """The table with values and labels; what cannot be read as such counts as missing."""
    values = {
        name: one.typed(table[name], contract.missing) for name, one in contract.described.items()
    }
    return pd.DataFrame({**values, contract.label: _labels(table[contract.label], contract)})


def _labels(labels: pd.Series, contract: Contract) -> pd.Series:
    """Labels of the kind that the contract's are of, missing ones still among them: float64, Int64,
    or text as it stands.
    """
    if contract.range is not None:
        return contract.range.typed(labels)
    if contract.classes is not None and isinstance(contract.classes[0], int):
        numbers = {label: whole(label) for label in labels.dropna().unique().tolist()}
        return labels.astype(object).map(numbers).astype("Int64")
    return labels.astype(str).where(labels.notna())


def _demanded(contract: Contract) -> list[str]:
    """Columns without whose value a row is left out."""
    return [contract.label, *(n for n, one in contract.described.items() if one.required)]


def _without_gaps(typed: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The rows that miss nothing that is required; whole numbers as labels are int64, even where
    one was missing.
    """
    rows = typed.dropna(subset=_demanded(contract)).reset_index(drop=True)
    label = contract.label
    whole_numbers = {label: "int64"} if rows[label].dtype == "Int64" else {}
    truths = {
        name: "bool"
        for name, one in contract.described.items()
        if one.type == Kind.BOOLEAN and one.required
    }
    return rows.astype({**whole_numbers, **truths})


def _shape(typed: pd.DataFrame, contract: Contract) -> list[Finding]:
    """Rows, missing values, duplicates and the balance of the classes."""
    rows = len(typed)
    gaps = typed[_demanded(contract)].isna().any(axis=1)
    missing = float(gaps.mean()) if rows else 0.0
    doubled = float(typed.duplicated().mean()) if rows else 0.0
    found = [
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
    ]
    if contract.classes is None:
        return found
    counts = typed[contract.label].value_counts()
    shares = {c: (int(counts.get(c, 0)) / rows if rows else 0.0) for c in contract.classes}
    rarest = min(shares, key=lambda c: shares[c])
    return [
        *found,
        Finding(
            "class balance",
            contract.label,
            f"{_percent(shares[rarest])} {rarest}",
            f"{_percent(contract.min_class_share)} or more",
            shares[rarest] >= contract.min_class_share and shares[rarest] > 0,
        ),
    ]


def _drift(typed: pd.DataFrame, reference: pd.DataFrame, contract: Contract) -> list[Finding]:
    kinds = {name: _distributed(one) for name, one in contract.features.items()}
    kinds[contract.label] = "numbers" if contract.classes is None else "classes"
    return [
        Finding(
            "drift",
            d.column,
            f"distance {d.size:.2f}"
            + (", within chance" if d.size > contract.max_drift and not d.beyond_chance else ""),
            f"{contract.max_drift:g} or less",
            d.size <= contract.max_drift or not d.beyond_chance,
        )
        for d in distances(typed, reference, kinds, contract.label)
    ]


def _distributed(column: Any) -> str:
    """As which kind of distribution a feature drifts, as in `distances`."""
    if isinstance(column, Text):
        return "lengths" if column.values is None else "classes"
    return "classes" if column.type == Kind.BOOLEAN else "numbers"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
