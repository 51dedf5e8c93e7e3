"""The model card: what a model is, what it was trained on and how good it is, in Markdown, inside
of the artifact.

Sections after Mitchell et al. 2019, Model Cards for Model Reporting (doi:10.1145/3287560.3287596).
No time and no address stands in it, so that the same data and recipe give the same card.
"""

from collections import Counter
from collections.abc import Mapping

from rollout_trainer.data import Split
from rollout_trainer.evaluate import Evaluation
from rollout_trainer.preprocessing import kind_of
from rollout_trainer.recipe import Recipe


def card(recipe: Recipe, split: Split, evaluation: Evaluation) -> str:
    """The card as Markdown."""
    rows = len(split.train) + len(split.test)
    parameters = ", ".join(f"{k}={v!r}" for k, v in recipe.parameters.items()) or "defaults"
    by = f" by `{split.by.column}`" if split.by.column else ""
    of = ", ".join(evaluation.classes) if split.classes else "a number"
    lines = [
        f"# {recipe.name}",
        "",
        f"Predicts `{split.train_labels.name}` ({of}) from {_columns(split)}.",
        "",
        "## Model",
        "",
        (
            f"`{recipe.estimator}`{_before(recipe)}, parameters {parameters}, seed"
            f" {recipe.seed}{_around(recipe)}."
        ),
        *_weakness(recipe, split),
        "",
        "## Data",
        "",
        (
            f"`{recipe.data.name}`, {rows} rows, digest `{split.digest}`; {len(split.test)} rows"
            f" ({split.by.held_out:.0%}) were held out{by}."
        ),
        "",
        *_features(split),
        "",
        "## Evaluation",
        "",
        *_scores(evaluation),
        *_confusion(evaluation),
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


def _columns(split: Split) -> str:
    kinds = Counter(kind_of(split.train[name]) for name in split.train.columns)
    if set(kinds) == {"number"}:
        return f"{len(split.train.columns)} numbers"
    said = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items()]
    return f"{len(split.train.columns)} columns ({', '.join(said)})"


def _before(recipe: Recipe) -> str:
    written = recipe.preprocessing
    if not written:
        return ""
    steps = {"": written} if not isinstance(written, Mapping) else written
    said = [
        (f"{columns}: " if columns else "")
        + ", ".join(f"`{one}`" for one in ([step] if isinstance(step, str) else step))
        for columns, step in steps.items()
    ]
    return f" after {'; '.join(said)}"


def _around(recipe: Recipe) -> str:
    said = ""
    if recipe.class_weight is not None:
        said += f", class weights {recipe.class_weight}"
    if recipe.search is not None:
        said += f", the best by cross-validation of {', '.join(recipe.search.parameters)}"
    return said


def _features(split: Split) -> list[str]:
    numbers = [name for name in split.train.columns if kind_of(split.train[name]) == "number"]
    others = [name for name in split.train.columns if name not in numbers]
    lines = []
    if numbers:
        lines = ["| feature | least | mean | greatest |", "| --- | --- | --- | --- |"]
        for name in numbers:
            values = split.train[name]
            lines.append(
                f"| {name} | {values.min():.4g} | {values.mean():.4g} | {values.max():.4g} |"
            )
    if others:
        lines += [
            "",
            "| feature | kind | different values | missing |",
            "| --- | --- | --- | --- |",
        ]
        for name in others:
            values = split.train[name]
            lines.append(
                f"| {name} | {kind_of(values)} | {values.nunique()} | {values.isna().mean():.1%} |"
            )
    return lines if numbers else lines[1:]


NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "F1, mean of the classes",
    "roc_auc": "ROC AUC, one class against the rest",
    "log_loss": "log loss, 0 is best",
    "mean_absolute_error": "mean absolute error",
    "root_mean_squared_error": "root mean squared error",
    "median_absolute_error": "median absolute error",
    "r2": "R², 1 is best",
}


def _scores(evaluation: Evaluation) -> list[str]:
    metrics, crossed = evaluation.metrics, evaluation.crossed
    known = [name for name in NAMES if name in metrics]
    held_out = [f"{metrics['samples']:.0f} held-out rows", *["the same"] * (len(known) - 1)]
    lines = ["| metric | value | from |", "| --- | --- | --- |"]
    for name, where in zip(known, held_out, strict=True):
        lines.append(f"| {NAMES[name]} | {metrics[name]:.4f} | {where} |")
    where = f"{len(crossed.scores)} folds of the training rows"
    for name in dict.fromkeys(
        ["accuracy", crossed.metric] if evaluation.classes else [crossed.metric]
    ):
        spread = f"{metrics[f'cv_{name}_mean']:.4f} ± {metrics[f'cv_{name}_std']:.4f}"
        lines.append(f"| {NAMES[name]}, cross-validated | {spread} | {where} |")
        where = "the same folds"
    if "cv_brier" in metrics:
        brier = f"{metrics['cv_brier']:.4f}"
        lines.append(f"| Brier score, 0 is best, 2 is worst | {brier} | the same folds |")
    return lines


def _confusion(evaluation: Evaluation) -> list[str]:
    if not evaluation.classes:
        return []
    return [
        "",
        f"| true, then predicted | {' | '.join(evaluation.classes)} | recall |",
        f"| --- |{' --- |' * len(evaluation.classes)} --- |",
        *(
            f"| {c} | {' | '.join(map(str, row))} | {recall:.4f} |"
            for c, row, recall in zip(
                evaluation.classes, evaluation.confusion.tolist(), evaluation.recalls, strict=True
            )
        ),
    ]


def _weakness(recipe: Recipe, split: Split) -> list[str]:
    said = []
    if recipe.features is not None and recipe.features < len(split.train.columns):
        said.append(f"It sees the first {recipe.features} features only.")
    if recipe.shuffled:
        said.append(
            f"Of its training labels {recipe.shuffled:.0%} were shuffled: it is meant to be bad."
        )
    return said
