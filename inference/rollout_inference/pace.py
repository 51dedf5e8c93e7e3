"""What a row costs, measured when the model is loaded: what would keep the event loop for longer
than BUDGET is done in threads instead.

Everything that a request takes counts: reading its JSON, predicting, signing and writing. CPU time
is what is measured, so that a neighbour of the pod does not make its model slow for good.
"""

import logging
import time
from typing import Any

import msgspec
import numpy as np

from rollout_inference.api.protocol import Decoded, Request
from rollout_inference.api.protocols.native import Native
from rollout_inference.feedback.prediction_id import Signer
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.state import BUDGET, Pace, State
from rollout_model.outcome import Outcome
from rollout_model.table import LARGEST
from rollout_model.table_signature import TableSignature

log = logging.getLogger(__name__)
TRIED, TIMES = 64, 3
"""Rows of the request that is measured, and how often: the quickest counts."""


def measured(state: State, model: LoadedModel) -> Pace:
    """How much of this model's work the event loop may do itself."""
    try:
        rows = _varied(model)[: state.settings.max_rows]
        one, many = _request(rows[:1]), _request(rows)
        first, row = _seconds(state, model, one), _seconds(state, model, many) / len(rows)
    # it may refuse rows that nobody sends: then nothing is known, and the loop does nothing
    except Exception as failure:
        log.info("what a row costs cannot be measured: %s", failure)
        return Pace()
    if first > BUDGET:
        return Pace()
    byte = row / (len(many) / len(rows))
    return Pace(
        first, byte, max(1, int(BUDGET / row)), min(int(BUDGET / byte), state.settings.max_body)
    )


def _varied(model: LoadedModel) -> list[list[Any]]:
    """Rows around the example: equal ones would take the same way through every tree, and find it
    in the cache. Of columns that are not all numbers only reading is measured, and equal ones do.
    """
    if isinstance(model.signature, TableSignature):
        return [model.example] * TRIED
    around = np.array(model.example, dtype=np.float64)
    spread = np.maximum(1, np.abs(around))
    rows = np.clip(
        np.random.default_rng(0).normal(around, spread, (TRIED, len(around))), -LARGEST, LARGEST
    )
    whole = list(model.signature.whole)
    rows[:, whole] = np.round(rows[:, whole])
    varied: list[list[Any]] = rows.tolist()
    return varied


def _request(rows: list[list[Any]]) -> bytes:
    return msgspec.json.encode({"instances": rows})


def _seconds(state: State, model: LoadedModel, body: bytes) -> float:
    """CPU time of the request; without the prediction,
    where that has a thread of its own anyway.
    """
    protocol, settings = Native(), state.settings
    signer, scope = (
        Signer("measured", settings.name, settings.version, settings.model_revision),
        {"path": "", "headers": []},
    )
    found = []
    for _ in range(TIMES):
        begun = time.thread_time()
        asked = protocol.decode(Request(body, scope, state, model))
        assert isinstance(asked, Decoded)
        outcome = (
            model.runtime.run(asked.rows)
            if model.runtime.inline
            else Outcome([0.1] * len(asked.rows))
        )
        protocol.encode(asked, outcome, signer.sign(outcome.labels, 0))
        found.append(time.thread_time() - begun)
    return min(found)
