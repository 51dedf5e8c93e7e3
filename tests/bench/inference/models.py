"""`make test-models`: what is served beside scikit-learn, over estimators, pipelines and data of
every kind.

Every row is one that the proof did not have, training rows, thresholds led back and rows at the
border among them. Ends with 1 where any answer differs. Writes build/models.json.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.unit.inference import mixed_zoo
from tests.unit.inference.zoo import DATA, MODELS, UNFIT, Outcome, compared, fitted

TARGET = Path("build/models.json")
TABLES = "tables"
KINDS = [*DATA, TABLES]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-models", description=__doc__)
    parser.add_argument(
        "--rows",
        type=int,
        default=250,
        help="rows of each of about ten kinds, for each model and kind of data",
    )
    parser.add_argument(
        "--only",
        default=",".join(KINDS),
        help=f"kinds of data, comma-separated, of: {', '.join(KINDS)}",
    )
    wanted = parser.parse_args()
    if unknown := set(wanted.only.split(",")) - set(KINDS):
        parser.error(
            f"there are no data {', '.join(sorted(unknown))}: choose from {', '.join(KINDS)}"
        )
    found: dict[str, dict[str, Outcome]] = {}
    for kind in wanted.only.split(","):
        found[kind] = {}
        for model, compare in _models(kind, wanted.rows):
            try:
                outcome = found[kind][model] = compare()
            except ValueError as refused:
                said = str(refused).splitlines()[0][:80]
                print(
                    f"{kind:22} {model:55} scikit-learn itself does not fit it: {said}", flush=True
                )
                continue
            print(
                f"{kind:22} {model:55} {outcome.plan.runtime:7} {outcome.rows:6} rows"
                f" {outcome.ties:5} ties {outcome.labels:3} labels {outcome.chances:3}"
                f" probabilities  {outcome.plan.reason[:120]}",
                flush=True,
            )
    return _told(found)


def _models(kind: str, rows: int) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    if kind == TABLES:
        for model in mixed_zoo.TABLES:
            yield model, partial(mixed_zoo.compared, model, rows)
        return
    for model in MODELS:
        if (model, kind) not in UNFIT:
            yield model, partial(_of_numbers, model, kind, rows)


def _of_numbers(model: str, kind: str, rows: int) -> Outcome:
    estimator, data = fitted(model, DATA[kind])
    return compared(estimator, data, rows, known=True)


def _told(found: dict[str, dict[str, Outcome]]) -> int:
    """Print a line for each kind of data, and keep it; 1 where any answer differs."""
    kept = {kind: _sums(list(outcomes.values())) for kind, outcomes in found.items()}
    for kind, sums in kept.items():
        print(kind, json.dumps(sums))
    every = kept["all"] = _sums([one for some in found.values() for one in some.values()])
    kinds = {name for some in found.values() for name in some}
    print(
        f"{len(kinds)} estimators and pipelines, {every['rows']} rows, {every['ties']} ties,"
        f" {every['labels']} label exceptions, {every['probabilities']} probability exceptions"
    )
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(kept, indent=2) + "\n")
    return int(bool(every["labels"] or every["probabilities"]))


def _sums(some: list[Outcome]) -> dict[str, int]:
    return {
        "models": len(some),
        "onnx": sum(one.plan.runtime == "onnx" for one in some),
        "rows": sum(one.rows for one in some),
        "ties": sum(one.ties for one in some),
        "labels": sum(one.labels for one in some),
        "probabilities": sum(one.chances for one in some),
    }


if __name__ == "__main__":
    sys.exit(main())
