"""Which flavor of an MLmodel file is served, and from which of its files: decided by what is
written there, before anything of the model is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from rollout_model.errors import LoadFailed
from rollout_model.load_policy import LoadPolicy

SKLEARN, XGBOOST, LIGHTGBM, CATBOOST = "sklearn", "xgboost", "lightgbm", "catboost"
ONNX = "onnx"
PYFUNC = "python_function"
EXTRAS = {XGBOOST: "boosting", LIGHTGBM: "boosting", CATBOOST: "catboost"}
"""The extra of our distribution that has a flavor's package. Packages are called as flavors are."""
SERVED = (SKLEARN, *EXTRAS, ONNX)
"""In the order in which they are looked for."""
METHODS = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba")
OWN = "own"
"""The serialization of a file in the format of the library itself, which holds no code."""
SKOPS = "skops"
CODE = "code"
"""The serialization of a model that is run."""
MLMODEL = "MLmodel"
PICKLED = "cloudpickle"
"""What MLflow took before flavors said how they are serialized."""
BOOSTERS = {XGBOOST: "xgboost.core.Booster", LIGHTGBM: "lightgbm.basic.Booster"}
"""The class of a model that is none of scikit-learn's interface."""
FORMATS = ("cbm", "json")
"""In which CatBoost writes what it can read; the others are for other programs."""


@dataclass(frozen=True, slots=True)
class Flavor:
    """The one that is served."""

    name: str
    """Of SERVED, or PYFUNC."""
    settings: Mapping[str, Any]
    """What MLmodel says of it."""
    file: str
    """The path of the model file, as MLmodel has it."""
    serialization: str
    """OWN, SKOPS, CODE or a pickle's."""
    method: str = "predict"
    """Of the estimator, which MLflow's own server would ask."""

    @property
    def model_class(self) -> str:
        """The name of the class that the model is one of; "" where MLmodel does not say."""
        named = self.settings.get("model_class") or self.settings.get("model_type")
        return str(named or BOOSTERS.get(self.name, ""))


def chosen(flavors: Mapping[str, Any], policy: LoadPolicy) -> Flavor:
    """The flavor that is served: where the policy allows code, what nothing else serves is code.

    Raises LoadFailed where none can be.
    """
    try:
        found = _safe(flavors)
        allowed(found, policy)
    except LoadFailed:
        if not (policy.allow_code and isinstance(flavors.get(PYFUNC), dict)):
            raise
        return Flavor(PYFUNC, flavors[PYFUNC], MLMODEL, CODE)
    return found


def _safe(flavors: Mapping[str, Any]) -> Flavor:
    name = next((one for one in SERVED if isinstance(flavors.get(one), dict)), None)
    if name is None:
        raise LoadFailed(_unserved(flavors))
    settings = flavors[name]
    if name == SKLEARN:
        written = str(settings.get("serialization_format", ""))
        return Flavor(name, settings, settings.get("pickled_model", ""), written, _method(flavors))
    if name in EXTRAS:
        _installed(name)
    return Flavor(name, settings, settings.get("data", ""), _serialization(name, settings))


def allowed(flavor: Flavor, policy: LoadPolicy) -> None:
    """Raises LoadFailed where reading the file could run code, and the policy does not allow it."""
    if flavor.serialization in {OWN, SKOPS} or policy.allow_pickle:
        return
    raise LoadFailed(
        "The model is a pickle, which can run any code: save it with serialization_format='skops'"
        + (", or log its booster_." if flavor.name == LIGHTGBM else ".")
    )


def _serialization(name: str, settings: Mapping[str, Any]) -> str:
    if name == LIGHTGBM and settings.get("model_class", BOOSTERS[name]) != BOOSTERS[name]:
        return str(settings.get("serialization_format") or PICKLED)
    written = str(settings.get("save_format") or FORMATS[0])
    if name == CATBOOST and written not in FORMATS:
        raise LoadFailed(
            f"The model was logged with format={written!r}, which CatBoost itself cannot read: log"
            " it with format='cbm'."
        )
    return OWN


def _installed(name: str) -> None:
    if find_spec(name) is None:
        raise LoadFailed(
            f"The model is of MLflow's flavor {name}, and this model server has no {name}: build"
            f" its image with --build-arg EXTRAS={EXTRAS[name]} (docs/operations/model-pods.md), or"
            f" install model-rollouts[{EXTRAS[name]}]."
        )


def _method(flavors: Mapping[str, Any]) -> str:
    """What MLflow's own server would ask the estimator (`pyfunc_predict_fn`); raises LoadFailed
    where that cannot be served.

    Source: mlflow.sklearn._SklearnModelWrapper.
    """
    if PYFUNC not in flavors:
        raise LoadFailed(
            "MLmodel has no python_function flavor, so MLflow does not serve the model either: log"
            " it with a pyfunc_predict_fn that it has."
        )
    named = (flavors[PYFUNC] or {}).get("predict_fn", "predict")
    if named not in METHODS:
        raise LoadFailed(
            f"The model was logged with pyfunc_predict_fn={named!r}, which cannot be served: log it"
            f" with one of {', '.join(METHODS)}."
        )
    return str(named)


def _unserved(flavors: Mapping[str, Any]) -> str:
    others = sorted(set(map(str, flavors)) - {PYFUNC}) or [
        f"{PYFUNC} (a model of one's own)" if flavors else "none"
    ]
    return (
        f"The model is of MLflow's flavor {', '.join(others)}, and {', '.join(SERVED)} are served:"
        " log it with one of them (docs/reference/models.md), or have the namespace named in"
        " the operator's models.allowCode."
    )
