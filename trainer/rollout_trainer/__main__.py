"""Command line: `python -m rollout_trainer` validate, prepare, draft, train, profile."""

import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rollout_trainer.data_commands import draft, prepare, validate
from rollout_trainer.errors import TrainerError
from rollout_trainer.profile_command import profile

if TYPE_CHECKING:
    from rollout_trainer.recipe import Recipe

PATTERN = "letters, digits, '_', '-' and '.'"
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Check data, train models and register them for rollout."""


for _command in (validate, prepare, draft, profile):
    main.add_command(_command)


def _named(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    if name is not None and (
        not name
        or name[0] in "-."
        or not all((c.isalnum() and c.isascii()) or c in "_-." for c in name)
        or len(name) > 200
    ):
        raise click.BadParameter(
            f"{name!r}: write {PATTERN}, beginning with a letter, a digit or '_'."
        )
    return name


def _set(
    _context: click.Context, _parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, Any]:
    # Values are read as a recipe file's are.
    from rollout_trainer import numerals  # noqa: PLC0415

    said = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise click.BadParameter(f"{pair!r}: write KEY=VALUE, for example max_depth=4.")
        said[key] = numerals.load(value)
    return said


@main.command()
@click.option(
    "--config",
    type=FILE,
    help="YAML file with a recipe: name, data, estimator, parameters, preprocessing, search, seed.",
)
@click.option(
    "--name",
    envvar="MLFLOW_MODEL_NAME",
    callback=_named,
    help="Registered model; also MLFLOW_MODEL_NAME.  [default: iris]",
)
@click.option(
    "--estimator",
    help=(
        "Import path of an estimator of scikit-learn, XGBoost or LightGBM.  [default:"
        " sklearn.ensemble.RandomForestClassifier]"
    ),
)
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_set,
    help="A parameter of the estimator; repeat for more.",
)
@click.option(
    "--n-estimators",
    type=click.IntRange(1, 1000),
    help="Short for --set n_estimators=N: trees in the forest.",
)
@click.option(
    "--max-depth",
    type=click.IntRange(1, 100),
    help="Short for --set max_depth=N: depth of each tree.",
)
@click.option(
    "--features", type=click.IntRange(1), help="How many of the features it sees; all by default."
)
@click.option(
    "--shuffle-labels",
    type=click.FloatRange(0, 1),
    help="Share of training labels to shuffle.  [default: 0]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    help="Seed of the estimator and of the shuffling.  [default: 0]",
)
@click.option("--data", type=FILE, help="CSV to train on.  [default: data/processed/iris.csv]")
@click.option(
    "--contract",
    type=FILE,
    help="The data's contract.  [default: data/contracts/<name>.yaml beside its folder]",
)
@click.option(
    "--training-rows/--no-training-rows",
    default=True,
    help=(
        "Whether up to 1,000 training rows travel with the model, where whoever reads it reads"
        " them.  [default: they do]"
    ),
)
@click.option("--output", type=FILE, help="File to write the MODEL_URI to, for CI.")
def train(  # noqa: PLR0917 - one for each option
    config: Path | None,
    parameters: dict[str, Any],
    n_estimators: int | None,
    max_depth: int | None,
    contract: Path | None,
    output: Path | None,
    shuffle_labels: float | None,
    training_rows: bool,
    **given: Any,
) -> None:
    """Check the data, train, evaluate and register a model; the last line printed is its MODEL_URI.

    Options go before the recipe file. Runs go to MLFLOW_TRACKING_URI, or to mlflow.db in the
    working directory where that is unset. The same data, recipe and seed give the same content
    digest, and what is registered already is not registered again. --features, --max-depth and
    --shuffle-labels make a weak model on purpose; its accuracy is measured on unseen rows all the
    same.
    """
    shorthand = {"n_estimators": n_estimators, "max_depth": max_depth}
    parameters |= {key: value for key, value in shorthand.items() if value is not None}
    # --help does not wait for scikit-learn.
    from rollout_trainer.recipe import Recipe  # noqa: PLC0415

    try:
        if output is not None:
            output.unlink(
                missing_ok=True
            )  # of an earlier run: who deploys it after a failure deploys that
        recipe = Recipe() if config is None else Recipe.read(config)
        if given["estimator"] not in {None, recipe.estimator}:
            recipe = recipe.changed(parameters={})  # those of another estimator
        merged = {**recipe.parameters, **parameters}
        uri = _trained(
            recipe.changed(parameters=merged, shuffled=shuffle_labels, **given),
            contract,
            training_rows=training_rows,
        )
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(uri + "\n")
    except (TrainerError, OSError) as trouble:
        raise click.ClickException(str(trouble)) from trouble
    click.echo(uri)


def _trained(recipe: "Recipe", contract: Path | None, *, training_rows: bool) -> str:
    """From the data to a MODEL_URI; raises TrainerError."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # Where MLflow's telemetry reaches nobody it gives up, in a thread of its own, and takes its
    # variable out of os.environ: a request that reads os.environ at that moment ends in KeyError.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # After the variables above, which MLflow reads when it is imported.
    from rollout_trainer.contract import contract_for  # noqa: PLC0415
    from rollout_trainer.data import load  # noqa: PLC0415
    from rollout_trainer.evaluate import judge  # noqa: PLC0415
    from rollout_trainer.package import make_package  # noqa: PLC0415
    from rollout_trainer.publish import register  # noqa: PLC0415
    from rollout_trainer.scores import fallen_short  # noqa: PLC0415
    from rollout_trainer.train import fit  # noqa: PLC0415

    _quiet()
    split = load(recipe.data, contract_for(recipe.data, contract), recipe.split)
    model = fit(split, recipe)
    evaluation = judge(model, split, recipe)
    metrics, metric = evaluation.metrics, evaluation.crossed.metric
    if evaluation.chosen:
        best = ", ".join(f"{name}={value}" for name, value in evaluation.chosen.items())
        click.echo(f"the search chose {best}", err=True)
    click.echo(
        f"{metric} {metrics[metric]:.4f} on {metrics['samples']:.0f} held-out rows, "
        f"{metrics[f'cv_{metric}_mean']:.4f} ± {metrics[f'cv_{metric}_std']:.4f} cross-validated",
        err=True,
    )
    if evaluation.constant:
        click.echo(
            f"warning: it says {evaluation.constant} of every held-out row, and its accuracy is the"
            f" share of that class; balanced_accuracy is {metrics['balanced_accuracy']:.4f}. Try"
            " `class_weight: balanced`; a recipe may ask for a `least` of it.",
            err=True,
        )
    if short := fallen_short(metrics, recipe.least, recipe.most):
        raise TrainerError(short)
    with tempfile.TemporaryDirectory() as scratch:
        package = make_package(
            Path(scratch), recipe, model, split, evaluation, training_rows=training_rows
        )
        registered = register(recipe, package, split, evaluation)
    if not registered.new:
        click.echo(
            f"{registered.uri} has exactly this content, {registered.digest[:19]}…: nothing new is"
            " registered.",
            err=True,
        )
    if registered.memory:
        click.echo(
            f"memory {registered.memory // 2**20} MiB until a pod serves it: "
            f"set spec.resources.limits.memory, where there is one, to at least {registered.limit}",
            err=True,
        )
    return registered.uri


def _quiet() -> None:
    """Only what this command says itself: MLflow's hints and progress bars are for notebooks."""
    for chatty in ("mlflow", "mlflow.utils.environment", "mlflow.store.db.utils", "alembic"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module="mlflow")


if __name__ == "__main__":
    sys.exit(main())
