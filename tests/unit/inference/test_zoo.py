"""Estimators and pipelines of every kind, on numbers far from zero, answer as scikit-learn whatever
serves them.
"""

import pytest

from tests.unit.inference.zoo import DATA, MODELS, UNFIT, compared, fitted

FAR = "Unix milliseconds"
BY_SKLEARN = {
    "neighbours",
    "neighbours by distance",
    "stacking, a forest last",
    "calibrated forest, isotonic",
    "one against one",
    "power, forest",
    "splines, ridge",
    "voting, hard",
    "fixed threshold, two classes",
    "fixed threshold, forest, two classes",
    "tuned threshold, two classes",
    "histogram boosting, Poisson, numbers",
    "SVR, numbers",
    "neighbours, numbers",
    "one-class SVM, unlabelled",
    "two labels, forest, other labels",
}
"""Those that may be; all others must be served by ONNX."""


@pytest.mark.parametrize("model", [one for one in MODELS if (one, FAR) not in UNFIT])
def test_far_from_zero_what_is_served_says_what_scikit_learn_says(model: str) -> None:
    estimator, data = fitted(model, DATA[FAR])
    outcome = compared(estimator, data, 50, known=True)
    assert not outcome.differs
    assert outcome.plan.runtime == "onnx" or model in BY_SKLEARN, outcome.plan.reason
