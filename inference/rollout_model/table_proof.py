"""What a conversion of mixed columns is held to: rows of them with what scikit-learn says, and rows
of features with what the rest of the estimator says.

Between the two stands what the server computes without scikit-learn: it has to be the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from scipy.sparse import csr_array

from rollout_model.artifact import Artifact
from rollout_model.estimator_parts import holds_trees
from rollout_model.fitted_features import Split, split
from rollout_model.learnt_categories import Heavy
from rollout_model.parity import Proof
from rollout_model.proof_rows import SPARSE, chances, proof
from rollout_model.signature import AnyRows, Rows, Signature, cut, together
from rollout_model.table import Column, Kind, Table
from rollout_model.table_features import Features, Featurizer
from rollout_model.table_form import likely_form
from rollout_model.table_signature import TableSignature
from rollout_model.table_trial_rows import led_back, pools, table_rows
from rollout_model.trial_rows import MOST, POINTS

NUMBERS = 6_000_000
"""Features of all rows of one kind, about: more of them make fewer rows."""
KINDS = 12
"""Of rows of features, about."""
REFUSED = 24
"""Rows that are refused without scikit-learn, and that it is asked about one by one."""


@dataclass(frozen=True, slots=True)
class Halves:
    """An estimator in two halves, and what is known of both."""

    features: Features
    """The first half."""
    rest: Any
    """The second: an estimator that is asked with features."""
    artifact: Artifact
    """As if the second half were a model of its own."""
    over: Proof
    """Rows of the model, and what the whole estimator says."""
    within: Proof
    """Rows of features, and what the second half says."""


def halves(
    estimator: Any,
    artifact: Artifact,
    rows: AnyRows | None = None,
    seed: int = 0,
    count: int = POINTS,
) -> Halves:
    """Raises Heavy where the first half cannot be computed without scikit-learn, or not alike; and
    as `proof`.

    rows: of training, where they are known.
    """
    asked, signature = _Asked(estimator, artifact), artifact.signature
    random, example = np.random.default_rng(seed), artifact.known_rows
    found = split(estimator, example, list(signature.names) if signature.named else [], asked.gap)
    if not (found.features.steps or signature.doubtful):
        raise Heavy("nothing of it is computed without scikit-learn")
    features = msgspec.structs.replace(
        found.features, finite=_finite(found, artifact.method, asked.given(example))
    )
    featurizer = Featurizer(features)
    count = int(np.clip(NUMBERS / (KINDS * features.width), 30, count))
    columns, known = columns_of(signature), [tabled(signature, example)]
    if rows is not None and len(rows):
        known.append(_some(tabled(signature, rows), random, min(MOST, 4 * count)))
    pool = pools(columns, features.steps, known)
    taken = _Taken(asked, featurizer)
    for one in table_rows(columns, known, pool, random, count):
        taken.add(untabled(signature, one))
    points, made = taken.all()
    inner = _inner(artifact, found.rest, features.width)
    like = made[random.choice(len(made), min(MOST, 4 * count))]
    within = proof(found.rest, inner, like, seed, count)
    seen = np.asarray(within.points)
    at = seen[random.choice(len(seen), 2 * count)]
    if (back := led_back(columns, pool, featurizer, at, random)) is not None:
        taken.add(untabled(signature, back))
        points, made = taken.all()
    _alike(found.transform(asked.given(points)), made, exactly=holds_trees(found.rest))
    return Halves(features, found.rest, inner, asked.said(found.rest, inner, points, made), within)


class _Asked:
    """The whole estimator."""

    def __init__(self, estimator: Any, artifact: Artifact) -> None:
        self._estimator, self._method = estimator, artifact.method
        self._signature = artifact.signature
        self._form = likely_form(estimator, self._signature, self._method, artifact.known_rows)

    @property
    def gap(self) -> float | None:
        """As in TableForm."""
        return self._form.gap

    def given(self, rows: AnyRows) -> Any:
        """The rows as it takes them."""
        return self._form.given(self._signature, rows)

    def __call__(self, rows: AnyRows) -> Any:
        return np.asarray(getattr(self._estimator, self._method)(self.given(rows)))

    def said(self, rest: Any, inner: Artifact, points: AnyRows, made: Rows) -> Proof:
        """Its answers, and which of them are determined."""
        expected = self(points)
        if self._method != "predict":
            return Proof(points, expected)
        probable, tied = chances(rest, inner.signature, made, expected)
        if probable is not None:
            probable = np.asarray(self._estimator.predict_proba(self.given(points)))
        return Proof(points, expected, probable, tied)


class _Taken:
    """Rows that both answer; what one refuses proves nothing, unless the other does not."""

    def __init__(self, asked: _Asked, featurizer: Featurizer) -> None:
        self._asked, self._featurizer = asked, featurizer
        self._rows: list[AnyRows] = []
        self._left = REFUSED

    def add(self, rows: AnyRows) -> None:
        """Raises Heavy where a row is refused that scikit-learn answers."""
        for part in self._ours(rows):
            self._rows += _parts(self._asked, part)

    def all(self) -> tuple[AnyRows, Rows]:
        """The rows, and their features. Raises Heavy where there are none."""
        if not self._rows:
            raise Heavy("scikit-learn refuses all rows that it was tried on")
        rows = together(self._rows)
        return rows, self._featurizer(rows)

    def _ours(self, rows: AnyRows) -> Iterator[AnyRows]:
        try:
            self._featurizer(rows)
        except ValueError:
            each = [cut(rows, n, n + 1) for n in range(len(rows))]
            if kept := [one for one in each if self._answered(one)]:
                yield together(kept)
            return
        yield rows

    def _answered(self, row: AnyRows) -> bool:
        try:
            self._featurizer(row)
        except ValueError:
            self._refused(row)
            return False
        return True

    def _refused(self, row: AnyRows) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        try:
            self._asked(row)
        except Exception:  # as it should be
            return
        raise Heavy("scikit-learn answers a row that would be refused")


def _parts(asked: _Asked, rows: AnyRows) -> list[AnyRows]:
    """The rows whole where scikit-learn answers them, else those of the first that it does."""
    try:
        asked(rows)
    except Exception:
        if len(rows) == 1:
            return []
        each = (cut(rows, n, n + 1) for n in range(min(len(rows), SPARSE)))
        return [part for one in each for part in _parts(asked, one)]
    return [rows]


def _finite(found: Split, method: str, known: Any) -> bool:
    """Whether the second half refuses a missing number, in the kind of array that it is given.

    known: rows that the estimator takes. Raises Heavy where it depends on which number.
    """
    rest, width = found.rest, found.features.width
    sparse = hasattr(found.transform(known), "toarray")

    def refuses(row: Rows) -> bool:
        try:
            getattr(rest, method)(csr_array(row) if sparse else row)
        except ValueError:
            return True
        return False

    if not refuses(np.full((1, width), np.nan)):
        return False
    for place in range(min(width, 100)):
        row = np.zeros((1, width))
        if not refuses(row) and not refuses(_with_gap(row, place)):
            raise Heavy("some features may be missing, and others may not")
    return True


def _with_gap(row: Rows, place: int) -> Rows:
    made = row.copy()
    made[0, place] = np.nan
    return made


def _alike(theirs: Any, ours: Rows, exactly: bool) -> None:
    theirs = theirs.toarray() if hasattr(theirs, "toarray") else theirs
    numbers = np.asarray(theirs, dtype=np.float64)
    same = numbers.shape == ours.shape and (
        np.array_equal(numbers, ours, equal_nan=True)
        if exactly
        else np.allclose(numbers, ours, rtol=1e-9, atol=1e-12, equal_nan=True)
    )
    if not same:
        raise Heavy("features are not those of scikit-learn")


def _inner(artifact: Artifact, rest: Any, width: int) -> Artifact:
    names = tuple(map(str, getattr(rest, "feature_names_in_", range(width))))
    named = hasattr(rest, "feature_names_in_")
    return replace(artifact, signature=Signature(names, named=named), example=[])


def columns_of(signature: Signature) -> tuple[Column, ...]:
    """The columns of any signature, as those of a table."""
    if isinstance(signature, TableSignature):
        return signature.table
    whole = signature.whole
    return tuple(
        Column(name, Kind.LONG if n in whole else Kind.DOUBLE)
        for n, name in enumerate(signature.names)
    )


def tabled(signature: Signature, rows: AnyRows) -> Table:
    """Rows of any signature as a table."""
    if isinstance(rows, Table):
        return rows
    return Table(columns_of(signature), tuple(rows.T))


def untabled(signature: Signature, table: Table) -> AnyRows:
    """The table as rows of the signature."""
    if isinstance(signature, TableSignature):
        return table
    return np.column_stack(table.values)


def _some(table: Table, random: np.random.Generator, most: int) -> Table:
    if len(table) <= most:
        return table
    return table[random.choice(len(table), most, replace=False)]
