"""Pipelines on tables of every kind of column answer as scikit-learn whatever serves them: some of
those that `make test-models` has.
"""

import pytest

from tests.unit.inference.mixed_zoo import BY_SKLEARN, TABLES, compared


@pytest.mark.parametrize("model", TABLES[::3])
def test_what_is_served_of_a_table_says_what_scikit_learn_says(model: str) -> None:
    outcome = compared(model, 30)
    assert not outcome.differs
    assert outcome.plan.runtime == "onnx" or model in BY_SKLEARN, outcome.plan.reason
    assert outcome.rows > 500 or outcome.plan.runtime == "sklearn"
