"""Command line: `python -m rollout_trainer train`."""

import logging
import os
import sys
import warnings
from pathlib import Path

import click

from rollout_trainer.data import COLUMNS, load
from rollout_trainer.errors import TrainerError
from rollout_trainer.evaluate import evaluate
from rollout_trainer.train import Parameters, fit

PATTERN = "letters, digits, '_', '-' and '.'"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train models and register them for rollout."""


@main.command()
@click.option("--name", envvar="MLFLOW_MODEL_NAME", default="iris", show_default=True, help="Registered model; also MLFLOW_MODEL_NAME.")
@click.option("--n-estimators", type=click.IntRange(1, 1000), default=100, show_default=True, help="Trees in the forest.")
@click.option("--max-depth", type=click.IntRange(1, 100), default=None, help="Depth of each tree; unlimited by default.")
@click.option("--features", type=click.IntRange(1, 4), default=len(COLUMNS), show_default=True, help="How many measurements it sees.")
@click.option("--shuffle-labels", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Share of training labels to shuffle.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the forest and of the shuffling.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data/raw/iris.csv"), show_default=True, help="CSV of the flowers.")
@click.option("--output", type=click.Path(path_type=Path), default=None, help="File to write the MODEL_URI to, for CI.")
def train(  # noqa: PLR0917 - one for each option
    name: str,
    n_estimators: int,
    max_depth: int | None,
    features: int,
    shuffle_labels: float,
    seed: int,
    data: Path,
    output: Path | None,
) -> None:
    """Train, evaluate and register an Iris model; the last line printed is its MODEL_URI.

    Runs go to MLFLOW_TRACKING_URI, or to mlflow.db in the working directory where that is unset. --features, --max-depth
    and --shuffle-labels make a weak model on purpose; its accuracy is measured on unseen flowers all the same.
    """
    if not name or not all((c.isalnum() and c.isascii()) or c in "_-." for c in name) or name[0] in "-.":
        raise click.BadParameter(f"{name!r}: write {PATTERN}, beginning with a letter, a digit or '_'.", param_hint="--name")
    _quiet()
    from rollout_trainer.registry import register  # noqa: PLC0415 - takes seconds, which --help and bad input need not wait for

    parameters = Parameters(n_estimators, max_depth, features, shuffle_labels, seed)
    try:
        split = load(data)
        model = fit(split, parameters)
        metrics = evaluate(model, split)
        click.echo(f"accuracy {metrics['accuracy']:.4f} on {metrics['samples']:.0f} held-out flowers", err=True)
        uri = register(name, model, split, parameters, metrics)
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(uri + "\n")
    except (TrainerError, OSError) as trouble:
        raise click.ClickException(str(trouble)) from trouble
    click.echo(uri)


def _quiet() -> None:
    """Only what this command says itself: MLflow's hints and progress bars are for notebooks."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module="mlflow")


if __name__ == "__main__":
    sys.exit(main())
