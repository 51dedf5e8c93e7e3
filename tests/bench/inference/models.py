"""`make test-models`: what is served beside scikit-learn, over estimators, pipelines and data of
every kind.

Every row is one that the proof did not have, training rows, thresholds led back and rows at the
border among them. Ends with 1 where any answer differs. Writes build/models.json.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.unit.inference.zoo import DATA, MODELS, UNFIT, Outcome, compared, fitted

TARGET = Path("build/models.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-models", description=__doc__)
    parser.add_argument(
        "--rows",
        type=int,
        default=400,
        help="rows of each of about ten kinds, for each model and kind of data",
    )
    parser.add_argument(
        "--only",
        default=",".join(DATA),
        help=f"kinds of data, comma-separated, of: {', '.join(DATA)}",
    )
    wanted = parser.parse_args()
    if unknown := set(wanted.only.split(",")) - DATA.keys():
        parser.error(
            f"there are no data {', '.join(sorted(unknown))}: choose from {', '.join(DATA)}"
        )
    found: dict[str, dict[str, Outcome]] = {}
    for kind in wanted.only.split(","):
        for model in MODELS:
            if (model, kind) in UNFIT:
                continue
            try:
                estimator, data = fitted(model, DATA[kind])
            except ValueError as refused:
                print(
                    f"{kind:22} {model:45} scikit-learn itself does not fit it:"
                    f" {str(refused).splitlines()[0][:80]}",
                    flush=True,
                )
                continue
            outcome = found.setdefault(kind, {})[model] = compared(
                estimator, data, wanted.rows, known=True
            )
            said = outcome.differs or outcome.plan.reason
            print(
                f"{kind:22} {model:45} {outcome.plan.runtime:7} {outcome.rows:6} rows"
                f" {outcome.ties:5} ties  {said[:120]}",
                flush=True,
            )
    return _told(found)


def _told(found: dict[str, dict[str, Outcome]]) -> int:
    """Print a line for each kind of data, and keep it; 1 where any answer differs."""
    kept = {}
    for kind, outcomes in found.items():
        some = outcomes.values()
        kept[kind] = {
            "models": len(some),
            "onnx": sum(one.plan.runtime == "onnx" for one in some),
            "rows": sum(one.rows for one in some),
            "ties": sum(one.ties for one in some),
            "exceptions": sum(bool(one.differs) for one in some),
        }
        print(kind, json.dumps(kept[kind]))
    print(
        f"{sum(one['rows'] for one in kept.values())} rows,"
        f" {sum(one['exceptions'] for one in kept.values())} exceptions"
    )
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(kept, indent=2) + "\n")
    return int(any(one["exceptions"] for one in kept.values()))


if __name__ == "__main__":
    sys.exit(main())
