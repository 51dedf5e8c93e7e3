"""The model card: what a model is, what it was trained on and how good it is, in Markdown, inside
of the artifact.

Sections after Mitchell et al. 2019, Model Cards for Model Reporting (doi:10.1145/3287560.3287596).
No time and no address stands in it, so that the same data and recipe give the same card.
"""

from rollout_trainer.data import HELD_OUT, Split
from rollout_trainer.evaluate import Evaluation
from rollout_trainer.recipe import Recipe


def card(recipe: Recipe, split: Split, evaluation: Evaluation) -> str:
    """The card as Markdown."""
    metrics = evaluation.metrics
    rows = len(split.train) + len(split.test)
    parameters = ", ".join(f"{k}={v!r}" for k, v in recipe.parameters.items()) or "defaults"
    before = (
        " after " + ", ".join(f"`{p}`" for p in recipe.preprocessing)
        if recipe.preprocessing
        else ""
    )
    crossed = f"{metrics['cv_accuracy_mean']:.4f} ± {metrics['cv_accuracy_std']:.4f}"
    lines = [
        f"# {recipe.name}",
        "",
        (
            f"Predicts `{split.train_labels.name}` ({', '.join(evaluation.classes)}) from"
            f" {len(split.train.columns)} numbers."
        ),
        "",
        "## Model",
        "",
        f"`{recipe.estimator}`{before}, parameters {parameters}, seed {recipe.seed}.",
        *_weakness(recipe, split),
        "",
        "## Data",
        "",
        (
            f"`{recipe.data.name}`, {rows} rows, digest `{split.digest}`; {len(split.test)} rows"
            f" ({HELD_OUT:.0%}) were held out."
        ),
        "",
        "| feature | least | mean | greatest |",
        "| --- | --- | --- | --- |",
        *(
            f"| {c} | {split.train[c].min():.4g} | {split.train[c].mean():.4g} |"
            f" {split.train[c].max():.4g} |"
            for c in split.train.columns
        ),
        "",
        "## Evaluation",
        "",
        "| metric | value | from |",
        "| --- | --- | --- |",
        f"| accuracy | {metrics['accuracy']:.4f} | {metrics['samples']:.0f} held-out rows |",
        f"| balanced accuracy | {metrics['balanced_accuracy']:.4f} | the same |",
        f"| F1, mean of the classes | {metrics['f1_macro']:.4f} | the same |",
        *(
            [f"| log loss, 0 is best | {metrics['log_loss']:.4f} | the same |"]
            if "log_loss" in metrics
            else []
        ),
        (
            f"| accuracy, cross-validated | {crossed} | {len(evaluation.crossed.accuracies)} folds"
            " of the training rows |"
        ),
        *(
            [f"| Brier score, 0 is best, 2 is worst | {metrics['cv_brier']:.4f} | the same folds |"]
            if "cv_brier" in metrics
            else []
        ),
        "",
        f"| true, then predicted | {' | '.join(evaluation.classes)} | recall |",
        f"| --- |{' --- |' * len(evaluation.classes)} --- |",
        *(
            f"| {c} | {' | '.join(map(str, row))} | {recall:.4f} |"
            for c, row, recall in zip(
                evaluation.classes, evaluation.confusion.tolist(), evaluation.recalls, strict=True
            )
        ),
        "",
        "## Limits",
        "",
        (
            "Nothing is known of it outside of the ranges above. Its accuracy in production is what"
            " its ModelRollout measures."
        ),
        "",
    ]
    return "\n".join(lines)


def _weakness(recipe: Recipe, split: Split) -> list[str]:
    said = []
    if recipe.features is not None and recipe.features < len(split.train.columns):
        said.append(f"It sees the first {recipe.features} features only.")
    if recipe.shuffled:
        said.append(
            f"Of its training labels {recipe.shuffled:.0%} were shuffled: it is meant to be bad."
        )
    return said
