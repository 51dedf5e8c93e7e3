"""From a verified file to a scikit-learn estimator. Reading a model can run code: skops with our own allow-list, or it is refused."""

import zipfile
from pathlib import Path
from typing import Any

import skops.io

from rollout_inference.artifact import Artifact
from rollout_inference.errors import LoadFailed, first_line
from rollout_inference.settings import Settings

TRUSTED_TYPES = frozenset(
    {
        "sklearn.tree._tree.Tree",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.AbsoluteError",
        "sklearn._loss.loss.ExponentialLoss",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.utils._bunch.Bunch",
    }
)
"""Types that skops may build beside its own defaults. Ours alone: a model must not say which types of its own are to be trusted."""


def load(artifact: Artifact, settings: Settings) -> Any:
    """The estimator; raises LoadFailed."""
    try:
        return _skops(artifact.file, settings.max_model) if artifact.serialization == "skops" else _pickle(artifact.file, settings)
    except LoadFailed:
        raise
    except Exception as failure:  # a file of unknown content can fail in any way
        raise LoadFailed(f"The model cannot be loaded: {first_line(failure)}") from failure


def _skops(path: Path, most: int) -> Any:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    if unpacked > most:
        raise LoadFailed(f"The model is too large: {path.name} unpacks to {unpacked} bytes, and {most} are the most.")
    foreign = set(skops.io.get_untrusted_types(file=path)) - TRUSTED_TYPES
    if foreign:
        raise LoadFailed(f"The model holds types that are not trusted: {', '.join(sorted(foreign))[:300]}.")
    return skops.io.load(path, trusted=sorted(TRUSTED_TYPES))


def _pickle(path: Path, settings: Settings) -> Any:
    if not settings.allow_pickle:
        raise LoadFailed("The model is a pickle, which can run any code: save it with serialization_format='skops'.")
    import cloudpickle  # noqa: PLC0415 - only where it is allowed

    with path.open("rb") as stream:
        return cloudpickle.load(stream)
