"""The profile of the training data that travels with a model: live rows are held against it."""

import logging
from typing import Any

import yaml

from rollout_model import training_profile
from rollout_model.errors import BadInput
from rollout_model.table_signature import rows_of_frame, signature_of
from rollout_trainer.data import Split

log = logging.getLogger(__name__)
MOST_ROWS = 100_000
"""Rows that a profile is made of: of more, so many by chance."""


def profile_text(described: str, model: Any, split: Split) -> str:
    """The text of training_profile.json; "" where the training data has rows that the model server
    refuses, such as dates with a time zone.

    described: the text of the MLmodel file. The same data and model give the same text.
    """
    rows = split.train
    if len(rows) > MOST_ROWS:
        rows = rows.sample(MOST_ROWS, random_state=0).sort_index()
    signature = signature_of(yaml.safe_load(described)["signature"])
    try:
        known = rows_of_frame(signature, rows)
    except BadInput as refused:
        log.warning("no profile of the training data: %s", refused)
        return ""
    answers = model.predict(split.test).tolist()
    return training_profile.written(
        training_profile.profile_of(signature, known, answers, classes=split.classes)
    )
