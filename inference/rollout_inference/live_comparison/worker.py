"""The process that asks scikit-learn what the server said by ONNX Runtime: it loads the model,
compares, and ends.

`python -m rollout_inference.live_comparison.worker` reads a Sample from standard input and answers
with Found on standard output, both as MessagePack, which knows NaN. The server itself holds no
scikit-learn, so its memory at rest stays what it is.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rollout_inference.loading.loader import fetched
from rollout_inference.settings import Settings
from rollout_model import onnx_bundle
from rollout_model.artifact import Artifact, verify
from rollout_model.errors import LoadFailed, first_line
from rollout_model.load_policy import LoadPolicy
from rollout_model.parity import TIE, far, ties
from rollout_model.signature import frame
from rollout_model.table_form import likely_form
from rollout_model.table_signature import TableSignature


class Sample(msgspec.Struct, frozen=True):
    """Rows that came, and what was said to them."""

    settings: str
    """The server's, as JSON."""
    task: str
    """As in Plan."""
    rows: list[list[Any]]
    """NaN for a missing number; of a table as JSON has them, null for a missing value."""
    said: list[Any]
    """The label of each row."""


class Found(msgspec.Struct, frozen=True):
    """What came of a comparison."""

    compared: int = 0
    """Rows."""
    differ: int = 0
    """Rows, of those that were compared."""
    example: str = ""
    """One of these, in words."""
    failed: str = ""
    """Why nothing was compared; "" where it was."""


async def original(settings: Settings, scratch: Path) -> tuple[Artifact, Any]:
    """The verified model and its estimator, fetched anew where it has a URI; raises LoadFailed."""
    try:
        async with asyncio.timeout(settings.load_seconds):
            folder = settings.files or await fetched(settings, str(scratch))
    except TimeoutError:
        raise LoadFailed(
            f"{settings.model_uri} could not be fetched within {settings.load_seconds:g} s"
        ) from None
    return await asyncio.to_thread(_read, folder, settings.load_policy)


def _read(folder: Path, policy: LoadPolicy) -> tuple[Artifact, Any]:
    # Scikit-learn is imported where it is asked, and only there.
    from rollout_model import estimator  # noqa: PLC0415

    artifact = verify(folder, policy)
    return artifact, estimator.load(artifact, policy)


def compared(sample: Sample, artifact: Artifact, model: Any) -> Found:
    """What of the sample differs from what the estimator says."""
    asked = _asked(sample.rows, artifact, model)
    expected = np.asarray(getattr(model, artifact.method)(asked))
    if sample.task == "regressor":
        wrong = _far(sample.said, expected, _proved(artifact, model))
    else:
        wrong = _other(sample.said, expected, asked, model)
    example = ""
    if wrong:
        first = wrong[0]
        example = (
            f"{sample.said[first]!r} was served, scikit-learn says {expected.tolist()[first]!r}"
        )
    return Found(len(sample.rows), len(wrong), example)


def _asked(rows: list[list[Any]], artifact: Artifact, model: Any) -> Any:
    """The rows as the estimator takes them."""
    signature = artifact.signature
    if not isinstance(signature, TableSignature):
        return frame(signature, np.array(rows, dtype=np.float64))
    form = likely_form(model, signature, artifact.method, artifact.known_rows)
    return form(signature.known(rows))


def _proved(artifact: Artifact, model: Any) -> Any:
    """What scikit-learn said to the rows of the conversion's proof; None where there is none."""
    if (found := onnx_bundle.numbers(artifact)) is not None:
        return found
    # It imports scikit-learn.
    from rollout_model.proof_rows import proof  # noqa: PLC0415

    rows = onnx_bundle.rows(artifact)
    try:
        return proof(model, artifact, rows if isinstance(rows, np.ndarray) else None).expected
    except Exception:  # the rows that came are compared all the same
        return None


def _far(said: list[Any], expected: Any, proved: Any) -> list[int]:
    """Rows with a number that the proof would not have passed.

    The rows that came may all be alike, so the middle is that of what the proof saw, where that is
    known.
    """
    among = (
        proved if proved is not None and np.shape(proved)[1:] == expected.shape[1:] else expected
    )
    differ = far(np.array(said, dtype=np.float64).reshape(expected.shape), expected, among)
    return [int(n) for n in np.flatnonzero(differ.reshape(len(said), -1).any(axis=1))]


def _other(said: list[Any], expected: Any, asked: Any, model: Any) -> list[int]:
    """Rows with another label, but for those where what the model decides by has no clear best."""
    differ = [
        n
        for n, (ours, theirs) in enumerate(zip(said, expected.tolist(), strict=True))
        if ours != theirs
    ]
    if not differ:
        return []
    decides = getattr(model, "decision_function", None) or getattr(model, "predict_proba", None)
    values = decides(asked) if decides is not None else None
    if not isinstance(values, np.ndarray):
        return differ
    tied = ties(values) if values.ndim > 1 and values.shape[1] > 1 else np.abs(values.ravel()) < TIE
    return [n for n in differ if not tied[n]]


def main() -> None:
    """One sample, one answer. What libraries print goes to standard error."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.nice(10)  # whoever asks the model comes first
    sample = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Sample)
    try:
        with tempfile.TemporaryDirectory(prefix="compared-") as scratch:
            settings = Settings.model_validate_json(sample.settings)
            found = compared(sample, *asyncio.run(original(settings, Path(scratch))))
    except Exception as failure:  # the server has to know, whatever it is
        found = Found(
            failed=str(failure)
            if isinstance(failure, LoadFailed)
            else f"{type(failure).__name__}: {first_line(failure)}"
        )
    with answer:
        answer.write(msgspec.msgpack.encode(found))


if __name__ == "__main__":
    main()
