"""Pictures of an evaluation, as PNG files."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from sklearn.calibration import calibration_curve
from sklearn.metrics import ConfusionMatrixDisplay

from rollout_trainer.evaluate import Crossed, Evaluation

BINS = 5


def draw(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write confusion_matrix.png, and calibration.png where the estimator gives probabilities; of
    numbers predicted.png. Returns what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not evaluation.classes:
        return [_predicted(evaluation, folder / "predicted.png")]
    written = [_confusion(evaluation, folder / "confusion_matrix.png")]
    if evaluation.crossed.probabilities is not None:
        written.append(
            _calibration(evaluation.classes, evaluation.crossed, folder / "calibration.png")
        )
    return written


def _confusion(evaluation: Evaluation, path: Path) -> Path:
    size = 3.2 + 0.5 * len(evaluation.classes)
    figure, axes = plt.subplots(figsize=(size, size), layout="constrained")
    display = ConfusionMatrixDisplay(evaluation.confusion, display_labels=evaluation.classes)
    display.plot(ax=axes, cmap="Blues", colorbar=False, xticks_rotation=45)
    axes.set(
        title=(
            f"{evaluation.confusion.sum()} held-out rows, accuracy"
            f" {evaluation.metrics['accuracy']:.3f}"
        ),
        xlabel="predicted",
        ylabel="true",
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _predicted(evaluation: Evaluation, path: Path) -> Path:
    """The held-out rows: what is true, and what the model said."""
    figure, axes = plt.subplots(figsize=(5, 4.6), layout="constrained")
    truth, said = evaluation.said.truth, evaluation.said.predicted
    low, high = min(truth.min(), said.min()), max(truth.max(), said.max())
    axes.plot([low, high], [low, high], color="0.7", linestyle="--", label="perfect")
    axes.scatter(truth, said, s=12, alpha=0.6)
    error = evaluation.metrics["mean_absolute_error"]
    axes.set(
        title=f"{len(truth)} held-out rows, mean absolute error {error:.4g}",
        xlabel="true",
        ylabel="predicted",
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _calibration(classes: tuple[str, ...], crossed: Crossed, path: Path) -> Path:
    """One curve for each class: of the rows given about this probability, which share was of that
    class.
    """
    figure, axes = plt.subplots(figsize=(5, 4.6), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect")
    assert crossed.probabilities is not None
    for number, name in enumerate(classes):
        share, given = calibration_curve(
            crossed.truth[:, number], crossed.probabilities[:, number], n_bins=BINS
        )
        axes.plot(given, share, marker="o", label=name)
    axes.set(
        title=f"Cross-validated, {len(crossed.truth)} rows",
        xlabel="probability that the model gave",
        ylabel="share of rows that were of the class",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    axes.legend(loc="upper left", fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
